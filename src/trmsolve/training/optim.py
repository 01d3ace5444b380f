"""The optimizers of a run, and the moving average of the weights.

Muon and AdamATan2 are implemented in plain PyTorch. Both update all parameters of a group together (torch._foreach).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from trmsolve.device import bfloat16_support, to_device
from trmsolve.model.trm import TRM
from trmsolve.training.config import TrainConfig

Model = TypeVar("Model", bound=nn.Module)

BETAS = (0.9, 0.95)  # of all variants of Adam (arXiv 2510.04871, section 5)
# Muon
COEFFICIENTS = (
    3.4445,
    -4.7750,
    2.0315,
)  # a, b, c of X <- a X + (b A + c A A) X with A = X X^T, chosen for the steepest slope at 0
ITERATIONS = 5
EPS = 1e-7  # lower bound of the norm that a matrix is divided by


class Optimizers:
    """All optimizers of a model; their state is one flat dictionary of tensors."""

    def __init__(self, model: TRM, config: TrainConfig) -> None:
        self.parts: dict[str, tuple[torch.optim.Optimizer, float]] = {}  # name -> optimizer, its learning rate
        if config.optimizer == "muon":
            matrices = [p for layers in (model.layers, model.y_layers) for p in layers.parameters() if p.ndim == 2]
            matrix_ids = {id(p) for p in matrices}
            rest = [p for p in model.parameters() if id(p) not in matrix_ids]
            self.parts["muon"] = Muon(matrices, lr=config.lr, weight_decay=config.weight_decay), config.lr
            self.parts["adam"] = _adamw(rest, config.adam_lr, BETAS, config.adam_weight_decay), config.adam_lr
        else:
            constructors: dict[str, Callable[..., torch.optim.Optimizer]] = {"adamw": _adamw, "adam-atan2": AdamATan2}
            optimizer = constructors[config.optimizer](model.parameters(), config.lr, BETAS, config.weight_decay)
            self.parts[config.optimizer] = optimizer, config.lr

    def step(self, rate: float) -> None:
        """One step of each optimizer at `rate` times its learning rate; resets the gradients."""
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
        """The inverse of state(); an optimizer without tensors is reset.

        Raises ValueError for tensors that do not fit the parameters.
        """
        for which, (optimizer, _) in self.parts.items():
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                kind, number, name = key.split(".", 2)
                if kind == which:
                    state.setdefault(int(number), {})[name] = value
            params = [p for group in optimizer.param_groups for p in group["params"]]
            for index, values in state.items():
                shape = params[index].shape if index < len(params) else None
                same_names = values.keys() == next(iter(state.values())).keys()
                if not same_names or any(value.ndim and value.shape != shape for value in values.values()):
                    raise ValueError(f"the optimizer's state {which}.{index} fits no parameter")
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _adamw(params: Iterable[Tensor], lr: float, betas: tuple[float, float], decay: float) -> torch.optim.AdamW:
    """AdamW with one fused kernel per step."""
    return torch.optim.AdamW(params, lr=lr, betas=betas, weight_decay=decay, fused=True)


class EMA(Generic[Model]):
    """Exponential moving average of a model's parameters, in fp32 (in bf16 small updates are rounded away)."""

    def __init__(self, model: Model, decay: float) -> None:
        self.model, self.decay = copy.deepcopy(model).requires_grad_(False), decay
        for averaged, live in zip(self.model.modules(), model.modules(), strict=True):
            for name, buffer in live.named_buffers(
                recurse=False
            ):  # buffers are shared, not averaged: the puzzle table may be huge
                setattr(averaged, name, buffer)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Update after optimizer step `step` (from 1). The decay is smaller at first, so that initial weights fade."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), 1 - decay)


