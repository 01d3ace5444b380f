"""The question x as the network takes it: one vector for each token.

A token's id is below the vocabulary: the embedding says what stands there. From there on it names a puzzle: id V + p is
row p of the table of puzzle embeddings. And -1 says nothing: zeros. So the prefix of the published networks, an
embedding of the puzzle's id and fifteen empty tokens, is tokens like any other.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trmsolve.model.config import TRMConfig
from trmsolve.model.layout import Layout
from trmsolve.tasks.cellwise import EMPTY


class Question(nn.Embedding):
    """int64 (L,) token ids -> x (L, D)."""

    def __init__(self, config: TRMConfig) -> None:
        super().__init__(config.vocabulary, config.width)
        self.scale = config.embed_scale
        with torch.no_grad():
            self.weight /= self.scale  # x has unit variance at first
        # The table may have a million rows of which a batch meets a few: no parameter, as no optimizer should sweep it.
        # Zeros of numpy take no memory until somebody writes to them, and a loaded table takes their place.
        table = torch.from_numpy(np.zeros((config.puzzles, config.width), np.float32)) if config.puzzles else None
        self.register_buffer("puzzles", table)
        learned = config.positions == "learned"
        self.places = nn.Parameter(torch.randn(config.length, config.width) / self.scale) if learned else None

    def forward(self, tokens: Tensor, layout: Layout) -> Tensor:
        x = super().forward(tokens) if self.puzzles is None else self._named(tokens)
        if self.places is not None:  # of two independent vectors the sum has twice the variance
            rows = layout.ties.rows(x)
            x = (0.5**0.5 * (rows + self.places[: rows.shape[1]])).view(x.shape)
        return self.scale * x

    def _named(self, tokens: Tensor) -> Tensor:
        """Both tables in one."""
        puzzle = tokens - self.num_embeddings
        ids = tokens.clamp(0, self.num_embeddings - 1)
        x = torch.where((puzzle >= 0)[:, None], self.puzzles[puzzle.clamp(min=0)], F.embedding(ids, self.weight))
        return x * (tokens != EMPTY)[:, None]
