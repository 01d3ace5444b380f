"""The embedding `color`, for few-shot tasks on coloured grids: a task has its own embedding of itself and each colour.

Row p of puzzle_table has (1 + C) D numbers: the embedding of task p, then those of its C colours. x of a token is the
sum of the embeddings of the task, the colour and the other features. The logit of a colour is the dot product of a
projection of y with the task's embedding of that colour, plus the logit of CopyHead. No weight of the network belongs
to a colour, so a new task needs only a new row.

A token id below V = prod(feature_sizes) has the features as digits, colour first; id V p + i is i in task p. The last
colour is a pad colour, "no cell", shared by all tasks.
"""

from __future__ import annotations

from functools import partial
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trmsolve.model.config import TRMConfig
from trmsolve.model.layers import formula_only, linear
from trmsolve.model.mixers.relational import NEIGHBORHOOD, PackedRelations
from trmsolve.model.packing import PackedBatch, segment_sum


class Embedding(nn.Module):
    """int64 (L,) token ids -> x (L, D); also reads the answer."""

    puzzle_table: Tensor

    def __init__(self, config: TRMConfig) -> None:
        super().__init__()
        self.feature_sizes, self.vocab_size = config.feature_sizes, prod(config.feature_sizes)
        self.hidden_size = config.hidden_size
        self.num_colors = config.feature_sizes[0] - 1  # C, without the pad colour
        self.features = nn.ModuleList(nn.Embedding(size, config.hidden_size) for size in config.feature_sizes[1:])
        self.pad_color = nn.Parameter(torch.randn(config.hidden_size))
        self.out_proj = linear(config.hidden_size, config.hidden_size)
        self.pad_head = nn.Linear(config.hidden_size, 1)
        self.copy_head = CopyHead(config.hidden_size, NEIGHBORHOOD + config.num_relations)
        for feature in self.features:
            assert isinstance(feature, nn.Embedding)
            nn.init.normal_(feature.weight, std=0.5)
        # A buffer: a batch uses a few rows, and optimizers must not update all (training/optim.py, sign_step).
        self.register_buffer("puzzle_table", torch.zeros(config.num_puzzles, self.row_size))
        if config.num_puzzles:
            task, colors = torch.randn(config.hidden_size) / 3, torch.randn(self.num_colors * config.hidden_size)
            self.reset_table(torch.cat([task, colors]))

    @staticmethod
    def make_head(config: TRMConfig) -> None:
        """The embedding itself reads the answer."""
        return None

    @property
    def row_size(self) -> int:
        """The length of a row of the table, (1 + C) D."""
        return (1 + self.num_colors) * self.hidden_size

    @torch.no_grad()
    def reset_table(self, base: Tensor) -> None:
        """Set every row to base, ((1 + C) D,), with the colours in the row's order (color_permutations)."""
        self.puzzle_table.copy_(self._table_from(base, len(self.puzzle_table)))

    def mean_row(self) -> Tensor:
        """The mean of all rows with their colours in the same order, ((1 + C) D,): the initial row of a new task."""
        rows = self.puzzle_table.view(-1, 1 + self.num_colors, self.hidden_size)  # (P, 1 + C, D)
        inverse = color_permutations(len(rows), self.num_colors).argsort(1).to(rows.device)  # (P, C)
        index = inverse[:, :, None].expand(-1, -1, self.hidden_size)  # (P, C, D)
        return torch.cat([rows[:, :1], rows[:, 1:].gather(1, index)], 1).mean(0).flatten()

    @torch.no_grad()
    def new_table(self, num_puzzles: int) -> dict[str, Tensor]:
        """The state-dict entry of a table for num_puzzles new tasks, with mean_row in each row."""
        return {"embed.puzzle_table": self._table_from(self.mean_row(), num_puzzles)}

    def _table_from(self, base: Tensor, num_rows: int) -> Tensor:
        parts = base.view(1 + self.num_colors, self.hidden_size)  # (1 + C, D)
        order = color_permutations(num_rows, self.num_colors).to(base.device)  # (rows, C)
        return torch.cat([parts[:1].expand(num_rows, 1, -1), parts[1:][order]], 1).flatten(1)

    def lookup_puzzles(self, tokens: Tensor, batch: PackedBatch) -> tuple[Tensor, Tensor]:
        """The table rows that the B puzzles of a batch use, int64 (B,), and a copy of them, (B, (1 + C) D)."""
        ids = self.puzzle_ids(tokens[batch.first_tokens])
        return ids, self.puzzle_table[ids]

    def puzzle_ids(self, first_tokens: Tensor) -> Tensor:
        """The table row of a puzzle from its first token; int64, any shape."""
        return first_tokens // self.vocab_size

    def forward(self, tokens: Tensor, batch: PackedBatch, puzzle_embeddings: Tensor | None = None) -> Tensor:
        """int64 (L,) ids -> x (L, D). puzzle_embeddings: (B, (1 + C) D) in place of the table's rows."""
        rows = self.lookup_puzzles(tokens, batch)[1] if puzzle_embeddings is None else puzzle_embeddings
        color, *further = self._digits(tokens)
        pad = self.pad_color.to(self.puzzle_table.dtype).expand(len(rows), 1, -1)
        by_task = torch.cat([rows.view(-1, 1 + self.num_colors, self.hidden_size), pad], 1)  # (B, 2 + C, D)
        first = _puzzle_of_token(batch, len(tokens)) * (2 + self.num_colors)  # row of the token's task
        table = by_task.flatten(0, 1)  # (B (2 + C), D)
        x = F.embedding(first, table) + F.embedding(first + 1 + color, table)
        for feature, value in zip(self.features, further, strict=True):
            x = x + feature(value)
        return x

    def answer(self, y: Tensor, tokens: Tensor, batch: PackedBatch, puzzle_embeddings: Tensor | None = None) -> Tensor:
        """y (L, D) -> float32 (L, C + 1), logits of each colour and of the pad colour; fp32 inside."""
        rows = self.lookup_puzzles(tokens, batch)[1] if puzzle_embeddings is None else puzzle_embeddings
        query = F.linear(y.float(), self.out_proj.weight.float()) * self.hidden_size**-0.5  # (L, D)
        logits = _logits_by_puzzle(query, rows.float().view(-1, 1 + self.num_colors, self.hidden_size)[:, 1:], batch)
        pad_logit = F.linear(y.float(), self.pad_head.weight.float(), self.pad_head.bias.float())  # (L, 1)
        color, *_ = self._digits(tokens)
        return torch.cat([logits, pad_logit], 1) + self.copy_head(y, color, 1 + self.num_colors, batch.edges)

    def _digits(self, tokens: Tensor) -> list[Tensor]:
        """int64 (L,) each: a token's colour, then its further features."""
        rest, digits = tokens % self.vocab_size, []
        for size in reversed(self.feature_sizes):
            digits.append(rest % size)
            rest = rest // size
        return digits[::-1]


