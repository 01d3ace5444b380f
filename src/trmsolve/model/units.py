"""The mixer `units`: a token hears the sums over the units it lies in.

u_g = W_kind(g) sum_{i in g} h_i              for every unit g
(a, b) = W h + sum of u_g over the token's units, which go into the gate (gate.py)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trmsolve.model.config import TRMConfig
from trmsolve.model.gate import gated, in_place
from trmsolve.model.pool import Groups, pool


class UnitsLayer(nn.Module):
    """One layer of f. (L, D) -> (L, D)."""

    def __init__(self, config: TRMConfig) -> None:
        super().__init__()
        width, hidden = config.width, config.hidden
        self.scale, self.share = config.unit_scale, config.share
        self.own = nn.Linear(width, 2 * hidden, bias=False)
        self.unit = nn.ModuleList(nn.Linear(width, 2 * hidden, bias=False) for _ in range(max(config.share) + 1))
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, h: Tensor, ties: Groups) -> Tensor:
        sums = pool(h, ties) * self.scale
        if in_place(h, self.own.weight):
            per_kind = len(sums) // len(self.share)
            heard = h.new_empty(len(sums), 2 * self.down.in_features)
            for kind, which in enumerate(self.share):
                rows = slice(kind * per_kind, (kind + 1) * per_kind)
                torch.mm(sums[rows], self.unit[which].weight.t(), out=heard[rows])
            mixed = pool(heard, ties.transposed).addmm_(h, self.own.weight.t())
        else:
            by_kind = sums.view(len(self.share), -1, sums.shape[1])
            heard = torch.cat([self.unit[which](of) for which, of in zip(self.share, by_kind, strict=True)])
            mixed = self.own(h) + pool(heard, ties.transposed)
        return gated(h, mixed, self.down)
