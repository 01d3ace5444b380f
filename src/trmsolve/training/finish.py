"""From a run to a checkpoint that says where it comes from."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from trmsolve import __version__
from trmsolve.store import save
from trmsolve.training.trainer import Trainer


def finish(trainer: Trainer, task: str, path: Path, metrics: dict[str, Any] | None = None) -> Path:
    """Write the run's averaged weights with their provenance. Returns the path."""
    sessions = trainer.note.get("sessions", [])
    provenance = {
        "sessions": sessions,
        "trmsolve": __version__,
        "commit": commit(),
        "torch": torch.__version__,
        "steps": trainer.step,
        "supervised_puzzles": trainer.step * trainer.config.batch,
        "seconds": round(trainer.seconds, 1),
        "hardware": hardware(),
        "history": trainer.history,
    }
    save(path, trainer.ema.model.state_dict(), task, trainer.model.config.to_dict(), provenance, metrics or {})
    return path


def commit() -> str:
    """The commit of the source tree this runs from, with -dirty for uncommitted changes; "" outside of one."""
    here = Path(__file__).resolve().parent
    try:
        found = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()


def hardware() -> str:
    """Cores and instruction set, without names of hosts."""
    return f"{torch.get_num_threads()} threads, {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
