"""Sudoku for the published networks: a token for each cell, and restarts under symmetries that they do not have.

Token ids: pad 0, blank 1, digits 2 to 10 (the data set of the TRM and HRM code).
"""

from __future__ import annotations

import numpy as np

from trmsolve.tasks.base import Encoded, Guess
from trmsolve.tasks.cellwise import MAX_STEPS, Frame
from trmsolve.tasks.sudoku import Sudoku
from trmsolve.tasks.sudoku.encode import encode
from trmsolve.tasks.sudoku.symmetries import Symmetry

BLANK, DIGITS = 1, 9


class CellwiseSudoku(Sudoku):
    """The task for one model: rules and text are the same, what the model sees is another."""

    views = 1 << 20  # of 1.2e12; restarts end by budget

    def __init__(self, frame: Frame) -> None:
        self.frame = frame

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


def _symmetry(k: int, side: int) -> Symmetry:
    """Number k of a fixed series of random symmetries."""
    return Symmetry.random(np.random.default_rng(k), side) if k else Symmetry.identity(side)