@torch.no_grad()
def sign_step(table: Tensor, ids: Tensor, grad: Tensor, lr: float, decay: float) -> None:
    """Sign-SGD on the rows of a table that a batch uses, in place: w <- (1 - lr decay) w - lr sign(g).

    table: (P, D). ids: int64 (B,) on the CPU, to avoid waiting for the device; may contain duplicates. grad: (B, D), of
    each use of a row. Gradients of duplicates are summed in a fixed order, so that all processes compute the same sign.

    For rarely used rows Adam computes about the same (HRM's code, models/sparse_embedding.py), but needs memory for its
    moments.
    """
    rows, use = ids.unique(return_inverse=True)  # (U,) without duplicates, (B,)
    uses = to_device((torch.arange(len(rows), device=ids.device)[:, None] == use).to(grad.dtype), grad.device)
    rows = to_device(rows, table.device)
    table[rows] = table[rows].mul_(1 - lr * decay).sub_(lr * (uses @ grad).sign().to(table.dtype))  # (U, D)


# -- optimizers that update a group's parameters together ----------------------------------------------------------
class Foreach(torch.optim.Optimizer):
    """Base class: subclasses define the initial state of a parameter, and the joint update of a parameter group."""

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


class AdamATan2(Foreach):
    """Adam with atan2 instead of a division, so that no epsilon is needed.

        w <- (1 - lr decay) w - lr / (1 - beta1^t) atan2(m, sqrt(v / (1 - beta2^t)))

    Scaling Exponents Across Parameterizations and Optimizers (arXiv 2407.05872, section 4.3), with the bias correction
    and the decoupled decay of the package adam-atan2, which needs CUDA and was used to train HRM and TRM. After the
    first few steps, a step is at most lr pi/2.
    """

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


class Muon(Foreach):
    """Momentum whose matrices are orthogonalised (https://kellerjordan.github.io/posts/muon).

        m <- lerp(m, g, 1 - mu),    u = lerp(g, m, mu),    W <- (1 - lr decay) W - lr sqrt(max(1, rows / columns)) NS(u)

    params: matrices, (rows, columns) each. NS: five Newton-Schulz iterations. Result and state equal those of
    torch.optim.Muon, but matrices of equal shape are one batch: on one core a step of the bundled models takes 3.4 ms
    (Sudoku), 3.3 ms (maze) and 24 ms (ARC) where torch's takes 6.2, 3.8 and 37 ms. And without bf16 in hardware, where
    torch's is 20 times slower, the iterations are in fp32.
    """

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
    """Orthogonalise float32 matrices of any shapes: their singular values become 0.7 to 1.2; zeros stay zeros.

    On a CPU, zeros are left out: a task of ARC uses about two thirds of the relations (model/mixers/relational.py).
    """
    on_cpu = matrices[0].device.type == "cpu"
    is_used = torch.stack(torch._foreach_norm(matrices)).tolist() if on_cpu else [True] * len(matrices)
    results, by_shape = list(matrices), dict[torch.Size, list[int]]()
    for number, m in enumerate(matrices):
        if is_used[number]:
            by_shape.setdefault(m.shape, []).append(number)
    for (rows, columns), numbers in by_shape.items():
        dtype = iteration_dtype(matrices[0].device)
        stacked = torch.stack([matrices[number].to(dtype) for number in numbers])  # (N, rows, columns)
        # X X^T is cheaper over the shorter side.
        stacked = newton_schulz(stacked.mT).mT if rows > columns else newton_schulz(stacked)
        for number, m in zip(numbers, stacked.float(), strict=True):
            results[number] = m
    return results


@cache
def iteration_dtype(device: torch.device) -> torch.dtype:
    """bf16 on devices with hardware support, else fp32: without support, bf16 takes a CPU 20 times as long."""
    return torch.bfloat16 if bfloat16_support(device)[0] else torch.float32


def newton_schulz(x: Tensor) -> Tensor:
    """Orthogonalise matrices approximately: bf16 or fp32 (N, rows, columns), rows <= columns -> same shape, dtype."""
    a, b, c = COEFFICIENTS
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True).clamp(min=EPS)  # singular values <= 1
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x
