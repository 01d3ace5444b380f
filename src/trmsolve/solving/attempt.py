"""One try at a puzzle: a question to run from fresh states, and the ways to come by further ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from trmsolve.solving.options import SolveOptions
from trmsolve.solving.recursion import Heritage, Reading, Run
from trmsolve.tasks.base import Encoded, Guess


@dataclass(eq=False, slots=True, kw_only=True)
class Attempt:
    """A question that stands for the puzzle's."""

    question: np.ndarray
    encoded: Encoded
    run: Run | None = None  # while it is in the batch


class Restarts(Protocol):
    """How a puzzle that the plain recursion leaves unsolved is tried again (tree.py, views.py)."""

    root: Attempt | None  # the question itself; None when the rules reject it
    give_up: float  # SolveOptions.give_up where nobody chose it and there are restarts

    def next(self, number: int) -> list[Attempt]:
        """At most so many further attempts, none when there is nothing left to try."""

    def steps(self, attempt: Attempt, options: SolveOptions) -> int:
        """How many supervision steps this attempt may take."""

    def heritage(self, attempt: Attempt, options: SolveOptions) -> Heritage | None:
        """What this attempt's run begins from; None: fresh states."""

    def hopeless(self, attempt: Attempt, options: SolveOptions) -> bool:
        """Whether to end an attempt whose last answer was wrong, after a step, for want of hope."""

    def failed(self, attempt: Attempt, reading: Reading) -> None:
        """An attempt has ended without an answer."""

    def restored(self, attempt: Attempt, guess: Guess) -> Guess:
        """A guess at the attempt's question as one at the puzzle's."""

    def name(self, attempt: Attempt) -> str:
        """For people: what tells this attempt from the root; "" for the root."""
