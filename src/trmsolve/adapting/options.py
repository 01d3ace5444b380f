"""How to adapt to a task, what comes of it, and what can be watched on the way. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.arc.grids import ArcTask, Grid
from trmsolve.tasks.base import BadPuzzle, Guess


@dataclass(frozen=True)
class AdaptOptions:
    """The settings; the defaults are those of the command line. Raises TrmsolveError for those that make no sense.

    With `steps` and without `budget`, answers depend on nothing but the seed, the checkpoint and the machine.
    """

    budget: float | None = 60.0  # seconds for a task at most; None: as long as the steps take
    steps: int | None = None  # optimizer steps for a task at most; None: as many as the budget allows
    votes: int = 16  # views that a test is answered from: 8 sides, then other colours
    max_steps: int = 16  # supervision steps of an answer
    together: int = 1  # tasks that share a batch, their budgets and one network
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("votes", 1), ("max_steps", 1), ("together", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise TrmsolveError(f"{name}: at least {least} needed, found {value}")
        if self.budget is None and self.steps is None:
            raise TrmsolveError("neither budget nor steps: adapting would never end", "for example --budget 60s")
        if self.budget is not None and not self.budget > 0:
            raise TrmsolveError(f"budget: more than 0 seconds needed, found {self.budget}")


@dataclass(frozen=True, slots=True)
class Adapting:
    """How adapting goes, now and then, for those who watch."""

    tasks: tuple[ArcTask, ...]  # that share the batch
    phase: str  # "embedding": only the task's rows learn; "everything": all does
    step: int  # optimizer steps so far
    seconds: float  # since adapting began
    share: float  # of the budget or the steps that is used up, 0 .. 1
    loss: float  # a running mean of the cross-entropy per cell
    right: float  # share of the demonstrations' views drawn whole and right lately, 0 .. 1
    left_out: float | None  # the same for the demonstrations that are not trained on yet; None where there are none


@dataclass(frozen=True, slots=True)
class Refining:
    """One supervision step of one test seen as it stands, for those who watch."""

    task: ArcTask
    test: int  # which of its tests, from 0
    step: int  # k, from 1
    max_steps: int
    guess: Guess  # the grid so far and its confidence
    halt_probability: float


@dataclass(frozen=True, slots=True)
class Vote:
    """One grid that views answer to a test, or that they draw together (votes.py)."""

    grid: Grid
    votes: int  # views that answered so; may be none for the grid drawn together
    confidence: float  # these votes' share of all, each weighed by the halting head; 0 .. 1


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What became of one record of the input."""

    task: ArcTask | BadPuzzle
    ranked: tuple[tuple[Vote, ...], ...] = ()  # for each test the grids that got votes, the best first
    views: int = 0  # votes on each test in all
    reproduced: float = 0.0  # share of the demonstrations' views that are drawn whole and right in the end
    left_out: float | None = None  # the same for the demonstrations left out, before they were trained on
    steps: int = 0  # optimizer steps
    seconds: float = 0.0  # of the batch that the task was in, divided by the tasks in it
    memory: int = 0  # bytes, the process's peak (on a GPU the device's)
    error: str = ""

    @property
    def attempts(self) -> list[list[Grid]]:
        """The two best grids for each test."""
        return [[vote.grid for vote in votes[:2]] for votes in self.ranked]

    @property
    def fits(self) -> bool:
        """Whether the demonstrations are reproduced in most views: all that can be checked without answers."""
        return self.reproduced > 0.5

    @property
    def solved(self) -> bool | None:
        """Whether one of two attempts is right for every test; None where the answers are not known."""
        from trmsolve.tasks.arc.score import score

        if isinstance(self.task, BadPuzzle) or self.task.answers is None:
            return None
        return score(self.task, self.attempts).rate == 1
