"""Read the settings of a network: YAML or JSON files of its training run, and hyper_parameters inside the weights.

Settings have the names of the published training code (`H_cycles`, `puzzle_emb_len`, ...), and are single values. Files
of OmegaConf (`${...}`), wandb (`value:`) and nano-trm (`num_layers`, `pos_emb_type`, ...) are supported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from trmsolve.errors import TrmsolveError

MAX_SIZE = 1 << 22  # bytes of a file of settings
# A file without any of these is not about an architecture.
_TELLING = {"H_cycles", "L_cycles", "H_layers", "L_layers", "hidden_size", "num_heads", "mlp_t"}
# Settings that change the result of a network: files that differ in them are an error.
DECISIVE = ("H_cycles", "L_cycles", "num_heads", "puzzle_emb_len", "pos_encodings", "seq_len")
# Parts of a file of settings, or of weights, that may hold the settings.
_PARTS = ("arch", "hyper_parameters", "hparams", "model", "network", "config", "cfg", "args")
MAX_DEPTH = 4  # of parts in parts
_DATA = ("data_paths", "data_path", "dataset", "data", "task")
_NANO_TRM = {
    "num_layers": "L_layers",
    "ffn_expansion": "expansion",
    "use_mlp_t": "mlp_t",
    "use_mlp": "mlp_t",
    "puzzle_emb_dim": "puzzle_emb_ndim",
    "N_supervision": "halt_max_steps",
    "pos_emb_type": "pos_encodings",
}
_POSITIONS = {None: "none", "1d": "rope", "2d": "2d"}


def settings_names(weights: str) -> Iterator[str]:
    """Possible names of a file of settings next to the weights, the most specific first."""
    stem = Path(weights).stem
    yield from dict.fromkeys(
        (f"{weights}.yaml", f"{stem}.yaml", "all_config.yaml", "config.yaml", "hparams.yaml", "config.json")
    )


def read_settings(path: Path) -> dict[str, Any]:
    """The settings of a file; {} if it is not about an architecture. Raises TrmsolveError if it cannot be read."""
    try:
        if path.stat().st_size > MAX_SIZE:
            raise ValueError(f"more than {MAX_SIZE:,} bytes")
        text = path.read_text("utf-8")
        root = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:  # ValueError: bad UTF-8, a 13th month
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise TrmsolveError(f"cannot read {path}: {reason}", "correct it, or name another: --config FILE") from None
    return settings_of(root)


def settings_of(root: Any) -> dict[str, Any]:
    """The settings in nested dicts, at the top or in _PARTS; {} if they are not about an architecture.

    Raises TrmsolveError if two parts differ in a setting that changes the result.
    """
    root = _unwrapped(root)
    settings: dict[str, Any] = {}
    for arch in _parts_of(root):
        settings = merged(settings, _settings(root, arch), "another part")
    return settings


def _parts_of(node: Any, depth: int = 0) -> Iterator[dict[Any, Any]]:
    """The dicts at the top and in _PARTS, those in `arch` first."""
    if isinstance(node := _unwrapped(node), dict) and depth <= MAX_DEPTH:
        for key in _PARTS:
            yield from _parts_of(node.get(key), depth + 1)
        yield node


def _settings(root: dict[Any, Any], arch: dict[Any, Any]) -> dict[str, Any]:
    values = {key: _resolved(_unwrapped(value), root, arch) for key, value in arch.items() if isinstance(key, str)}
    for theirs, published in _NANO_TRM.items():
        if theirs in values:
            value = values.pop(theirs)
            if theirs == "pos_emb_type":
                value = _POSITIONS.get(value, value) if isinstance(value, str | None) else value
            values.setdefault(published, value)
    if not _TELLING & values.keys():
        return {}
    settings = _single_values(values)
    if isinstance(loss := _unwrapped(arch.get("loss")), dict):
        settings["loss"] = _single_values(loss)
    data = [_unwrapped(part.get(key)) for part in (root, arch) for key in _DATA]
    if paths := [text for value in data for text in (value if isinstance(value, list) else [value]) if _is_name(text)]:
        settings["data_paths"] = ", ".join(dict.fromkeys(paths[:10]))
    return settings


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) < 500


def merged(inside: Mapping[str, Any], beside: Mapping[str, Any], file: str) -> dict[str, Any]:
    """The settings inside a file of weights merged with those next to it. Raises TrmsolveError if they differ in a
    setting that changes the result."""
    differing = [key for key in DECISIVE if key in inside and key in beside and inside[key] != beside[key]]
    if differing:
        texts = "; ".join(f"{key} {inside[key]!r} inside, {beside[key]!r} in {file}" for key in differing)
        raise TrmsolveError(f"two places of settings differ: {texts}", "name the correct one: --config FILE")
    return {**beside, **inside}


def _unwrapped(value: Any) -> Any:
    """The value x of wandb's {value: x, desc: ...}, or of a pickled OmegaConf object (a stand-in of read.py)."""
    for _ in range(4):
        state = getattr(value, "state", None)
        if isinstance(state, dict):
            value = state.get("_content", state.get("_val", state))
        elif isinstance(value, dict) and "value" in value and value.keys() <= {"value", "desc"}:
            value = value["value"]
        else:
            break
    return value


def _resolved(value: Any, root: Mapping[Any, Any], arch: Mapping[Any, Any]) -> Any:
    """The value of a reference ${a.b}: a path from the root or, with a leading dot, from `arch`. None if unknown."""
    for _ in range(8):
        match = re.fullmatch(r"\$\{(\.?)([\w.]+)\}", value) if isinstance(value, str) else None
        if match is None:
            break
        starts = (arch,) if match[1] else (root, arch)
        values = [_follow(start, match[2].split(".")) for start in starts]
        value = next((candidate for candidate in values if candidate is not None), None)
    return None if isinstance(value, str) and "${" in value else value


def _follow(node: Any, keys: list[str]) -> Any:
    for key in keys:
        node = _unwrapped(node.get(key)) if isinstance(node, Mapping) else None
    return node


def _single_values(values: Mapping[Any, Any]) -> dict[str, Any]:
    """The settings that are single JSON values; an architecture needs no others."""
    plain = {key: _number(_unwrapped(value)) for key, value in values.items() if isinstance(key, str)}
    return {
        key: value
        for key, value in plain.items()
        if value is None or isinstance(value, str | int) or (isinstance(value, float) and isfinite(value))
    }


def _number(value: Any) -> Any:
    """The value, with texts such as 1e-5, which YAML 1.1 does not read as numbers, as float."""
    scientific = isinstance(value, str) and re.fullmatch(r"[-+]?\d+\.?\d*[eE][-+]?\d+", value)
    return float(value) if scientific else value
