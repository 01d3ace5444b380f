"""From what the user names (a file, a folder, an address on the Hub) to the weights and the settings beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from trmsolve.errors import TrmsolveError
from trmsolve.store.address import Address
from trmsolve.store.hub import NoSuchFile, cached, pull
from trmsolve.store.transfer import Progress

_NO_WEIGHTS = {".yaml", ".yml", ".json", ".txt", ".md", ".py", ".csv", ".npz", ".npy", ".log", ".png", ".svg"}


@dataclass(frozen=True, slots=True)
class Source:
    """A file of weights and what is said of it."""

    name: str  # as the user wrote it
    weights: Path
    settings_file: str  # "" where there is none
    settings: dict[str, Any]  # the published training code's, those of the architecture


def find_source(spec: str, settings_file: Path | None = None, progress: Progress | None = None) -> Source:
    """SOURCE as `trmsolve checkpoints import` takes it; what lies on the Hub is pulled into the cache.

    settings_file: the yaml to believe instead of the one beside the weights. Raises TrmsolveError: no such file, a
    folder with no or several files of weights, a yaml that cannot be read, and what pull() raises.
    """
    if Address.looks_like(spec):
        address = Address.parse(spec)
        weights = cached(address) or pull(spec, progress=progress)
        beside = lambda name: _beside(address, name)  # noqa: E731
    else:
        weights = _weights(Path(spec).expanduser())
        beside = lambda name: path if (path := weights.with_name(name)).is_file() else None  # noqa: E731
    found = settings_file or _first(beside, weights)
    return Source(spec, weights, str(found or ""), _read_settings(found) if found else {})


def _first(beside: Callable[[str], Path | None], weights: Path) -> Path | None:
    names = dict.fromkeys((f"{weights.name}.yaml", f"{weights.stem}.yaml", "all_config.yaml", "config.yaml"))
    return next((path for name in names if (path := beside(name))), None)


def _beside(address: Address, name: str) -> Path | None:
    """A file of the same folder on the Hub."""
    neighbour = Address(address.repo, str(PurePosixPath(address.file).with_name(name)), address.revision)
    try:
        return cached(neighbour) or pull(str(neighbour))
    except NoSuchFile:
        return None


def _weights(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise TrmsolveError(f"no file or folder {path}", "name a file, a folder or hf://OWNER/REPO/FILE")
    files = sorted(
        entry
        for entry in path.iterdir()
        if entry.is_file() and not entry.name.startswith(".") and entry.suffix.lower() not in _NO_WEIGHTS
    )
    if len(files) == 1:
        return files[0]
    if not files:
        raise TrmsolveError(f"{path} holds no file of weights")
    names = ", ".join(file.name for file in files[:10])
    raise TrmsolveError(f"{path} holds {len(files)} files that may be weights: {names}", "name one of them")


def _read_settings(path: Path) -> dict[str, Any]:
    """What the yaml says of the architecture: its part `arch`, or all of it where there is no such part."""
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise TrmsolveError(f"cannot read {path}: {reason}", "mend it, or name another: --config FILE") from None
    arch = values.get("arch", values) if isinstance(values, dict) else None
    if not isinstance(arch, dict):
        raise TrmsolveError(f"{path} holds no settings by name", "name another: --config FILE")
    return arch
