"""The checkpoint file: a safetensors file whose header describes the model.

The header (https://github.com/huggingface/safetensors#format) has one metadata entry, `trmsolve`, a JSON object:

    format_version  2
    task            "sudoku"
    model           configuration (model/config.py)
    settings        of the task, where it has any: {"symbols": [...], ...}
    provenance      command, commit, data digests, steps, wall time, hardware, ...
    metrics         {"extreme_dev": {"solved": 0.993, "n": 300}, ...}; the first entry is the headline

One entry, because safetensors writes several in random order: equal content has equal bytes, and so one sha256. Files
of format 1 (trmsolve 0.1) are mapped on reading (version_1.py). Reading a header needs neither torch nor numpy.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import secrets
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trmsolve.checkpoint.version_1 import map_header, map_tensor_name
from trmsolve.errors import TrmsolveError

if TYPE_CHECKING:
    import torch

FORMAT_VERSION = 2
MAPPED = 1 << 28  # bytes; writing over a mapped file changes weights in use, cutting it short ends the process
METADATA_KEY = "trmsolve"
_MAX_HEADER = 100_000_000  # safetensors' own limit
_BUFFERS = ("y_init", "z_init", "embed.puzzle_table")  # the start of y and z; a table of which a batch meets a few rows
_BYTES = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2}
_BYTES |= {"I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8}
_AGAIN = "fetch it again: trmsolve checkpoints pull, or copy it anew"
_IMPORT = "convert foreign weights first: trmsolve checkpoints import FILE"


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a checkpoint, without its weights."""

    path: Path
    size: int  # bytes of the whole file
    format_version: int
    task: str
    model: dict[str, Any]
    provenance: dict[str, Any]
    metrics: dict[str, Any]
    tensors: dict[str, tuple[str, tuple[int, ...]]]  # name -> (dtype as safetensors writes it, shape)
    settings: dict[str, Any] = field(default_factory=dict)  # of the task: what it learnt from its data

    @property
    def parameters(self) -> int:
        """How many numbers every step of training changes, as trmsolve.model.trm.parameters counts them."""
        return sum(math.prod(shape) for name, (_, shape) in self.tensors.items() if name not in _BUFFERS)

    @property
    def puzzle_table(self) -> tuple[int, ...]:
        """The shape of the table of puzzle embeddings, (rows, width); () where there is none."""
        return self.tensors.get("embed.puzzle_table", ("", ()))[1]

    @property
    def headline(self) -> str:
        """The first metric as a phrase ("99.3 % of 300 extreme_dev"), or ""."""
        for name, entry in self.metrics.items():
            rate = entry.get("solved", entry.get("accuracy")) if isinstance(entry, dict) else None
            if isinstance(rate, int | float):
                return f"{100 * rate:.1f} % of {entry['n']} {name}" if "n" in entry else f"{100 * rate:.1f} % {name}"
        return ""

    def require_task(self, task: str | None) -> None:
        """Raises TrmsolveError unless the checkpoint is of that task (None: any will do)."""
        if task is not None and self.task != task:
            hint = f"run `trmsolve {self.task}` with it, or see `trmsolve checkpoints list`"
            if self.task == "arc" and self.model.get("seq_len"):  # a published network, which knows its own tasks alone
                hint = "no command runs it on ARC; trmsolve.load(FILE).refine(...) runs the network step by step"
            article = "an" if self.task[:1] in "aeiou" else "a"
            raise TrmsolveError(f"{self.path} is {article} {self.task} checkpoint, {task} needed", hint)


