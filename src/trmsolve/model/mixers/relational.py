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
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from trmsolve.model.config import TRMConfig
from trmsolve.model.inputs import Edges, RoundUp
from trmsolve.model.layers import formula_only, gated_update, inverse_rms
from trmsolve.model.mixers.grid import gather_neighborhood, neighbor_table
from trmsolve.model.packing import CSR, csr_of_assignments, int32, segment_sum, segment_sum_no_grad

NEIGHBORHOOD = 9  # a token and its eight neighbours
DIRECT_SHARE = 0.75  # a relation with at least this number of groups per token, of one token each, is direct


@dataclass(frozen=True, slots=True)
class RelationalEdges(Edges):
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

    @staticmethod
    def pack(
        edges: Sequence[RelationalEdges], starts: np.ndarray, num_tokens: int, round_up: RoundUp
    ) -> PackedRelations:
        """Pack a batch. The groups of each relation are consecutive, puzzle by puzzle."""
        total = int(starts[-1])
        neighbors = neighbor_table([e.neighbors for e in edges], starts, num_tokens)  # (L, 9)
        sources = np.full((num_tokens, NEIGHBORHOOD + len(edges[0].src)), -1, np.int64)
        sources[:, :NEIGHBORHOOD] = neighbors
        direct = direct_sources(edges, starts)
        counts = np.stack([e.num_groups for e in edges], 1)  # (K, B)
        counts[list(direct)] = 0
        totals = round_up(counts.sum(1))  # (K,)
        # First group of each puzzle: after all groups of the relations before, and those of the puzzles before.
        first_group = np.cumsum(totals)[:, None] - totals[:, None] + np.cumsum(counts, 1) - counts  # (K, B)
        num_groups = int(totals.sum())

        def rows_of(parts: Sequence[np.ndarray]) -> np.ndarray:
            shifted = [np.where(p < 0, -1, p + first[:, None]) for p, first in zip(parts, first_group.T, strict=True)]
            return np.concatenate(shifted, 1).T  # (L, K)

        src, dst = rows_of([e.src for e in edges]), rows_of([e.dst for e in edges])
        src[:, list(direct)] = dst[:, list(direct)] = -1
        sizes = np.bincount(src[src >= 0], minlength=num_groups)
        sources[:total, NEIGHBORHOOD:] = np.where(dst < 0, -1, num_tokens + dst)
        table = np.full((num_tokens, len(direct)), -1, np.int64)  # (L, M)
        for column, (k, source) in enumerate(direct.items()):
            table[:total, column] = sources[:total, NEIGHBORHOOD + k] = source
        return PackedRelations(
            gather_neighborhood(neighbors),
            csr_of_assignments(table.reshape(-1, 1), table.size, num_tokens).transposed,
            csr_of_assignments(src, num_tokens, num_groups),
            csr_of_assignments(dst, num_tokens, num_groups).transposed,
            torch.from_numpy(1 / np.maximum(sizes, 1)).float()[:, None],
            tuple(direct),
            tuple(totals.tolist()),
            int32(np.where(sources < 0, num_tokens + num_groups, sources)),
        )


class PackedRelations(NamedTuple):
    """A batch with L tokens and G groups, relation by relation.

    A relation is `direct` if nearly every token has a group of its own, as in mirror images: then messages are computed
    from the source tokens, not from groups (G excludes its groups).
    """

    neighborhood: CSR  # L tokens -> 9 L
    direct: CSR  # L tokens -> M L, the source of each direct relation
    scatter: CSR  # L tokens -> G groups
    gather: CSR  # G groups -> L tokens
    inverse_count: Tensor  # float32 (G, 1) 1 / number of tokens that scatter into a group
    direct_relations: tuple[int, ...]  # (M,)
    num_groups: tuple[int, ...]  # (K,) groups of each relation; they add up to G
    sources: Tensor  # int32 (L, 9 + K) where each message of a token comes from, as a row of: L tokens, G groups, none

    def to(self, device: torch.device | str) -> PackedRelations:
        """A copy on another device."""
        names = ("neighborhood", "direct", "scatter", "gather", "inverse_count", "sources")
        return self._replace(**{name: getattr(self, name).to(device) for name in names})

    def group_means(self, h: Tensor) -> Tensor:
        """The mean of each group's tokens: (L, D) -> (G, D)."""
        return segment_sum(h, self.scatter) * self.inverse_count.to(h.dtype)


class Layer(nn.Module):
    """One layer of f. (L, D) -> (L, D)."""

    def __init__(self, config: TRMConfig) -> None:
        super().__init__()
        size, inner = config.hidden_size, 2 * config.intermediate_size
        self.neighbors = nn.Linear(NEIGHBORHOOD * size, inner, bias=False)
        self.relations = nn.ModuleList(nn.Linear(size, inner, bias=False) for _ in range(config.num_relations))
        self.down = nn.Linear(config.intermediate_size, size, bias=False)

    def forward(self, h: Tensor, edges: PackedRelations) -> Tensor:
        if not formula_only():
            weights = (linear.weight for linear in (self.neighbors, self.down, *self.relations))
            return FusedLayer.apply(h, edges, *weights)
        means = edges.group_means(h).split(edges.num_groups)
        messages = torch.cat([linear(part) for linear, part in zip(self.relations, means, strict=True)])  # (G, 2 H)
        mixed = self.neighbors(segment_sum(h, edges.neighborhood).view(len(h), -1)) + segment_sum(
            messages, edges.gather
        )
        sources = segment_sum(h, edges.direct).view(len(h), -1, h.shape[1])  # (L, M, D)
        for m, k in enumerate(edges.direct_relations):
            mixed = mixed + self.relations[k](sources[:, m])
        return gated_update(h, mixed, self.down)


