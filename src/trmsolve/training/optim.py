"""Muon for the matrices of the layers, AdamW for the rest; and the moving average of the weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from trmsolve.model.trm import TRM
from trmsolve.training.config import TrainConfig


class Optimizers:
    """Both optimizers as one, with a state that fits into one flat dictionary of tensors."""

    def __init__(self, model: TRM, config: TrainConfig) -> None:
        matrices = [p for p in model.layers.parameters() if p.ndim == 2]
        inside = {id(p) for p in matrices}
        rest = [p for p in model.parameters() if id(p) not in inside]
        # Muon (https://kellerjordan.github.io/posts/muon) with the paper's betas for AdamW.
        self.muon = torch.optim.Muon(matrices, lr=config.muon_lr, weight_decay=config.muon_decay)
        self.adam = torch.optim.AdamW(rest, lr=config.adam_lr, betas=(0.9, 0.95), weight_decay=config.adam_decay)
        self.base = ((self.muon, config.muon_lr), (self.adam, config.adam_lr))

    def step(self, rate: float) -> None:
        """One step of both at `rate` times their learning rates; then the gradients are dropped."""
        for optimizer, lr in self.base:
            for group in optimizer.param_groups:
                group["lr"] = lr * rate
            optimizer.step()
            optimizer.zero_grad()

    def state(self) -> dict[str, Tensor]:
        """Flat: optimizer.parameter.name -> tensor."""
        return {
            f"{which}.{index}.{name}": torch.as_tensor(value)
            for which, (optimizer, _) in zip(("muon", "adam"), self.base, strict=True)
            for index, values in optimizer.state_dict()["state"].items()
            for name, value in values.items()
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of state()."""
        for which, (optimizer, _) in zip(("muon", "adam"), self.base, strict=True):
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                kind, index, name = key.split(".", 2)
                if kind == which:
                    state.setdefault(int(index), {})[name] = value
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


class EMA:
    """Exponential moving average of a model's parameters, kept in fp32 (a bf16 shadow freezes)."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay = copy.deepcopy(model).requires_grad_(False), decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """After optimizer step number `step` (from 1). Early steps count for more, so that the start is forgotten."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), 1 - decay)