def save(
    path: str | Path,
    tensors: dict[str, torch.Tensor],
    task: str,
    model: dict[str, Any],
    provenance: dict[str, Any],
    metrics: dict[str, Any],
    settings: dict[str, Any] | None = None,
) -> None:
    """Write a checkpoint; at every moment `path` is absent, the old file or the new one, never a part of it.

    The dicts must be JSON-able. Equal content gives equal bytes. Raises TrmsolveError when the folder cannot be
    written.
    """
    from safetensors import SafetensorError  # here and below: reading a header must not wait for these imports
    from safetensors.torch import save_file

    path = Path(os.path.realpath(path))
    header = {"format_version": FORMAT_VERSION, "task": task, "model": model}
    header |= {"provenance": provenance, "metrics": metrics} | ({"settings": settings} if settings else {})
    # A copy of each: safetensors refuses tensors that share memory.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, temporary, {METADATA_KEY: json.dumps(header)})
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except Exception as error:
        _remove(temporary)
        if not isinstance(error, OSError | SafetensorError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise TrmsolveError(f"cannot write {path}: {reason}", "choose another folder") from None
    except BaseException:
        _remove(temporary)
        raise


def _remove(temporary: Path) -> None:
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)


def read_header(path: str | Path) -> Header:
    """Read a checkpoint's header, without its weights.

    Raises TrmsolveError when it is missing, a folder, truncated, damaged, no checkpoint of ours or of a newer format.
    """
    path = Path(path)
    size, header, start = _read_json(path)
    metadata = header.pop("__metadata__", {})
    tensors = _check_tensors(path, header, size, start)
    if isinstance(metadata, dict) and metadata.get("format") == "trmsolve":  # format 1
        fields = {key: metadata.get(key) for key in ("format_version", "task")}
        fields |= {key: _json_object(path, key, metadata.get(key)) for key in ("model", "provenance", "metrics")}
    elif isinstance(metadata, dict) and METADATA_KEY in metadata:
        fields = _json_object(path, METADATA_KEY, metadata[METADATA_KEY])
    else:
        raise TrmsolveError(f"{path} holds weights, but not of trmsolve", _IMPORT)
    version = _version(path, fields.get("format_version"))
    task = fields.get("task")
    if not isinstance(task, str) or not task:
        raise TrmsolveError(f"{path} does not say which task it is for", _AGAIN)
    parts = {key: fields.get(key) for key in ("model", "provenance", "metrics")}
    parts["settings"] = fields.get("settings", {})
    for key, part in parts.items():
        if not isinstance(part, dict):
            raise TrmsolveError(f"{path} is damaged: no readable '{key}' in its header", _AGAIN)
    if version == 1:
        parts["model"] = map_header(parts["model"])
        tensors = {map_tensor_name(name): entry for name, entry in tensors.items()}
    return Header(path=path, size=size, format_version=version, task=task, tensors=tensors, **parts)


def load_tensors(path: str | Path, sha256: str = "") -> dict[str, torch.Tensor]:
    """The weights by name. sha256, in hex: of the file that they have to come from; "": whatever is there.

    A file of up to MAPPED bytes is read, so that nothing that becomes of it later changes the weights; a larger one is
    mapped, of which only what is used is ever read. Raises TrmsolveError as `read_header` does, and when the file has
    been replaced since its sha256 was taken.
    """
    header = read_header(path)
    size = header.size
    from safetensors import SafetensorError
    from safetensors.torch import load, load_file

    try:
        if size > MAPPED:
            tensors = load_file(path)
            digest = sha256 and sha256_of(path)
        else:
            data = Path(path).read_bytes()
            digest = sha256 and hashlib.sha256(data).hexdigest()
            tensors = load(data) if digest == sha256 else {}
    except (SafetensorError, OSError) as error:
        raise TrmsolveError(f"cannot read the weights of {path}: {error}", _AGAIN) from None
    if digest != sha256:
        raise replaced(path)
    if header.format_version == 1:
        tensors = {map_tensor_name(name): tensor for name, tensor in tensors.items()}
    return tensors


def replaced(path: str | Path) -> TrmsolveError:
    """What to say of a file whose parts are of two versions."""
    return TrmsolveError(f"{path} was replaced while it was being loaded", "run the same command again")


