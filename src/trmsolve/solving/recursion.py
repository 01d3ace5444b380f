"""The batch of runs: supervision steps for many questions at once, whatever their sizes; each leaves when done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trmsolve.model.layout import ROUND, pack
from trmsolve.model.readout import by_choice, flat
from trmsolve.model.trm import TRM
from trmsolve.tasks.base import Encoded


@dataclass(slots=True)
class Reading:
    """What the model says of one run after a step. U choices, O options, choice by choice."""

    chosen: np.ndarray  # int64 (U,) the likeliest option of each choice, as index into the run's options
    confidence: np.ndarray  # float32 (U,)
    probabilities: np.ndarray  # float32 (sum of sizes,) of every option within its choice
    halt: float  # probability that the whole answer is right
    solvable: float  # probability that the question has a solution


@dataclass(eq=False, slots=True)
class Run:
    """One question in the batch."""

    encoded: Encoded
    max_steps: int
    step: int = 0
    settled: int = 0  # steps since it last chose what it had never chosen before
    reading: Reading | None = None
    met: set[int] = field(default_factory=set)  # hashes of what it chose: a run may also rest by going in circles


class Recursion:
    """Runs come by `admit`, take a step together by `advance`, and go by `release`."""

    def __init__(self, model: TRM, dtype: torch.dtype) -> None:
        self.model, self.dtype = model, dtype
        self.device = next(model.parameters()).device
        self.runs: list[Run] = []
        self._states: list[tuple[Tensor, Tensor]] = []
        self._packed = False

    def __len__(self) -> int:
        return len(self.runs)

    @property
    def tokens(self) -> int:
        """L, of all runs."""
        return sum(len(run.encoded.x) for run in self.runs)

    def admit(self, runs: Iterable[Run]) -> None:
        """The runs take part from the next step on, from fresh states."""
        for run in runs:
            self.runs.append(run)
            self._states.append(self.model.start(len(run.encoded.x), self.dtype))
            self._packed = False

    def release(self, done: set[Run]) -> None:
        """These runs leave the batch."""
        if done:
            keep = [i for i, run in enumerate(self.runs) if run not in done]
            self.runs = [self.runs[i] for i in keep]
            self._states = [self._states[i] for i in keep]
            self._packed = False

    def _pack(self) -> None:
        tokens, layout = pack([run.encoded for run in self.runs], ROUND)
        self._tokens, self._layout = tokens.to(self.device), layout.to(self.device)
        self._y, self._z = (_with_rows(torch.cat(s), len(tokens)) for s in zip(*self._states, strict=True))
        self._packed = True

    @torch.inference_mode()
    def advance(self) -> None:
        """One supervision step of every run; each run's `reading` is replaced."""
        if not self._packed:
            self._pack()
        step = self.model(self._tokens, self._y, self._z, self._layout)
        self._y, self._z = step.y, step.z
        lengths = [len(run.encoded.x) for run in self.runs]
        y, z = (states[: self.tokens].split(lengths) for states in (step.y, step.z))
        self._states = list(zip(y, z, strict=True))
        made = by_choice(step.logits, self._layout).softmax(1)
        confidence, rank = (t.cpu().numpy() for t in made.max(1))
        probabilities = flat(made, self._layout).cpu().numpy()
        halt, solvable = step.halt.sigmoid().tolist(), step.solvable.sigmoid().tolist()
        choice, option = 0, 0
        for i, run in enumerate(self.runs):
            choices = slice(choice, choice + run.encoded.choices)
            options = slice(option, option + int(run.encoded.size.sum()))
            answer = run.encoded.first + rank[choices]
            key = hash(answer.tobytes())
            run.step, run.settled = run.step + 1, run.settled + 1 if key in run.met else 0
            run.met.add(key)
            run.reading = Reading(answer, confidence[choices], probabilities[options], halt[i], solvable[i])
            choice, option = choices.stop, options.stop


def _with_rows(t: Tensor, rows: int) -> Tensor:
    """The same with zero rows added below, (rows, D)."""
    return F.pad(t, (0, 0, 0, rows - len(t)))
