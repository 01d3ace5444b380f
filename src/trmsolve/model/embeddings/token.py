"""The embedding `token`: ids below vocab_size V are symbols of cells.

With a table of puzzle embeddings, the first token of each puzzle has id V + p and is replaced by row p of the table; a
wider row replaces the following tokens too. Id -1 becomes zeros. So the prefix of the published networks, a puzzle
embedding and fifteen empty tokens, consists of ordinary tokens.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trmsolve.model.config import TRMConfig
from trmsolve.model.layers import truncated_normal
from trmsolve.model.packing import PackedBatch


class Embedding(nn.Embedding):
    """int64 (L,) token ids -> x (L, D)."""

    puzzle_table: Tensor | None

    def __init__(self, config: TRMConfig) -> None:
        super().__init__(config.vocab_size, config.hidden_size)
        self.scale, self.has_prefix = config.embed_scale, config.prefix_len > 0
        self.puzzle_tokens = config.puzzle_tokens  # k, tokens per row of the table
        with torch.no_grad():
            self.weight /= self.scale  # initially x has unit variance
        # The table may have a million rows, of which a batch uses a few: a buffer, which optimizers do not update.
        # numpy's zeros take no memory until they are written; loading a checkpoint replaces them.
        shape = (config.num_puzzles, config.puzzle_tokens * config.hidden_size)
        table = torch.from_numpy(np.zeros(shape, np.float32)) if config.num_puzzles else None
        self.register_buffer("puzzle_table", table)
        learned = config.positions == "learned"
        shape = (config.seq_len, config.hidden_size)
        self.position_table = nn.Parameter(truncated_normal(shape, 1 / self.scale)) if learned else None

    @staticmethod
    def make_head(config: TRMConfig) -> nn.Linear | None:
        """The head that reads the answer from y; None if the embedding does that itself."""
        return nn.Linear(config.hidden_size, config.num_classes, bias=config.answer_bias)

    def lookup_puzzles(self, tokens: Tensor, batch: PackedBatch) -> tuple[Tensor, Tensor]:
        """The table rows that the B puzzles of a batch use, int64 (B,), and a copy of them, (B, k D)."""
        assert self.puzzle_table is not None
        ids = self.puzzle_ids(tokens[batch.first_tokens])
        return ids, self.puzzle_table[ids]

    def puzzle_ids(self, first_tokens: Tensor) -> Tensor:
        """The table row of a puzzle from its first token; int64, any shape."""
        return first_tokens - self.num_embeddings

    def forward(  # type: ignore[override]  # an embedding of a batch also needs its structure
        self, tokens: Tensor, batch: PackedBatch, puzzle_embeddings: Tensor | None = None
    ) -> Tensor:
        """puzzle_embeddings: (B, k D), used instead of the table's rows, so that only they get a gradient."""
        if self.puzzle_table is None:
            x = self._embed(tokens) if self.has_prefix else super().forward(tokens)
        else:
            rows = self.lookup_puzzles(tokens, batch)[1] if puzzle_embeddings is None else puzzle_embeddings
            x = self._embed(tokens)
            first = batch.first_tokens.long()
            if self.puzzle_tokens > 1:
                first = (first[:, None] + torch.arange(self.puzzle_tokens, device=first.device)).flatten()  # (B k,)
                rows = rows.view(len(first), -1)  # (B k, D)
            x = x.index_copy(0, first, rows.to(x.dtype))
        if self.position_table is not None:  # the sum of two independent vectors has twice the variance
            by_puzzle = batch.edges.rows(x)  # (B, L, D)
            x = (0.5**0.5 * (by_puzzle + self.position_table[: by_puzzle.shape[1]])).view(x.shape)
        return self.scale * x

    def _embed(self, tokens: Tensor) -> Tensor:
        """(L,) -> (L, D), zeros for puzzle ids and for -1."""
        is_symbol = (tokens >= 0) & (tokens < self.num_embeddings)
        return F.embedding(tokens.clamp(0, self.num_embeddings - 1), self.weight) * is_symbol[:, None]