class FusedLayer(torch.autograd.Function):
    """Layer.forward with a backward pass of its own: fewer passes over memory, one node of autograd.

    1,152 tokens take 13.2 ms in place of 15.6 ms, of which 8.5 ms are matrix multiplies (D = 64, bf16, one CPU thread).
    """

    @staticmethod
    def forward(ctx: Any, h: Tensor, edges: PackedRelations, *weights: Tensor) -> Tensor:
        with torch.autocast(h.device.type, enabled=False):
            neighbors, down, *relations = (weight.to(h.dtype) for weight in weights)
            inverse_count = edges.inverse_count.to(h.dtype)
            around = segment_sum_no_grad(h, edges.neighborhood).view(len(h), -1)  # (L, 9 D)
            means = segment_sum_no_grad(h, edges.scatter).mul_(inverse_count)  # (G, D)
            messages = means.new_empty(len(means), len(neighbors))  # (G, 2 H)
            for weight, *parts in zip(relations, *(t.split(edges.num_groups) for t in (means, messages)), strict=True):
                torch.mm(parts[0], weight.t(), out=parts[1])
            mixed = segment_sum_no_grad(messages, edges.gather).addmm_(around, neighbors.t())  # (L, 2 H)
            direct = segment_sum_no_grad(h, edges.direct).view(len(h), -1)  # (L, M D)
            direct_weight = torch.cat([neighbors[:, :0], *(relations[k] for k in edges.direct_relations)], 1)
            mixed.addmm_(direct, direct_weight.t())
            # gated_update, with q = V (sigmoid(a) * a * b) and the factor of norm(a * b), r, behind the multiply
            a, b = mixed.chunk(2, -1)
            gate, product = a.sigmoid(), a * b
            r = inverse_rms(product)  # (L, 1)
            q = torch.mm(product * gate, down.t())  # (L, D)
            output = torch.addcmul(h, q, r)
            output_r = inverse_rms(output)
            output.mul_(output_r)
        ctx.edges, ctx.weight_dtype = edges, weights[0].dtype
        ctx.save_for_backward(
            around,
            direct,
            means,
            mixed,
            gate,
            product,
            r,
            q,
            output,
            output_r,
            inverse_count,
            neighbors,
            direct_weight,
            down,
            *relations,
        )
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        around, direct, means, mixed, gate, product, r, q, output, output_r, inverse_count, *weights = ctx.saved_tensors
        neighbors, direct_weight, down, *relations = weights
        edges, (a, b), train = ctx.edges, mixed.chunk(2, -1), ctx.needs_input_grad[2]
        # norm(u) = u r with r = 1 / rms(u): du = r (dnorm - norm mean(norm dnorm))
        d_h = torch.addcmul(grad, output, (grad * output).mean(-1, keepdim=True), value=-1).mul_(output_r)
        d_r = (d_h * q).sum(-1, keepdim=True)
        d_q = d_h * r
        d_gated = torch.mm(d_q, down)  # (L, H)
        d_gate = d_gated * product
        d_product = (d_gated * gate).addcmul_(product, d_r * r**3, value=-1 / product.shape[1])  # dr/du = -r^3 u / H
        d_mixed = torch.cat([torch.ops.aten.sigmoid_backward(d_gate, gate).addcmul_(d_product, b), d_product * a], 1)
        d_h += segment_sum_no_grad(torch.mm(d_mixed, neighbors).view(-1, len(down)), edges.neighborhood.transposed)
        d_h += segment_sum_no_grad(torch.mm(d_mixed, direct_weight).view(-1, len(down)), edges.direct.transposed)
        d_messages = segment_sum_no_grad(d_mixed, edges.gather.transposed)  # (G, 2 H)
        d_means = torch.empty_like(means)
        for weight, *parts in zip(relations, *(t.split(edges.num_groups) for t in (d_messages, d_means)), strict=True):
            torch.mm(parts[0], weight, out=parts[1])
        d_h += segment_sum_no_grad(d_means.mul_(inverse_count), edges.scatter.transposed)
        if not train:
            return d_h, *(None for _ in range(3 + len(relations)))
        pairs = zip(d_messages.split(edges.num_groups), means.split(edges.num_groups), strict=True)
        d_relations = [d.t() @ mean for d, mean in pairs]
        for k, part in zip(edges.direct_relations, torch.mm(d_mixed.t(), direct).split(len(down), 1), strict=False):
            d_relations[k] = part
        d_down = torch.mm(d_q.t(), product * gate)
        return d_h, None, *(d.to(ctx.weight_dtype) for d in (torch.mm(d_mixed.t(), around), d_down, *d_relations))


def direct_sources(edges: Sequence[RelationalEdges], starts: np.ndarray) -> dict[int, np.ndarray]:
    """The direct relations, and for each the source of every token, int64 (L,): a row of the batch, or -1 for none."""
    num_sources = np.sum([(e.src >= 0).sum(1) for e in edges], 0)  # (K,)
    num_groups = np.sum([e.num_groups for e in edges], 0)
    direct = np.flatnonzero((num_sources == num_groups) & (num_groups >= DIRECT_SHARE * starts[-1]))
    sources = {}
    for k in direct.tolist():
        parts = []
        for e, start in zip(edges, starts, strict=False):
            row_of_group = np.full(int(e.num_groups[k]) + 1, -1)  # the last one is that of group -1
            tokens = np.flatnonzero(e.src[k] >= 0)
            row_of_group[e.src[k][tokens]] = start + tokens
            parts.append(row_of_group[e.dst[k]])
        sources[k] = np.concatenate(parts)
    return sources
