"""Measure the speed of solving: the latency of one puzzle, and the throughput of a stream against a baseline.

The baseline is the evaluation of the published code (arXiv 2510.04871, 2506.21734): full batches, 16 supervision steps
for every puzzle, and the last answer counts. It is eager, without graphs and kernels (the published code compiles its
model by default). It uses the weights and tokens of our solver, so it does not pad puzzles to one length as the
published code does.

Rates are comparable only at equal accuracy, so every stream is reported with its accuracy, and a ratio with whether our
accuracy was at least that of the baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch

from trmsolve.benchmark.measure import Statistic, in_turns, run_python, run_trmsolve, timed
from trmsolve.inference.batch import ContinuousBatch, Rollout
from trmsolve.inference.flops import step_flops
from trmsolve.inference.options import SolveOptions
from trmsolve.inference.solver import Solver
from trmsolve.model.inputs import Encoded
from trmsolve.model.layers import reference_mode
from trmsolve.model.packing import pack, read_out
from trmsolve.tasks.base import Puzzle

Show = Callable[[str], None]
STEPS = 16  # of the baseline
BATCH_SIZE = 768  # of the baseline, as published
LATENCY_PUZZLES = 8  # puzzles whose latency is measured, one after the other


# -- streams --------------------------------------------------------------------------------------------------------
def compare_streams(
    solver: Solver,
    settings: dict[str, SolveOptions],
    baselines: dict[str, Solver],
    puzzles: Sequence[Puzzle],
    repeat: int,
    show: Show = lambda text: None,
) -> dict[str, Any]:
    """Measure our solver with each of the settings, and the baseline on each of these solvers, alternating; for JSON.

    streams: the accuracy by the rules and the speed of each. ratios: puzzles/s of ours divided by that of a baseline,
    repetition by repetition; a fair comparison only if our accuracy is equal or better. Includes encoding, batching,
    solving and checking, but not loading and warm-up.
    """
    # The first call with a shape is slower: libraries prepare.
    warm_up = puzzles if solver.model.y_init.device.type == "cuda" else puzzles[:LATENCY_PUZZLES]
    for options in settings.values():
        list(solver.solve(warm_up, options))
    for baseline in baselines.values():
        solve_fixed_steps(baseline, warm_up, 1)

    def solve(options: SolveOptions) -> list[Any]:
        return list(solver.solve(puzzles, options))

    functions: dict[str, Callable[[], Any]] = {name: partial(solve, options) for name, options in settings.items()}
    functions |= {name: partial(solve_fixed_steps, baseline, puzzles) for name, baseline in baselines.items()}
    measured = in_turns(functions, repeat, show)
    per_token, sizes = _flops_per_token(solver, puzzles)
    correct: dict[str, int] = {}
    streams = []
    for name, runs in measured.items():
        outcome, seconds = runs[0][1], [each for each, _ in runs]
        steps = np.full(len(puzzles), STEPS) if name in baselines else np.array([result.steps for result in outcome])
        correct[name] = outcome if name in baselines else sum(result.solved for result in outcome)
        # With restarts FLOP/s are unknown: branches have fewer tokens than their puzzle, which are not recorded.
        single_run = name in baselines or settings[name].restarts == 0
        flops = per_token * float((steps * sizes).sum())
        streams.append(
            {
                "name": name,
                "right": correct[name],
                "accuracy": correct[name] / len(puzzles),
                "puzzles_per_second": Statistic.of([len(puzzles) / each for each in seconds]).to_dict(),
                "mean_steps": float(steps.mean()),
                "flops_per_second": Statistic.of([flops / each for each in seconds]).to_dict() if single_run else None,
            }
        )
    return {"streams": streams, "ratios": _ratios(list(settings), list(baselines), measured, correct)}


def _ratios(
    ours: Sequence[str],
    theirs: Sequence[str],
    measured: Mapping[str, Sequence[tuple[float, Any]]],
    correct: Mapping[str, int],
) -> list[dict[str, Any]]:
    """Puzzles/s of each of ours divided by that of each baseline. measured: (seconds, outcome) of each repetition."""
    ratios = []
    for our, their in product(ours, theirs):
        pairs = zip(measured[our], measured[their], strict=True)
        times = Statistic.of([their_seconds / our_seconds for (our_seconds, _), (their_seconds, _) in pairs])
        fair = correct[our] >= correct[their]
        ratios.append({"ours": our, "published": their, "times": times.to_dict(), "accuracy_equal_or_better": fair})
    return ratios


def _flops_per_token(solver: Solver, puzzles: Sequence[Puzzle], number: int = 32) -> tuple[float, np.ndarray]:
    """FLOP of a supervision step per token, on the first puzzles; and the tokens of every puzzle, (len(puzzles),)."""
    encoded = [solver.task.encode(puzzle.question) for puzzle in puzzles]
    sizes = np.array([len(e.x) if e is not None and e.num_choices else 0 for e in encoded])
    tokens = sizes[:number][sizes[:number] > 0]
    return (step_flops(solver, puzzles[:number]) / tokens.mean() if len(tokens) else 0.0), sizes


# -- one puzzle -----------------------------------------------------------------------------------------------------
def latency(solver: Solver, puzzles: Sequence[Puzzle], options: SolveOptions, repeat: int) -> Statistic:
    """Seconds from a single puzzle to its answer, after warm-up."""

    def solve(puzzle: Puzzle) -> list[Any]:
        return list(solver.solve([puzzle], options))

    few = puzzles[:LATENCY_PUZZLES]
    for puzzle in few:
        solve(puzzle)
    return Statistic.of([timed(partial(solve, puzzle))[0] for _ in range(repeat) for puzzle in few])


def fixed_steps_latency(solver: Solver, puzzles: Sequence[Puzzle], repeat: int) -> Statistic | None:
    """Seconds for 16 supervision steps of one puzzle, without checking; None if no puzzle has an open choice."""
    candidates = (solver.task.encode(puzzle.question) for puzzle in puzzles)
    encoded = next((e for e in candidates if e is not None and e.num_choices), None)
    if encoded is None:
        return None

    def run() -> None:
        batch = ContinuousBatch(solver.model, solver.dtype)
        batch.add([Rollout(encoded)])
        for _ in range(STEPS):
            batch.step()

    run()
    return Statistic.of([timed(run)[0] for _ in range(max(5, repeat))])


def cold_starts(
    arguments: Sequence[str], puzzle: str, repeat: int, show: Show = lambda text: None
) -> dict[str, Statistic]:
    """Seconds of a process that solves one puzzle, and of one that only imports torch, alternating.

    arguments: those of `trmsolve`. puzzle: its standard input. Raises TrmsolveError when a process fails.
    """
    functions: dict[str, Callable[[], object]] = {
        "cold_start": lambda: run_trmsolve(arguments, puzzle),
        "import_torch": lambda: run_python("import torch"),
    }
    measured = in_turns(functions, repeat, lambda text: show(f"cold starts: {text}"))
    return {name: Statistic.of([seconds for seconds, _ in runs]) for name, runs in measured.items()}


# -- the baseline ---------------------------------------------------------------------------------------------------
def solve_fixed_steps(
    solver: Solver, puzzles: Sequence[Puzzle], steps: int = STEPS, batch_size: int = BATCH_SIZE
) -> int:
    """Number of puzzles whose answer is correct, by the rules, after `steps` steps of every one of them."""
    correct = 0
    for start in range(0, len(puzzles), batch_size):
        batch: list[tuple[Puzzle, Encoded]] = []
        for puzzle in puzzles[start : start + batch_size]:
            encoded = solver.task.encode(puzzle.question)
            if encoded is not None and encoded.num_choices:
                batch.append((puzzle, encoded))
            else:  # rejected by the rules, or without open cells
                correct += encoded is not None and solver.task.is_solution(puzzle.question, puzzle.question)
        if batch:
            correct += _count_correct(solver, batch, steps)
    return int(correct)  # is_solution() may return numpy's bool


@torch.inference_mode()
def _count_correct(solver: Solver, batch: Sequence[tuple[Puzzle, Encoded]], steps: int) -> int:
    device = next(solver.model.parameters()).device
    tokens, packed = pack([encoded for _, encoded in batch])
    tokens, packed = tokens.to(device), packed.to(device)
    y, z = solver.model.init_state(len(tokens), solver.dtype)
    with reference_mode():
        for _ in range(steps):
            output = solver.model(tokens, y, z, packed)
            y, z = output.y, output.z
    readout = read_out(output, packed)
    choice, confidence = readout.choice.cpu().numpy(), readout.confidence.cpu().numpy()  # (U,) each
    correct, end = 0, 0
    for puzzle, encoded in batch:
        choices = slice(end, end := end + encoded.num_choices)
        meanings = encoded.meanings[encoded.first + choice[choices]]
        prediction = solver.task.decode(puzzle.question, meanings, confidence[choices])
        correct += solver.task.is_solution(puzzle.question, prediction.answer)
    return correct
