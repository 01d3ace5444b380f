"""A run on disk: a state file, which is replaced atomically, a metrics log, and a lock. Resumable after kill -9.

runs/NAME/state.safetensors   weights, EMA, optimizers, slots; step, seconds and settings in its header
runs/NAME/metrics.jsonl       one JSON object a line: training metrics and evaluations
runs/NAME/lock                held while a process trains here
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from trmsolve.distributed import CollectiveError
from trmsolve.errors import TrmsolveError
from trmsolve.text_io import printable

FORMAT_VERSION = 2  # 1: trmsolve 0.1
VALUES: dict[str, type | tuple[type, ...]] = {  # types of the values in a state's header
    **{"step": int, "seconds": (int, float), "supervised": int, "slots": dict},
    **{"history": list, "note": dict, "config": dict, "model": dict},
}


class RunDir:
    """The files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state_file, self.metrics_file, self.lock_file = (
            path / name for name in ("state.safetensors", "metrics.jsonl", "lock")
        )
        self._lock: Any = None

    def __enter__(self) -> RunDir:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = self.lock_file.open("a+")
        except OSError as error:
            raise TrmsolveError(f"{self.path}: cannot be used as a run folder: {error.strerror}") from error
        if not _lock(self._lock):
            self._lock.close()
            raise TrmsolveError(f"{self.path}: another process is training here", "wait for it, or name another --run")
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()  # closing releases the lock, as does the death of the process

    def save(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Replace the state atomically: after a crash, either the old or the new one is complete."""
        temporary = self.state_file.with_suffix(".tmp")
        with self._errors(temporary):
            # safetensors rejects expanded and shared tensors, so each is copied.
            copies = {k: v.detach().contiguous().clone() for k, v in tensors.items()}
            state = json.dumps({**values, "format_version": FORMAT_VERSION})
            save_file(copies, temporary, {"state": state})
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(self.state_file)

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors and values of the last save, or None in a fresh folder."""
        if not self.state_file.exists():
            return None
        try:
            with safe_open(self.state_file, "pt") as file:
                values = json.loads(file.metadata()["state"])
                if not isinstance(values, dict):
                    raise ValueError("its metadata is not an object")
                if values.get("format_version", 1) != FORMAT_VERSION:
                    raise TrmsolveError(
                        f"{self.state_file}: a run of another version of trmsolve",
                        "continue it with trmsolve 0.1.0, or start another --run --from its checkpoint",
                    )
                _check_values(values)
                return {key: file.get_tensor(key) for key in file.keys()}, values  # noqa: SIM118
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise self.damaged(error) from error

    def damaged(self, error: Exception) -> TrmsolveError:
        """The error for a state that cannot be restored. The main process reports it for all."""
        return CollectiveError(
            f"{self.state_file}: not a training state: {_reason(error)}", "move it away to start from the beginning"
        )

    def log(self, record: dict[str, Any]) -> None:
        """Append one line to the metrics."""
        with self._errors(), self.metrics_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def read_log(self) -> list[dict[str, Any]]:
        """The records of the metrics, without incomplete lines. Raises OSError."""
        if not self.metrics_file.exists():
            return []
        records = []
        for line in self.metrics_file.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, RecursionError):
                record = json.loads(line)
                if isinstance(record, dict) and type(record.get("step")) is int:
                    records.append(record)
        return records

    def rewind_log(self, step: int) -> None:
        """Remove metrics after this step, from which the run resumes."""
        if not self.metrics_file.exists():
            return
        temporary = self.metrics_file.with_suffix(".tmp")
        with self._errors(temporary):
            kept = [json.dumps(record) + "\n" for record in self.read_log() if record["step"] <= step]
            temporary.write_text("".join(kept), encoding="utf-8")
            temporary.replace(self.metrics_file)

    @contextmanager
    def _errors(self, temporary: Path | None = None) -> Iterator[None]:
        """Turn errors such as a full disk into TrmsolveError, and remove the temporary file."""
        try:
            yield
        except (OSError, SafetensorError) as error:
            if temporary is not None:
                with suppress(OSError):
                    temporary.unlink()
            raise TrmsolveError(
                f"{self.path}: the run cannot be saved: {getattr(error, 'strerror', None) or error}",
                "free disk space; the same command then resumes from the last save",
            ) from error


def _check_values(values: dict[str, Any]) -> None:
    """Raise ValueError if a value of the state is missing or invalid."""
    for name, kind in VALUES.items():
        value = values.get(name)
        is_valid = isinstance(value, kind) and not isinstance(value, bool)
        if not is_valid or (isinstance(value, int | float) and not 0 <= value < math.inf):
            raise ValueError(f"its {name} is {printable(repr(value), 100)}")
    for name, records in (("history", values["history"]), ("sessions", values["note"].get("sessions", []))):
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise ValueError(f"its {name} is {printable(repr(records), 100)}")


def _reason(error: Exception) -> str:
    """The message of an error on one line."""
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return printable(" ".join(str(error).split()), 200)


def _lock(file: Any) -> bool:
    """Lock an open file exclusively until the process ends; False if another process holds the lock."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
