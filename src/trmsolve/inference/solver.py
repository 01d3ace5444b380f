"""The solver: a stream of puzzles in, a stream of results out in the same order, each as soon as it is available.

All puzzles share one continuous batch. A run that has ended leaves at once, and the next puzzle of the stream or the
next restart of a puzzle takes its place.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from trmsolve.errors import DeadlineExceeded
from trmsolve.inference.batch import ContinuousBatch, Rollout, default_batch_size
from trmsolve.inference.branch_search import BranchSearch
from trmsolve.inference.options import Result, SolveOptions, StepEvent
from trmsolve.inference.search import AugmentedRestarts, PuzzleSearch, SearchStrategy
from trmsolve.model.layers import reference_mode
from trmsolve.model.packing import pack
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


# -- FLOP ------------------------------------------------------------------------------------------------------------
def _attention_flops(q: torch.Size, k: torch.Size, v: torch.Size, *_: Any, **__: Any) -> int:
    """FLOP of attention, (B, H, L, d) each: scores, and the weighted sum of values."""
    return sdpa_flop_count(q, k, v)


MISSING_FORMULAS = {  # matrix multiplies that torch's own table leaves out
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
    torch.ops.aten._scaled_dot_product_attention_math_for_mps: _attention_flops,
}


def count_flops(function: Callable[[], Any]) -> int:
    """FLOP of all matrix multiplies in a call, including attention; a multiply-add counts as two.

    Norms, gates and segment sums are not counted.
    """
    with FlopCounterMode(display=False, custom_mapping=MISSING_FORMULAS) as counter:
        function()
    return counter.get_total_flops()


def step_flops(solver: Solver, puzzles: Sequence[Puzzle], batch_size: int = 32) -> float:
    """FLOP of one supervision step of one puzzle, the mean over these; 0 when none has an open choice."""
    encoded = [e for e in (solver.task.encode(p.question) for p in puzzles) if e is not None and e.num_choices]
    device = next(solver.model.parameters()).device

    def step_all() -> None:
        for start in range(0, len(encoded), batch_size):
            tokens, batch = pack(encoded[start : start + batch_size])
            y, z = solver.model.init_state(len(tokens), solver.dtype)
            solver.model(tokens.to(device), y, z, batch.to(device))

    with torch.inference_mode(), reference_mode():
        return count_flops(step_all) / max(1, len(encoded))