class CopyHead(nn.Module):
    """A pointer head: a token can copy the colour of a related token, so that mirror images are copied exactly.

        logit of colour c += sum over sources s of g_s(y) p_s(c)

    p_s(c) is the share of colour c among the tokens of source s (the token itself, a neighbour, a group) in the
    question. The gate g_s is the same for all colours and sizes. Without this head, a network trained for two hours
    could not reflect all small grids (docs/records.md).
    """

    def __init__(self, hidden_size: int, num_sources: int) -> None:
        super().__init__()
        self.scale = hidden_size**0.5  # for about the learning speed of a head with logits y W / sqrt(D)
        self.copy_gate = nn.Linear(hidden_size, num_sources, bias=False)
        nn.init.zeros_(self.copy_gate.weight)

    def forward(self, y: Tensor, colors: Tensor, num_colors: int, edges: PackedRelations) -> Tensor:
        """y (L, D), colors int64 (L,) below num_colors -> float32 (L, num_colors), added to the logits."""
        gate = F.linear(y.float(), self.copy_gate.weight.float()) * self.scale  # (L, S)
        return torch.bmm(gate[:, None], source_histogram(colors, num_colors, edges)).squeeze(1)


@torch.no_grad()
def source_histogram(colors: Tensor, num_colors: int, edges: PackedRelations) -> Tensor:
    """float32 (L, S, num_colors): p_s(c) of each token; zeros where a source is missing."""
    tokens = F.one_hot(colors, num_colors).float()  # (L, num_colors)
    means = segment_sum(tokens, edges.scatter) * edges.inverse_count  # (G, num_colors)
    return F.embedding(edges.sources, torch.cat([tokens, means, tokens.new_zeros(1, num_colors)]))


def color_permutations(num_rows: int, num_colors: int) -> Tensor:
    """int64 (rows, C): a fixed permutation of the colours for each row. Colour 0, the background, stays first."""
    generator = torch.Generator().manual_seed(0)
    permute = partial(torch.randperm, num_colors - 1, generator=generator, device="cpu")  # even in a meta context
    first = torch.zeros(1, dtype=torch.long, device="cpu")
    return torch.stack([torch.cat([first, 1 + permute()]) for _ in range(num_rows)])


def _logits_by_puzzle(query: Tensor, colors: Tensor, batch: PackedBatch) -> Tensor:
    """The dot products of each token with its puzzle's colours: query (L, D), colors (B, C, D) -> (L, C).

    On a CPU puzzle by puzzle: forward and backward take 2 ms in place of 49 ms (40 puzzles of 150 tokens, one thread).
    """
    num_tokens, num_colors = len(query), colors.shape[1]
    if query.device.type != "cpu" or formula_only():
        keys = F.embedding(_puzzle_of_token(batch, num_tokens), colors.flatten(1)).view(num_tokens, num_colors, -1)
        return torch.bmm(keys, query[:, :, None]).squeeze(2)  # (L, C, D) times (L, D, 1)
    lengths = batch.lengths.tolist()
    parts = query.split([*lengths, num_tokens - sum(lengths)])  # the last one is padding
    logits = [F.linear(part, color) for part, color in zip(parts, colors, strict=False)]  # (L_b, C) each
    return torch.cat([*logits, query.new_zeros(len(parts[-1]), num_colors)])


def _puzzle_of_token(batch: PackedBatch, num_tokens: int) -> Tensor:
    """int64 (num_tokens,): the index of each token's puzzle; 0 for padding."""
    puzzle = batch.puzzles.t_indices.long()
    return F.pad(puzzle, (0, num_tokens - len(puzzle)))
