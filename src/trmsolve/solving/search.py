"""What happens to one puzzle: the plain recursion first, then runs under assumptions, best branch first.

A failed run leaves a node: its question and what the model thought of every choice at the end. To expand a node, the
choice that splits it best is taken as given with each of its likely tokens; every such branch is a question of its own,
with fewer tokens, and runs from a fresh state. Branches are ordered by the model alone: how likely it found the token,
and whether it believes at the end of a branch that the branch still has a solution. The rules accept an answer or
reject a branch in which a cell or unit has nothing left; they never choose.

All that happens here depends on this puzzle alone, so that answers do not depend on the batch: the runs of a round
start together, and the next round is chosen when all of them have ended.
"""

from __future__ import annotations

import heapq
import math
import time
from dataclasses import dataclass, field

import numpy as np

from trmsolve.solving.options import Result, SolveOptions, StepEvent
from trmsolve.solving.recursion import Reading, Run
from trmsolve.tasks.base import Encoded, Guess, Puzzle, Task


@dataclass(eq=False, slots=True)
class Node:
    """A question in the tree of assumptions."""

    question: np.ndarray
    encoded: Encoded
    assumed: tuple[int, ...]  # meanings taken as given, from the root on
    prior: float  # log-probability of the assumptions, as the model saw them
    run: Run | None = None
    last: Reading | None = None


@dataclass(eq=False)
class Search:
    """The state of one puzzle on its way to an answer. `runs` are in the batch now."""

    task: Task
    puzzle: Puzzle
    options: SolveOptions
    index: int  # place in the input
    started: float = field(default_factory=time.monotonic)
    steps: int = 0
    plain_steps: int = 0
    started_runs: int = 0
    best: tuple[Guess, float] | None = None  # most promising failed answer, for reports
    answer: tuple[Guess, float] | None = None
    verified: bool = False
    shown: StepEvent | None = None  # the last step of the run to watch: the first open one, or the one that solved

    def __post_init__(self) -> None:
        self.frontier: list[tuple[float, int, Node]] = []  # branches that have not run, worst priority last
        self.order = 0
        self.round: list[Node] = []
        self.seen: set[bytes] = set()
        encoded = self.task.encode(self.puzzle.question)
        if encoded is not None and encoded.n_units == 0:  # every cell is given
            guess = self.task.decode(self.puzzle.question, np.zeros(0, np.int64), np.zeros(0, np.float32))
            self.best = (guess, 1.0)
            if self.task.solved(self.puzzle.question, guess.answer):
                self.answer, self.verified = self.best, True
        elif encoded is not None:
            self._start([Node(self.puzzle.question, encoded, (), 0.0)], self.options.max_steps)

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
                node.last, node.run = reading, None
                ended.add(run)
        if not self.round[0].assumed:
            self.plain_steps = self.steps
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
            solved=self.answer is not None,
            verified=self.verified,
            steps=self.steps,
            restarts=self.restarts,
            halt_probability=halt,
            seconds=time.monotonic() - self.started,
            plain_steps=self.plain_steps,
        )

    def _hopeless(self, node: Node) -> bool:
        """A branch that the model is sure has no solution ends early."""
        return bool(node.assumed) and node.run.step >= 6 and node.run.reading.solvable < 0.02

    def _next_round(self) -> None:
        for node in self.round:
            self._expand(node)
        budget = min(self.options.width, self.options.restarts - self.restarts)
        nodes = [heapq.heappop(self.frontier)[2] for _ in range(min(budget, len(self.frontier)))]
        self._start(nodes, self.options.restart_steps)

    # -- the tree -----------------------------------------------------------------------------------------------
    def _expand(self, node: Node) -> None:
        """Put the branches of the choice that splits this node best on the frontier."""
        reading = node.last
        starts = np.searchsorted(node.encoded.units[0], np.arange(node.encoded.n_units + 1))
        p = reading.probabilities
        entropy = np.add.reduceat(-p * np.log(p.clip(1e-9)), starts[:-1])
        choice = int(entropy.argmax())
        alive = math.log(max(reading.solvable, 1e-4))
        for token in range(starts[choice], starts[choice + 1]):
            meaning = int(node.encoded.meanings[token])
            assumed = (*node.assumed, meaning)
            question = self.task.assume(node.question, meaning)
            encoded = self.task.encode(question)
            key = question.tobytes()
            if encoded is None or key in self.seen or encoded.n_units == 0:
                continue
            self.seen.add(key)
            prior = node.prior + math.log(max(float(p[token]), 1e-4))
            heapq.heappush(self.frontier, (-(prior + alive), self.order, Node(question, encoded, assumed, prior)))
            self.order += 1
