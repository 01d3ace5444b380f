"""From a run to a checkpoint that says where it comes from."""

from __future__ import annotations

import copy
import platform
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from trmsolve import __version__
from trmsolve.model.trm import TRM
from trmsolve.place import place
from trmsolve.solving.measure import single_pass, summary
from trmsolve.solving.options import SolveOptions
from trmsolve.solving.solver import Solver
from trmsolve.store import save
from trmsolve.tasks.base import Puzzle, Task
from trmsolve.training.trainer import Trainer

MOST_VIEWS = 16


def finish(trainer: Trainer, task: str, path: Path, metrics: dict[str, Any] | None = None) -> Path:
    """Write the run's averaged weights with their provenance. Returns the path."""
    sessions = trainer.note.get("sessions", [])
    model = trainer.ema.model
    provenance = {
        "sessions": sessions,
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
    if config.facets:  # whoever adapts to new tasks needs of the trained ones their mean alone (palette.py)
        tensors, config = {**tensors, **model.embed.rows(1)}, replace(config, puzzles=1)
    save(path, tensors, task, config.to_dict(), provenance, metrics or {})
    return path


def solver_of(task: Task, model: TRM, dtype: torch.dtype) -> Solver:
    """A solver with a copy of the model, converted for inference."""
    return Solver(task, copy.deepcopy(model).cast(dtype), dtype)


def measure(task: Task, model: TRM, sets: dict[str, list[Puzzle]], dtype: torch.dtype) -> dict[str, dict[str, float]]:
    """Accuracy by set of held-out puzzles: solved and verified with default settings, and in a single pass.

    Where there is no end of views to restart from, MOST_VIEWS are tried: each costs a published network as much as the
    first.
    """
    solver = solver_of(task, model, dtype)
    restarts = min(SolveOptions.restarts, MOST_VIEWS) if task.views else SolveOptions.restarts
    metrics = {}
    for name, puzzles in sets.items():
        started = time.monotonic()
        solved = summary(list(solver.solve(puzzles, SolveOptions(restarts=restarts))), time.monotonic() - started)
        passes = single_pass(solver, puzzles, (16, 64)).rates()
        entry = {"solved": solved["solved"], "n": solved["puzzles"], "mean_restarts": solved["mean_restarts"]}
        entry |= {"restarts_at_most": restarts}
        entry |= {"without_restarts": solved["solved_without_restarts"], "mean_steps": solved["mean_steps"]}
        entry |= {key: value for key, value in passes.items() if key.startswith(("accepted", "exact"))}
        metrics[name] = {key: round(value, 4) for key, value in entry.items()}
    return metrics


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


def hardware(device: torch.device) -> str:
    """Threads and instruction set, or the accelerator, and how many processes have one each; without names of hosts."""
    here, threads = place(), torch.get_num_threads()
    if device.type == "cuda":
        found = torch.cuda.get_device_name(device)
    elif device.type == "cpu":
        capability = torch.backends.cpu.get_cpu_capability()
        found = f"{threads} thread{'s' * (threads > 1)}, {platform.machine()}, {capability}"
    else:
        found = f"{device.type}, {platform.machine()}"
    return found if here is None else f"{here.size} processes, each on {found}"
