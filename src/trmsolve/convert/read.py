"""Read weights from safetensors, also in shards, or from a pickle of torch.save.

No code of a file is executed. Pickles are read by torch's weights_only reader; other classes in them (paths, numpy
scalars, configuration objects) are replaced by inert classes that keep only their state.
"""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trmsolve.device import require_memory
from trmsolve.errors import TrmsolveError
from trmsolve.text_io import printable

INDEX = ".index.json"  # ending of the file that lists the shards of a network
MAX_INDEX = 1 << 24  # bytes
FETCH_AGAIN = "fetch or copy it again"
MAX_DEPTH = 32  # of dicts in dicts
MAX_STAND_INS = 200
_UNZIP = "unpack it, and name the file of weights inside"
# Modules that a malicious pickle would call: refused. Classes of other modules are replaced by inert ones.
_HARMFUL = re.compile(
    r"(builtins|os|posix|nt|sys|subprocess|shutil|socket|runpy|importlib|imp|pickle|dill|cloudpickle|joblib|code|ctypes"
    r"|pty|webbrowser|operator|types|commands|multiprocessing|threading|asyncio|http|urllib|requests)\..*"
)
_TYPES = {t.__name__ for t in (slice, range, frozenset, set, object, list, dict, tuple, int, float, complex, bool)}
_TYPES |= {"bytearray", "types.SimpleNamespace"}
_NO_WEIGHTS = re.compile(r"optim|exp_avg|momentum|grad")  # keys of other tensors that have the names of the weights


@dataclass(slots=True)
class Network:
    """The tensors of one network under one prefix, by their published names."""

    where: str  # keys of the file that lead to them, and their prefix: "ema._orig_mod.model.inner."
    averaged: bool = False  # an exponential moving average of the weights
    tensors: dict[str, Tensor] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)  # other names, which belong to no published network
    settings: Mapping[Any, Any] = field(default_factory=dict)  # the whole file, which may hold settings
    nano_trm: bool = False  # whether the names are those of nano-trm


def read_network(path: Path, averaged: bool | None = None) -> Network:
    """The only network in a file. averaged: read averaged or plain weights; None: averaged ones if there are any.

    Buffers, which are not averaged, are taken from the plain weights. Tensors of an uncompressed zip file are mapped.
    Raises TrmsolveError if the file is truncated, needs code to load, or does not have exactly one matching network.
    """
    tree = load_nested_tensors(path)
    networks, unnamed = _find_networks(tree)
    kinds = {kind: [n for n in networks if n.averaged is kind] for kind in (True, False)}
    if not networks:
        hint = "expected a state dict with embed_tokens and lm_head"
        raise TrmsolveError(f"{path}: no published TRM or HRM in this file", hint)
    if any(len(kind) > 1 for kind in kinds.values()):
        prefixes = ", ".join(repr(printable(n.where, 80)) for n in networks[:10])
        raise TrmsolveError(f"{path}: {len(networks)} networks in this file: {prefixes}", "save one of them alone")
    if averaged is not False and not kinds[True] and unnamed:
        message = f"{path}: the averaged weights have no names ({printable(unnamed[0], 80)}) and cannot be read"
        raise TrmsolveError(message, "use the plain weights: --no-ema")
    if averaged is not None and not kinds[averaged]:
        content = "no averaged weights" if averaged else "averaged weights only"
        raise TrmsolveError(f"{path}: {content}", "leave out --ema" if averaged else "leave out --no-ema")
    chosen = (kinds[averaged] if averaged is not None else kinds[True] or kinds[False])[0]
    if chosen.averaged and kinds[False]:
        chosen.tensors = {**kinds[False][0].tensors, **chosen.tensors}
    chosen.settings = tree
    return chosen


