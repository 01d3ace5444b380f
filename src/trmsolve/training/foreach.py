"""What optimizers of our own have in common: all parameters of a group take their step at once."""

from __future__ import annotations

import torch
from torch import Tensor


class Foreach(torch.optim.Optimizer):
    """An optimizer says what the state of a new parameter is, and how a group's parameters take a step together."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step of every parameter that has a gradient."""
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            for p in params:
                if not self.state[p]:
                    self.state[p] = self.fresh(p)
            if params:
                self.update(group, params)

    def fresh(self, p: Tensor) -> dict[str, Tensor]:
        """The state before the first step."""
        raise NotImplementedError

    def update(self, group: dict, params: list[Tensor]) -> None:
        """A step of these parameters, in place; each has a gradient and a state."""
        raise NotImplementedError
