"""Training that is killed again and again, at random moments, ends with the very weights of one that was left alone."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from . import COMMAND, PATIENCE

STATE, CHECKPOINT = "state.safetensors", "sudoku.safetensors"


def arguments(run: Path, steps: int) -> list[str]:
    """Of a small training that saves after every step, so that it can be killed while it saves."""
    words = (
        "train --task sudoku --batch-size 4 --width 16 --no-compile --data generate:4x4 --threads 1 --save-minutes 0"
    )
    return [*words.split(), "--device", "cpu", "--steps", str(steps), "--run", str(run)]


@contextmanager
def training(run: Path, steps: int) -> Iterator[subprocess.Popen]:
    """A process that trains in this folder."""
    process = subprocess.Popen([*COMMAND, *arguments(run, steps)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def step_of(run: Path) -> int:
    """The step of the last save, 0 before the first one. Whatever was killed, the file must be whole."""
    if not (run / STATE).exists():
        return 0
    with safe_open(run / STATE, "pt") as file:
        return json.loads(file.metadata()["state"])["step"]


def killed(run: Path, steps: int, kills: int, seed: int = 0) -> list[int]:
    """Begin a run and kill it so many times, spread over its steps; returns the steps that were saved by then.

    Every fourth time it is killed at any moment since its start: while it imports, loads, or resumes.
    """
    rng, reached = random.Random(seed), []
    for kill in range(kills):
        with training(run, steps) as process:
            if kill % 4 == 3:
                time.sleep(rng.uniform(0, 4))
            else:
                reach(process, run, rng.randint(kill * steps // (kills + 1) + 1, (kill + 1) * steps // (kills + 1)))
                time.sleep(rng.uniform(0, 0.1))
            assert process.poll() is None, "it has ended too early to be killed"
            process.kill()
            process.wait()
        reached.append(step_of(run))
    return reached


def reach(process: subprocess.Popen, run: Path, step: int) -> None:
    """Wait until the run has saved this step."""
    end = time.monotonic() + PATIENCE
    while step_of(run) < step:
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < end, "the run does not go on"
        time.sleep(0.05)


def terminated(run: Path, steps: int, meanwhile: Callable[[], None] = lambda: None) -> tuple[int, str]:
    """Go on for a step or more, do something `meanwhile`, end it by SIGTERM. Its exit code, and what it has said."""
    with training(run, steps) as process:
        reach(process, run, step_of(run) + 1)
        process.send_signal(signal.SIGSTOP)  # so that it does not come to its end by itself
        meanwhile()
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        stderr = process.communicate(timeout=PATIENCE)[1].decode()
    return process.returncode, stderr


def finished(run: Path, steps: int) -> None:
    """Go on to the end."""
    done = subprocess.run([*COMMAND, *arguments(run, steps)], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


def differences(one: Path, other: Path) -> list[str]:
    """The tensors of two runs that are not the same bit for bit: weights, average, optimizers, states, checkpoint."""
    problems = []
    for name in (STATE, CHECKPOINT):
        ours, theirs = load_file(one / name), load_file(other / name)
        assert ours.keys() == theirs.keys()
        problems += [f"{name}: {key}" for key in ours if not torch.equal(ours[key], theirs[key])]
    return problems
