"""The solver: a stream of puzzles in, a stream of results out in order, each as soon as it is known.

Puzzles share one batch of runs. A run that is done leaves at once and the next puzzle of the stream, or the next branch
of a puzzle in search, takes its place. No task is known here by name.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch

from trmsolve.model.trm import TRM
from trmsolve.solving.feed import Feed, OutOfTime
from trmsolve.solving.memory import runs_at_once
from trmsolve.solving.options import Result, SolveOptions, StepEvent
from trmsolve.solving.recursion import Recursion, Run
from trmsolve.solving.search import Search
from trmsolve.solving.stage import Stage, stage_for
from trmsolve.tasks.base import BadPuzzle, Puzzle, Task


class Solver:
    """A model, ready to solve puzzles of its task."""

    # Results wait for those before them; so many puzzles may be under way or waiting, which bounds the memory.
    AHEAD = 1024

    def __init__(self, task: Task, model: TRM, dtype: torch.dtype) -> None:
        self.task, self.model, self.dtype = task, model.eval(), dtype
        self._idle: list[Stage] = []  # stages keep what they have recorded from one stream to the next

    def solve(
        self,
        puzzles: Iterable[Puzzle | BadPuzzle],
        options: SolveOptions = SolveOptions(),  # noqa: B008 - frozen
        *,
        steps: bool = False,
        deadline: float | None = None,
    ) -> Iterator[Result | StepEvent]:
        """One Result per record, in input order; with `steps` also a StepEvent after every step of every puzzle.

        `deadline`: time.monotonic() at which OutOfTime is raised.
        """
        searches: list[Search] = []
        waiting: dict[int, Result] = {}
        admitted = delivered = 0
        with Feed(puzzles) as feed, self.stage() as stage:
            batch = Recursion(self.model, self.dtype, stage, overlap=stage.asynchronous)
            while True:
                while self._has_room(batch, options) and admitted - delivered < max(self.AHEAD, 16 * len(batch)):
                    record = feed.next(not searches and delivered == admitted, deadline)
                    if record is None:
                        break
                    if isinstance(record, BadPuzzle):
                        waiting[admitted] = Result(record, error=record.message)
                    else:
                        searches.append(search := Search(self.task, record, options, admitted, steps))
                        batch.admit(search.runs)
                    admitted += 1
                done: set[Run] = set()
                if batch.runs:
                    batch.advance()
                    done.update(*(search.observe() for search in searches if not search.finished))
                batch.release(done)
                for search in searches:
                    if search.shown is not None:
                        yield search.shown
                    if search.finished:
                        waiting[search.index] = search.result()
                    elif search.fresh:
                        batch.admit(search.runs)
                searches = [search for search in searches if not search.finished]
                while delivered in waiting:
                    yield waiting.pop(delivered)
                    delivered += 1
                if feed.ended and delivered == admitted:
                    return
                if deadline is not None and time.monotonic() >= deadline:
                    raise OutOfTime

    @contextmanager
    def stage(self) -> Iterator[Stage]:
        """Where to take steps, for one batch alone. It keeps what it has recorded for the next one."""
        stage = self._idle.pop() if self._idle else stage_for(self.model)
        try:
            yield stage
        finally:
            self._idle.append(stage)

    def _has_room(self, batch: Recursion, options: SolveOptions) -> bool:
        return len(batch) < (options.batch_size or runs_at_once(self.model)) and not batch.full
