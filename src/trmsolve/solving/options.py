"""How to solve, what comes of it, and what can be watched on the way."""

from __future__ import annotations

from dataclasses import dataclass

from trmsolve.tasks.base import BadPuzzle, Guess, Puzzle

GIVE_UP_FROM = 2  # steps; with 3 puzzles take about as many in all (docs/records.md)
SURER = 0.01  # so much a step at least do they become (mean confidence; measured on puzzles of extreme_train)


@dataclass(frozen=True)
class SolveOptions:
    """The solver's settings; the defaults are those of the command line."""

    max_steps: int | None = None  # supervision steps of the plain recursion at most; None: as many as the task needs
    restarts: int = (
        1024  # further runs of an unsolved puzzle at most, under assumptions or in other views; 0: the plain recursion
    )
    restart_steps: int = 8  # steps of a further run at most
    inherit: float = 1.0  # share of its parent's states that a branch begins with (tree.py); 0: fresh ones
    # The plain recursion ends when from step GIVE_UP_FROM on its mean confidence is below a bar, which begins at this
    # and rises by SURER a step. 0: never. None: as the way of restarting knows best.
    give_up: float | None = None
    promise: float = 0.0  # no restarts where it ended with less confidence: for streams in which some may stay open
    patience: int = 2  # a further run ends when its answer has not changed for so many steps
    width: int = 2  # further runs that a puzzle has in the batch at one time
    batch_size: int | None = None  # runs in the batch; None: as the device likes it. Answers do not depend on it
    seed: int = 0
    verify: bool = True  # False: a run ends when the halting head says so, and its answer is not judged


@dataclass(frozen=True, slots=True)
class StepEvent:
    """One supervision step of one run of one puzzle, for those who watch."""

    puzzle: Puzzle
    guess: Guess
    step: int  # k, from 1 within its run
    max_steps: int
    run: int  # 0: the plain recursion
    halt_probability: float
    solved: bool  # the answer passes the rules
    how: str  # what tells this run from the first: "assuming r3c5=7 r1c1=2", "turned 90 degrees", or ""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one record of the input."""

    puzzle: Puzzle | BadPuzzle
    guess: Guess | None = None  # the answer, or the best grid of an unsolved puzzle; None for a bad one
    solved: bool = False  # the answer passes the rules
    halted: bool = False  # it was taken for an answer: by the rules, or without them by the halting head
    steps: int = 0  # supervision steps of all runs, the answer's own last
    restarts: int = 0  # runs after the first
    halt_probability: float = 0.0
    seconds: float = 0.0  # from admission to the answer
    error: str = ""

    @property
    def verified(self) -> bool:
        """Nothing is called solved that the rules have not accepted; records hold both words."""
        return self.solved

    @property
    def plain(self) -> bool:
        """Solved by the plain recursion, without restarts."""
        return self.solved and self.restarts == 0
