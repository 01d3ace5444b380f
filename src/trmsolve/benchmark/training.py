"""Measure the speed of training against a baseline with the same model, data and batch size, eager, with AdamW.

Both use the Trainer with temporary run folders, and are measured in turns. Includes drawing samples, but not saving.
"""

from __future__ import annotations

import dataclasses
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trmsolve.benchmark.measure import Statistic, synchronize
from trmsolve.errors import TrmsolveError
from trmsolve.inference.flops import count_flops
from trmsolve.training.config import TrainConfig
from trmsolve.training.recipe import Recipe
from trmsolve.training.run_dir import RunDir
from trmsolve.training.trainer import Trainer

WARM_UP = 5  # optimizer steps; the first ones compile, and once more when the batch size changes
# As in the published recipes: no Muon, one learning rate for all, unclipped gradients of a single step.
PUBLISHED: dict[str, Any] = {"optimizer": "adamw", "lr": 1e-4, "weight_decay": 1.0, "grad_clip": 0.0, "bptt_steps": 1}


@dataclass(frozen=True)
class TrainingRate:
    """The measured speed of one training configuration."""

    name: str
    batch_size: int
    bptt_steps: int  # supervision steps of an optimizer step
    steps: Statistic  # optimizer steps/s
    flops: Statistic  # FLOP/s of the matrix multiplies of forward and backward

    @property
    def supervision_steps(self) -> Statistic:
        """Supervision steps/s, summed over the puzzles of the batch."""
        s, factor = self.steps, self.batch_size * self.bptt_steps
        return Statistic(s.median * factor, s.low * factor, s.high * factor, s.n)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "batch": self.batch_size,
            "window": self.bptt_steps,
            "optimizer_steps_per_second": self.steps.to_dict(),
            "supervision_steps_per_second": self.supervision_steps.to_dict(),
            "flops_per_second": self.flops.to_dict(),
        }


@dataclass(frozen=True)
class TrainingSetup:
    """The model and the data of the measurement."""

    recipe: Recipe
    weights: dict[str, Tensor]
    device: torch.device
    dtype: torch.dtype
    compile: bool  # of our configuration; the baseline is eager


def compare_training(
    setup: TrainingSetup, steps: int, repeat: int, say: Callable[[str], None] = lambda text: None
) -> tuple[list[TrainingRate], Statistic]:
    """Measure our configuration and the baseline, and the ratio of their supervision steps/s in each repetition.

    steps: optimizer steps of a measurement. Raises TrmsolveError for data that cannot be used.
    """
    # Without a limit and at full depth, so that a step has the same cost for both.
    config = dataclasses.replace(setup.recipe.train, steps=1 << 30, minutes=None, depth_curriculum=())
    configs = {"ours": config, "published": dataclasses.replace(config, **PUBLISHED)}
    rates: dict[str, list[float]] = {name: [] for name in configs}
    with tempfile.TemporaryDirectory(prefix="trmsolve-bench-") as folder:
        runs = {
            name: _Run(setup, config, Path(folder) / name, setup.compile and name == "ours")
            for name, config in configs.items()
        }
        for name, run in runs.items():
            say(f"training, {name}: warm-up")
            run.train(WARM_UP)
        for k in range(repeat):
            for name, run in runs.items():
                say(f"training, {name}: {k + 1} of {repeat}")
                rates[name].append(run.train(steps))
        flops = runs["published"].flops()  # of one supervision step of the batch
    supervision = {name: [configs[name].bptt_steps * rate for rate in rates[name]] for name in configs}
    times = Statistic.of([ours / other for ours, other in zip(*supervision.values(), strict=True)])
    measured = [
        TrainingRate(
            name,
            config.batch_size,
            config.bptt_steps,
            Statistic.of(rates[name]),
            Statistic.of([flops * rate for rate in supervision[name]]),
        )
        for name, config in configs.items()
    ]
    return measured, times


class _Run:
    """A Trainer that takes any number of steps and then pauses."""

    def __init__(self, setup: TrainingSetup, config: TrainConfig, folder: Path, compile: bool) -> None:
        data = setup.recipe.data()
        self.run_dir = RunDir(folder)
        with self.run_dir:
            self.trainer = Trainer(
                config,
                setup.recipe.config_for(data),
                data.draw,
                self.run_dir,
                weights=setup.weights,
                compile=compile,
                autocast=setup.dtype == torch.bfloat16,
                device=setup.device,
            )

    def train(self, steps: int) -> float:
        """Take this number of optimizer steps; returns optimizer steps/s."""
        stamps: list[float] = []

        def stop() -> bool:  # called once in every step
            if len(stamps) in (0, steps):
                synchronize()
            stamps.append(time.perf_counter())
            return len(stamps) > steps

        with self.run_dir:
            outcome = self.trainer.run(_Silent(), save_every=math.inf, stop=stop)
        if outcome != "interrupted":
            raise TrmsolveError(f"the training that is measured {outcome}", "measure another checkpoint")
        return steps / (stamps[steps] - stamps[0])

    def flops(self) -> int:
        """FLOP of the forward and backward passes of one optimizer step, on the current batch."""
        trainer = self.trainer

        def passes() -> None:
            for carry in trainer.batch.micro_batches:
                trainer.supervision(carry, trainer.batch.normalizer).total.backward()

        flops = count_flops(passes)
        trainer.model.zero_grad()
        return flops


class _Silent:
    """A progress reporter that reports nothing."""

    def update(self, metrics: dict[str, Any]) -> None: ...
    def evaluated(self, metrics: dict[str, Any]) -> None: ...
    def saved(self, path: Any, step: int) -> None: ...
    def message(self, text: str) -> None: ...
