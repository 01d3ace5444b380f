"""The mixer `units`: a token hears the sums over the units it lies in.

u_g = W_kind(g) sum_{i in g} h_i              for every unit g
h  <- norm(h + V (sigmoid(a) * norm(a * b)))   with (a, b) = W h + sum of u_g over the token's units

The second line is SwiGLU with its gate normalised, post-norm with RMSNorm without weights, as in the paper.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trmsolve.model.config import TRMConfig
from trmsolve.model.layout import Layout
from trmsolve.model.pool import pool


def rms_norm(t: Tensor) -> Tensor:
    """RMSNorm over the last axis without weights; in fp32 inside, the input's dtype outside."""
    return F.rms_norm(t.float(), (t.shape[-1],)).to(t.dtype)


class UnitsLayer(nn.Module):
    """One layer of f. (L, D) -> (L, D)."""

    def __init__(self, config: TRMConfig) -> None:
        super().__init__()
        width, hidden = config.width, config.hidden
        self.scale, self.share = config.unit_scale, config.share
        self.own = nn.Linear(width, 2 * hidden, bias=False)
        self.unit = nn.ModuleList(nn.Linear(width, 2 * hidden, bias=False) for _ in range(max(config.share) + 1))
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, h: Tensor, layout: Layout) -> Tensor:
        sums = pool(h, layout.units) * self.scale
        by_kind = sums.view(len(self.share), -1, sums.shape[1])
        heard = torch.cat([self.unit[which](sums_of) for which, sums_of in zip(self.share, by_kind, strict=True)])
        gate, value = (self.own(h) + pool(heard, layout.units.transposed)).chunk(2, -1)
        return rms_norm(h + self.down(torch.sigmoid(gate) * rms_norm(gate * value)))
