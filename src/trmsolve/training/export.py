"""From a run to a checkpoint with its provenance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from trmsolve import __version__
from trmsolve.checkpoint import save
from trmsolve.training.provenance import commit, hardware
from trmsolve.training.trainer import Trainer


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
    if hasattr(model.embed, "new_table"):  # new tasks start from the mean of the trained rows, and need no others
        tensors, config = {**tensors, **model.embed.new_table(1)}, replace(config, num_puzzles=1)
    save(path, tensors, task, config.to_dict(), provenance, metrics or {}, settings)
    return path
