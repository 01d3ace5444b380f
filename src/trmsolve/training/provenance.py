"""Export a run's checkpoint with its provenance: data, settings, the commit of the code, the hardware."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from trmsolve import __version__
from trmsolve.checkpoint import save
from trmsolve.distributed import get_dist_info

if TYPE_CHECKING:
    from trmsolve.training.trainer import Trainer

ROOT = Path(__file__).resolve().parents[3]  # of a checkout: src/trmsolve/training/provenance.py


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
    save(path, tensors, task, config.to_dict(), provenance, metrics or {}, settings)
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
