"""Where checkpoints lie: the ones that came with the package, and the user's cache."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from trmsolve.errors import TrmsolveError

_PACKAGE = Path(__file__).resolve().parent.parent


def bundled_dir() -> Path:
    """The folder of the checkpoints that ship: `trmsolve/bundled` in a wheel, `checkpoints/` in a source tree."""
    source_tree = _PACKAGE.parent.parent
    if (source_tree / "pyproject.toml").is_file() and _PACKAGE.parent.name == "src":
        return source_tree / "checkpoints"
    return _PACKAGE / "bundled"


def cache_dir() -> Path:
    """Our own cache: TRMSOLVE_CACHE, else XDG_CACHE_HOME/trmsolve, else the platform's usual place. Not created here.

    Raises TrmsolveError when there is no home folder to put it in.
    """
    if own := os.environ.get("TRMSOLVE_CACHE"):
        return _absolute(own)
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    if Path(xdg).is_absolute():  # the XDG specification wants relative ones ignored
        return Path(xdg) / "trmsolve"
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "trmsolve" / "Cache"
    return _absolute("~/Library/Caches/trmsolve" if sys.platform == "darwin" else "~/.cache/trmsolve")


def own_dir() -> Path:
    """Cached checkpoints: `NAME.safetensors` made here, `hub/OWNER/REPO/REVISION/FILE` pulled."""
    return cache_dir() / "checkpoints"


def _absolute(folder: str) -> Path:
    try:
        return Path(folder).expanduser().absolute()
    except RuntimeError as error:
        raise TrmsolveError(f"no home folder for the cache: {error}", "set TRMSOLVE_CACHE to a folder") from None
