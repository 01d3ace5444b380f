"""Measure the speed of training against a baseline with the same model, data and batch size, eager, with AdamW.

Both use the Trainer with temporary run folders, and are measured in turns. Includes drawing samples, but not saving.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trmsolve.benchmark.measure import Statistic, in_turns
from trmsolve.inference.flops import count_flops
from trmsolve.training.config import TrainConfig
from trmsolve.training.recipe import Recipe
from trmsolve.training.run_dir import RunDir
from trmsolve.training.trainer import Trainer

WARM_UP = 5  # optimizer steps; the first ones compile, and once more when the batch size changes
# As in the published recipes: no Muon, one learning rate for all, unclipped gradients of a single step.
PUBLISHED: dict[str, Any] = {"optimizer": "adamw", "lr": 1e-4, "weight_decay": 1.0, "grad_clip": 0.0, "bptt_steps": 1}


class TrainingSetup(NamedTuple):
    """The model and the data of the measurement."""

    recipe: Recipe
    weights: dict[str, Tensor]
    device: torch.device
    dtype: torch.dtype
    compile: bool  # of our configuration; the baseline is eager

    def trainer(self, config: TrainConfig, folder: Path, compile: bool = False) -> Trainer:
        """A run in this folder, at its start."""
        data, bf16 = self.recipe.data(), self.dtype == torch.bfloat16
        return Trainer(
            config,
            self.recipe.config_for(data),
            data.draw,
            RunDir(folder),
            weights=self.weights,
            compile=compile,
            autocast=bf16,
            device=self.device,
        )


def compare_training(
    setup: TrainingSetup, steps: int, repeat: int, show: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """The speeds of our configuration and of the baseline, and the ratio of their supervision steps/s, for JSON.

    steps: optimizer steps of a measurement. Raises TrmsolveError for data that cannot be used.
    """
    # Without a limit and at full depth, so that a step has the same cost for both.
    config = dataclasses.replace(setup.recipe.train, steps=1 << 30, minutes=None, depth_curriculum=())
    configs = {"ours": config, "published": dataclasses.replace(config, **PUBLISHED)}
    with tempfile.TemporaryDirectory(prefix="trmsolve-bench-") as folder:
        runs = {
            name: setup.trainer(config, Path(folder) / name, setup.compile and name == "ours")
            for name, config in configs.items()
        }
        for name, run in runs.items():
            show(f"training, {name}: warm-up")
            train(run, WARM_UP)
        functions = {f"training, {name}": partial(train, run, steps) for name, run in runs.items()}
        measured = in_turns(functions, repeat, show)
        flops = train_step_flops(runs["published"])  # of one supervision step of the batch
    ways, rates = [], []
    for name, config in configs.items():
        optimizer_steps = [steps / seconds for seconds, _ in measured[f"training, {name}"]]
        supervision_steps = [config.bptt_steps * rate for rate in optimizer_steps]  # of the batch
        rates.append(supervision_steps)
        ways.append(
            {
                "name": name,
                "batch": config.batch_size,
                "window": config.bptt_steps,
                "optimizer_steps_per_second": Statistic.of(optimizer_steps).to_dict(),
                # summed over the puzzles of the batch
                "supervision_steps_per_second": Statistic.of(
                    [config.batch_size * rate for rate in supervision_steps]
                ).to_dict(),
                "flops_per_second": Statistic.of([flops * rate for rate in supervision_steps]).to_dict(),
            }
        )
    ratio = Statistic.of([ours / other for ours, other in zip(*rates, strict=True)])
    return {"ways": ways, "ratio": ratio.to_dict()}


def train(trainer: Trainer, steps: int) -> None:
    """Take this number of optimizer steps."""
    with trainer.draw.running(trainer.batch.schedule.next_index):
        for _ in range(steps):
            trainer.train_step()


def train_step_flops(trainer: Trainer) -> int:
    """FLOP of the forward and backward passes of one optimizer step, on the current batch."""

    def passes() -> None:
        for carry in trainer.batch.micro_batches:
            trainer.supervision(carry, trainer.batch.normalizer).total.backward()

    flops = count_flops(passes)
    trainer.model.zero_grad()
    return flops
