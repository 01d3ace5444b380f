"""AdamATan2: Adam whose step is an angle, so no epsilon limits the steps of small gradients.

    w <- (1 - lr decay) w - lr / (1 - beta1^t) atan2(m, sqrt(v / (1 - beta2^t)))

after Scaling Exponents Across Parameterizations and Optimizers (arXiv 2407.05872, section 4.3); the bias correction and
the decoupled decay as in the package adam-atan2, with which HRM and TRM were trained and which needs CUDA.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from trmsolve.training.foreach import Foreach


class AdamATan2(Foreach):
    """The optimizer in plain PyTorch. lr: the step is at most pi/2 of it, after the first few; betas of m and v."""

    def __init__(
        self, params: Iterable[Tensor], lr: float, betas: tuple[float, float] = (0.9, 0.95), weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    def init_state(self, p: Tensor) -> dict[str, Tensor]:
        count = torch.zeros(())  # on the CPU: its value is read at each step
        return {"step": count, "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}

    def update(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor]) -> None:
        lr, (beta1, beta2) = group["lr"], group["betas"]
        m, v = ([self.state[p][name] for p in params] for name in ("exp_avg", "exp_avg_sq"))
        for p in params:
            self.state[p]["step"] += 1
        t = self.state[params[0]]["step"].item()
        torch._foreach_mul_(params, 1 - lr * group["weight_decay"])
        torch._foreach_lerp_(m, grads, 1 - beta1)
        torch._foreach_mul_(v, beta2)
        torch._foreach_addcmul_(v, grads, grads, 1 - beta2)
        scale = torch._foreach_sqrt(torch._foreach_div(v, 1 - beta2**t))
        angles = [torch.atan2(numerator, denominator) for numerator, denominator in zip(m, scale, strict=True)]
        torch._foreach_add_(params, angles, alpha=-lr / (1 - beta1**t))
