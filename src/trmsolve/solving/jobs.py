"""What a crew can do with a stream of puzzles (crew.py)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trmsolve.solving.options import Result, SolveOptions
from trmsolve.tasks.base import BadPuzzle, Puzzle

if TYPE_CHECKING:
    from trmsolve.solving.measure import SinglePass


@dataclass(frozen=True)
class Solving:
    """Each puzzle to its Result."""

    options: SolveOptions
    model: int = 0
    ahead: int = 1024  # a hard puzzle holds up the results of so many others at most

    def __call__(self, models: Sequence[Any], items: Iterator[Puzzle | BadPuzzle]) -> Iterator[Result | None]:
        """As crew.Job describes it."""
        for event in models[self.model].watch(items, self.options):
            yield event if isinstance(event, Result) else None


@dataclass(frozen=True)
class Rolling:
    """Each batch of puzzles to the counts of its single pass."""

    steps: tuple[int, ...]
    model: int = 0
    ahead: int = 2

    def __call__(self, models: Sequence[Any], items: Iterator[Sequence[Puzzle]]) -> Iterator[SinglePass | None]:
        """As crew.Job describes it."""
        from trmsolve.solving.measure import roll

        for outcome in roll(models[self.model].solver, items, self.steps):
            yield None if isinstance(outcome, int) else outcome
