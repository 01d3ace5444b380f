"""The interface of a mixer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import nn

RoundUp = Callable[[Any], Any]  # rounds an integer, or an array of them, up to a padded size


class Mixer(NamedTuple):
    """A mixer's layer, its edge type, and how the edges of a batch are packed."""

    layer: type[nn.Module]
    edges: type
    pack: Callable[..., Any]  # (edges of B puzzles, starts (B + 1,), num_tokens, round_up) -> packed edges
    shape: Callable[..., tuple[int, int]]  # (edges of B puzzles, num_tokens) -> units of each kind, nnz
    max_nnz: Callable[..., int]  # (edges of one puzzle, num_tokens) -> maximum nnz for num_tokens tokens
    supports_buckets: bool = True  # whether batches can share padded shapes, which CUDA graphs need
    seq_len: Callable[[Any], int] | None = (
        None  # tokens of each puzzle, for mixers whose puzzles all have the same number
    )


def no_units(edges: object, num_tokens: int) -> tuple[int, int]:
    """Shape of edges that need no memory."""
    return 0, 0


def no_nnz(edges: object, num_tokens: int) -> int:
    """No entries."""
    return 0
