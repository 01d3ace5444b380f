"""What happens to one puzzle: the plain recursion first, then runs under assumptions, the likeliest branch first.

A run that fails leaves what the model thought of every choice at its end. The choice it left most evenly between two
tokens is taken as given with each of its tokens (tree.py); every branch is a smaller question, run from a fresh state.
The model alone orders the branches: how likely it found the token, and whether it believes at the end of a branch that
the branch still has a solution. The rules accept an answer, or reject a branch that leaves a cell or unit nothing; they
never choose.

All that happens here depends on this puzzle alone, so that answers do not depend on the batch: the runs of a round
start together, and the next round is chosen when all of them have ended.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from trmsolve.solving.options import Result, SolveOptions, StepEvent
from trmsolve.solving.recursion import Reading, Run
from trmsolve.solving.tree import FLOOR, Node
from trmsolve.tasks.base import Guess, Puzzle, Task

HOPELESS = 0.4  # a branch believed to have a solution with less than this ends


@dataclass(eq=False)
class Search:
    """The state of one puzzle on its way to an answer. `runs` are in the batch now."""

    task: Task
    puzzle: Puzzle
    options: SolveOptions
    index: int  # place in the input
    started: float = field(default_factory=time.monotonic)
    steps: int = 0
    started_runs: int = 0
    best: tuple[Guess, float] | None = None  # most promising failed answer, for reports
    answer: tuple[Guess, float] | None = None
    verified: bool = False
    shown: StepEvent | None = None  # the last step of the run to watch: the first open one, or the one that solved

    def __post_init__(self) -> None:
        self.round: list[Node] = []
        question = self.puzzle.question
        encoded = self.task.encode(question)
        self.root = None if encoded is None else Node(question, encoded)
        if encoded is not None and encoded.n_units == 0:  # every cell is given
            guess = self.task.decode(question, np.zeros(0, np.int64), np.zeros(0, np.float32))
            self.best = (guess, 1.0)
            if self.task.solved(question, guess.answer):
                self.answer, self.verified = self.best, True
        elif self.root is not None:
            self._start([self.root], self.options.max_steps)

    # -- rounds -------------------------------------------------------------------------------------------------
    @property
    def runs(self) -> list[Run]:
        """Runs of this round that have not ended."""
        return [node.run for node in self.round if node.run is not None]

    @property
    def fresh(self) -> bool:
        """Whether this round's runs have yet to enter the batch."""
        return bool(self.runs) and self.runs[0].step == 0

    def _start(self, nodes: list[Node], max_steps: int) -> None:
        self.round = nodes
        self.started_runs += len(nodes)
        for node in nodes:
            node.run = Run(node.encoded, max_steps)

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
        for node in self.round:
            if node.run is None:
                continue
            run, reading = node.run, node.run.reading
            self.steps += 1
            meanings = node.encoded.meanings[reading.chosen]
            guess = self.task.decode(node.question, meanings, reading.confidence)
            right = self.task.solved(node.question, guess.answer)
            if self.shown is None:
                self.shown = self._event(node, guess, right)
            if (right if self.options.verify else reading.halt > 0.5) and self.answer is None:
                self.answer, self.verified = (guess, reading.halt), right
                self.shown = self._event(node, guess, right)
            if self.best is None or reading.halt > self.best[1]:
                self.best = (guess, reading.halt)
            if run.step >= run.max_steps or self._hopeless(node):
                self._end(node, reading)
                ended.add(run)
        if self.answer is not None:
            ended |= set(self.runs)
            self.round = []
        elif not self.runs:
            self._next_round()
        return ended

    def _event(self, node: Node, guess: Guess, right: bool) -> StepEvent:
        run = node.run
        return StepEvent(
            puzzle=self.puzzle,
            guess=guess,
            step=run.step,
            max_steps=run.max_steps,
            run=self.restarts if node.assumed else 0,
            halt_probability=run.reading.halt,
            solved=right,
            assumed=" ".join(self.task.describe(self.puzzle.question, meaning) for meaning in node.assumed),
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

    def _hopeless(self, node: Node) -> bool:
        """A run ends early when the model is sure that its branch has no solution, or when its answer rests.

        Without restarts there is nothing better to do with the steps: the plain recursion then takes all of them.
        """
        if not self.options.restarts or not self.options.verify:
            return False
        run, patience = node.run, self.options.patience
        if not node.assumed:
            return run.settled >= 2 * patience
        return run.step >= 4 and (run.reading.solvable < HOPELESS or run.settled >= patience)

    def _end(self, node: Node, reading: Reading) -> None:
        """A run has failed: how much is its branch still worth, and how does it go on?"""
        node.run, node.ran, node.alive = None, True, max(reading.solvable, FLOOR)
        node.expand(self.task, reading)

    def _next_round(self) -> None:
        budget = min(self.options.width, self.options.restarts - self.restarts)
        leaves = sorted(self.root.leaves(), key=lambda leaf: -leaf[0])  # stable: ties keep the order of the tree
        self._start([node for _, node in leaves[:budget]], self.options.restart_steps)
