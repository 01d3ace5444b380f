"""Accuracy of a model in training on held-out puzzles."""

from __future__ import annotations

import copy
import time

import torch

from trmsolve.inference.evaluate import judged, single_pass, summary
from trmsolve.inference.options import SolveOptions
from trmsolve.inference.solver import Solver
from trmsolve.model.trm import TRM
from trmsolve.tasks.base import Augments, Puzzle, Task

MAX_AUGMENTATIONS = 16  # restarts of a model whose every augmentation costs as much as the first run


def solver_for(task: Task, model: TRM, dtype: torch.dtype) -> Solver:
    """A solver with a copy of the model, converted for inference."""
    return Solver(task, copy.deepcopy(model).cast(dtype), dtype)


def measure_held_out(
    task: Task, model: TRM, sets: dict[str, list[Puzzle]], dtype: torch.dtype
) -> dict[str, dict[str, float]]:
    """Accuracy by set of puzzles: solved and verified with default settings, and in a single pass."""
    solver = solver_for(task, model, dtype)
    restarts = SolveOptions.restarts
    if isinstance(task, Augments):
        restarts = min(restarts, MAX_AUGMENTATIONS)
    metrics = {}
    for name, puzzles in sets.items():
        started = time.monotonic()
        results = [judged(r) for r in solver.solve(puzzles, SolveOptions(restarts=restarts))]
        solved = summary(results, time.monotonic() - started)  # type: ignore[arg-type]
        passes = single_pass(solver, puzzles, (16, 64)).rates()
        entry = {"solved": solved["solved"], "n": solved["puzzles"], "mean_restarts": solved["mean_restarts"]}
        entry |= {"restarts_at_most": restarts}
        entry |= {"without_restarts": solved["solved_without_restarts"], "mean_steps": solved["mean_steps"]}
        entry |= {key: value for key, value in passes.items() if key.startswith(("accepted", "exact"))}
        metrics[name] = {key: round(value, 4) for key, value in entry.items()}
    return metrics
