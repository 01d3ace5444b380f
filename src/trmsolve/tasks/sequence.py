"""A question for models with one token per cell (model/sequence_model.py): cells in reading order behind a prefix.

The first token of the prefix holds the puzzle's id, the others are empty. Each cell's choice is among token ids, a
range of the vocabulary. An option means: cell * vocab_size + token id.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.inputs import Encoded
from trmsolve.model.mixers.sequence import SequenceEdges
from trmsolve.tasks.base import Sample

EMPTY = -1  # token id that is embedded as zeros
SEQUENCE_MAX_STEPS = 64  # published networks are trained for 16 steps; more solve more and lose nothing


@dataclass(frozen=True, slots=True)
class SequenceFormat:
    """What all puzzles of a sequence model have in common."""

    prefix_len: int
    num_cells: int  # of a puzzle; the network may take fewer, but was trained on these
    vocab_size: int
    num_puzzles: int  # rows of the table of puzzle embeddings
    token_shift: int = 0  # what the network's token ids have more than the task's

    @classmethod
    def of(cls, config: TRMConfig) -> SequenceFormat:
        """The format of a model with seq_len > 0."""
        num_cells = config.seq_len - config.prefix_len
        return cls(config.prefix_len, num_cells, config.vocab_size, config.num_puzzles, config.token_shift)

    def for_task(self, name: str, vocab_size: int) -> SequenceFormat:
        """Itself. Raises TrmsolveError when the model has another vocabulary than the task, or takes no square grid."""
        if self.vocab_size != vocab_size + self.token_shift:
            raise TrmsolveError(f"{name} has {vocab_size} token ids, this network {self.vocab_size}")
        if self.side**2 != self.num_cells:
            raise TrmsolveError(f"{name}: {self.num_cells} cells make no square grid")
        return self

    @property
    def side(self) -> int:
        """Rows and columns of a puzzle."""
        return isqrt(self.num_cells)

    def tokens(self, cells: np.ndarray, puzzle_id: int = 0) -> np.ndarray:
        """int64 (prefix_len + S,) from the task's token ids of the cells, integers (S,), and the puzzle's id."""
        prefix = np.full(self.prefix_len, EMPTY, np.int64)
        if self.num_puzzles:
            prefix[:1] = self.vocab_size + puzzle_id
        return np.concatenate([prefix, cells.astype(np.int64) + self.token_shift])

    def encode(
        self, cells: np.ndarray, open_cells: np.ndarray, first_id: int, num_ids: int, puzzle_id: int = 0
    ) -> Encoded:
        """The question whose open cells, int64 (U,), each take one of num_ids token ids from first_id on."""
        x = self.tokens(cells, puzzle_id)
        first = (self.prefix_len + open_cells) * self.vocab_size + first_id + self.token_shift
        meanings = np.arange(len(x) * self.vocab_size) - self.prefix_len * self.vocab_size - self.token_shift
        return Encoded(x, SequenceEdges(len(x)), first, np.full(len(first), num_ids), meanings)

    def sample(self, cells: np.ndarray, answer: np.ndarray) -> Sample:
        """A training example as published: every cell is predicted, the given ones too, among all token ids.

        cells, answer: token ids of the question and of its answer, integers (S,).
        """
        encoded = self.encode(cells, np.arange(len(cells)), -self.token_shift, self.vocab_size)
        return Sample(encoded, answer.astype(np.int64) + self.token_shift)

    def unsupported_reason(self, question: np.ndarray) -> str:
        """Why a grid, (height, width), is not for this model: the only size it takes is its square one."""
        side = self.side
        if question.shape == (side, side):
            return ""
        height, width = question.shape
        return f"this checkpoint takes {side}x{side} only, this is {height}x{width}; the bundled one takes any size"
