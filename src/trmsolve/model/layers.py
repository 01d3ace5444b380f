"""The parts of a layer: RMSNorm, SwiGLU with two gates, and the update after a token mixer.

    SwiGLU        V (silu(a) * b)                a, b: the halves of W h         (arXiv 2002.05202)
    normalised    V (sigmoid(a) * norm(a * b))   lets Muon train these layers

`gated_update` has two implementations that agree (tests/model/test_layers.py): the formula, for autograd and
torch.compile, and for inference one with half the passes over memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-5  # added to the mean square in post_norm, as in the published code
STD_OF_TRUNCATED = 0.87962566  # standard deviation of a standard normal that is cut off at two deviations

_reference: ContextVar[bool] = ContextVar("reference_mode", default=False)


@contextmanager
def reference_mode() -> Iterator[None]:
    """Context in which formulas are computed as written, without fast paths (benchmark/inference.py)."""
    token = _reference.set(True)
    try:
        yield
    finally:
        _reference.reset(token)


def rms_norm(h: Tensor) -> Tensor:
    """RMSNorm over the last axis without weights (arXiv 1910.07467); fp32 inside, the input's dtype outside."""
    return F.rms_norm(h.float(), (h.shape[-1],)).to(h.dtype)


def post_norm(h: Tensor) -> Tensor:
    """RMSNorm with the published EPS, over the last axis; fp32 inside, the input's dtype outside."""
    return F.rms_norm(h.float(), (h.shape[-1],), eps=EPS).to(h.dtype)


def inverse_rms(h: Tensor) -> Tensor:
    """1 / rms of each row, (L, D) -> (L, 1), in the input's dtype."""
    norm = torch.linalg.vector_norm(h, dim=-1, keepdim=True)  # sums in fp32 also for bf16
    return norm.clamp_(min=1e-6).reciprocal_().mul_(h.shape[-1] ** 0.5)


def formula_only() -> bool:
    """Whether to compute formulas as written: for torch.compile, and in reference_mode()."""
    return torch.compiler.is_compiling() or _reference.get()


def inference_path(h: Tensor, weight: Tensor) -> bool:
    """Whether a layer may work in place: no autograd, no compiler, and weights in the dtype of the states."""
    return h.dtype == weight.dtype and not torch.is_grad_enabled() and not formula_only()


def gated_update(h: Tensor, mixed: Tensor, down: nn.Linear) -> Tensor:
    """norm(h + V (sigmoid(a) * norm(a * b))): h (L, D), mixed (L, 2 H) = a | b, down V: H -> D. Returns (L, D)."""
    gate, value = mixed.chunk(2, -1)  # (L, H) each
    if not inference_path(h, down.weight):
        return rms_norm(h + down(torch.sigmoid(gate) * rms_norm(gate * value)))
    product = gate * value
    factor = inverse_rms(product)  # (L, 1): a factor of the whole row, so it is applied after the multiply
    product.mul_(gate.sigmoid())
    h = torch.addcmul(h, torch.mm(product, down.weight.t()), factor)
    return h.mul_(inverse_rms(h))


def truncated_normal(shape: tuple[int, ...], std: float) -> Tensor:
    """Normal values cut off at two deviations, float32; `std` is their standard deviation after the cut."""
    sigma = std / STD_OF_TRUNCATED
    return nn.init.trunc_normal_(torch.empty(shape), std=sigma, a=-2 * sigma, b=2 * sigma)


def linear(in_features: int, out_features: int) -> nn.Linear:
    """A linear map without bias that keeps variance: standard deviation 1/sqrt(in_features)."""
    layer = nn.Linear(in_features, out_features, bias=False)
    layer.weight = nn.Parameter(truncated_normal((out_features, in_features), in_features**-0.5))
    return layer


class SwiGLU(nn.Module):
    """(..., size) -> (..., size)."""

    def __init__(self, size: int, intermediate_size: int, gate: str = "silu") -> None:
        super().__init__()
        self.gate = GATES[gate]
        self.gate_up = linear(size, 2 * intermediate_size)
        self.down = linear(intermediate_size, size)

    def forward(self, h: Tensor) -> Tensor:
        return self.down(self.gate(*self.gate_up(h).chunk(2, -1)))


def silu_gate(a: Tensor, b: Tensor) -> Tensor:
    """silu(a) * b, as published."""
    return F.silu(a) * b


def normalised_gate(a: Tensor, b: Tensor) -> Tensor:
    """sigmoid(a) * norm(a * b)."""
    return torch.sigmoid(a) * rms_norm(a * b)


GATES = {"silu": silu_gate, "normalised": normalised_gate}
