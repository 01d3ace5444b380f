"""Small training runs: what several tests start, and what they compare."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from networks import SUDOKU_MODEL
from trmsolve.model.config import TRMConfig
from trmsolve.tasks.sudoku import TASK
from trmsolve.training.config import TrainConfig
from trmsolve.training.run_dir import RunDir
from trmsolve.training.trainer import Trainer

TINY = TRMConfig(**SUDOKU_MODEL | {"hidden_size": 16, "intermediate_size": 32, "n": 2, "N_sup": 4})


class Recorder:
    """A Reporter that records everything."""

    def __init__(self) -> None:
        self.updates, self.evaluations, self.messages, self.saves = [], [], [], 0

    def update(self, metrics):
        self.updates.append(metrics)

    def evaluated(self, metrics):
        self.evaluations.append(metrics)

    def saved(self, path, step):
        self.saves += 1

    def message(self, text):
        self.messages.append(text)


def make_trainer(folder: RunDir, steps: int, data=None, autocast: bool = True, **changes) -> Trainer:
    config = TrainConfig(**{"batch_size": 8, "steps": steps, "seed": 3, "warmup": 5} | changes)
    data = data or TASK.training_data(["generate:4x4"], 3)
    return Trainer(config, TINY, data.draw, folder, autocast=autocast)


def all_weights(session: Trainer) -> dict[str, torch.Tensor]:
    """The weights, their average and the state of the optimizers."""
    state = {f"model.{k}": v for k, v in session.model.state_dict().items()}
    state |= {f"ema.{k}": v for k, v in session.ema.model.state_dict().items()}
    return state | {f"optimizer.{k}": v for k, v in session.optimizers.state().items()}


def arc_file(path: Path, number: int = 3) -> Path:
    """A file of ARC tasks, each with two demonstrations and a test, whose outputs equal their inputs."""
    pairs = [{"input": [[k, 0]], "output": [[k, 0]]} for k in (1, 2, 3)]
    path.write_text(json.dumps({f"{path.stem}{i}": {"train": pairs[:2], "test": pairs[2:]} for i in range(number)}))
    return path
