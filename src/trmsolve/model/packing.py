"""Pack puzzles of any sizes into one batch: their tokens are concatenated, without padding.

Example, puzzles of 2 and 3 tokens:
    tokens   [a0 a1 b0 b1 b2]      lengths [2 3]      puzzles.indptr [0 2 5]

A Bucket is a padded shape, so that a step captured as a CUDA graph can be replayed for many batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trmsolve.model.inputs import Encoded
from trmsolve.model.mixers import mixer_of
from trmsolve.model.segment import CSR, indptr_of

# On a CPU, the first matrix multiply of a new shape takes 0.6 ms for preparation, as long as the multiply itself.
PAD_MULTIPLE = 64  # a multiple for pack(), so that few different shapes occur
UNPADDED_OPTIONS = 16  # options of a choice up to which their number is not rounded up


class Bucket(NamedTuple):
    """The sizes of a padded batch."""

    puzzles: int  # B
    tokens: int  # L
    units: int  # segments of each kind (mixer `units`); 0 elsewhere
    nnz: int  # entries of the edges' matrix; 0 where there is none
    choices: int  # U
    options: int  # C, of a choice at most

    def fits(self, shape: Bucket) -> bool:
        """Whether a batch of this shape can be padded to the bucket."""
        return all(size >= needed for size, needed in zip(self, shape, strict=True))


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


def pack(batch: Sequence[Encoded], multiple: int = 1, bucket: Bucket | None = None) -> tuple[Tensor, PackedBatch]:
    """x, int64 (L,), and the structure of a batch of puzzles whose edges have one type.

    The numbers of tokens and units are padded to a multiple, so that few shapes occur, or all sizes to those of a
    bucket. Padding belongs to no puzzle and does not change results.
    """
    mixer = mixer_of(batch[0].edges)
    dense = mixer.seq_len is not None
    choices = _choices(batch)
    if bucket and dense:  # rows are full: pad with puzzles in place of tokens
        batch = [*batch, *[batch[0]] * (bucket.puzzles - len(batch))]
    multiple = 1 if dense else multiple

    def round_up(number: Any) -> Any:
        return bucket.units if bucket else -(-number // multiple) * multiple

    lengths = np.array([len(e.x) for e in batch])
    starts = indptr_of(lengths)  # (B + 1,)
    total = int(starts[-1])
    num_tokens = bucket.tokens if bucket else round_up(total)
    puzzle_of_token = np.repeat(np.arange(len(batch)), lengths)  # (total,)
    packed = PackedBatch(
        mixer.pack([e.edges for e in batch], starts, num_tokens, round_up),
        CSR.from_numpy(np.arange(total), starts, puzzle_of_token, np.minimum(np.arange(num_tokens + 1), total)),
        torch.from_numpy(lengths),
        choices,
    )
    x = np.zeros(num_tokens, np.int64)
    x[:total] = np.concatenate([e.x for e in batch])
    return torch.from_numpy(x), _pad(packed, bucket) if bucket else packed


def _choices(batch: Sequence[Encoded]) -> ChoiceIndex:
    shift = indptr_of(np.array([len(e.meanings) for e in batch]))  # first option of each puzzle
    first = np.concatenate([e.first + start for e, start in zip(batch, shift, strict=False)])  # (U,)
    rank = np.arange(max((e.size.max(initial=1) for e in batch), default=1))  # (C,)
    missing = rank >= np.concatenate([e.size for e in batch])[:, None]  # (U, C)
    return ChoiceIndex(torch.from_numpy(np.where(missing, 0, first[:, None] + rank)), torch.from_numpy(missing))


def _pad(packed: PackedBatch, bucket: Bucket) -> PackedBatch:
    """Pad to the bucket with segments without rows, and with unused choices."""
    spare_choices = bucket.choices - len(packed.choices.rows)
    spare_options = bucket.options - packed.choices.rows.shape[1]
    missing = F.pad(packed.choices.missing, (0, spare_options), value=True)
    return PackedBatch(
        _pad_csr(packed.edges, bucket.nnz) if isinstance(packed.edges, CSR) else packed.edges,
        _pad_csr(packed.puzzles, bucket.tokens, bucket.puzzles),
        F.pad(packed.lengths, (0, bucket.puzzles - len(packed.lengths)), value=1),
        ChoiceIndex(
            F.pad(packed.choices.rows, (0, spare_options, 0, spare_choices)),
            F.pad(missing, (0, 0, 0, spare_choices), value=False),
        ),
    )


def _pad_csr(csr: CSR, nnz: int, num_segments: int | None = None) -> CSR:
    """Pad to nnz entries, which no segment sums, and to num_segments segments."""
    spare = nnz - len(csr.indices)
    further = 0 if num_segments is None else num_segments + 1 - len(csr.indptr)
    indptr = torch.cat([csr.indptr, csr.indptr[-1:].expand(further)])
    return CSR(F.pad(csr.indices, (0, spare)), indptr, F.pad(csr.t_indices, (0, spare)), csr.t_indptr)


# -- buckets ------------------------------------------------------------------------------------------------------
def exact_shape(batch: Sequence[Encoded]) -> Bucket:
    """The smallest bucket for a batch of a mixer that supports buckets."""
    mixer = mixer_of(batch[0].edges)
    num_tokens, num_choices = sum(len(e.x) for e in batch), sum(e.num_choices for e in batch)
    units, nnz = mixer.shape([e.edges for e in batch], num_tokens)
    # Kernels also sum the padding entries, into an extra token, unit and puzzle.
    spare = mixer.seq_len is None
    options = max((int(e.size.max(initial=1)) for e in batch), default=1)
    return Bucket(len(batch) + spare, num_tokens + spare, units, nnz, num_choices, options)


def bucket_for(batch: Sequence[Encoded]) -> Bucket:
    """A bucket for similar batches: at most a quarter of each size is padding."""
    exact, edges = exact_shape(batch), batch[0].edges
    mixer = mixer_of(edges)
    puzzles, tokens, units, _, choices, options = map(round_up, exact)
    if mixer.seq_len is not None:
        tokens = puzzles * mixer.seq_len(edges)
    options = options if options > UNPADDED_OPTIONS else exact.options
    return Bucket(puzzles, tokens, units, max(exact.nnz, mixer.max_nnz(edges, tokens)), choices, options)


def round_up(number: int) -> int:
    """The next of 0, 1, 2, ..., 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, ...: four sizes per power of two."""
    shift = max(0, (number - 1).bit_length() - 3)
    return -(-number >> shift) << shift if number > 0 else 0
