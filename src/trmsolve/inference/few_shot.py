"""Options, events, results and budget of solving few-shot tasks by test-time training; without torch."""

from __future__ import annotations

import math
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.base import InvalidPuzzle, Prediction
from trmsolve.tasks.few_shot import FewShotTask, Grid, score

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class AdaptOptions:
    """Settings; the defaults are those of the command line. Raises TrmsolveError for values out of range.

    With `steps` and without `budget`, answers depend only on the seed, the checkpoint and the machine.
    """

    budget: float | None = 60.0  # maximum seconds per task; None: as long as the steps take
    steps: int | None = None  # maximum optimizer steps per task; None: as many as the budget allows
    votes: int = 16  # augmentations under which each test is answered: 8 symmetries, then colour permutations too
    max_steps: int = 16  # supervision steps of an answer
    tasks_per_batch: int = 1  # tasks in a batch; they share one network and add up their budgets
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "votes", "max_steps", "tasks_per_batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise TrmsolveError(f"{name}: found {value}, expected at least 1")
        if self.budget is None and self.steps is None:
            raise TrmsolveError("neither budget nor steps are given: adapting would never end", "add --budget 60s")
        if self.budget is not None and not self.budget > 0:
            raise TrmsolveError(f"budget: found {self.budget}, expected more than 0 seconds")

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values, with the names that reports and result files have had since version 0.1."""
        return {("together" if name == "tasks_per_batch" else name): value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Schedule:
    """The schedule of test-time training; values chosen on tasks held out of training (docs/records.md)."""

    embedding: float = 0.2  # share of all steps in which only the tasks' rows are trained
    holdout_release: float = 0.6  # share after which the held-out demonstrations join the training data
    final_share: float = 0.15  # share of all steps that is still taken once the rule is found
    lr: float = 0.02  # of the matrices (Muon)
    row_lr: float = 0.02  # of the rows (sign-SGD)
    stable_frac: float = 0.5  # share of the steps at the full rates, before they decay
    lr_floor: float = 0.05  # minimum factor of the rates
    dropout: float = 0.2  # of what each layer returns, so that demonstrations are not memorised
    tokens: int = 1200  # approximate tokens of a batch
    check_every: int = 25  # steps between two checks of the held-out demonstrations
    found_accuracy: float = 0.75  # the rule counts as found once they are correct under this share of augmentations
    check_steps: int = 8  # supervision steps of a check
    check_augmentations: int = 8
    vote_floor: float = 0.1  # weight of a vote, of 1, if its augmentations never predicted the held-out demonstration
    demonstration_augmentations: int = 4  # augmentations under which the demonstrations are queried at the end


@dataclass(frozen=True, slots=True)
class AdaptEvent:
    """Progress of adapting, about every half second."""

    tasks: tuple[FewShotTask, ...]  # that share the batch
    phase: str  # "embedding": only the tasks' rows of the puzzle table are trained; "everything": all parameters
    step: int  # optimizer steps so far
    seconds: float  # since adapting began
    progress: float  # share of the budget or the steps that is used up, 0 .. 1
    loss: float  # moving average of the cross-entropy per cell
    accuracy: float  # share of recent training samples that were predicted exactly, 0 .. 1
    holdout_accuracy: float | None  # likewise for demonstrations that are not trained on yet; None without any


@dataclass(frozen=True, slots=True)
class RefineEvent:
    """One supervision step of one test under the identity augmentation."""

    task: FewShotTask
    test: int  # index of the test, from 0
    step: int  # k, from 1
    max_steps: int
    prediction: Prediction
    halt_prob: float


@dataclass(frozen=True, slots=True)
class RankedAnswer:
    """One grid that augmentations predict for a test, or their consensus."""

    grid: Grid
    votes: int  # augmentations that predict this grid; the consensus may have none
    confidence: float  # share of these votes in the weight of all, 0 .. 1


@dataclass(frozen=True, slots=True)
class FewShotResult:
    """The outcome for one record of the input."""

    task: FewShotTask | InvalidPuzzle
    ranked: tuple[tuple[RankedAnswer, ...], ...] = ()  # for each test all answers, the best first
    num_augmentations: int = 0  # votes on each test
    reproduced: float = 0.0  # share of the augmented demonstrations that are predicted exactly at the end
    holdout_accuracy: float | None = None  # likewise for the held-out demonstrations, before they were trained on
    steps: int = 0  # optimizer steps
    seconds: float = 0.0  # of the batch that the task was in, divided by the number of its tasks
    memory: int = 0  # bytes, the peak of the process (of the device on a GPU)
    error: str = ""

    def __repr__(self) -> str:
        name = getattr(self.task, "name", "") or self.task.source
        state = {True: "solved", False: "not solved", None: "answered"}[self.solved]
        return f"<FewShotResult {name}: {self.error or f'{state} after {self.steps} optimizer steps'}>"

    @property
    def attempts(self) -> list[list[Grid]]:
        """The two best grids for each test."""
        return [[answer.grid for answer in answers[:2]] for answers in self.ranked]

    @property
    def fits(self) -> bool:
        """Whether most augmented demonstrations are reproduced, which can be checked without the answers."""
        return self.reproduced > 0.5

    @property
    def solved(self) -> bool | None:
        """Whether one of two attempts is correct for every test; None if the answers are unknown."""
        if isinstance(self.task, InvalidPuzzle) or self.task.answers is None:
            return None
        return score(self.task, self.attempts).rate == 1


# -- time and memory: measured during a run, so that a time budget can be met ---------------------------------------
TRAIN_COST = 3.0  # time of a training step in supervision steps without gradient, an estimate until both are measured


class Pace:
    """Moving averages of seconds per token; 0 until measured."""

    def __init__(self) -> None:
        self.step = 0.0  # of a supervision step without gradient
        self.setup = 0.0  # of encoding and packing a query
        self.setup_measured = False
        self._from_steps = False  # `step` is from supervision steps of a large batch, not from training steps

    def add_training_step(self, seconds: float, num_tokens: int, number: int) -> None:
        """Record the time of training step `number`, from 1. The first one loads libraries, and is ignored."""
        if number > 1 and not self._from_steps:
            pace = seconds / (TRAIN_COST * num_tokens)
            self.step += (pace - self.step) / min(number - 1, 20)

    def add_setup(self, seconds: float, num_tokens: int) -> None:
        """Record the time of encoding a batch and of its first step, which packs it."""
        if num_tokens:
            self.setup, self.setup_measured = max(0.0, seconds / num_tokens - self.step), True

    def add_step(self, seconds: float, num_tokens: int, is_large: bool) -> None:
        """Record the time of a supervision step. Small batches, slower per token, count only until a large one ran."""
        if is_large or not self.step:
            pace = seconds / num_tokens
            self.step += (pace - self.step) * (0.2 if self._from_steps else 1.0)
            self._from_steps = is_large

    def training_seconds(self, num_tokens: int) -> float:
        """The estimated time of a training step."""
        return TRAIN_COST * self.step * num_tokens

    def answer_seconds(self, num_tokens: int, steps: int) -> float:
        """The estimated time of `steps` supervision steps, including setup."""
        return num_tokens * (self.setup + steps * self.step)

    def tokens_in(self, seconds: float, steps: int) -> float:
        """The number of tokens for which all steps fit into this time; infinite until measured."""
        per_token = self.answer_seconds(1, steps)
        return max(0.0, seconds) / per_token if self.step else math.inf


def peak_memory(device: torch.device) -> int:
    """The peak in bytes: on a GPU of the device's memory in use, elsewhere of the process; 0 if unknown."""
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
