"""Options of the solver, and the records that it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.base import InvalidPuzzle, Prediction, Puzzle


@dataclass(frozen=True)
class SolveOptions:
    """Settings of one call of the solver; the defaults are those of the command line."""

    max_steps: int | None = None  # maximum supervision steps of the first run; None: the task's own maximum
    restarts: int = 1024  # maximum runs of a puzzle after the first one; 0: the first run only
    restart_steps: int = 8  # maximum supervision steps of a branch
    confidence_floor: float | None = None  # for the first run (search.py); None: the task's, without restarts 0
    restart_confidence: float = 0.0  # do not restart a puzzle whose first run ended with a lower mean confidence
    in_flight: int = 2  # restarts of one puzzle that are in the batch at the same time
    batch_size: int | None = None  # rollouts in the batch; None: by device. Answers do not depend on it
    seed: int = 0
    verify: bool = True  # False: a run ends when the halting head predicts a correct answer; rules are not applied
    check_unique: bool = False  # after a solution, continue the search for a second one


class View(Protocol):
    """Draws the steps and the results of one task (render/notebook.py); the Python API sets it."""

    def html(self, item: StepEvent | Result) -> str:
        """A picture for a notebook."""

    def show(self, item: StepEvent | Result) -> None:
        """Show the picture: in a notebook below the cell, elsewhere on stdout."""


@dataclass(frozen=True, slots=True)
class StepEvent:
    """One supervision step of one run of one puzzle, for live display."""

    puzzle: Puzzle
    prediction: Prediction
    step: int  # within the run, from 1
    max_steps: int
    run: int  # 0: the first run
    halt_prob: float
    solved: bool  # the answer passes the rules
    description: str  # how the run differs from the first: "assuming r3c5=7 r1c1=2", "turned 90 degrees", or ""
    view: View | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return f"<StepEvent {self.puzzle.source or 'puzzle'}: {self.summary}>"

    @property
    def summary(self) -> str:
        """The step in words."""
        run = f" of restart {self.run}" if self.run else ""
        text = f"step {self.step} of at most {self.max_steps}{run}, halting probability {self.halt_prob:.0%}"
        return f"{text}, solved" if self.solved else text

    def _repr_html_(self) -> str | None:
        """The picture in a notebook."""
        return None if self.view is None else self.view.html(self)

    def show(self) -> None:
        """Show the grid after this step: in a notebook below the cell, elsewhere on stdout."""
        _show(self)


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome for one record of the input."""

    puzzle: Puzzle | InvalidPuzzle
    prediction: Prediction | None = None  # the answer, or the best grid of an unsolved puzzle; None if invalid
    solved: bool = False  # the answer passes the rules
    halted: bool = False  # accepted as the answer: by the rules or, with verify=False, by the halting head
    steps: int = 0  # supervision steps of all runs, including the answer's own
    restarts: int = 0  # runs after the first
    halt_prob: float = 0.0
    seconds: float = 0.0  # from admission to the answer
    error: str = ""  # the record is invalid, or the model does not support this puzzle
    reason: str = ""  # why a valid puzzle has no answer, if known: "no solution exists: ..."
    unique: bool | None = None  # with check_unique: True: the search proved it; False: see second_solution
    second_solution: Prediction | None = None
    unchecked: bool = False  # the task has no rules, so that no answer can be checked
    view: View | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return f"<Result {self.puzzle.source or 'puzzle'}: {self.summary}>"

    @property
    def summary(self) -> str:
        """The outcome in words."""
        if self.error:
            return self.error
        state = "solved in" if self.solved else "answered, not checked, after" if self.answered else "not solved after"
        restarts = f" and {self.restarts} restart{'s'[: self.restarts != 1]}" if self.restarts else ""
        reason = f": {self.reason}" if self.reason else ""
        return f"{state} {self.steps} step{'s'[: self.steps != 1]}{restarts}{reason}"

    def _repr_html_(self) -> str | None:
        """The picture in a notebook; of a watched run, with a slider for its steps."""
        return None if self.view is None else self.view.html(self)

    def show(self) -> None:
        """Show the answer, or the best grid of an unsolved puzzle: below a notebook's cell, elsewhere on stdout."""
        _show(self)

    @property
    def uniqueness(self) -> str:
        """One clause about the number of solutions; "" for an unsolved puzzle, and without check_unique."""
        if self.unique is None:
            return ""
        return "this is the only solution" if self.unique else "several solutions; this is one"

    @property
    def verified(self) -> bool:
        """Equal to `solved`: only answers that the rules accept are reported as solved."""
        return self.solved

    @property
    def answered(self) -> bool:
        """There is an answer to show: a solved puzzle's, or the halting head's where the task has no rules."""
        return self.solved or (self.halted and self.unchecked)

    @property
    def single_pass(self) -> bool:
        """Solved by the first run, without restarts."""
        return self.solved and self.restarts == 0


def _show(item: StepEvent | Result) -> None:
    if item.view is None:
        raise TrmsolveError(f"{item} has no picture: it is not from trmsolve.load(...)", "Model.solve or Model.watch")
    item.view.show(item)
