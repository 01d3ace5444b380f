"""The optimizers of a run as one, and the moving average of the weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from trmsolve.device import to_device
from trmsolve.model.trm import TRM
from trmsolve.training.adam_atan2 import AdamATan2
from trmsolve.training.config import TrainConfig
from trmsolve.training.muon import Muon

Model = TypeVar("Model", bound=nn.Module)

BETAS = (0.9, 0.95)  # of everything that descends from Adam (arXiv 2510.04871, section 5)


class Optimizers:
    """All optimizers of a model, with a state that fits into one flat dictionary of tensors."""

    def __init__(self, model: TRM, config: TrainConfig) -> None:
        self.parts: dict[str, tuple[torch.optim.Optimizer, float]] = {}  # name -> optimizer, its learning rate
        if config.optimizer == "muon":
            matrices = [p for layers in (model.layers, model.y_layers) for p in layers.parameters() if p.ndim == 2]
            matrix_ids = {id(p) for p in matrices}
            rest = [p for p in model.parameters() if id(p) not in matrix_ids]
            self.parts["muon"] = Muon(matrices, lr=config.lr, weight_decay=config.weight_decay), config.lr
            self.parts["adam"] = _adamw(rest, config.adam_lr, BETAS, config.adam_weight_decay), config.adam_lr
        else:
            makers: dict[str, Callable[..., torch.optim.Optimizer]] = {"adamw": _adamw, "adam-atan2": AdamATan2}
            optimizer = makers[config.optimizer](model.parameters(), config.lr, BETAS, config.weight_decay)
            self.parts[config.optimizer] = optimizer, config.lr

    def step(self, rate: float) -> None:
        """One step of each at `rate` times its learning rate; then the gradients are dropped."""
        for optimizer, lr in self.parts.values():
            for group in optimizer.param_groups:
                group["lr"] = lr * rate
            optimizer.step()
            optimizer.zero_grad()

    def state(self) -> dict[str, Tensor]:
        """Flat: optimizer.parameter.name -> tensor."""
        return {
            f"{which}.{index}.{name}": torch.as_tensor(value)
            for which, (optimizer, _) in self.parts.items()
            for index, values in optimizer.state_dict()["state"].items()
            for name, value in values.items()
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of state(); an optimizer of which there is nothing starts afresh.

        Raises ValueError for tensors that are no state of these parameters.
        """
        for which, (optimizer, _) in self.parts.items():
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                kind, number, name = key.split(".", 2)
                if kind == which:
                    state.setdefault(int(number), {})[name] = value
            params = [p for group in optimizer.param_groups for p in group["params"]]
            for index, values in state.items():
                same_names = values.keys() == next(iter(state.values())).keys()
                if (
                    index >= len(params)
                    or not same_names
                    or any(value.ndim and value.shape != params[index].shape for value in values.values())
                ):
                    raise ValueError(f"the optimizer's state {which}.{index} fits no parameter")
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _adamw(params: Iterable[Tensor], lr: float, betas: tuple[float, float], decay: float) -> torch.optim.AdamW:
    """AdamW that takes a parameter's whole step in one kernel."""
    return torch.optim.AdamW(params, lr=lr, betas=betas, weight_decay=decay, fused=True)


@torch.no_grad()
def sign_step(table: Tensor, ids: Tensor, grad: Tensor, lr: float, decay: float) -> None:
    """Sign-SGD on the rows of a table that a batch has met, in place: w <- (1 - lr decay) w - lr sign(g).

    table: (P, D). ids: int64 (B,), rows may recur; on the CPU, where nobody has to wait for them. grad: (B, D), of each
    row's use; uses of one row add up, always in the same order, so that all processes of a run find the same sign.

    So seldom as a row is met, this is what Adam would come to (HRM's code, models/sparse_embedding.py), without its
    memory.
    """
    rows, use = ids.unique(return_inverse=True)
    uses = to_device((torch.arange(len(rows), device=ids.device)[:, None] == use).to(grad.dtype), grad.device)
    rows = to_device(rows, table.device)
    table[rows] = table[rows].mul_(1 - lr * decay).sub_(lr * (uses @ grad).sign().to(table.dtype))


class EMA(Generic[Model]):
    """Exponential moving average of a model's parameters, kept in fp32 (a bf16 shadow freezes)."""

    def __init__(self, model: Model, decay: float) -> None:
        self.model, self.decay = copy.deepcopy(model).requires_grad_(False), decay
        for averaged, live in zip(self.model.modules(), model.modules(), strict=True):
            for name, buffer in live.named_buffers(recurse=False):  # no parameters, no average: a table may be huge
                setattr(averaged, name, buffer)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """After optimizer step number `step` (from 1). Early steps count for more, so that the start is forgotten."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), 1 - decay)
