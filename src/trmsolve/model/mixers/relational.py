"""The mixer `relational`: messages from the eight neighbours of a token and from groups of K relations.

    m_g = mean of h_i over the tokens i that scatter into group g
    (a, b) = sum over k of W_k h_(neighbour k) + sum of V_k m_g over the groups that the token gathers from
    then layers.gated_update

The tokens that scatter into a group (src) and those that gather from it (dst) may differ, so that messages from the
cells of an input reach the cells of an output of another size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from trmsolve.model.config import TRMConfig
from trmsolve.model.layers import gated_update
from trmsolve.model.mixers.base import Mixer, RoundUp, no_nnz, no_units
from trmsolve.model.mixers.grid import neighbor_table, pack_neighbors
from trmsolve.model.segment import CSR, csr_of_assignments, int32, segment_sum

NEIGHBORHOOD = 9  # a token and its eight neighbours


@dataclass(frozen=True, slots=True)
class RelationalEdges:
    """Neighbours and groups of K relations.

    neighbors: int32 (L, 8) the tokens around each token, -1 for none.
    src, dst: int32 (K, L) for each relation the group that a token scatters into, and the one it gathers from; -1:
    none.
    num_groups: int64 (K,) groups of each relation.
    """

    neighbors: np.ndarray
    src: np.ndarray
    dst: np.ndarray
    num_groups: np.ndarray


class PackedRelations(NamedTuple):
    """A batch with L tokens and G groups, relation by relation."""

    neighborhood: CSR  # L tokens -> 9 L
    scatter: CSR  # L tokens -> G groups
    gather: CSR  # G groups -> L tokens
    inverse_count: Tensor  # float32 (G, 1) 1 / number of tokens that scatter into a group
    num_groups: tuple[int, ...]  # (K,) groups of each relation; they add up to G
    sources: Tensor  # int32 (L, 9 + K) where each message of a token comes from, as a row of: L tokens, G groups, none

    def to(self, device: torch.device | str) -> PackedRelations:
        """A copy on another device."""
        neighborhood, scatter, gather = (csr.to(device) for csr in self[:3])
        return PackedRelations(
            neighborhood, scatter, gather, self.inverse_count.to(device), self.num_groups, self.sources.to(device)
        )

    def group_means(self, h: Tensor) -> Tensor:
        """The mean of each group's tokens: (L, D) -> (G, D)."""
        return segment_sum(h, self.scatter) * self.inverse_count.to(h.dtype)


class RelationalLayer(nn.Module):
    """One layer of f. (L, D) -> (L, D)."""

    def __init__(self, config: TRMConfig) -> None:
        super().__init__()
        size, inner = config.hidden_size, 2 * config.intermediate_size
        self.neighbors = nn.Linear(NEIGHBORHOOD * size, inner, bias=False)
        self.relations = nn.ModuleList(nn.Linear(size, inner, bias=False) for _ in range(config.num_relations))
        self.down = nn.Linear(config.intermediate_size, size, bias=False)

    def forward(self, h: Tensor, edges: PackedRelations) -> Tensor:
        means = edges.group_means(h).split(edges.num_groups)
        messages = torch.cat([linear(part) for linear, part in zip(self.relations, means, strict=True)])  # (G, 2 H)
        mixed = self.neighbors(segment_sum(h, edges.neighborhood).view(len(h), -1))
        return gated_update(h, mixed + segment_sum(messages, edges.gather), self.down)


def pack(edges: Sequence[RelationalEdges], starts: np.ndarray, num_tokens: int, round_up: RoundUp) -> PackedRelations:
    """Pack a batch. The groups of each relation are consecutive, puzzle by puzzle."""
    counts = np.stack([e.num_groups for e in edges], 1)  # (K, B)
    totals = round_up(counts.sum(1))  # (K,)
    # First group of each puzzle: after all groups of the relations before, and those of the puzzles before.
    first_group = np.cumsum(totals)[:, None] - totals[:, None] + np.cumsum(counts, 1) - counts  # (K, B)
    num_groups = int(totals.sum())

    def rows_of(parts: Sequence[np.ndarray]) -> np.ndarray:
        shifted = [np.where(p < 0, -1, p + first[:, None]) for p, first in zip(parts, first_group.T, strict=True)]
        return np.concatenate(shifted, 1).T  # (L, K)

    src, dst = rows_of([e.src for e in edges]), rows_of([e.dst for e in edges])
    sizes = np.bincount(src[src >= 0], minlength=num_groups)
    neighbors = [e.neighbors for e in edges]
    none = num_tokens + num_groups
    sources = np.full((num_tokens, NEIGHBORHOOD + len(totals)), -1, np.int64)
    sources[:, :NEIGHBORHOOD] = neighbor_table(neighbors, starts, num_tokens)
    sources[: len(dst), NEIGHBORHOOD:] = np.where(dst < 0, -1, num_tokens + dst)
    return PackedRelations(
        pack_neighbors(neighbors, starts, num_tokens),
        csr_of_assignments(src, num_tokens, num_groups),
        csr_of_assignments(dst, num_tokens, num_groups).transposed,
        torch.from_numpy(1 / np.maximum(sizes, 1)).float()[:, None],
        tuple(totals.tolist()),
        int32(np.where(sources < 0, none, sources)),
    )


# The numbers of groups differ between nearly all batches, so padded shapes would not be reused.
MIXER = Mixer(RelationalLayer, RelationalEdges, pack, no_units, no_nnz, supports_buckets=False)
