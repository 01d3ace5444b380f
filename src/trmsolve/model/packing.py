"""Pack puzzles of any sizes into one batch: their tokens are concatenated, without padding.

Example, puzzles of 2 and 3 tokens:
    tokens   [a0 a1 b0 b1 b2]      lengths [2 3]      puzzles.indptr [0 2 5]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trmsolve.model.inputs import Encoded
from trmsolve.model.mixers import mixer_of
from trmsolve.model.segment import CSR, indptr_of

# On a CPU, the first matrix multiply of a new shape takes 0.6 ms for preparation, as long as the multiply itself.
PAD_MULTIPLE = 64  # a multiple for pack(), so that few different shapes occur


class ChoiceIndex(NamedTuple):
    """The options of U choices, at most C each, as a padded table."""

    rows: Tensor  # int64 (U, C) rows of the flat logits; arbitrary where an option is missing
    missing: Tensor  # bool (U, C)


class PackedBatch(NamedTuple):
    """The ragged structure of a batch of B puzzles with L tokens."""

    edges: Any  # packed edges of the model's mixer: CSR, PackedRelations or DenseLayout
    puzzles: CSR  # L tokens -> B puzzles
    lengths: Tensor  # int64 (B,) tokens of each puzzle
    choices: ChoiceIndex

    def to(self, device: torch.device | str) -> PackedBatch:
        """A copy on another device."""
        choices = ChoiceIndex(*(t.to(device) for t in self.choices))
        return PackedBatch(self.edges.to(device), self.puzzles.to(device), self.lengths.to(device), choices)

    @property
    def first_tokens(self) -> Tensor:
        """int32 (B,) the row of each puzzle's first token."""
        return self.puzzles.indptr[:-1]


def pack(batch: Sequence[Encoded], multiple: int = 1) -> tuple[Tensor, PackedBatch]:
    """x, int64 (L,), and the structure of a batch of puzzles whose edges have one type.

    The numbers of tokens and units are padded to a multiple, so that few shapes occur. Padding belongs to no puzzle and
    does not change results.
    """
    mixer = mixer_of(batch[0].edges)
    multiple = 1 if mixer.seq_len is not None else multiple  # rows of a dense array are full

    def round_up(number: Any) -> Any:
        return -(-number // multiple) * multiple

    lengths = np.array([len(e.x) for e in batch])
    starts = indptr_of(lengths)  # (B + 1,)
    total = int(starts[-1])
    num_tokens = round_up(total)
    puzzle_of_token = np.repeat(np.arange(len(batch)), lengths)  # (total,)
    packed = PackedBatch(
        mixer.pack([e.edges for e in batch], starts, num_tokens, round_up),
        CSR.from_numpy(np.arange(total), starts, puzzle_of_token, np.minimum(np.arange(num_tokens + 1), total)),
        torch.from_numpy(lengths),
        _choices(batch),
    )
    x = np.zeros(num_tokens, np.int64)
    x[:total] = np.concatenate([e.x for e in batch])
    return torch.from_numpy(x), packed


def _choices(batch: Sequence[Encoded]) -> ChoiceIndex:
    shift = indptr_of(np.array([len(e.meanings) for e in batch]))  # first option of each puzzle
    first = np.concatenate([e.first + start for e, start in zip(batch, shift, strict=False)])  # (U,)
    rank = np.arange(max((e.size.max(initial=1) for e in batch), default=1))  # (C,)
    missing = rank >= np.concatenate([e.size for e in batch])[:, None]  # (U, C)
    return ChoiceIndex(torch.from_numpy(np.where(missing, 0, first[:, None] + rank)), torch.from_numpy(missing))
