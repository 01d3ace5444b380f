"""Optimizer steps/s of test-time training, in turns with the procedure of version 0.1."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trmsolve.benchmark.measure import Statistic, synchronize
from trmsolve.checkpoint import load_tensors
from trmsolve.inference.few_shot import AdaptOptions, Schedule
from trmsolve.inference.test_time_training import TestTimeTrainer
from trmsolve.model.layers import reference_mode
from trmsolve.tasks.few_shot import Demonstrates, FewShotTask, Pair

if TYPE_CHECKING:
    from trmsolve.api import Model

WARM_UP = 3  # optimizer steps before the first measurement
PROGRESS = 0.3  # of the schedule: all parameters are trained, at the full rates


def mirror_task(side: int = 15) -> FewShotTask:
    """A task whose rule is a reflection: three demonstrations and a test of random cells, a third of them coloured."""
    rng = np.random.default_rng(0)
    grids = [
        (rng.integers(1, 10, (side, side)) * (rng.random((side, side)) < 1 / 3)).astype(np.uint8) for _ in range(4)
    ]
    demonstrations = tuple(Pair(grid, grid[:, ::-1].copy()) for grid in grids[:3])
    return FewShotTask(f"mirror {side}x{side}", "generated", demonstrations, (grids[3],))


def compare_test_time_training(
    model: Model, task: FewShotTask, steps: int, repeat: int, show: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Optimizer steps/s of ours and of version 0.1 (reference_mode), and their ratio in each repetition.

    steps: optimizer steps of a measurement. Returns JSON-able values.
    """
    demonstrates = model.task
    assert isinstance(demonstrates, Demonstrates)
    device, dtype = model.device_spec.device, model.device_spec.dtype
    weights = load_tensors(model.checkpoint.path, model.checkpoint.sha256)
    options = AdaptOptions(budget=None, steps=1 << 30)
    trainers = {
        name: TestTimeTrainer(
            demonstrates, model.config, weights, [task], options, device, dtype == torch.bfloat16, Schedule(dropout=0.0)
        )
        for name in ("ours", "version 0.1")
    }
    rates: dict[str, list[float]] = {name: [] for name in trainers}
    for k in range(repeat):
        for name, trainer in trainers.items():
            show(f"test-time training, {name}: {k + 1} of {repeat}")
            with nullcontext() if name == "ours" else reference_mode():
                for _ in range(0 if k else WARM_UP):
                    trainer.train(PROGRESS)
                synchronize()
                started = time.perf_counter()
                for _ in range(steps):
                    trainer.train(PROGRESS)
                synchronize()
            rates[name].append(steps / (time.perf_counter() - started))
    ratio = Statistic.of([ours / other for ours, other in zip(*rates.values(), strict=True)])
    ways = {
        name: {"steps_per_second": Statistic.of(rates[name]).to_dict(), "tokens": len(trainer.carry.tokens)}
        for name, trainer in trainers.items()
    }
    return {"task": task.name, "steps": steps, "ways": ways, "ratio": ratio.to_dict()}
