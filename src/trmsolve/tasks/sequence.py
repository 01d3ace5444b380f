"""Questions for models with one token per cell (model/sequence_model.py): a prefix, then the cells in reading order.

The first token of the prefix is the puzzle's id, the others are empty. Each cell's options are a range of token ids.
The meaning of an option is cell * vocab_size + token id.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.inputs import Encoded
from trmsolve.model.mixers.attention import SequenceEdges
from trmsolve.model.sequence_model import sequence_tokens
from trmsolve.tasks.base import Sample

SEQUENCE_MAX_STEPS = 64  # published networks are trained for 16 steps; more steps solve more puzzles


@dataclass(frozen=True, slots=True)
class SequenceFormat:
    """The layout of the token sequence of a model; the same for all its puzzles."""

    prefix_len: int
    num_cells: int  # of a puzzle
    vocab_size: int
    num_puzzles: int  # rows of the table of puzzle embeddings
    token_shift: int = 0  # added to the task's token ids to get the network's

    @classmethod
    def of(cls, config: TRMConfig) -> SequenceFormat:
        """The format of a model with seq_len > 0."""
        num_cells = config.seq_len - config.prefix_len
        return cls(config.prefix_len, num_cells, config.vocab_size, config.num_puzzles, config.token_shift)

    def for_task(self, name: str, vocab_size: int) -> SequenceFormat:
        """Returns self. Raises TrmsolveError if the vocabulary is not the task's, or the grid is not square."""
        if self.vocab_size != vocab_size + self.token_shift:
            raise TrmsolveError(f"{name} has {vocab_size} token ids, this network {self.vocab_size}")
        if self.side**2 != self.num_cells:
            raise TrmsolveError(f"{name}: {self.num_cells} cells make no square grid")
        return self

    @property
    def side(self) -> int:
        """Rows and columns of a puzzle."""
        return isqrt(self.num_cells)

    def encode(
        self, cells: np.ndarray, open_cells: np.ndarray, first_id: int, num_ids: int, puzzle_id: int = 0
    ) -> Encoded:
        """The question as model input, of L = prefix_len + S tokens.

        cells: token ids, integers (S,). open_cells: int64 (U,), indices of the cells to predict, each as one of the
        num_ids token ids from first_id on.
        """
        puzzle_token = self.vocab_size + puzzle_id if self.num_puzzles else None
        x = sequence_tokens(cells.astype(np.int64) + self.token_shift, self.prefix_len, puzzle_token)  # (L,)
        first = (self.prefix_len + open_cells) * self.vocab_size + first_id + self.token_shift  # (U,)
        meanings = np.arange(len(x) * self.vocab_size) - self.prefix_len * self.vocab_size - self.token_shift  # (L V,)
        return Encoded(x, SequenceEdges(len(x)), first, np.full(len(first), num_ids), meanings)

    def sample(self, cells: np.ndarray, answer: np.ndarray) -> Sample:
        """A training example as in the published code: all cells are predicted, givens included, among all token ids.

        cells, answer: token ids of the question and of its answer, integers (S,).
        """
        encoded = self.encode(cells, np.arange(len(cells)), -self.token_shift, self.vocab_size)
        return Sample(encoded, answer.astype(np.int64) + self.token_shift)

    def unsupported_reason(self, question: np.ndarray) -> str:
        """Why the model does not support a grid (height, width), which must be side x side; "" if it does."""
        side = self.side
        if question.shape == (side, side):
            return ""
        height, width = question.shape
        return f"this checkpoint supports {side}x{side} only, not {height}x{width}; the bundled one supports any size"
