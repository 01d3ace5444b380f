"""Sudoku for the published networks: a token for each cell, and restarts under symmetries that they do not have.

Token ids: pad 0, blank 1, digits 2 to 10 (the data set of the TRM and HRM code).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.base import Encoded, Guess, Sample
from trmsolve.tasks.cellwise import MAX_STEPS, Frame
from trmsolve.tasks.sudoku import Sudoku
from trmsolve.tasks.sudoku.data import Pairs
from trmsolve.tasks.sudoku.encode import encode
from trmsolve.tasks.sudoku.symmetries import Symmetry

BLANK, DIGITS = 1, 9
VOCABULARY = BLANK + DIGITS + 1


class CellwiseSudoku(Sudoku):
    """The task for one model: rules and text are the same, what the model sees is another."""

    views = 1 << 20  # of 1.2e12; restarts end by budget
    mix = ("easier", "easier_most", "easier_least", "easier_draws", "symmetries")

    def __init__(self, frame: Frame) -> None:
        self.frame = frame.for_task("sudoku", VOCABULARY)

    def data(self, specs: Sequence[str], seed: int = 0, **mix: float) -> CellwiseData:
        """As for the bundled model, but every cell is asked for."""
        return CellwiseData.open(specs, seed, frame=self.frame, **mix)

    def unfit(self, question: np.ndarray) -> str:
        """Only 9x9."""
        return self.frame.unfit(question)

    def encode(self, question: np.ndarray) -> Encoded | None:
        """The grid, uint8 (9, 9), as 81 tokens; None when the givens contradict each other, or for another size."""
        if self.unfit(question) or encode(question) is None:
            return None
        return self.frame.encode(question.reshape(-1) + BLANK, np.flatnonzero(question == 0), BLANK + 1, DIGITS)

    def decode(self, question: np.ndarray, meanings: np.ndarray, confidence: np.ndarray) -> Guess:
        """The grid with the chosen tokens (cell * vocabulary + token id, int64 (U,)) in its blanks."""
        answer, sure = question.copy(), np.ones(question.shape, np.float32)
        cells, tokens = np.divmod(meanings, self.frame.vocabulary)
        answer.reshape(-1)[cells] = tokens - BLANK
        sure.reshape(-1)[cells] = confidence
        return Guess(answer, sure)

    def view(self, question: np.ndarray, k: int) -> np.ndarray:
        """The question under symmetry k; 0 is as it stands."""
        return _symmetry(k, len(question)).apply(question)

    def unview(self, question: np.ndarray, guess: Guess, k: int) -> Guess:
        """A guess at view(question, k) as one at the question."""
        back = _symmetry(k, len(question)).inverse()
        return Guess(back.apply(guess.answer), back.move(guess.confidence))

    def name_view(self, k: int) -> str:
        """Too much happens at once for words."""
        return f"under symmetry {k}"

    def max_steps(self, question: np.ndarray) -> int:
        """Runs whose answer rests end before."""
        return MAX_STEPS


@dataclass(frozen=True)
class CellwiseData(Pairs):
    """What a run of such a network draws from."""

    easier: float = 0.0  # as published
    easier_draws: float = 0  # as the fast recipe was tried
    symmetries: bool = True  # each draw under a random one; the published data hold 1,000 of each puzzle
    frame: Frame | None = None

    def draw(self, index: int) -> Sample:
        """Sample number `index`. Raises TrmsolveError for a puzzle of another size than the network's."""
        (question, answer), rng = self.pair(index)
        if reason := self.frame.unfit(question):
            raise TrmsolveError(f"training data: {reason}", "train on 9x9 puzzles only")
        if self.symmetries:
            symmetry = Symmetry.random(rng, len(question))
            question, answer = symmetry.apply(question), symmetry.apply(answer)
        return self.frame.sample(question.reshape(-1) + BLANK, answer.reshape(-1) + BLANK)


def _symmetry(k: int, side: int) -> Symmetry:
    """Number k of a fixed series of random symmetries."""
    return Symmetry.random(np.random.default_rng(k), side) if k else Symmetry.identity(side)
