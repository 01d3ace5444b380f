"""Sudoku for models with one token per cell: 9x9 only, with restarts under symmetries that such models do not have.

Token ids: pad 0, blank 1, digits 2 to 10 (the data set of the TRM and HRM code).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.model.inputs import Encoded
from trmsolve.tasks.base import DataOption, Prediction, Sample
from trmsolve.tasks.dataset import HINT_OPTIONS, HintedPairs, pair_mixture
from trmsolve.tasks.sequence import SEQUENCE_MAX_STEPS, SequenceFormat
from trmsolve.tasks.sudoku import Sudoku
from trmsolve.tasks.sudoku.symmetries import Symmetry

BLANK, DIGITS = 1, 9
VOCAB_SIZE = BLANK + DIGITS + 1


class SequenceSudoku(Sudoku):
    """The task for one model: reading, rules and text as in Sudoku; encoding and restarts differ."""

    num_augmentations = 1 << 20  # of 1.2e12; the budget ends restarts earlier
    confidence_floor = 0.0  # Sudoku's is tuned for restarts by assignment
    data_options: ClassVar[tuple[DataOption, ...]] = (
        *HINT_OPTIONS,
        DataOption("symmetries", bool),  # draw each puzzle under a random symmetry
    )

    def __init__(self, sequence_format: SequenceFormat) -> None:
        self.format = sequence_format.for_task("sudoku", VOCAB_SIZE)

    def training_data(self, specs: Sequence[str], seed: int = 0, **options: Any) -> SequenceSudokuData:
        """Training data as for the bundled model, but with a label for every cell."""
        return SequenceSudokuData(pair_mixture(self, specs, seed), seed, format=self.format, **options)

    def unsupported_reason(self, question: np.ndarray) -> str:
        """A message unless the grid is 9x9."""
        return self.format.unsupported_reason(question)

    def encode(self, question: np.ndarray) -> Encoded | None:
        """The grid, uint8 (9, 9), as 81 tokens; None when the givens contradict each other, or for another size."""
        if self.unsupported_reason(question) or super().encode(question) is None:
            return None
        return self.format.encode(question.reshape(-1) + BLANK, np.flatnonzero(question == 0), BLANK + 1, DIGITS)

    def decode(self, question: np.ndarray, meanings: np.ndarray, confidence: np.ndarray) -> Prediction:
        """The grid with the chosen tokens (cell * vocab_size + token id, int64 (U,)) in its blanks."""
        answer, confidences = question.copy(), np.ones(question.shape, np.float32)
        cells, tokens = np.divmod(meanings, self.format.vocab_size)
        answer.reshape(-1)[cells] = tokens - BLANK
        confidences.reshape(-1)[cells] = confidence
        return Prediction(answer, confidences)

    def augment(self, question: np.ndarray, k: int) -> np.ndarray:
        """The question under symmetry k; 0 is the identity."""
        return _symmetry(k, len(question)).apply(question)

    def invert(self, question: np.ndarray, prediction: Prediction, k: int) -> Prediction:
        """A prediction for augment(question, k) as one for the question."""
        inverse = _symmetry(k, len(question)).inverse()
        return Prediction(inverse.apply(prediction.answer), inverse.move(prediction.confidence))

    def augmentation_name(self, k: int) -> str:
        """The number of the symmetry."""
        return f"under symmetry {k}"

    def max_steps(self, question: np.ndarray) -> int:
        """A constant; a rollout ends earlier if its answer no longer changes."""
        return SEQUENCE_MAX_STEPS


@dataclass(frozen=True)
class SequenceSudokuData(HintedPairs):
    """Training samples of such a model."""

    hint_prob: float = 0.0  # as published
    hint_draws: float = 0  # as in the recipe that was measured
    symmetries: bool = True  # the published data contain 1,000 symmetric copies of each puzzle
    format: SequenceFormat | None = None

    def draw(self, index: int) -> Sample:
        """Sample number `index`. Raises TrmsolveError for a puzzle of another size than the network's."""
        assert self.format is not None
        (question, answer), rng = self.pair(index)
        if reason := self.format.unsupported_reason(question):
            raise TrmsolveError(f"training data: {reason}", "train on 9x9 puzzles only")
        if self.symmetries:
            symmetry = Symmetry.random(rng, len(question))
            question, answer = symmetry.apply(question), symmetry.apply(answer)
        return self.format.sample(question.reshape(-1) + BLANK, answer.reshape(-1) + BLANK)


def _symmetry(k: int, side: int) -> Symmetry:
    """Number k of a fixed series of random symmetries."""
    return Symmetry.random(np.random.default_rng(k), side) if k else Symmetry.identity(side)
