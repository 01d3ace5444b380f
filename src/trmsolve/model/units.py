"""The mixer `units`: a token hears the sums over the units it lies in.

u_g = W_kind(g) sum_{i in g} h_i              for every unit g
h  <- norm(h + V (sigmoid(a) * norm(a * b)))   with (a, b) = W h + sum of u_g over the token's units

The second line is SwiGLU with its gate normalised, post-norm with RMSNorm without weights, as in the paper.

There are two ways to compute it, which agree (tests/test_model.py): with autograd or under torch.compile, as written
above; without, the same in half the passes over memory, which is what limits a CPU at this width.
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


def inverse_rms(t: Tensor) -> Tensor:
    """1 / rms of each row, (L, D) -> (L, 1), in the input's dtype."""
    norm = torch.linalg.vector_norm(t, dim=-1, keepdim=True)  # sums in fp32 also for bf16
    return norm.clamp_(min=1e-6).reciprocal_().mul_(t.shape[-1] ** 0.5)


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
        if not torch.is_grad_enabled() and not torch.compiler.is_compiling() and h.dtype == self.own.weight.dtype:
            return self.in_place(h, layout)
        sums = pool(h, layout.units) * self.scale
        by_kind = sums.view(len(self.share), -1, sums.shape[1])
        heard = torch.cat([self.unit[which](sums_of) for which, sums_of in zip(self.share, by_kind, strict=True)])
        gate, value = (self.own(h) + pool(heard, layout.units.transposed)).chunk(2, -1)
        return rms_norm(h + self.down(torch.sigmoid(gate) * rms_norm(gate * value)))

    def in_place(self, h: Tensor, layout: Layout) -> Tensor:
        """The same without autograd: results written where they are needed, norms applied as factors of rows."""
        sums = pool(h, layout.units).mul_(self.scale)
        per_kind = len(sums) // len(self.share)
        heard = h.new_empty(len(sums), 2 * self.down.in_features)
        for kind, which in enumerate(self.share):
            rows = slice(kind * per_kind, (kind + 1) * per_kind)
            torch.mm(sums[rows], self.unit[which].weight.t(), out=heard[rows])
        gate, value = pool(heard, layout.units.transposed).addmm_(h, self.own.weight.t()).chunk(2, -1)
        product = gate * value
        factor = inverse_rms(product)
        product.mul_(gate.sigmoid())
        h = torch.addcmul(h, torch.mm(product, self.down.weight.t()), factor)
        return h.mul_(inverse_rms(h))
