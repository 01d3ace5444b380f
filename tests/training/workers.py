"""The runs of test_distributed.py, in this process and in process groups."""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch._dynamo  # imported by the first step; here once for all processes

from networks import SUDOKU_MODEL
from training.runs import Recorder
from trmsolve import distributed
from trmsolve.distributed import ProcessGroup
from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.inputs import Encoded
from trmsolve.model.mixers.attention import SequenceEdges
from trmsolve.model.trm import TRM
from trmsolve.tasks.base import Sample
from trmsolve.training.config import TrainConfig
from trmsolve.training.run_dir import RunDir
from trmsolve.training.trainer import Trainer

STEPS, PART = 30, 13  # of a whole run, and of the first part of one that resumes
KINDS = ("sudoku", "table", "muon", "parts", "window")  # of runs

# Without the bias of the answer head: its gradient is 0 except for rounding, of which Adam makes full steps.
UNITS = TRMConfig(
    **SUDOKU_MODEL | {"hidden_size": 16, "intermediate_size": 32, "n": 2, "N_sup": 3, "answer_bias": False}
)
TABLE = TRMConfig(
    mixer="mlp",
    vocab_size=4,
    num_classes=4,
    seq_len=9,
    prefix_len=1,
    num_puzzles=5,
    hidden_size=8,
    intermediate_size=16,
    seq_intermediate_size=16,
    n=1,
    N_sup=3,
    halt_pooling="first",
    answer_bias=False,
)


@cache
def _sudoku():
    from trmsolve.tasks.sudoku import TASK

    return TASK.training_data(["generate:4x4"], 3, unsolvable_prob=0.2)


def sudoku(index: int) -> Sample:
    """Puzzles of 4x4, which have different numbers of tokens; some have no solution."""
    return _sudoku().draw(index)


def table(index: int) -> Sample:
    """A sample of one of five puzzles, each with a row of the table: eight cells, to be increased by 1 (mod 4)."""
    rng = np.random.default_rng(index)
    cells = rng.integers(4, size=8)
    x = np.concatenate([[4 + rng.integers(5)], cells])
    first = 4 * np.arange(1, 9)
    return Sample(Encoded(x, SequenceEdges(9), first, np.full(8, 4), np.arange(36)), (cells + 1) % 4)


def start(config: TRMConfig) -> dict[str, torch.Tensor]:
    """Weights with which about half of the puzzles halt at once."""
    torch.manual_seed(1)
    model = TRM(config)
    torch.nn.init.normal_(model.q_head.weight, std=0.2)
    torch.nn.init.zeros_(model.q_head.bias)
    return model.state_dict()


def train(
    folder: Path,
    kind: str = "sudoku",
    group: ProcessGroup | None = None,
    steps: int = STEPS,
    device: str = "cpu",
    compile: bool = False,
    **changes,
) -> Trainer:
    """A run of a tiny model in fp32; resumes the run in the folder, if any."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"batch_size": 7, "steps": STEPS, "warmup": 5, "seed": 3, "optimizer": "adamw", "lr": 1e-3}
    differs = {
        "muon": {"optimizer": "muon", "lr": 0.02},
        "parts": {"grad_accum_steps": 2},
        "window": {"bptt_steps": 2},
    }
    settings |= differs.get(kind, {})
    model, draw = (TABLE, table) if kind == "table" else (UNITS, sudoku)
    trainer = Trainer(
        TrainConfig(**settings | changes),
        model,
        draw,
        RunDir(folder),
        weights=start(model),
        autocast=False,
        device=device,
        compile=compile,
        group=group,
    )
    trainer.LOG_EVERY, trainer.LOG_SECONDS = 20, 1e9  # by steps alone, on a slow machine as well
    trainer.run(Recorder(), stop=lambda: trainer.step + 1 >= steps)
    return trainer


def scene(name: str, folder: Path, group: ProcessGroup) -> None:
    """The work of one process of a process group, by name."""
    if name == "equal":
        for kind in KINDS:
            train(folder / kind, kind, group)
        train(folder / "begun alone", group=group)
        train(folder / "begun together", group=group, steps=PART)
    elif name == "gpus":
        train(folder / name, group=group, device=f"cuda:{group.rank}")
    elif name == "too small a batch":
        train(folder, group=group, batch_size=1)
    elif name == "other settings":
        train(folder, group=group, lr=1e-3 * (1 + group.rank))
    else:
        _failing(name, folder, group)


def _failing(name: str, folder: Path, group: ProcessGroup) -> None:
    """A run in which process 1 fails after a while."""

    def draw(index: int) -> Sample:
        if group.rank == 1 and index > 20:
            if name == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if name == "halted":
                os.kill(os.getpid(), signal.SIGSTOP)
            raise TrmsolveError(f"no sample {index}")
        return sudoku(index)

    def measure(model: TRM) -> dict[str, float]:
        if max(trainer.batch.schedule.index[trainer.batch.own.stop :]) > 20:  # process 1 has failed
            time.sleep(1000)
        return {}

    trainer = Trainer(TrainConfig(batch_size=7, steps=1000), UNITS, draw, RunDir(folder), autocast=False, group=group)
    trainer.run(Recorder(), evaluate=measure, evaluate_every=0.0 if name == "busy" else 1e9)


def member(rank: int, size: int, port: int, folder: Path, name: str) -> None:
    """A process of a process group, as torchrun would start it."""
    sys.stderr = (folder / f"{name} {rank}.txt").open("w")
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    distributed.HEARTBEAT, distributed.GRACE = 0.2, 0.5
    if name == "halted":
        distributed.SILENCE = 2.0
    try:
        with ProcessGroup.joined(torch.device("cuda", rank) if name == "gpus" else torch.device("cpu")) as group:
            scene(name, folder, group)
    except TrmsolveError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
