"""What happens to one puzzle: the plain recursion first, then restarts until one is right or there is nothing to try.

What a restart is depends on the task: an assumption taken as given (tree.py) or another side of the puzzle (views.py).
The rules accept an answer, or reject a question; they never choose.

All that happens here depends on this puzzle alone, so that answers do not depend on the batch: the runs of a round
start together, and the next round is chosen when all of them have ended.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from trmsolve.solving.attempt import Attempt, Restarts
from trmsolve.solving.options import GIVE_UP_FROM, SURER, Result, SolveOptions, StepEvent
from trmsolve.solving.recursion import Reading, Run
from trmsolve.solving.tree import Tree
from trmsolve.solving.views import Views
from trmsolve.tasks.base import Guess, Puzzle, Task


@dataclass(eq=False)
class Search:
    """The state of one puzzle on its way to an answer. `runs` are in the batch now."""

    task: Task
    puzzle: Puzzle
    options: SolveOptions
    index: int  # place in the input
    watched: bool = False  # whether anybody wants to know of every step
    started: float = field(default_factory=time.monotonic)
    steps: int = 0
    started_runs: int = 0
    best: tuple[Guess, float] | None = None  # most promising failed answer, for reports
    answer: tuple[Guess, float] | None = None
    verified: bool = False
    shown: StepEvent | None = None  # the last step of the run to watch: the first open one, or the one that solved

    def __post_init__(self) -> None:
        self.round: list[Attempt] = []
        self.promising = True
        question = self.puzzle.question
        self.attempts: Restarts = (Views if self.task.views else Tree)(self.task, question)
        root = self.attempts.root
        if root is not None and not root.encoded.choices:  # every cell is given
            guess = self.task.decode(question, np.zeros(0, np.int64), np.zeros(0, np.float32))
            self.best = (guess, 1.0)
            if self.task.solved(question, guess.answer):
                self.answer, self.verified = self.best, True
        elif root is not None:
            self._start([root])

    # -- rounds -------------------------------------------------------------------------------------------------
    @property
    def runs(self) -> list[Run]:
        """Runs of this round that have not ended."""
        return [attempt.run for attempt in self.round if attempt.run is not None]

    @property
    def fresh(self) -> bool:
        """Whether this round's runs have yet to enter the batch."""
        return bool(self.runs) and not self.runs[0].here

    def _start(self, attempts: list[Attempt]) -> None:
        self.round = attempts
        self.started_runs += len(attempts)
        for attempt in attempts:
            steps, heritage = (of(attempt, self.options) for of in (self.attempts.steps, self.attempts.heritage))
            attempt.run = Run(attempt.encoded, steps, heritage)

    @property
    def finished(self) -> bool:
        """True when there is an answer or nothing left to try."""
        return self.answer is not None or not self.round

    @property
    def restarts(self) -> int:
        """Runs beyond the plain recursion."""
        return max(0, self.started_runs - 1)

    def observe(self) -> set[Run]:
        """After a step of the batch: judge every run. Returns the runs that have ended."""
        ended: set[Run] = set()
        self.shown = None
        question = self.puzzle.question
        for attempt in self.round:
            if attempt.run is None or attempt.run.reading is None:  # ended, or nothing new is known
                continue
            run, reading = attempt.run, attempt.run.reading
            self.steps += 1
            meanings = attempt.encoded.meanings[reading.chosen]
            guess = self.task.decode(attempt.question, meanings, reading.confidence)
            guess = self.attempts.restored(attempt, guess)
            right = self.task.solved(question, guess.answer)
            if self.watched and self.shown is None:
                self.shown = self._event(attempt, guess, right)
            if (right if self.options.verify else reading.halt > 0.5) and self.answer is None:
                self.answer, self.verified = (guess, reading.halt), right
                self.shown = self._event(attempt, guess, right) if self.watched else None
            if self.best is None or reading.halt > self.best[1]:
                self.best = (guess, reading.halt)
            if run.step >= run.max_steps or (self.options.verify and self._hopeless(attempt)):
                if attempt is self.attempts.root:
                    self.promising = _sure(reading) >= self.options.promise
                self.attempts.failed(attempt, reading)
                ended.add(run)
        if self.answer is not None:
            ended |= set(self.runs)
            self.round = []
        elif not self.runs:
            number = min(self.options.width, self.options.restarts - self.restarts)
            self._start(self.attempts.next(number) if self.promising else [])
        return ended

    def _hopeless(self, attempt: Attempt) -> bool:
        return self._unsure(attempt) or self.attempts.hopeless(attempt, self.options)

    def _unsure(self, attempt: Attempt) -> bool:
        run, bar = attempt.run, self.options.give_up
        if bar is None:
            bar = self.attempts.give_up if self.options.restarts else 0.0
        if not bar or run.step < GIVE_UP_FROM or attempt is not self.attempts.root:
            return False
        return _sure(run.reading) < bar + SURER * (run.step - GIVE_UP_FROM)

    def _event(self, attempt: Attempt, guess: Guess, right: bool) -> StepEvent:
        run = attempt.run
        return StepEvent(
            puzzle=self.puzzle,
            guess=guess,
            step=run.step,
            max_steps=run.max_steps,
            run=0 if attempt is self.attempts.root else self.restarts,
            halt_probability=run.reading.halt,
            solved=right,
            how=self.attempts.name(attempt),
        )

    def result(self) -> Result:
        """The outcome, once finished."""
        guess, halt = self.answer or self.best or (None, 0.0)
        return Result(
            self.puzzle,
            guess,
            solved=self.verified,
            halted=self.answer is not None,
            steps=self.steps,
            restarts=self.restarts,
            halt_probability=halt,
            seconds=time.monotonic() - self.started,
        )


def _sure(reading: Reading) -> float:
    """The mean confidence of its choices."""
    return float(reading.confidence.mean())
