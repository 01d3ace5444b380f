"""A run on disk: a state file, which is replaced atomically, a metrics log, and a lock. Resumable after kill -9.

Its checkpoint is exported with its provenance: data, settings, the commit of the code, the hardware.

runs/NAME/state.safetensors   weights, EMA, optimizers, slots; step, seconds and settings in its header
runs/NAME/metrics.jsonl       one JSON object a line: training metrics and evaluations
runs/NAME/lock                held while a process trains here
"""

from __future__ import annotations

import json
import math
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from trmsolve import __version__
from trmsolve.checkpoint.format import save as save_checkpoint
from trmsolve.checkpoint.format import separate
from trmsolve.distributed import CollectiveError, get_dist_info
from trmsolve.errors import TrmsolveError
from trmsolve.text_io import atomic_write, printable, replacing

if TYPE_CHECKING:
    from trmsolve.training.trainer import Trainer

ROOT = Path(__file__).resolve().parents[3]  # of a checkout: src/trmsolve/training/run_dir.py
LOCK_TRIES, LOCK_WAIT = 10, 0.1  # tries to take the lock, seconds after each
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
            for file in (self.state_file, self.metrics_file, self.lock_file):
                if file.exists() and not file.is_file():  # a pipe would wait, a device take everything
                    raise TrmsolveError(f"{file}: not a regular file", "move it away, or name another --run")
            self._lock = self.lock_file.open("a+")
        except OSError as error:
            raise TrmsolveError(f"{self.path}: cannot be used as a run folder: {error.strerror}") from error
        if not self._acquire_lock():
            self._lock.close()
            raise TrmsolveError(f"{self.path}: another process is training here", "wait for it, or name another --run")
        return self

    def _acquire_lock(self) -> bool:
        """Try for a second: what a killed process was starting (git, for the commit) keeps its files for a moment."""
        for _ in range(LOCK_TRIES):
            if _lock(self._lock):
                return True
            time.sleep(LOCK_WAIT)
        return False

    def __exit__(self, *_: object) -> None:
        self._lock.close()  # closing releases the lock, as does the death of the process

    def save(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Replace the state atomically: after a crash, either the old or the new one is complete."""
        with self._errors(), replacing(self.state_file) as temporary:
            state = json.dumps({**values, "format_version": FORMAT_VERSION})
            save_file(separate(tensors), temporary, {"state": state})

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
            f"{self.state_file}: truncated, damaged or not a training state: {_reason(error)}",
            f"move {self.path} away to start from the beginning, or train on from its checkpoint: --from CHECKPOINT",
        )

    def log(self, record: dict[str, Any]) -> None:
        """Append one line to the metrics."""
        with self._errors(), self.metrics_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def read_log(self) -> list[dict[str, Any]]:
        """The records of the metrics, without incomplete lines. Raises OSError."""
        if not self.metrics_file.is_file():
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
        with self._errors():
            kept = [json.dumps(record) + "\n" for record in self.read_log() if record["step"] <= step]
            atomic_write(self.metrics_file, "".join(kept), force=True)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Name the run in errors such as a full disk, and say what to do."""
        try:
            yield
        except (OSError, SafetensorError, TrmsolveError) as error:
            reason = getattr(error, "strerror", None) or getattr(error, "message", None) or error
            raise TrmsolveError(
                f"{self.path}: the run cannot be saved: {reason}",
                "free disk space, or correct it; the same command then resumes from the last save",
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
    return printable(" ".join(str(error).removeprefix("Error while deserializing header: ").split()), 200)


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


# -- its checkpoint, with provenance -----------------------------------------------------------------------------------
def export_checkpoint(
    trainer: Trainer,
    task: str,
    path: Path,
    metrics: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
) -> Path:
    """Write the run's averaged weights with their provenance. settings: the task's. Returns the path."""
    model = trainer.ema.model
    provenance = {
        "sessions": trainer.provenance.get("sessions", []),
        "trmsolve": __version__,
        "commit": commit(),
        "torch": torch.__version__,
        "steps": trainer.step,
        "supervised_puzzles": trainer.supervised,
        "seconds": round(trainer.seconds, 1),
        "hardware": hardware(trainer.device),
        "history": trainer.history,
    }
    tensors, config = model.state_dict(), model.config
    if hasattr(model.embed, "new_table"):  # new tasks start from the mean of the trained rows only
        tensors, config = {**tensors, **model.embed.new_table(1)}, replace(config, num_puzzles=1)
    save_checkpoint(path, tensors, task, config.to_dict(), provenance, metrics or {}, settings)
    return path


@cache
def commit() -> str:
    """The commit of the checkout that this code runs from, with -dirty for uncommitted changes; "" elsewhere.

    Only a checkout of this project is described, never a repository around an installed package, whose git
    configuration could execute programs.
    """
    if not (ROOT / ".git").exists() or not (ROOT / "src" / "trmsolve").is_dir():
        return ""
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def hardware(device: torch.device) -> str:
    """The number of threads and the instruction set, or the accelerator, of each process; without host names."""
    info, threads = get_dist_info(), torch.get_num_threads()
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    elif device.type == "cpu":
        capability = torch.backends.cpu.get_cpu_capability()
        name = f"{threads} thread{'s' * (threads > 1)}, {platform.machine()}, {capability}"
    else:
        name = f"{device.type}, {platform.machine()}"
    return name if info is None else f"{info.world_size} processes, each on {name}"
