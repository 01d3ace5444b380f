"""How fast puzzles are solved: one of them, a stream of them, and a stream beside the published way.

Only rates at a known accuracy can be compared, so every stream comes with the share of puzzles that it got right, and a
ratio says whether our share was smaller than that of the published way.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trmsolve.benchmark.figures import Figure, in_turns, timed
from trmsolve.benchmark.published import STEPS, roll_out
from trmsolve.solving.flops import step_flops
from trmsolve.solving.options import Result, SolveOptions
from trmsolve.solving.recursion import Recursion, Run
from trmsolve.solving.solver import Solver
from trmsolve.solving.stage import stage_for
from trmsolve.tasks.base import Puzzle

Say = Callable[[str], None]
ALONE = 8  # puzzles whose latency is measured, one after the other


@dataclass(frozen=True)
class Stream:
    """One way to solve a stream, by our solver or the published way."""

    name: str
    right: int  # of the puzzles, by the rules
    puzzles: int
    rate: Figure  # puzzles/s
    steps: float  # supervision steps that a puzzle took, the mean
    flops: Figure | None = None  # FLOP/s of the matrix multiplies

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "right": self.right,
            "accuracy": self.right / self.puzzles,
            "puzzles_per_second": self.rate.to_dict(),
            "mean_steps": self.steps,
            "flops_per_second": self.flops and self.flops.to_dict(),
        }


@dataclass(frozen=True)
class Ratio:
    """Puzzles/s of one of our streams against those of the published way, turn by turn."""

    ours: str
    published: str
    times: Figure
    as_right: bool  # whether ours got at least as many right: only then is it a comparison

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "ours": self.ours,
            "published": self.published,
            "times": self.times.to_dict(),
            "accuracy_equal_or_better": self.as_right,
        }


def streams(
    ours: Solver,
    settings: dict[str, SolveOptions],
    published: dict[str, Solver],
    puzzles: Sequence[Puzzle],
    repeat: int,
    say: Say = lambda text: None,
) -> tuple[list[Stream], list[Ratio]]:
    """Every way in turns: ours with each of the settings, and the published one on each of these solvers, by name.

    Encoding, batching, solving and judging are all part of the time; loading and the first few puzzles are not.
    """
    # Libraries prepare for shapes when they first meet them; on a GPU steps are recorded then, for every size of batch.
    few = puzzles if ours.model.y_init.device.type == "cuda" else puzzles[:ALONE]
    for options in settings.values():
        list(ours.solve(few, options))
    for solver in published.values():
        roll_out(solver, few, 1)
    ways: dict[str, Callable[[], Any]] = {
        name: lambda options=options: list(ours.solve(puzzles, options)) for name, options in settings.items()
    }
    ways |= {name: lambda solver=solver: roll_out(solver, puzzles) for name, solver in published.items()}
    found = in_turns(ways, repeat, say)
    per_token, sizes = _flops_per_token(ours, puzzles)
    made = []
    for name, options in settings.items():
        made.append(_ours(name, puzzles, found[name], per_token, sizes, options.restarts == 0))
    for name in published:
        rates = [len(puzzles) / seconds for seconds, _ in found[name]]
        flops = Figure.of([per_token * sizes.sum() * STEPS / seconds for seconds, _ in found[name]])
        made.append(Stream(name, found[name][0][1], len(puzzles), Figure.of(rates), STEPS, flops))
    right = {stream.name: stream.right for stream in made}
    ratios = [
        Ratio(
            name,
            other,
            Figure.of([theirs / mine for (mine, _), (theirs, _) in zip(found[name], found[other], strict=True)]),
            right[name] >= right[other],
        )
        for name in settings
        for other in published
    ]
    return made, ratios


def _ours(
    name: str,
    puzzles: Sequence[Puzzle],
    runs: list[tuple[float, list[Result]]],
    per_token: float,
    sizes: np.ndarray,
    plain: bool,
) -> Stream:
    steps = np.array([r.steps for r in runs[0][1]])
    # Under assumptions puzzles become smaller as they are solved: what was multiplied is then not known.
    flops = Figure.of([per_token * (steps * sizes).sum() / seconds for seconds, _ in runs]) if plain else None
    rates = [len(puzzles) / seconds for seconds, _ in runs]
    return Stream(name, sum(r.solved for r in runs[0][1]), len(puzzles), Figure.of(rates), float(steps.mean()), flops)


def _flops_per_token(solver: Solver, puzzles: Sequence[Puzzle], number: int = 32) -> tuple[float, np.ndarray]:
    """FLOP of a supervision step for each token, on the first puzzles; tokens of every puzzle, (len(puzzles),)."""
    encoded = [solver.task.encode(puzzle.question) for puzzle in puzzles]
    sizes = np.array([len(e.x) if e is not None and e.choices else 0 for e in encoded])
    tokens = sizes[:number][sizes[:number] > 0]
    return (step_flops(solver, puzzles[:number]) / tokens.mean() if len(tokens) else 0.0), sizes


def alone(solver: Solver, puzzles: Sequence[Puzzle], options: SolveOptions, repeat: int) -> Figure:
    """Seconds from a puzzle to its answer when there is no other, with everything warm."""
    few = puzzles[:ALONE]
    for puzzle in few:
        list(solver.solve([puzzle], options))
    return Figure.of([timed(lambda p=p: list(solver.solve([p], options)))[0] for _ in range(repeat) for p in few])


def sixteen_steps(solver: Solver, puzzles: Sequence[Puzzle], repeat: int) -> Figure | None:
    """Seconds for 16 supervision steps of one puzzle, read out and judged by nobody; None when none has a step."""
    encoded = (solver.task.encode(puzzle.question) for puzzle in puzzles)
    question = next((e for e in encoded if e is not None and e.choices), None)
    if question is None:
        return None
    stage = stage_for(solver.model)

    def steps() -> None:
        batch = Recursion(solver.model, solver.dtype, stage)
        batch.admit([Run(question, STEPS)])
        for _ in range(STEPS):
            batch.advance()

    steps()
    return Figure.of([timed(steps)[0] for _ in range(max(5, repeat))])


def cold_starts(command: Sequence[str], puzzle: str, repeat: int, say: Say = lambda text: None) -> dict[str, Figure]:
    """Seconds of a process that answers one puzzle, and of one that only imports torch; in turns.

    command: what `trmsolve` is to be told. puzzle: its standard input.
    """
    ways = {
        "cold_start": [sys.executable, "-m", "trmsolve", *command],
        "import_torch": [sys.executable, "-c", "import torch"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for k in range(repeat):
        for name, arguments in ways.items():
            say(f"cold starts, {k + 1} of {repeat}")
            started = time.perf_counter()
            subprocess.run(arguments, input=puzzle, text=True, capture_output=True, check=False)
            seconds[name].append(time.perf_counter() - started)
    return {name: Figure.of(values) for name, values in seconds.items()}
