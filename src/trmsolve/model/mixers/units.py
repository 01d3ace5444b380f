"""The mixer `units`: a token receives messages from the units that it lies in (rows, columns, boxes, cells, ...).

    u_g = W_kind(g) sum of h_i over the tokens i of unit g       for every unit g
    (a, b) = W h + sum of u_g over the units of a token          then layers.gated_update

Units may differ in number and size, and a token may lie in no unit of a kind. Whether a unit needs exactly one or at
most one of its tokens is part of the task's rules; the mixer only computes sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from trmsolve.model.config import TRMConfig
from trmsolve.model.inputs import Edges, RoundUp
from trmsolve.model.layers import gated_update, inference_path
from trmsolve.model.packing import CSR, csr_of_assignments, indptr_of, segment_sum


@dataclass(frozen=True, slots=True)
class UnitEdges(Edges):
    """Units of K kinds.

    unit_of_token: int32 (R, L) the unit, 0 .. num_units - 1, that each token lies in; -1 for none.
    num_units: units of each kind; the largest number where kinds differ.
    kind_of_row: (R,) the kind of the units in each row, where a token lies in several units of a kind; (): row k is
        kind k.

    Example, tokens a1 a2 b1 b2 of two cells a and b that exclude each other's digits:
        kinds: cell [0 0 1 1], digit [0 1 0 1]; num_units 2
    """

    unit_of_token: np.ndarray
    num_units: int
    kind_of_row: tuple[int, ...] = ()

    @property
    def kinds(self) -> tuple[int, ...]:
        """kind_of_row, with its default resolved."""
        return self.kind_of_row or tuple(range(len(self.unit_of_token)))

    @staticmethod
    def pack(edges: Sequence[UnitEdges], starts: np.ndarray, num_tokens: int, round_up: RoundUp) -> CSR:
        """Sums of tokens by unit; kind k of puzzle b has the units k U + (units of the puzzles before b) + 0, 1, ..."""
        num_kinds = max(edges[0].kinds) + 1
        first_unit = indptr_of(np.array([e.num_units for e in edges]))  # (B + 1,)
        per_kind = round_up(int(first_unit[-1]))  # U
        rows = [
            np.where(e.unit_of_token < 0, -1, e.unit_of_token + s + np.array(e.kinds)[:, None] * per_kind)
            for e, s in zip(edges, first_unit, strict=False)
        ]
        num_rows = max(map(len, rows))  # puzzles differ in how many units of a kind a token lies in
        unit = np.concatenate([np.pad(r, ((0, num_rows - len(r)), (0, 0)), constant_values=-1) for r in rows], 1)
        return csr_of_assignments(unit.T, num_tokens, num_kinds * per_kind)


class Layer(nn.Module):
    """One layer of f. (L, D) -> (L, D)."""

    def __init__(self, config: TRMConfig) -> None:
        super().__init__()
        size, inner = config.hidden_size, 2 * config.intermediate_size
        self.scale, self.weight_sharing = config.unit_scale, config.weight_sharing
        self.own = nn.Linear(size, inner, bias=False)
        self.unit = nn.ModuleList(nn.Linear(size, inner, bias=False) for _ in range(max(config.weight_sharing) + 1))
        self.down = nn.Linear(config.intermediate_size, size, bias=False)

    def forward(self, h: Tensor, units: CSR) -> Tensor:
        sums = segment_sum(h, units) * self.scale  # (K U, D), kind by kind
        if inference_path(h, self.own.weight):
            per_kind = len(sums) // len(self.weight_sharing)
            messages = h.new_empty(len(sums), 2 * self.down.in_features)
            for kind, index in enumerate(self.weight_sharing):
                rows = slice(kind * per_kind, (kind + 1) * per_kind)
                torch.mm(sums[rows], cast(nn.Linear, self.unit[index]).weight.t(), out=messages[rows])
            mixed = segment_sum(messages, units.transposed).addmm_(h, self.own.weight.t())
        else:
            by_kind = sums.view(len(self.weight_sharing), -1, sums.shape[1])  # (K, U, D)
            messages = torch.cat([self.unit[i](part) for i, part in zip(self.weight_sharing, by_kind, strict=True)])
            mixed = self.own(h) + segment_sum(messages, units.transposed)
        return gated_update(h, mixed, self.down)  # mixed: (L, 2 H)