def load_nested_tensors(path: Path) -> Mapping[Any, Any]:
    """The content of a file as nested dicts of tensors; no code in it is executed."""
    try:
        with path.open("rb") as file:
            start = file.read(300)
    except OSError as error:
        raise TrmsolveError(f"cannot read {path}: {error.strerror or error}", FETCH_AGAIN) from None
    if not start:
        raise TrmsolveError(f"{path} is empty", FETCH_AGAIN)
    if start.startswith(b"version https://git-lfs"):
        raise TrmsolveError(f"{path} is only a Git LFS pointer, not the weights", "run: git lfs pull")
    if start[257:262] == b"ustar":
        raise TrmsolveError(f"{path} is a tar archive, not weights", _UNZIP)
    if start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ")):
        raise TrmsolveError(f"{path} is compressed, not weights", _UNZIP)
    if path.name.endswith(INDEX):
        tensors: dict[Any, Any] = {}
        for shard, names in shards(path).items():
            content = load_nested_tensors(path.with_name(shard))
            if missing := [name for name in names if name not in content]:
                message = (
                    f"{path.with_name(shard)} has no tensor {printable(missing[0])}, which {path.name} expects in it"
                )
                raise TrmsolveError(message, "fetch all shards and their index again")
            tensors |= {name: content[name] for name in names}
        return tensors
    tree = _safetensors(path) if start[8:9] == b"{" else _pickle(path, start.startswith(b"PK"))
    if not isinstance(tree, Mapping):
        raise TrmsolveError(f"{path}: found a {type(tree).__name__}, expected a state dict")
    return tree


def shards(index: Path) -> dict[str, list[str]]:
    """The files that an index lists, all in its own folder, and the names of their tensors. Raises TrmsolveError."""
    try:
        if index.stat().st_size > MAX_INDEX:
            raise ValueError("too large")
        files: dict[str, list[str]] = {}
        for tensor, file in json.loads(index.read_text("utf-8"))["weight_map"].items():
            files.setdefault(file, []).append(tensor)
        if not all(files) or any(Path(file).name != file or file.endswith(INDEX) for file in files):
            raise ValueError("bad file names")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "expected a weight_map from tensors to files beside it"
        raise TrmsolveError(f"cannot read {index} as an index of shards: {reason}", FETCH_AGAIN) from None
    return files


# -- formats ------------------------------------------------------------------------------------------------------


