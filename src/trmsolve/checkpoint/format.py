"""The checkpoint file: a safetensors file whose header describes the model.

The header (https://github.com/huggingface/safetensors#format) has one metadata entry, `trmsolve`, a JSON object:

    format_version  2
    task            "sudoku"
    model           configuration (model/config.py)
    settings        of the task, if it has any: {"symbols": [...], ...}
    provenance      command, commit, data digests, steps, wall time, hardware, ...
    metrics         {"extreme_dev": {"solved": 0.993, "n": 300}, ...}; the first entry is the headline

There is one entry because safetensors writes several in random order; with one, equal content has equal bytes and an
equal sha256. Files of format 1 (trmsolve 0.1) are mapped on reading (version_1.py).

Reading a header does not import torch. safetensors checks that the tensors fill the file; this module checks types and
bounds, and the configuration against the shapes of the tensors, so that no model is built from an invalid header.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trmsolve.checkpoint.version_1 import map_model, map_tensor_name
from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.text_io import printable, replacing

if TYPE_CHECKING:
    import torch

FORMAT_VERSION = 2
MAPPED = 1 << 28  # bytes above which files are mapped; overwriting a mapped file changes its weights or crashes
METADATA_KEY = "trmsolve"
BUFFERS = ("y_init", "z_init", "embed.puzzle_table")  # not trainable parameters
FLOATS = ("F16", "BF16", "F32", "F64")  # dtypes that weights may have
FETCH_AGAIN = "copy it again, or fetch it again: trmsolve checkpoints pull"
IMPORT_FIRST = "convert foreign weights first: trmsolve checkpoints import FILE"

Tensors = dict[str, tuple[str, tuple[int, ...]]]  # name -> (dtype as safetensors writes it, shape)


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a checkpoint, without its weights."""

    path: Path
    size: int  # bytes of the whole file
    format_version: int
    task: str
    model: dict[str, Any]  # valid: TRMConfig.from_dict takes it
    provenance: dict[str, Any]
    metrics: dict[str, Any]
    tensors: Tensors
    settings: dict[str, Any] = field(default_factory=dict)  # of the task, from its training data

    @property
    def parameters(self) -> int:
        """The number of trainable parameters, as counted by trmsolve.model.trm.num_parameters."""
        return sum(math.prod(shape) for name, (_, shape) in self.tensors.items() if name not in BUFFERS)

    @property
    def puzzle_table(self) -> tuple[int, ...]:
        """The shape of the table of puzzle embeddings, (rows, width); () if there is none."""
        return self.tensors.get("embed.puzzle_table", ("", ()))[1]

    @property
    def headline(self) -> str:
        """The first metric as text ("99.3 % of 300 extreme_dev"), or ""."""
        for name, entry in self.metrics.items():
            rate = entry.get("solved", entry.get("accuracy")) if isinstance(entry, dict) else None
            if isinstance(rate, int | float):
                return f"{100 * rate:.1f} % of {entry['n']} {name}" if "n" in entry else f"{100 * rate:.1f} % {name}"
        return ""

    def require_task(self, task: str | None) -> None:
        """Raise TrmsolveError unless the checkpoint is for this task (None: any task)."""
        if task is not None and self.task != task:
            hint = f"run `trmsolve {printable(self.task)}` with it, or see `trmsolve checkpoints list`"
            if self.task == "arc" and self.model.get("seq_len"):  # a published network, for its training tasks only
                hint = "no command runs it on ARC; in Python, trmsolve.load(FILE).refine(...) runs single steps"
            article = "an" if self.task[:1] in "aeiou" else "a"
            raise TrmsolveError(f"{self.path} is {article} {printable(self.task)} checkpoint, expected {task}", hint)