def sha256_of(path: str | Path) -> str:
    """The file's sha256 in hex; computed once per version of the file. Raises TrmsolveError when it cannot be read."""
    path = Path(path)
    try:
        stat = path.stat()
        return _sha256(path.absolute(), stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise TrmsolveError(f"cannot read {path}: {error.strerror or error}") from None


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    return hash_file(path, hashlib.sha256())


def hash_file(path: Path, digest: Any) -> str:
    """Feed the file to a hashlib object, block by block (files may be gigabytes); returns the hex digest."""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


# -- reading ------------------------------------------------------------------------------------------------------


def _read_json(path: Path) -> tuple[int, dict[str, Any], int]:
    """(size of the file, its JSON header, where the tensors start)."""
    try:
        if path.is_dir():
            raise TrmsolveError(f"{path} is a folder, a checkpoint file needed", "name the .safetensors file inside it")
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise TrmsolveError(f"{path} is no regular file, a checkpoint file needed")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(9)
            length = int.from_bytes(start[:8], "little")
            if not _looks_right(start, length):
                raise _foreign(path, start + file.read(64))
            if 8 + length > size:
                raise _truncated(path, 8 + length, size, "its header alone takes")
            file.seek(8)
            text = file.read(length)
    except FileNotFoundError:
        raise TrmsolveError(f"no checkpoint file {path}", "see what there is: trmsolve checkpoints list") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise TrmsolveError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    try:
        header = json.loads(text.decode())
    except (ValueError, RecursionError):
        raise TrmsolveError(f"{path} is damaged: its header is no JSON", _AGAIN) from None
    return size, header, 8 + length


def _looks_right(start: bytes, length: int) -> bool:
    return len(start) == 9 and start[8:] == b"{" and 2 <= length <= _MAX_HEADER


def _foreign(path: Path, start: bytes) -> TrmsolveError:
    """Why a file that does not begin like safetensors is not one: the common cases by name."""
    if not start:
        return TrmsolveError(f"{path} is empty", _AGAIN)
    if start.startswith(b"version https://git-lfs"):
        return TrmsolveError(f"{path} is only a Git LFS pointer, not the weights", "run: git lfs pull")
    if start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return TrmsolveError(f"{path} is a PyTorch (pickle) file, not safetensors", _IMPORT)
    if len(start) < 9 and start[8:] in (b"", b"{"):
        return TrmsolveError(f"{path} is truncated or no checkpoint: only {len(start)} bytes", _AGAIN)
    return TrmsolveError(f"{path} is not a safetensors file", _IMPORT)


def _truncated(path: Path, expected: int, found: int, why: str) -> TrmsolveError:
    return TrmsolveError(f"{path} is truncated: {why} {expected:,} bytes, the file has {found:,}", _AGAIN)


def _check_tensors(path: Path, header: Any, size: int, start: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Names, dtypes and shapes, when they fit each other and fill the file exactly."""
    tensors, spans = {}, []
    try:
        for name, entry in header.items():
            shape, (begin, end) = tuple(entry["shape"]), entry["data_offsets"]
            if not all(type(n) is int and n >= 0 for n in (*shape, begin, end)):
                raise ValueError(name)
            if end - begin != math.prod(shape) * _BYTES[entry["dtype"]]:
                raise ValueError(name)
            tensors[name] = (entry["dtype"], shape)
            spans.append((begin, end))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise TrmsolveError(f"{path} is damaged: its header does not describe tensors", _AGAIN) from None
    filled = 0
    for begin, end in sorted(spans):
        if begin != filled:
            raise TrmsolveError(f"{path} is damaged: its tensors overlap or leave gaps", _AGAIN)
        filled = end
    if start + filled > size:
        raise _truncated(path, start + filled, size, "its header announces")
    if start + filled < size:
        raise TrmsolveError(f"{path} is damaged: {size - start - filled:,} bytes too many at its end", _AGAIN)
    return tensors


def _version(path: Path, text: Any) -> int:
    try:
        version = int(text)
        if version < 1:
            raise ValueError(text)
    except (TypeError, ValueError):
        raise TrmsolveError(f"{path} is damaged: no format version", _AGAIN) from None
    if version > FORMAT_VERSION:
        found = f"{path} was made by a newer trmsolve (format {version}, known: up to {FORMAT_VERSION})"
        raise TrmsolveError(found, "upgrade: pip install --upgrade trmsolve")
    return version


def _json_object(path: Path, key: str, text: Any) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise TrmsolveError(f"{path} is damaged: no readable '{key}' in its header", _AGAIN)
    return value
