"""Padded batch shapes that recur, so that a step captured for one shape (a CUDA graph) can be replayed for many
batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from trmsolve.model.inputs import Encoded
from trmsolve.model.mixers import mixer_of

UNPADDED_OPTIONS = 16  # options of a choice up to which their number is not rounded up


class Bucket(NamedTuple):
    """The sizes of a padded batch (packing.py)."""

    puzzles: int  # B
    tokens: int  # L
    units: int  # segments of each kind (mixer `units`); 0 elsewhere
    nnz: int  # entries of the edges' matrix; 0 where there is none
    choices: int  # U
    options: int  # C, of a choice at most

    def fits(self, shape: Bucket) -> bool:
        """Whether a batch of this shape can be padded to the bucket."""
        return all(size >= needed for size, needed in zip(self, shape, strict=True))


def exact_shape(batch: Sequence[Encoded]) -> Bucket:
    """The smallest bucket for a batch of a mixer that supports buckets."""
    mixer = mixer_of(batch[0].edges)
    num_tokens, num_choices = sum(len(e.x) for e in batch), sum(e.num_choices for e in batch)
    units, nnz = mixer.shape([e.edges for e in batch], num_tokens)
    # Kernels also sum the entries beyond the last segment: into a spare token, unit and puzzle.
    spare = mixer.seq_len is None
    options = max((int(e.size.max(initial=1)) for e in batch), default=1)
    return Bucket(len(batch) + spare, num_tokens + spare, units, nnz, num_choices, options)


def bucket_for(batch: Sequence[Encoded]) -> Bucket:
    """A bucket with room for similar batches: at most a quarter of any size is padding."""
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
