"""What test_distributed.py trains, alone and in processes of its own."""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch._dynamo  # what the first step would import, here once for all processes

from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.trm import TRM
from trmsolve.tasks.base import Encoded, Places, Sample
from trmsolve.training import pulse
from trmsolve.training.config import TrainConfig
from trmsolve.training.distributed import Team
from trmsolve.training.runfolder import RunFolder
from trmsolve.training.trainer import Trainer

STEPS, PART = 30, 13  # of a whole run, and of one that is gone on with
KINDS = ("sudoku", "table", "muon", "parts", "window")  # of runs

# Without the answer's bias, whose gradient is 0 but for rounding: Adam makes steps of the full size of it.
UNITS = TRMConfig(width=16, hidden=32, n=2, N_sup=3, answer_bias=False)
TABLE = TRMConfig(
    mixer="mlp",
    vocabulary=4,
    options=4,
    length=9,
    prefix=1,
    puzzles=5,
    width=8,
    hidden=16,
    place_hidden=16,
    n=1,
    N_sup=3,
    halt_reads="first",
    answer_bias=False,
)


class Silent:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.updates = []

    def update(self, metrics):
        self.updates.append(metrics)

    def evaluated(self, metrics):
        pass

    def message(self, text):
        pass

    def saved(self, path, step):
        pass


@cache
def _sudoku():
    from trmsolve.tasks.sudoku import TASK

    return TASK.data(["generate:4x4"], 3, wrong=0.2)


def sudoku(index: int) -> Sample:
    """Puzzles of 4x4, which have different numbers of tokens; some have no solution."""
    return _sudoku().draw(index)


def table(index: int) -> Sample:
    """One of five tasks, each with a row of its own: eight cells, each of which is to become the next in order."""
    rng = np.random.default_rng(index)
    cells = rng.integers(4, size=8)
    x = np.concatenate([[4 + rng.integers(5)], cells])
    first = 4 * np.arange(1, 9)
    return Sample(Encoded(x, Places(9), first, np.full(8, 4), np.arange(36)), (cells + 1) % 4)


def start(config: TRMConfig) -> dict[str, torch.Tensor]:
    """Weights whose heads let about half of the puzzles go at once."""
    torch.manual_seed(1)
    made = TRM(config)
    torch.nn.init.normal_(made.q_head.weight, std=0.2)
    torch.nn.init.zeros_(made.q_head.bias)
    return made.state_dict()


def train(
    folder: Path,
    kind: str = "sudoku",
    team: Team | None = None,
    steps: int = STEPS,
    device: str = "cpu",
    compile: bool = False,
    **changes,
) -> Trainer:
    """A run of a tiny model in fp32, gone on with where the folder holds one."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"batch": 7, "steps": STEPS, "warmup": 5, "seed": 3, "optimizer": "adamw", "lr": 1e-3}
    differs = {"muon": {"optimizer": "muon", "lr": 0.02}, "parts": {"accumulate": 2}, "window": {"window": 2}}
    settings |= differs.get(kind, {})
    model, draw = (TABLE, table) if kind == "table" else (UNITS, sudoku)
    made = Trainer(
        TrainConfig(**settings | changes),
        model,
        draw,
        RunFolder(folder),
        weights=start(model),
        autocast=False,
        device=device,
        compile=compile,
        team=team,
    )
    made.LOG_EVERY = 20
    made.run(Silent(), stop=lambda: made.step + 1 >= steps)
    return made


def scene(name: str, folder: Path, team: Team) -> None:
    """What a process of a team is started for."""
    if name == "equal":
        for kind in KINDS:
            train(folder / kind, kind, team)
        train(folder / "begun alone", team=team)
        train(folder / "begun together", team=team, steps=PART)
    elif name == "gpus":
        train(folder / name, team=team, device=f"cuda:{team.rank}")
    elif name == "too small a batch":
        train(folder, team=team, batch=1)
    elif name == "other settings":
        train(folder, team=team, lr=1e-3 * (1 + team.rank))
    else:
        _failing(name, folder, team)


def _failing(name: str, folder: Path, team: Team) -> None:
    """A run in which process 1 cannot go on after a while."""

    def draw(index: int) -> Sample:
        if team.rank == 1 and index > 20:
            if name == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if name == "halted":
                os.kill(os.getpid(), signal.SIGSTOP)
            raise TrmsolveError(f"no sample {index}")
        return sudoku(index)

    def measure(model: TRM) -> dict[str, float]:
        if max(made.batch.book.index[made.batch.own.stop :]) > 20:  # process 1 has come to its end
            time.sleep(1000)
        return {}

    made = Trainer(TrainConfig(batch=7, steps=1000), UNITS, draw, RunFolder(folder), autocast=False, team=team)
    made.run(Silent(), evaluate=measure, evaluate_every=0.0 if name == "busy" else 1e9)


def member(rank: int, size: int, port: int, folder: Path, name: str) -> None:
    """A process of a team, as torchrun would start it."""
    sys.stderr = (folder / f"{name} {rank}.txt").open("w")
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    pulse.EVERY, pulse.GRACE = 0.2, 0.5
    if name == "halted":
        pulse.SILENT = 2.0
    try:
        with Team.joined(torch.device("cuda", rank) if name == "gpus" else torch.device("cpu")) as team:
            scene(name, folder, team)
    except TrmsolveError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
