"""A question as the published networks take it: one token for each cell, in reading order, behind a prefix.

The first token of the prefix names the puzzle, the others say nothing (model/question.py). Each cell's choice is among
token ids, a stretch of the vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.base import Encoded, Places, Sample

EMPTY = -1
MAX_STEPS = 64  # published networks are trained for 16; runs that go on gain more and lose nothing


@dataclass(frozen=True, slots=True)
class Frame:
    """What all puzzles of a model have in common."""

    prefix: int
    cells: int  # of a puzzle; the network may take fewer, but was trained on these
    vocabulary: int
    puzzles: int  # rows of the table of puzzle embeddings

    def for_task(self, name: str, vocabulary: int) -> Frame:
        """Itself. Raises TrmsolveError when the network knows other tokens than the task's, or takes no square grid."""
        if self.vocabulary != vocabulary:
            raise TrmsolveError(f"{name} has {vocabulary} token ids, this network {self.vocabulary}")
        if self.side**2 != self.cells:
            raise TrmsolveError(f"{name}: {self.cells} cells make no square grid")
        return self

    @property
    def side(self) -> int:
        """Rows and columns of a puzzle."""
        return isqrt(self.cells)

    def tokens(self, cells: np.ndarray, puzzle: int = 0) -> np.ndarray:
        """int64 (prefix + S,) from the cells' token ids, integers (S,), and the puzzle's id."""
        before = np.full(self.prefix, EMPTY, np.int64)
        if self.puzzles:
            before[:1] = self.vocabulary + puzzle
        return np.concatenate([before, cells.astype(np.int64)])

    def encode(self, cells: np.ndarray, open_cells: np.ndarray, lowest: int, number: int, puzzle: int = 0) -> Encoded:
        """The question whose open cells, int64 (U,), each take one of `number` token ids from `lowest` on.

        What an option means: cell * vocabulary + token id.
        """
        x = self.tokens(cells, puzzle)
        first = (self.prefix + open_cells) * self.vocabulary + lowest
        meanings = np.arange(len(x) * self.vocabulary) - self.prefix * self.vocabulary
        return Encoded(x, Places(len(x)), first, np.full(len(first), number), meanings)

    def sample(self, cells: np.ndarray, answer: np.ndarray) -> Sample:
        """What such a network trains on: every cell is asked for, the known ones too, among all token ids.

        cells, answer: token ids of the question and of its answer, integers (S,).
        """
        encoded = self.encode(cells, np.arange(len(cells)), 0, self.vocabulary)
        return Sample(encoded, answer.astype(np.int64))

    def unfit(self, question: np.ndarray) -> str:
        """Why a grid, (height, width), is not for this model: the only size it takes is its square one."""
        side = self.side
        if question.shape == (side, side):
            return ""
        height, width = question.shape
        return f"this checkpoint takes {side}x{side} only, this is {height}x{width}; the bundled one takes any size"
