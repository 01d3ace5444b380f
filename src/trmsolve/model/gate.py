"""What follows every token mixer: SwiGLU with its gate normalised, post-norm with RMSNorm without weights.

h <- norm(h + V (sigmoid(a) * norm(a * b)))      for the mixer's two halves a and b

The normalised gate is what lets Muon train these layers (../shared/design/recursion.md). There are two ways to compute
it, which agree (tests/test_model.py): with autograd or under torch.compile, as written; without, in half the passes
over memory, which is what limits a CPU at these widths, and on a GPU in one (kernels/gate.py).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trmsolve.model.kernels import WIDEST, kernels_for
from trmsolve.model.written import asked


def rms_norm(t: Tensor) -> Tensor:
    """RMSNorm over the last axis without weights (arXiv 1910.07467); in fp32 inside, the input's dtype outside."""
    return F.rms_norm(t.float(), (t.shape[-1],)).to(t.dtype)


def inverse_rms(t: Tensor) -> Tensor:
    """1 / rms of each row, (L, D) -> (L, 1), in the input's dtype."""
    norm = torch.linalg.vector_norm(t, dim=-1, keepdim=True)  # sums in fp32 also for bf16
    return norm.clamp_(min=1e-6).reciprocal_().mul_(t.shape[-1] ** 0.5)


def in_place(h: Tensor, weight: Tensor) -> bool:
    """Whether a layer may compute without autograd: none is asked for, and the weights have the states' dtype."""
    return not asked() and not torch.is_grad_enabled() and not torch.compiler.is_compiling() and h.dtype == weight.dtype


def gated(h: Tensor, mixed: Tensor, down: nn.Linear) -> Tensor:
    """The formula above: h (L, D), mixed (L, 2 H) both halves, down V: H -> D. Returns (L, D)."""
    gate, value = mixed.chunk(2, -1)
    if not in_place(h, down.weight):
        return rms_norm(h + down(torch.sigmoid(gate) * rms_norm(gate * value)))
    if (kernels := kernels_for(h, down.weight)) and h.shape[1] <= WIDEST:
        return kernels.gated(h, mixed, down.weight)
    product = gate * value
    factor = inverse_rms(product)
    product.mul_(gate.sigmoid())
    h = torch.addcmul(h, torch.mm(product, down.weight.t()), factor)
    return h.mul_(inverse_rms(h))