def save(
    path: str | Path,
    tensors: Mapping[str, torch.Tensor],
    task: str,
    model: Mapping[str, Any],
    provenance: Mapping[str, Any],
    metrics: Mapping[str, Any],
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint atomically.

    The dicts must be JSON-able; NaN and infinity become null. Equal content gives equal bytes. Raises TrmsolveError if
    the file cannot be written.
    """
    from safetensors import SafetensorError  # here and below: reading a header must not wait for torch
    from safetensors.torch import save_file

    header = {"format_version": FORMAT_VERSION, "task": task, "model": model}
    header |= {"provenance": provenance, "metrics": metrics} | ({"settings": settings} if settings else {})
    metadata = {METADATA_KEY: json.dumps(_without_nan(header), allow_nan=False)}
    try:
        Path(os.path.realpath(path)).parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            save_file(separate(tensors), temporary, metadata)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TrmsolveError(f"cannot write {path}: {reason}", "choose another folder") from None


def separate(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Contiguous tensors on the CPU. Tensors that share memory, which safetensors rejects, are copied."""
    separate, storages = {}, set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        if tensor.untyped_storage().data_ptr() in storages:
            tensor = tensor.clone()
        storages.add(tensor.untyped_storage().data_ptr())
        separate[name] = tensor
    return separate


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_header(path: str | Path) -> Header:
    """Read a checkpoint's header, without its weights. Numbers beyond 64 bits become null.

    Raises TrmsolveError if the file is missing, a folder, truncated, damaged, not a checkpoint of trmsolve, of a newer
    format, or if its configuration is invalid or does not match its tensors.
    """
    path = Path(path)
    size, metadata, tensors = _read_safetensors(path)
    fields: dict[str, Any] | None
    if metadata.get("format") == "trmsolve":  # format 1
        fields = {**metadata, **{key: _parse(metadata.get(key)) for key in ("model", "provenance", "metrics")}}
    elif METADATA_KEY in metadata:
        fields = _parse(metadata[METADATA_KEY])
    else:
        raise TrmsolveError(f"{path} has weights, but not of trmsolve", IMPORT_FIRST)
    if fields is None:
        raise TrmsolveError(f"{path} is damaged: no readable '{METADATA_KEY}' in its header", FETCH_AGAIN)
    version = _version(path, fields.get("format_version"))
    task = fields.get("task")
    if not isinstance(task, str) or not task:
        raise TrmsolveError(f"{path} does not say which task it is for", FETCH_AGAIN)
    parts: dict[str, Any] = {key: fields.get(key) for key in ("model", "provenance", "metrics")}
    parts["settings"] = fields.get("settings", {})
    for key, part in parts.items():
        if not isinstance(part, dict):
            raise TrmsolveError(f"{path} is damaged: no readable '{key}' in its header", FETCH_AGAIN)
    if version == 1:
        parts["model"] = map_model(parts["model"])
        tensors = {map_tensor_name(name): entry for name, entry in tensors.items()}
    _check_model(path, parts["model"], tensors)
    return Header(path=path, size=size, format_version=version, task=task, tensors=tensors, **parts)


def load_tensors(path: str | Path, sha256: str = "") -> dict[str, torch.Tensor]:
    """The weights by name. sha256: the required digest of the file in hex; "" for any.

    A file of up to MAPPED bytes is read completely, so that later changes of the file do not matter; a larger one is
    mapped. Raises TrmsolveError as `read_header` does, for NaN or infinite weights, and if the digest differs.
    """
    header = read_header(path)
    from safetensors import SafetensorError
    from safetensors.torch import load, load_file

    try:
        if header.size > MAPPED:
            tensors = load_file(path)
            digest = sha256 and sha256_of(path)
        else:
            data = Path(path).read_bytes()
            digest = sha256 and hashlib.sha256(data).hexdigest()
            tensors = load(data) if digest == sha256 else {}
    except (SafetensorError, OSError) as error:
        raise TrmsolveError(f"cannot read the weights of {path}: {error}", FETCH_AGAIN) from None
    if digest != sha256:
        raise replaced(path)
    if header.format_version == 1:
        tensors = {map_tensor_name(name): tensor for name, tensor in tensors.items()}
    if names := not_finite(tensors):
        raise TrmsolveError(f"{path} is damaged: NaN or infinite weights in {', '.join(names[:10])}", FETCH_AGAIN)
    return tensors


def not_finite(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """The names of floating point tensors with NaN or infinite values. Allocates no copies."""
    return [
        name
        for name, tensor in tensors.items()
        if tensor.numel() and not all(math.isfinite(float(extreme)) for extreme in tensor.detach().aminmax())
    ]


def replaced(path: str | Path) -> TrmsolveError:
    """The error for a file that changed while it was read."""
    return TrmsolveError(f"{path} was replaced while it was being loaded", "run the same command again")


def sha256_of(path: str | Path) -> str:
    """The file's sha256 in hex; cached by size and modification time. Raises TrmsolveError if it cannot be read."""
    path = Path(path)
    try:
        stat = path.stat()
        return _sha256(path.absolute(), stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise TrmsolveError(f"cannot read {path}: {error.strerror or error}") from None


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:  # block by block: files may be gigabytes
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


# -- parts of the header ------------------------------------------------------------------------------------------


def _read_safetensors(path: Path) -> tuple[int, dict[str, str], Tensors]:
    """(size of the file, its metadata, its tensors)."""
    from safetensors import SafetensorError, safe_open

    try:
        if path.is_dir():
            raise TrmsolveError(f"{path} is a folder, expected a checkpoint file", "name the .safetensors file in it")
        if path.exists() and not path.is_file():  # opening a pipe could block
            raise TrmsolveError(f"{path} is not a regular file, expected a checkpoint file")
        with path.open("rb") as file:
            size, start = os.fstat(file.fileno()).st_size, file.read(80)
        if start[8:9] != b"{":
            raise _foreign(path, start)
        if (end := 8 + int.from_bytes(start[:8], "little")) > size:
            message = f"its header alone takes {end:,} bytes, the file has {size:,}"
            raise TrmsolveError(f"{path} is truncated: {message}", FETCH_AGAIN)
        with safe_open(path, "np") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            tensors = {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
            metadata = file.metadata() or {}
    except FileNotFoundError:
        raise TrmsolveError(f"no checkpoint file {path}", "list checkpoints: trmsolve checkpoints list") from None
    except SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing header: ")
        message = f"{path} is truncated or damaged: its {size:,} bytes do not fit its header ({printable(reason, 200)})"
        raise TrmsolveError(message, FETCH_AGAIN) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise TrmsolveError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    for name, (dtype, _) in tensors.items():
        if dtype not in FLOATS:
            message = f"tensor {printable(name)} is {dtype}, expected one of {', '.join(FLOATS)}"
            raise TrmsolveError(f"{path}: {message}", FETCH_AGAIN)
    return size, metadata, tensors


def _parse(text: Any) -> dict[str, Any] | None:
    """A JSON object, or None for anything else. Numbers out of the range of double or 64-bit integers become None."""

    def real(digits: str) -> float | None:
        return value if math.isfinite(value := float(digits)) else None

    def integer(digits: str) -> int | None:
        return int(digits) if len(digits) < 19 else None

    try:
        value = json.loads(text, parse_float=real, parse_int=integer, parse_constant=lambda name: None)
    except (TypeError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _foreign(path: Path, start: bytes) -> TrmsolveError:
    """The error for a file that is not safetensors, with specific messages for common formats."""
    if not start:
        return TrmsolveError(f"{path} is empty", FETCH_AGAIN)
    if start.startswith(b"version https://git-lfs"):
        return TrmsolveError(f"{path} is only a Git LFS pointer, not the weights", "run: git lfs pull")
    if start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return TrmsolveError(f"{path} is a PyTorch (pickle) file, not safetensors", IMPORT_FIRST)
    if len(start) < 9 and start[8:] in (b"", b"{"):
        return TrmsolveError(f"{path} is truncated or not a checkpoint: only {len(start)} bytes", FETCH_AGAIN)
    return TrmsolveError(f"{path} is not a safetensors file", IMPORT_FIRST)


def _version(path: Path, text: Any) -> int:
    version = int(text) if type(text) is int or (isinstance(text, str) and text.isdecimal() and len(text) < 10) else 0
    if version < 1:
        raise TrmsolveError(f"{path} is damaged: no format version", FETCH_AGAIN)
    if version > FORMAT_VERSION:
        message = f"{path} was written by a newer trmsolve (format {version}, supported: up to {FORMAT_VERSION})"
        raise TrmsolveError(message, "upgrade: pip install --upgrade trmsolve")
    return version


def _check_model(path: Path, model: dict[str, Any], tensors: Tensors) -> None:
    """Raise TrmsolveError unless the configuration is valid and matches the shapes of the tensors."""
    try:
        config = TRMConfig.from_dict(model)
    except TrmsolveError as error:
        raise TrmsolveError(f"{path}: {error.message}", error.hint or FETCH_AGAIN) from None
    for stack, expected in (("layers", config.num_layers), ("y_layers", config.num_y_layers)):
        layers = {name.split(".")[1] for name in tensors if name.startswith(f"{stack}.")}
        if layers != set(map(str, range(expected))):
            raise TrmsolveError(f"{path}: model.num_{stack} is {expected}, the tensors have {len(layers)}", FETCH_AGAIN)
    for name, shape in expected_shapes(config).items():
        actual = tensors.get(name, ("", None))[1]
        if actual != shape:
            problem = "missing" if actual is None else f"of shape {list(actual)}"
            raise TrmsolveError(f"{path}: tensor {name} is {problem}, expected {list(shape)} by model.*", FETCH_AGAIN)


def expected_shapes(config: TRMConfig) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors that show every size of a configuration; loading compares all of them."""
    D, rows = config.hidden_size, config.num_puzzles
    shapes: dict[str, tuple[int, ...]] = {"y_init": (D,), "z_init": (D,), "q_head.weight": (2, D), "q_head.bias": (2,)}
    if config.embedding == "token":
        shapes |= {"embed.weight": (config.vocab_size, D), "answer_head.weight": (config.num_classes, D)}
        table = config.puzzle_tokens * D
    else:
        shapes |= {f"embed.features.{i}.weight": (n, D) for i, n in enumerate(config.feature_sizes[1:])}
        table = config.feature_sizes[0] * D
    if rows or config.embedding == "color":
        shapes["embed.puzzle_table"] = (rows, table)
    if config.positions == "learned":
        shapes["embed.position_table"] = (config.seq_len, D)
    H = config.intermediate_size
    for i in range(config.num_layers):
        shapes[f"layers.{i}.{'mlp.down' if config.seq_len else 'down'}.weight"] = (D, H)
        if config.mixer == "mlp":
            shapes[f"layers.{i}.mix.down.weight"] = (config.seq_len, config.seq_intermediate_size)
        if config.mixer == "units":
            shapes[f"layers.{i}.unit.{max(config.weight_sharing)}.weight"] = (2 * H, D)
        if config.mixer == "relational" and config.num_relations:
            shapes[f"layers.{i}.relations.{config.num_relations - 1}.weight"] = (2 * H, D)
    return shapes