def _safetensors(path: Path) -> Mapping[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if "trmsolve" in (metadata.get("format"), *metadata):  # format 1, format 2
                raise TrmsolveError(f"{path} is already a checkpoint of trmsolve", "use it directly: --checkpoint")
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise TrmsolveError(f"{path} is truncated or damaged: {error}", FETCH_AGAIN) from None


def _pickle(path: Path, zipped: bool) -> Any:
    mapped, size = zipped, path.stat().st_size
    entries: list[zipfile.ZipInfo] = []
    if zipped:
        try:
            with zipfile.ZipFile(path) as archive:
                entries = archive.infolist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            raise TrmsolveError(f"{path} is truncated or no file of weights", FETCH_AGAIN) from None
        names = [entry.filename for entry in entries]
        if any(name.endswith("/constants.pkl") for name in names):
            hint = "in Python: torch.save(torch.jit.load(FILE).state_dict(), NEW_FILE)"
            raise TrmsolveError(f"{path} is a TorchScript program, not weights alone", hint)
        if not any(name.endswith("data.pkl") for name in names):
            raise TrmsolveError(f"{path} is a zip archive, not weights", _UNZIP)
        mapped = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
        size = sum(entry.file_size for entry in entries)
    if not mapped:  # compressed, or of torch before 1.6
        again = "save it again with torch.save, so that it can be mapped, or use a machine with more memory"
        require_memory(size, f"reading {path}", again)
    if not zipped and path.open("rb").read(1) != b"\x80":
        raise TrmsolveError(
            f"{path} is truncated or no file of weights", "expected safetensors, or a file of torch.save"
        )
    stand_ins: dict[str, type] = {}  # by the full name of the class that they replace
    sizes: list[int] = []  # bytes of the tensors read

    def keep(storage: Any, location: str) -> Any:
        sizes.append(storage.nbytes())
        return storage

    while True:
        try:
            sizes.clear()
            with warnings.catch_warnings(), torch.serialization.safe_globals([(s, n) for n, s in stand_ins.items()]):
                warnings.simplefilter("ignore")  # torch warns of damage before it fails
                tree = torch.load(path, map_location=keep, weights_only=True, mmap=mapped)
        except Exception as error:  # what a damaged pickle raises depends on where it is damaged
            name, stand_in = _stand_in(path, str(error), stand_ins)
            if not name or len(stand_ins) > MAX_STAND_INS:
                reason = re.split(r"\. |\n", str(error).strip())[0][:200].removeprefix("Weights only load failed")
                message = f"{path} is truncated or no file of weights{reason and f': {printable(reason)}'}"
                raise TrmsolveError(message, FETCH_AGAIN) from None
            stand_ins[name] = stand_in
        else:  # torch compares neither the sizes of mapped entries nor their checksums
            if zipped and (Counter(sizes) - Counter(entry.file_size for entry in entries) or _has_damage(path)):
                raise TrmsolveError(f"{path} is damaged: tensors do not have their size or checksum", FETCH_AGAIN)
            return tree


def _has_damage(path: Path) -> bool:
    """Whether an entry of a zip file does not have its checksum; torch can save files without any."""
    try:
        with zipfile.ZipFile(path) as archive:
            has_checksums = any(entry.CRC for entry in archive.infolist() if "/data/" in entry.filename)
            return has_checksums and archive.testzip() is not None
    except Exception:  # what a damaged archive raises depends on where it is damaged
        return True


class _StandIn:
    """Replaces a class of a pickle, whose code is not executed: keeps the state only."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return object.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _EmptyDict(_StandIn):
    """Replaces a class derived from dict by a dict."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return {}


class _EmptyList(_StandIn):
    """Replaces a class derived from list by a list."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return []


def _stand_in(path: Path, message: str, stand_ins: Mapping[str, type]) -> tuple[str, type]:
    """The class that torch's reader refused, from its message, and a replacement; ("", _) for other errors."""
    if match := re.search(r"GLOBAL ([\w.]+)", message):
        name = match[1] if "." in match[1] else f"builtins.{match[1]}"
        if _HARMFUL.fullmatch(name) and match[1] not in _TYPES:
            hint = "if you trust it, save its weights only: torch.save(model.state_dict(), FILE)"
            raise TrmsolveError(f"{path} has more than weights: loading it would run {match[1]}", hint)
        return ("" if name in stand_ins else name), type(name, (_StandIn,), {})
    if match := re.search(r"Can only (SETITEM|append|extend).* got <class '[\w.]*?convert\.read\.([\w.]+)'>", message):
        return match[2], type(match[2], (_EmptyDict if match[1] == "SETITEM" else _EmptyList,), {})
    return "", _StandIn


# -- networks in a tree -------------------------------------------------------------------------------------------


def _find_networks(tree: Mapping[Any, Any]) -> tuple[list[Network], list[str]]:
    """All networks in the tree, and the paths of lists of averaged tensors, which have no names."""
    networks: list[Network] = []
    unnamed: list[str] = []
    pending: deque[tuple[str, Mapping[Any, Any], int]] = deque([("", tree, 0)])
    seen = set()
    while pending:
        where, node, depth = pending.popleft()
        if id(node) in seen or depth > MAX_DEPTH:
            continue
        seen.add(id(node))
        networks += _networks_of(node, where)
        for key, value in node.items():
            inner = f"{where}{key if isinstance(key, str) else '?'}."
            if _NO_WEIGHTS.match(str(key)):
                continue
            if isinstance(value, Mapping):
                pending.append((inner, value, depth + 1))
            elif isinstance(value, list) and value and all(isinstance(t, Tensor) for t in value) and _is_average(inner):
                unnamed.append(inner)
    networks = [n for n in networks if {"lm_head.weight", "embed_tokens.embedding_weight"} & set(n.tensors)]
    for network in networks:
        network.averaged = _is_average(network.where)
    # Lightning's WeightAveraging saves averaged weights as state_dict, and plain ones as current_model_state.
    if any(network.where.startswith("current_model_state.") for network in networks):
        for network in networks:
            network.averaged |= network.where.startswith("state_dict.")
    return networks, unnamed


def _networks_of(node: Mapping[Any, Any], where: str) -> list[Network]:
    """The networks whose tensors are direct entries of this dict, one per prefix."""
    networks: dict[str, Network] = {}
    tensors = {key: value for key, value in node.items() if isinstance(key, str) and isinstance(value, Tensor)}
    for key, value in tensors.items():
        if parts := split(key):
            prefix, name = parts
            network = networks.setdefault(prefix, Network(where + prefix))
            network.nano_trm |= is_of_nano_trm(key)
            if name not in REDUNDANT:
                network.tensors[name] = value
    for prefix, network in networks.items():
        network.strange = [key for key in tensors if key.startswith(prefix) and not split(key)]
    return list(networks.values())


def _is_average(where: str) -> bool:
    """Whether a path in a file names averaged weights: model_ema, EMACallback.shadow, swa_model, ..."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", where).lower()
    return bool(re.search(r"(?<![a-z])(ema|swa|shadow|averag|avg|polyak)", words))


# -- names of tensors -----------------------------------------------------------------------------------------------
# Published names may have any prefix, which depends on how the model was wrapped when it was saved (`_orig_mod.` by the
# compiler, `module.` by a parallel run, `model.inner.` by the published training loop). Wrappers of single layers,
# inside a name, are removed. nano-trm's names are mapped to the published ones.

_WHOLE = {
    "embed_tokens.embedding_weight": "embed.weight",
    "embed_pos.embedding_weight": "embed.position_table",
    "puzzle_emb.weights": "embed.puzzle_table",
    "lm_head.weight": "answer_head.weight",
    "q_head.weight": "q_head.weight",
    "q_head.bias": "q_head.bias",
    "H_init": "y_init",
    "L_init": "z_init",
}
_LEVELS = {"L_level": "layers", "H_level": "y_layers"}
_PARTS = {
    "mlp_t.gate_up_proj": "mix.gate_up",
    "mlp_t.down_proj": "mix.down",
    "self_attn.qkv_proj": "qkv",
    "self_attn.o_proj": "out",
    "mlp.gate_up_proj": "mlp.gate_up",
    "mlp.down_proj": "mlp.down",
}
_LAYER = re.compile(r"(?P<level>[LH]_level)\.layers\.(?P<index>\d{1,6})\.(?P<part>.+)\.weight")
_NANO = {
    "lenet": "L_level",
    "input_embedding": "embed_tokens",
    "pos_embedding": "rotary_emb",
    "z_H_init": "H_init",
    "z_L_init": "L_init",
}
_ROOTS = "|".join(("embed_tokens|embed_pos|puzzle_emb|rotary_emb|lm_head|q_head|H_level|L_level|H_init|L_init", *_NANO))
_WRAPPED = re.compile(rf"(?P<prefix>(?:.*\.)?)(?P<root>{_ROOTS})(?P<rest>(?:\..+)?)", re.DOTALL)
_WRAPPERS = re.compile(r"\.(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|module)(?=\.)")
# Tensors saved by some versions, although they can be computed from the weights or are temporary.
REDUNDANT = ("rotary_emb.cos_cached", "rotary_emb.sin_cached", "puzzle_emb.local_weights", "puzzle_emb.local_ids")


def split(name: str) -> tuple[str, str] | None:
    """The prefix and the published name of a tensor; None if it belongs to no published network."""
    match = _WRAPPED.fullmatch(name)
    if match is None:
        return None
    return match["prefix"], _NANO.get(match["root"], match["root"]) + _WRAPPERS.sub("", match["rest"])


def is_of_nano_trm(name: str) -> bool:
    """Whether a tensor has a name that only nano-trm gives."""
    match = _WRAPPED.fullmatch(name)
    return match is not None and match["root"] in _NANO


def our_name(name: str) -> str | None:
    """Our name of a published tensor (without prefix), None when there is none."""
    if match := _LAYER.fullmatch(name):
        part = _PARTS.get(match["part"])
        return part and f"{_LEVELS[match['level']]}.{match['index']}.{part}.weight"
    return _WHOLE.get(name)


def published_name(name: str) -> str:
    """The inverse of `our_name`, for messages."""
    for level, own in _LEVELS.items():
        if name.startswith(f"{own}."):
            index, part = name.removeprefix(f"{own}.").removesuffix(".weight").split(".", 1)
            return f"{level}.layers.{index}.{_inverse(_PARTS, part)}.weight"
    return _inverse(_WHOLE, name)


def _inverse(table: dict[str, str], name: str) -> str:
    return next((published for published, own in table.items() if own == name), name)
