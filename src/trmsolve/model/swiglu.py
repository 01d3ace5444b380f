"""What the published networks are made of: SwiGLU, and the norm after every residual.

h <- norm(h + V (silu(a) * b))                     with a, b the halves of W h
h <- norm(h + V (sigmoid(a) * norm(a * b)))        with the gate of our own mixers (gate.py) in its place

SwiGLU: arXiv 2002.05202. The norm is RMSNorm without weights (arXiv 1910.07467), over the axis that SwiGLU mixes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trmsolve.errors import TrmsolveError
from trmsolve.model.gate import rms_norm
from trmsolve.model.kernels import kernels_for

EPS = 1e-5  # added to the mean square, as in the published code: its numbers depend on it


def added(h: Tensor, change: Tensor) -> Tensor:
    """The residual and the norm after it: (L, D) both -> (L, D)."""
    if kernels := kernels_for(h, change):
        return kernels.added(h, change, EPS)
    return post_norm(h + change)


def post_norm(h: Tensor) -> Tensor:
    """RMSNorm over the last axis; in fp32 inside, the input's dtype outside."""
    return F.rms_norm(h.float(), (h.shape[-1],), eps=EPS).to(h.dtype)


def truncated(shape: tuple[int, ...], std: float) -> Tensor:
    """Normal numbers cut off at two standard deviations, float32: `std` is what they have after the cut."""
    wider = std / 0.87962566  # cutting at two deviations leaves 0.88 of one
    return nn.init.trunc_normal_(torch.empty(shape), std=wider, a=-2 * wider, b=2 * wider)


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A matrix that keeps variance: standard deviation 1/sqrt(inputs)."""
    made = nn.Linear(inputs, outputs, bias=False)
    made.weight = nn.Parameter(truncated((outputs, inputs), inputs**-0.5))
    return made


class SwiGLU(nn.Module):
    """(..., width) -> (..., width). Raises TrmsolveError for a gate it does not know."""

    def __init__(self, width: int, hidden: int, gate: str = "silu") -> None:
        super().__init__()
        if gate not in GATES:
            raise TrmsolveError(f"the model has the gate '{gate}'", f"known: {', '.join(GATES)}")
        self.gate, self.normalised = GATES[gate], gate == "normalised"
        self.gate_up = linear(width, 2 * hidden)
        self.down = linear(hidden, width)

    def forward(self, h: Tensor) -> Tensor:
        both = self.gate_up(h)
        if kernels := kernels_for(h, self.down.weight):
            return self.down(kernels.product(both, self.normalised))
        return self.down(self.gate(*both.chunk(2, -1)))


def silu(a: Tensor, b: Tensor) -> Tensor:
    """As published."""
    return F.silu(a) * b


def normalised(a: Tensor, b: Tensor) -> Tensor:
    """As in gate.py."""
    return torch.sigmoid(a) * rms_norm(a * b)


GATES = {"silu": silu, "normalised": normalised}
