"""Base of the optimizers in this package: all parameters of a group are updated together (torch._foreach)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Foreach(torch.optim.Optimizer):
    """Subclasses define the initial state of a parameter, and the joint update of a group's parameters."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step of every parameter that has a gradient."""
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            for p in params:
                if not self.state[p]:
                    self.state[p] = self.init_state(p)
            if params:
                self.update(group, params, [p.grad for p in params])

    def init_state(self, p: Tensor) -> dict[str, Tensor]:
        """The state before the first step."""
        raise NotImplementedError

    def update(self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor]) -> None:
        """A step of these parameters, in place; each has a gradient and a state."""
        raise NotImplementedError
