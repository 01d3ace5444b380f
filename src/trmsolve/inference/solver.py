"""The solver: a stream of puzzles in, a stream of results out in the same order, each as soon as it is available.

All puzzles share one continuous batch. A run that has ended leaves at once, and the next puzzle of the stream or the
next restart of a puzzle takes its place.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import numpy as np
import torch

from trmsolve.errors import DeadlineExceeded
from trmsolve.inference.batch import ContinuousBatch, Rollout, default_batch_size
from trmsolve.inference.branch_search import BranchSearch
from trmsolve.inference.options import Result, SolveOptions, StepEvent
from trmsolve.inference.search import AugmentedRestarts, PuzzleSearch, SearchStrategy
from trmsolve.model.trm import TRM
from trmsolve.stream import Prefetcher
from trmsolve.tasks.base import Augments, Branches, InvalidPuzzle, Puzzle, Task


def strategy_for(task: Task, question: np.ndarray) -> SearchStrategy:
    """The restart strategy for a puzzle, by the task's capabilities."""
    if isinstance(task, Augments):
        return AugmentedRestarts(task, question)
    return (BranchSearch if isinstance(task, Branches) else SearchStrategy)(task, question)


class Solver:
    """A model, ready to solve puzzles of its task."""

    MAX_UNDELIVERED = 1024  # puzzles whose results wait for those before them; bounds the memory

    def __init__(self, task: Task, model: TRM, dtype: torch.dtype) -> None:
        self.task, self.model, self.dtype = task, model.eval(), dtype

    def solve(
        self,
        puzzles: Iterable[Puzzle | InvalidPuzzle],
        options: SolveOptions = SolveOptions(),  # noqa: B008 - frozen
        *,
        steps: bool = False,
        deadline: float | None = None,
    ) -> Iterator[Result | StepEvent]:
        """Yield one Result per record, in input order; with `steps` also a StepEvent after every step of every puzzle.

        Raises DeadlineExceeded once time.monotonic() reaches `deadline`.
        """
        running: list[PuzzleSearch] = []
        finished: dict[int, Result] = {}  # by index, until delivered
        admitted = delivered = 0
        batch = ContinuousBatch(self.model, self.dtype)
        with Prefetcher(puzzles) as records:
            while True:
                while self._accepts(batch, options, admitted - delivered):
                    try:
                        record = records.next(not running and delivered == admitted, deadline)
                    except DeadlineExceeded:
                        raise DeadlineExceeded(admitted - delivered) from None
                    if record is None:
                        break
                    if isinstance(record, InvalidPuzzle):
                        finished[admitted] = Result(record, error=record.message)
                    else:
                        strategy = strategy_for(self.task, record.question)
                        search = PuzzleSearch(self.task, record, strategy, options, admitted, steps)
                        running.append(search)
                        batch.add(search.rollouts)
                    admitted += 1
                    if deadline is not None and time.monotonic() >= deadline:  # encoding a large puzzle takes time
                        raise DeadlineExceeded(admitted - delivered)
                done: set[Rollout] = set()
                if batch.running:
                    batch.step()
                    done.update(*(search.observe() for search in running if not search.finished))
                batch.remove(done)
                for search in running:
                    if search.event is not None:
                        yield search.event
                    if search.finished:
                        finished[search.index] = search.result()
                    elif search.waiting:
                        batch.add(search.rollouts)
                running = [search for search in running if not search.finished]
                while delivered in finished:
                    yield finished.pop(delivered)
                    delivered += 1
                if records.ended and delivered == admitted:
                    return
                if deadline is not None and time.monotonic() >= deadline:
                    raise DeadlineExceeded(admitted - delivered)

    def _accepts(self, batch: ContinuousBatch, options: SolveOptions, undelivered: int) -> bool:
        """Whether another puzzle may be admitted."""
        if undelivered >= max(self.MAX_UNDELIVERED, 16 * len(batch)):
            return False
        return len(batch) < (options.batch_size or default_batch_size(self.model)) and not batch.full
