"""Edges of the mixers `mlp` and `attention`: tokens have positions, and every token reaches every other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trmsolve.model.mixers.base import RoundUp


@dataclass(frozen=True, slots=True)
class SequenceEdges:
    """length: tokens of the puzzle, the same for all puzzles of a batch."""

    length: int


class DenseLayout(NamedTuple):
    """B puzzles with the same number of tokens, so that a batch of them is a dense array."""

    length: int

    def rows(self, h: Tensor) -> Tensor:
        """(B length, D) -> (B, length, D)."""
        return h.view(-1, self.length, h.shape[-1])

    def to(self, device: torch.device | str) -> DenseLayout:
        """Returns self, which has no tensors."""
        return self


def pack(edges: Sequence[SequenceEdges], starts: np.ndarray, num_tokens: int, round_up: RoundUp) -> DenseLayout:
    """Pack a batch; all puzzles have the same length."""
    (length,) = {e.length for e in edges}
    return DenseLayout(length)


def seq_len(edges: SequenceEdges) -> int:
    """Tokens of each puzzle."""
    return edges.length
