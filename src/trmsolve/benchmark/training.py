"""How fast the Trainer trains, beside the published way: the same model, data and batch, eagerly, with AdamW.

Both are the real Trainer on throw-away run folders, and take stretches of optimizer steps in turns. Saving a run is no
part of the time; drawing samples is.
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

from trmsolve.benchmark.figures import Figure, waited
from trmsolve.errors import TrmsolveError
from trmsolve.solving.flops import counted
from trmsolve.training.config import TrainConfig
from trmsolve.training.recipe import Recipe
from trmsolve.training.runfolder import RunFolder
from trmsolve.training.trainer import Trainer

WARM_UP = 5  # optimizer steps; the first ones compile, and once more when the size of the batch changes
# As the published recipes (recipes/): no Muon, one learning rate for all, gradients as they are, of one step each.
PUBLISHED = {"optimizer": "adamw", "lr": 1e-4, "decay": 1.0, "clip": 0.0, "window": 1}


@dataclass(frozen=True)
class Training:
    """One way to train."""

    name: str
    batch: int
    window: int  # supervision steps of an optimizer step
    steps: Figure  # optimizer steps/s
    flops: Figure  # FLOP/s of the matrix multiplies of forward and backward

    @property
    def supervised(self) -> Figure:
        """Supervision steps/s, summed over puzzles: the whole batch gets a window of them in every optimizer step."""
        s, each = self.steps, self.batch * self.window
        return Figure(s.median * each, s.low * each, s.high * each, s.n)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "batch": self.batch,
            "window": self.window,
            "optimizer_steps_per_second": self.steps.to_dict(),
            "supervision_steps_per_second": self.supervised.to_dict(),
            "flops_per_second": self.flops.to_dict(),
        }


def measure(
    recipe: Recipe,
    weights: dict[str, Tensor],
    device: torch.device,
    dtype: torch.dtype,
    compile: bool,
    steps: int,
    repeat: int,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[list[Training], Figure]:
    """Our way and the published one, and how many times as many supervision steps ours takes, turn by turn.

    steps: optimizer steps of a stretch. Raises TrmsolveError for data that cannot be used.
    """
    # Without an end, and at the whole depth: a step then is the same work for both.
    config = dataclasses.replace(recipe.train, steps=1 << 30, minutes=None, depths=())
    configs = {"ours": config, "published": dataclasses.replace(config, **PUBLISHED)}
    rates: dict[str, list[float]] = {name: [] for name in configs}
    with tempfile.TemporaryDirectory(prefix="trmsolve-bench-") as folder:
        runs = {
            name: _Run(config, recipe, weights, Path(folder) / name, device, dtype, compile and name == "ours")
            for name, config in configs.items()
        }
        for name, run in runs.items():
            say(f"training, {name}: warm-up")
            run.stretch(WARM_UP)
        for k in range(repeat):
            for name, run in runs.items():
                say(f"training, {name}: {k + 1} of {repeat}")
                rates[name].append(run.stretch(steps))
        cost = runs["published"].flops()
    window = {name: config.window for name, config in configs.items()}
    supervised = [[window[name] * rate for rate in of] for name, of in rates.items()]
    times = Figure.of([mine / theirs for mine, theirs in zip(*supervised, strict=True)])
    return [
        Training(name, config.batch, window[name], Figure.of(of), Figure.of([cost * rate for rate in each]))
        for (name, of), each in zip(rates.items(), supervised, strict=True)
    ], times


class _Run:
    """A Trainer that trains for so many steps whenever it is told to."""

    def __init__(
        self,
        config: TrainConfig,
        recipe: Recipe,
        weights: dict[str, Tensor],
        folder: Path,
        device: torch.device,
        dtype: torch.dtype,
        compile: bool,
    ) -> None:
        data = recipe.data()
        self.folder = RunFolder(folder)
        with self.folder:
            self.trainer = Trainer(
                config,
                recipe.fitted(data),
                data.draw,
                self.folder,
                weights=weights,
                compile=compile,
                autocast=dtype == torch.bfloat16,
                device=device,
            )

    def stretch(self, steps: int) -> float:
        """Optimizer steps/s."""
        stamps: list[float] = []

        def enough() -> bool:  # asked once in every step
            if len(stamps) in (0, steps):
                waited()
            stamps.append(time.perf_counter())
            return len(stamps) > steps

        with self.folder:
            outcome = self.trainer.run(Silent(), save_every=math.inf, stop=enough)
        if outcome != "interrupted":
            raise TrmsolveError(f"the training that is measured {outcome}", "measure another checkpoint")
        return steps / (stamps[steps] - stamps[0])

    def flops(self) -> int:
        """FLOP of the forward and backward passes of one optimizer step, on the batch as it is now."""
        trainer = self.trainer
        whole = trainer.batch.whole()

        def passes() -> None:
            for part in trainer.batch.parts:
                trainer.supervise(part, whole).total.backward()

        found = counted(passes)
        trainer.model.zero_grad()
        return found


class Silent:
    """Tells nobody how a run goes."""

    def update(self, metrics: dict[str, Any]) -> None: ...
    def evaluated(self, metrics: dict[str, Any]) -> None: ...
    def saved(self, path: Any, step: int) -> None: ...
    def message(self, text: str) -> None: ...
