"""What the published networks are made of: SwiGLU, and the norm after every residual.

h <- norm(h + V (silu(a) * b))      with a, b the halves of W h

SwiGLU: arXiv 2002.05202. The norm is RMSNorm without weights (arXiv 1910.07467), over the axis that SwiGLU mixes.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-5  # added to the mean square, as in the published code: its numbers depend on it


def post_norm(h: Tensor) -> Tensor:
    """RMSNorm over the last axis; in fp32 inside, the input's dtype outside."""
    return F.rms_norm(h.float(), (h.shape[-1],), eps=EPS).to(h.dtype)


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A matrix that keeps variance: normal with standard deviation 1/sqrt(inputs), cut off at two of its own."""
    made = nn.Linear(inputs, outputs, bias=False)
    std = inputs**-0.5 / 0.87962566  # cutting at two deviations leaves 0.88 of one
    nn.init.trunc_normal_(made.weight, std=std, a=-2 * std, b=2 * std)
    return made


class SwiGLU(nn.Module):
    """(..., width) -> (..., width)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_up = linear(width, 2 * hidden)
        self.down = linear(hidden, width)

    def forward(self, h: Tensor) -> Tensor:
        gate, up = self.gate_up(h).chunk(2, -1)
        return self.down(F.silu(gate) * up)
