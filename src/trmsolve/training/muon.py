"""Muon (https://kellerjordan.github.io/posts/muon): momentum whose matrices are orthogonalised, many at once.

    m <- lerp(m, g, 1 - mu),    u = lerp(g, m, mu),    W <- (1 - lr decay) W - lr sqrt(max(1, rows / columns)) NS(u)

NS is five Newton-Schulz iterations, in bf16 where the hardware multiplies it. It computes what torch.optim.Muon does,
which takes one matrix after the other; a small network has dozens of a few shapes, and matrices of one shape go through
the iterations as one batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from trmsolve.device import bfloat16_support
from trmsolve.training.foreach import Foreach

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of X <- a X + (b A + c A A) X with A = X X^T: steepest at 0
ITERATIONS = 5
EPS = 1e-7  # the norm that a matrix is divided by is at least this


class Muon(Foreach):
    """For matrices alone, (rows, columns) each. Its state is that of torch.optim.Muon."""

    def __init__(self, params: Iterable[Tensor], lr: float, weight_decay: float = 0.0, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    def init_state(self, p: Tensor) -> dict[str, Tensor]:
        return {"momentum_buffer": torch.zeros_like(p)}

    def update(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor]) -> None:
        lr = group["lr"]
        momenta = [self.state[p]["momentum_buffer"] for p in params]
        torch._foreach_lerp_(momenta, grads, 1 - group["momentum"])
        updates = orthogonal(list(torch._foreach_lerp(grads, momenta, group["momentum"])))
        torch._foreach_mul_(updates, [-lr * max(1, p.shape[0] / p.shape[1]) ** 0.5 for p in params])
        torch._foreach_mul_(params, 1 - lr * group["weight_decay"])
        torch._foreach_add_(params, updates)


def orthogonal(matrices: list[Tensor]) -> list[Tensor]:
    """float32 matrices of any shapes -> float32, singular values near 1 (0.7 to 1.2) in place of their own."""
    wide = [m.mT if m.shape[0] > m.shape[1] else m for m in matrices]  # the product of the short side is the cheap one
    by_shape: dict[torch.Size, list[int]] = {}
    for number, m in enumerate(wide):
        by_shape.setdefault(m.shape, []).append(number)
    results = list(matrices)
    for numbers in by_shape.values():
        stacked = torch.stack([wide[number] for number in numbers])  # (N, rows, columns)
        orthogonalised = newton_schulz(stacked.to(iteration_dtype(stacked.device))).float()
        for number, m in zip(numbers, orthogonalised, strict=True):
            results[number] = m if wide[number] is matrices[number] else m.mT
    return results


@cache
def iteration_dtype(device: torch.device) -> torch.dtype:
    """bf16 where the device multiplies it in hardware: elsewhere a CPU takes 20 times as long for it as for fp32."""
    return torch.bfloat16 if bfloat16_support(device)[0] else torch.float32


def newton_schulz(x: Tensor) -> Tensor:
    """bf16 or fp32 (N, rows, columns), rows <= columns -> the same, each matrix made nearly orthogonal."""
    a, b, c = COEFFICIENTS
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True).clamp(min=EPS)  # no singular value above 1
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x
