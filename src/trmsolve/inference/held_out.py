"""Accuracy of a model in training on held-out puzzles, within a time limit."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch

from trmsolve.inference.evaluate import SinglePass, judged, single_pass, summary
from trmsolve.inference.options import Result, SolveOptions
from trmsolve.inference.prefetch import DeadlineExceeded
from trmsolve.inference.runner import default_batch_size
from trmsolve.inference.solver import Solver
from trmsolve.model.trm import TRM
from trmsolve.tasks.base import Augments, Puzzle, Task

MAX_AUGMENTATIONS = 16  # maximum restarts by augmentation, each of which costs as much as the first run
BATCH_SIZE = 32  # maximum batch size of a single pass: at the deadline, only full batches count

Progress = Callable[[int, int], None]  # puzzles measured so far, and all


def solver_for(task: Task, model: TRM, dtype: torch.dtype) -> Solver:
    """A solver with a copy of the model, converted for inference."""
    return Solver(task, copy.deepcopy(model).cast(dtype), dtype)


def measure_single_pass(
    solver: Solver, puzzles: list[Puzzle], steps: tuple[int, ...], deadline: float, progress: Progress
) -> SinglePass:
    """Counts for rollouts of a fixed length, for as many puzzles as possible before `deadline` (time.monotonic())."""
    counts = SinglePass(steps)

    def on_progress(num_done: int) -> None:
        progress(num_done, len(puzzles))
        if time.monotonic() >= deadline:
            raise DeadlineExceeded

    with suppress(DeadlineExceeded):
        single_pass(solver, puzzles, steps, min(BATCH_SIZE, default_batch_size(solver.model)), on_progress, counts)
    return counts


def measure_held_out(
    task: Task,
    model: TRM,
    sets: dict[str, list[Puzzle]],
    dtype: torch.dtype,
    deadline: float = float("inf"),
    progress: Progress = lambda done, total: None,
) -> dict[str, dict[str, float]]:
    """Accuracy by set of puzzles: solved and verified with default settings, and in a single pass.

    deadline: time.monotonic() at which to stop. The first `n` of `of` puzzles have then been measured; sets without a
    measured puzzle are omitted.
    """
    solver = solver_for(task, model, dtype)
    restarts = SolveOptions.restarts
    if isinstance(task, Augments):
        restarts = min(restarts, MAX_AUGMENTATIONS)
    metrics = {}
    for position, (name, puzzles) in enumerate(sets.items()):
        started = time.monotonic()
        until = started + (deadline - started) / (len(sets) - position)
        passes = measure_single_pass(solver, puzzles, (16, 64), started + (until - started) / 3, progress)
        results: list[Any] = []
        solving = time.monotonic()
        try:
            for result in solver.solve(puzzles, SolveOptions(restarts=restarts), deadline=until):
                assert isinstance(result, Result)
                results.append(judged(result))
                progress(len(results), len(puzzles))
        except DeadlineExceeded:
            pass
        entry: dict[str, float] = {}
        if results:
            solved = summary(results, time.monotonic() - solving)
            entry |= {"solved": solved["solved"], "n": solved["puzzles"], "mean_restarts": solved["mean_restarts"]}
            entry |= {"restarts_at_most": restarts}
            entry |= {"without_restarts": solved["solved_without_restarts"], "mean_steps": solved["mean_steps"]}
        if passes.puzzles:
            entry |= {key: value for key, value in passes.rates().items() if key.startswith(("accepted", "exact"))}
        if len(results) < len(puzzles):
            entry |= {"of": len(puzzles)}
        if results or passes.puzzles:
            metrics[name] = {key: round(value, 4) for key, value in entry.items()}
    return metrics
