"""From what the user names to weights and what is said of them.

Named are a published checkpoint, a file, a folder or an address on the Hub; a yaml beside the weights speaks of them,
and so does the list of published checkpoints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from trmsolve.checkpoint.address import Address
from trmsolve.checkpoint.hub import NoSuchFile, cached, offline, pull
from trmsolve.checkpoint.known import Known, by_address, by_name, known
from trmsolve.checkpoint.transfer import Progress
from trmsolve.errors import TrmsolveError, did_you_mean

_TELLING = {"H_cycles", "L_cycles", "H_layers", "L_layers", "hidden_size", "num_heads", "mlp_t"}
_NO_WEIGHTS = {".yaml", ".yml", ".json", ".txt", ".md", ".py", ".csv", ".npz", ".npy", ".log", ".png", ".svg"}


@dataclass(frozen=True, slots=True)
class Source:
    """A file of weights and what is said of it."""

    name: str  # the file as the user wrote it, or its address
    weights: Path
    settings_file: str = ""  # "" where there is none
    settings: dict[str, Any] = field(default_factory=dict)  # the published training code's, those of the architecture
    known: Known | None = None  # what the list of published checkpoints says of it


def find_source(spec: str, settings_file: Path | None = None, progress: Progress | None = None) -> Source:
    """SOURCE as `trmsolve checkpoints import` takes it; what lies on the Hub is pulled into the cache.

    A file or folder of that name goes before a published checkpoint. settings_file: the yaml to believe instead of the
    one beside the weights. Raises TrmsolveError: no such file or name, a published checkpoint that cannot be imported,
    a folder with no or several files of weights, a yaml that cannot be read, and what pull() raises.
    """
    told = settings_file and _read_settings(settings_file)
    if told == {}:
        raise TrmsolveError(f"{settings_file} says nothing of an architecture", "name another: --config FILE")
    path = Path(spec).expanduser()
    published = None if Address.looks_like(spec) or path.exists() else by_name(spec)
    if published and published.refused:
        raise TrmsolveError(f"{spec} cannot be imported: {published.refused}", "see trmsolve checkpoints list --known")
    if published or Address.looks_like(spec):
        address = Address.parse(published.address if published else spec)
        name, published = str(address), published or by_address(address)
        weights = cached(address) or pull(name, progress=progress)
        beside = _beside_on_hub(address)
    else:
        name, weights = spec, _weights(path)
        beside = (yaml_ for other in _yamls(weights.name) if (yaml_ := weights.with_name(other)).is_file())
    if told:
        return Source(name, weights, str(settings_file), told, published)
    for file in beside:
        if settings := _read_settings(file):
            return Source(name, weights, str(file), settings, published)
    return Source(name, weights, known=published)


def _yamls(weights: str) -> Iterator[str]:
    """The names that a yaml beside the weights may have, the likeliest to be meant first."""
    yield from dict.fromkeys((f"{weights}.yaml", f"{Path(weights).stem}.yaml", "all_config.yaml", "config.yaml"))


def _beside_on_hub(address: Address) -> Iterator[Path]:
    """The yamls in the folder of a file on the Hub: those in the cache, and only when these will not do, the others."""
    file = PurePosixPath(address.file)
    beside = [Address(address.repo, str(file.with_name(name)), address.revision) for name in _yamls(file.name)]
    missing = [other for other in beside if not cached(other)]
    yield from (path for other in beside if (path := cached(other)))
    for other in () if offline() else missing:
        with suppress(NoSuchFile):
            yield pull(str(other))


def _weights(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        if len(path.parts) == 1 and not path.suffix:
            hint = did_you_mean(str(path), [entry.name for entry in known()])
            raise TrmsolveError(f"no file, folder or published checkpoint '{path}'", hint)
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
    """What the yaml says of the architecture, in its part `arch` or without such a part; {} when it says nothing."""
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:  # ValueError: bad UTF-8, a 13th month
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise TrmsolveError(f"cannot read {path}: {reason}", "mend it, or name another: --config FILE") from None
    arch = values.get("arch", values) if isinstance(values, dict) else None
    if not isinstance(arch, dict) or not _TELLING & {key for key in arch if isinstance(key, str)}:
        return {}
    loss = arch.get("loss")
    return _plain(arch) | ({"loss": _plain(loss)} if isinstance(loss, dict) else {})


def _plain(values: dict[Any, Any]) -> dict[str, Any]:
    """The settings that are single values, which is all that describe an architecture, and what JSON takes."""
    made = {key: _number(value) for key, value in values.items() if isinstance(key, str)}
    return {
        key: value
        for key, value in made.items()
        if value is None or isinstance(value, str | int) or (isinstance(value, float) and isfinite(value))
    }


def _number(value: Any) -> Any:
    """1e-5 is a text to YAML 1.1, and a number to everybody else."""
    written = isinstance(value, str) and re.fullmatch(r"[-+]?\d+\.?\d*[eE][-+]?\d+", value)
    return float(value) if written else value
