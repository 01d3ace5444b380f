"""The question x as the network takes it: one vector for each token.

A token's id is below the vocabulary: the embedding says what stands there. From there on it names a puzzle: id V + p is
row p of the table of puzzle embeddings; where there is a table, each puzzle's first token is such a name. And -1 says
nothing: zeros. So the prefix of the published networks, an embedding of the puzzle's id and fifteen empty tokens, is
tokens like any other.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trmsolve.model.config import TRMConfig
from trmsolve.model.layout import Layout
from trmsolve.model.swiglu import truncated


class Question(nn.Embedding):
    """int64 (L,) token ids -> x (L, D)."""

    def __init__(self, config: TRMConfig) -> None:
        super().__init__(config.vocabulary, config.width)
        self.scale, self.prefixed = config.embed_scale, config.prefix > 0
        with torch.no_grad():
            self.weight /= self.scale  # x has unit variance at first
        # The table may have a million rows of which a batch meets a few: no parameter, as no optimizer should sweep it.
        # Zeros of numpy take no memory until somebody writes to them, and a loaded table takes their place.
        table = torch.from_numpy(np.zeros((config.puzzles, config.width), np.float32)) if config.puzzles else None
        self.register_buffer("puzzles", table)
        learned = config.positions == "learned"
        self.places = nn.Parameter(truncated((config.length, config.width), 1 / self.scale)) if learned else None

    def named(self, tokens: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
        """Which rows of the table the B puzzles of a batch name, int64 (B,), and a copy of these rows, (B, D)."""
        ids = self.named_by(tokens[layout.puzzles.starts[:-1]])
        return ids, self.puzzles[ids]

    def named_by(self, first: Tensor) -> Tensor:
        """The row of the table that a puzzle names by its first token; int64, any shape."""
        return first - self.num_embeddings

    def forward(self, tokens: Tensor, layout: Layout, names: Tensor | None = None) -> Tensor:
        """names: (B, D) to stand for the rows of the table, so that they alone can have a gradient."""
        if self.puzzles is None:
            x = self._told(tokens) if self.prefixed else super().forward(tokens)
        else:
            names = self.named(tokens, layout)[1] if names is None else names
            x = self._told(tokens)
            x = x.index_copy(0, layout.puzzles.starts[:-1].long(), names.to(x.dtype))
        if self.places is not None:  # of two independent vectors the sum has twice the variance
            rows = layout.ties.rows(x)
            x = (0.5**0.5 * (rows + self.places[: rows.shape[1]])).view(x.shape)
        return self.scale * x

    def _told(self, tokens: Tensor) -> Tensor:
        """What stands there; zeros for names and for nothing."""
        known = (tokens >= 0) & (tokens < self.num_embeddings)
        return F.embedding(tokens.clamp(0, self.num_embeddings - 1), self.weight) * known[:, None]
