"""Restarts by looking at the puzzle from another side.

Where a task has symmetries that the model does not have, its failures on the views of a puzzle differ: each view is a
run of its own, and its answer is turned back. The plain recursion is the first view.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trmsolve.solving.attempt import Attempt
from trmsolve.solving.options import SolveOptions
from trmsolve.solving.recursion import Reading
from trmsolve.tasks.base import Guess, Task


@dataclass(eq=False, slots=True, kw_only=True)
class Seen(Attempt):
    """The question in way k."""

    k: int


class Views:
    """Every view of the question once, in order."""

    give_up = 0.0  # whether it would pay is not measured

    def __init__(self, task: Task, question: np.ndarray) -> None:
        self.task, self.question, self.used = task, question, 1
        self.root = self._seen(0)

    def _seen(self, k: int) -> Seen | None:
        question = self.task.view(self.question, k)
        encoded = self.task.encode(question)
        return None if encoded is None else Seen(question=question, encoded=encoded, k=k)

    def next(self, number: int) -> list[Seen]:
        """The next views."""
        ks = range(self.used, min(self.used + number, self.task.views))
        self.used = ks.stop
        return [seen for seen in map(self._seen, ks) if seen is not None]

    def steps(self, attempt: Seen, options: SolveOptions) -> int:
        """A view is no smaller than the question."""
        return options.max_steps or self.task.max_steps(self.question)

    def heritage(self, attempt: Seen, options: SolveOptions) -> None:
        """Another side of the puzzle has states of its own."""

    def hopeless(self, attempt: Seen, options: SolveOptions) -> bool:
        """True when the answer rests: a wrong answer that rests stays wrong, and the next view costs no more."""
        return attempt.run.settled >= options.patience

    def failed(self, attempt: Seen, reading: Reading) -> None:
        """Nothing is learnt from it."""
        attempt.run = None

    def restored(self, attempt: Seen, guess: Guess) -> Guess:
        """Turned back."""
        return self.task.unview(self.question, guess, attempt.k)

    def name(self, attempt: Seen) -> str:
        """The view's name."""
        return self.task.name_view(attempt.k) if attempt.k else ""
