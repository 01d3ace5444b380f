"""Small networks with random weights, questions for them, and the readouts of every step."""

from __future__ import annotations

import functools

import numpy as np
import torch

from trmsolve.inference.batch import ContinuousBatch, Rollout
from trmsolve.model.config import TRMConfig
from trmsolve.model.inputs import Encoded
from trmsolve.model.packing import pack
from trmsolve.model.sequence_model import official
from trmsolve.model.trm import TRM
from trmsolve.tasks import get
from trmsolve.tasks.maze.encode import encode as encode_maze
from trmsolve.tasks.maze.generate import generate as generate_maze
from trmsolve.tasks.sequence import SequenceFormat
from trmsolve.tasks.sudoku import TASK as SUDOKU
from trmsolve.tasks.sudoku.generate import generate as generate_sudoku

SMALL = {"hidden_size": 16, "intermediate_size": 32}
CONFIGS = {
    "units": TRMConfig.from_dict({**get("sudoku").model_defaults, **SMALL}),
    "grid": TRMConfig.from_dict({**get("maze").model_defaults, **SMALL}),
    "mlp": official("mlp", 11, 16, hidden_size=16, prefix_len=2, T=1, n=2),
    "attention": official("attention", 11, 16, hidden_size=16, prefix_len=2, num_puzzles=3, num_heads=2, T=1, n=2),
}
TOLERANCE = 1e-3  # of probabilities: other shapes sum in another order, and random weights amplify the difference

Readouts = dict[int, list[tuple[np.ndarray, np.ndarray, np.ndarray, float, float]]]


def network(mixer: str) -> TRM:
    torch.manual_seed(0)
    model = TRM(CONFIGS[mixer])
    torch.nn.init.normal_(model.q_head.weight)
    return model.eval()


@functools.cache
def questions(mixer: str, number: int = 14) -> list[Encoded]:
    rng = np.random.default_rng(0)
    if mixer == "units":
        return [SUDOKU.encode(generate_sudoku(5, i, (9, 4, 6)[i % 3])[0]) for i in range(number)]
    if mixer == "grid":
        return [encode_maze(generate_maze(5, i, (4 + i % 5, 9 - i % 4))[0]) for i in range(number)]
    sequences = SequenceFormat.of(CONFIGS[mixer])
    encoded = []
    for i in range(number):
        cells = rng.integers(1, 11, 16)
        open_cells = np.flatnonzero(rng.random(16) < 0.6)
        encoded.append(sequences.encode(cells, open_cells, 2, 9, i % max(1, sequences.num_puzzles)))
    return encoded


def rollouts(encoded: list[Encoded]) -> list[Rollout]:
    return [Rollout(e) for e in encoded]


@torch.inference_mode()
def step_alone(model: TRM, encoded: Encoded, steps: int) -> list[tuple[float, torch.Tensor]]:
    """The model's definition: halt_prob and flat logits after every step of one question by itself."""
    tokens, packed = pack([encoded])
    y, z = model.init_state(len(tokens), torch.float32)
    outputs = []
    for _ in range(steps):
        output = model(tokens, y, z, packed)
        y, z = output.y, output.z
        outputs.append((output.halt_logit.sigmoid().item(), output.logits))
    return outputs


def num_steps(i: int) -> int:
    """1 to 6: when roll_all() removes question i."""
    return 1 + 7 * i % 6


def roll_all(batch: ContinuousBatch, encoded: list[Encoded], batch_size: int = 5) -> Readouts:
    """Every readout of every question, by its number; each is removed after num_steps(i), then the next is added."""
    waiting = [Rollout(e) for i, e in enumerate(encoded)]
    number = {rollout: i for i, rollout in enumerate(waiting)}
    readouts: Readouts = {i: [] for i in number.values()}
    steps = 0
    while waiting or batch.running:
        while waiting and len(batch) < batch_size:
            batch.add([waiting.pop(0)])
        batch.step()
        done = set()
        for rollout in batch.running:
            if rollout.readout is not None:
                readouts[number[rollout]].append(tuple(rollout.readout))
                assert rollout.step == len(readouts[number[rollout]])
                if rollout.step == num_steps(number[rollout]):
                    done.add(rollout)
        batch.remove(done)
        steps += 1
        assert steps < 200
    assert batch.num_tokens == 0
    return readouts
