"""The mixer `grid`: a token receives messages from itself and its four neighbours, with separate weights for each.

    (a, b) = sum over k of W_k h_(neighbour k), itself included       then layers.gated_update

A missing neighbour contributes zeros. So the same weights serve grids of any height and width, and the mixer is
equivariant to translation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from trmsolve.model.config import TRMConfig
from trmsolve.model.inputs import Edges, RoundUp
from trmsolve.model.layers import gated_update
from trmsolve.model.packing import CSR, indptr_of, segment_sum


@dataclass(frozen=True, slots=True)
class GridEdges(Edges):
    """neighbors: int32 (L, 4) the token above, left, right and below each token; -1 where there is none."""

    neighbors: np.ndarray

    @staticmethod
    def pack(edges: Sequence[GridEdges], starts: np.ndarray, num_tokens: int, round_up: RoundUp) -> CSR:
        """Five segments for each token: itself, above, left, right, below."""
        return gather_neighborhood(neighbor_table([e.neighbors for e in edges], starts, num_tokens))


class Layer(nn.Module):
    """One layer of f. (L, D) -> (L, D)."""

    def __init__(self, config: TRMConfig) -> None:
        super().__init__()
        size, inner = config.hidden_size, config.intermediate_size
        self.mix = nn.Linear(5 * size, 2 * inner, bias=False)  # columns: own, above, left, right, below
        self.down = nn.Linear(inner, size, bias=False)

    def forward(self, h: Tensor, neighborhood: CSR) -> Tensor:
        return gated_update(h, self.mix(segment_sum(h, neighborhood).view(len(h), -1)), self.down)


def neighbor_table(neighbors: Sequence[np.ndarray], starts: np.ndarray, num_tokens: int) -> np.ndarray:
    """int64 (num_tokens, 1 + M): each token, then its M neighbours, as rows of the batch; -1 for none."""
    total, width = int(starts[-1]), 1 + neighbors[0].shape[1]
    table = np.full((num_tokens, width), -1, np.int64)
    table[:total, 0] = np.arange(total)
    shifted = [np.where(n < 0, -1, n + start) for n, start in zip(neighbors, starts, strict=False)]
    table[:total, 1:] = np.concatenate(shifted)
    return table


def gather_neighborhood(table: np.ndarray) -> CSR:
    """A matrix that gathers each row of a neighbor_table(): L tokens -> (1 + M) L segments of one token or none.

    Neighbours are ordered so that number k from the front is opposite to number k from the back. A token is therefore
    the neighbour below of its neighbour above: for M = 4, token t belongs to the segments
        5 t + 0 (itself), 5 above + 4, 5 left + 3, ... where above and left are its neighbours
    """
    width, exists = table.shape[1], table >= 0
    segments = width * table + np.array([0, *range(width - 1, 0, -1)])
    indptr, t_indptr = indptr_of(exists.reshape(-1)), indptr_of(exists.sum(1))
    return CSR.from_numpy(table[exists], indptr, segments[exists], t_indptr)
