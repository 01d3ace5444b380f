"""The search for one puzzle's answer: a first run of the network, then restarts until the rules accept an answer.

Restarts follow a strategy: under an augmentation (AugmentedRestarts, below), or with one choice assigned
(branch_search.py). The rules only accept answers and reject questions; they are never used to find an answer.

The search depends on its puzzle only, so answers do not depend on the batch: the runs of a round start together, and
the next round starts when all of them have ended.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from trmsolve.inference.batch import Rollout, WarmStart
from trmsolve.inference.options import Result, SolveOptions, StepEvent
from trmsolve.model.inputs import Encoded
from trmsolve.model.packing import Readout
from trmsolve.tasks.base import Prediction, Puzzle, Task

NO_SOLUTION = "no solution exists"
PROOF_IN_FLIGHT = 32  # runs at the same time while a known solution is proved to be the only one
PATIENCE = 2  # a restart ends once its answer has repeated for this number of steps
# The first run ends early at step k >= FLOOR_START if its mean confidence is below
# confidence_floor + FLOOR_SLOPE * (k - FLOOR_START).
FLOOR_START, FLOOR_SLOPE = 2, 0.01


@dataclass(eq=False, slots=True, kw_only=True)
class Candidate:
    """A question whose answer, mapped back, is an answer of the puzzle."""

    question: np.ndarray
    encoded: Encoded
    max_steps: int = 0  # maximum supervision steps of its run
    rollout: Rollout | None = None  # while it is in the batch


class SearchStrategy:
    """Supplies the candidates of one puzzle, the puzzle's own question first. This one has no others.

    root: the candidate of the question itself; None when the rules reject it.
    """

    complete = False  # whether `exhausted` proves that there are no other solutions

    def __init__(self, task: Any, question: np.ndarray) -> None:
        self.task, self.question = task, question
        self.root: Any = self._first_candidate()

    def _first_candidate(self) -> Candidate | None:
        encoded = self.task.encode(self.question)
        return None if encoded is None else Candidate(question=self.question, encoded=encoded)

    @property
    def exhausted(self) -> bool:
        """Whether every candidate has been tried."""
        return True

    def next_candidates(self, number: int) -> Sequence[Any]:
        """Up to `number` further candidates; none when there is nothing left to try."""
        return []

    def max_steps(self, candidate: Any, options: SolveOptions) -> int:
        """Maximum supervision steps of this candidate's run."""
        return options.max_steps or self.task.max_steps(self.question)

    def warm_start(self, candidate: Any) -> WarmStart | None:
        """Initial states of this candidate's run; None: fresh states."""
        return None

    def should_stop(self, candidate: Any, options: SolveOptions) -> bool:
        """Whether to end a run whose last answer was wrong before its maximum of steps."""
        return False

    def record_failure(self, candidate: Any, readout: Readout) -> None:
        """Record a run that ended without an answer."""
        candidate.rollout = None

    def record_solution(self, candidate: Any, readout: Readout) -> None:
        """Record a run that found a solution, if the search continues for a second one."""
        candidate.rollout = None

    def record_complete(self, candidate: Any) -> None:
        """Record a candidate without open choices, which was checked without a run."""

    def restore(self, candidate: Any, prediction: Prediction) -> Prediction:
        """Map a prediction for the candidate's question to one for the puzzle's question."""
        return prediction

    def describe(self, candidate: Any) -> str:
        """How the candidate differs from the root, for display; "" for the root."""
        return ""


@dataclass(eq=False)
class PuzzleSearch:
    """The state of one puzzle between its admission and its result."""

    task: Task
    puzzle: Puzzle
    strategy: SearchStrategy
    options: SolveOptions
    index: int  # position in the input
    watched: bool = False  # whether `event` is set after every step
    started: float = field(default_factory=time.monotonic)
    steps: int = 0
    runs_started: int = 0
    best: tuple[Prediction, float] | None = None  # of the failed predictions the one with the highest halt_prob
    answer: tuple[Prediction, float] | None = None  # and its halt_prob
    second: Prediction | None = None  # another solution (options.check_unique)
    verified: bool = False
    event: StepEvent | None = None  # the last step of the run to display: the first open one, or the one that solved
    reason: str = ""

    def __post_init__(self) -> None:
        if not self.task.has_rules:  # only the halting head can decide
            self.options = replace(self.options, verify=False, restarts=0)
        self.round: Sequence[Candidate] = []
        self.restartable = True
        self.proven = False  # the strategy has refuted all other answers
        self._needs_unique = self.options.check_unique and self.options.verify and self.strategy.complete
        question, root = self.puzzle.question, self.strategy.root
        if root is None:
            reason = self.task.infeasible_reason(question)
            self.reason = f"{NO_SOLUTION}: {reason}" if reason else NO_SOLUTION
        else:
            self._start([root])
            self.proven = not root.encoded.num_choices

    # -- rounds -------------------------------------------------------------------------------------------------
    @property
    def rollouts(self) -> list[Rollout]:
        """Runs of this round that have not ended."""
        return [candidate.rollout for candidate in self.round if candidate.rollout is not None]

    @property
    def waiting(self) -> bool:
        """Whether this round's runs have yet to be added to the batch."""
        return bool(self.rollouts) and not self.rollouts[0].in_batch

    @property
    def finished(self) -> bool:
        """Whether there is an answer, or nothing left to try."""
        return not self.round

    @property
    def restarts(self) -> int:
        """Runs after the first."""
        return max(0, self.runs_started - 1)

    def _start(self, candidates: Sequence[Candidate]) -> None:
        self.round = [candidate for candidate in candidates if candidate.encoded.num_choices]
        self.runs_started += len(self.round)
        for candidate in self.round:
            candidate.max_steps = self.strategy.max_steps(candidate, self.options)
            candidate.rollout = Rollout(candidate.encoded, self.strategy.warm_start(candidate))
        for candidate in candidates:
            if not candidate.encoded.num_choices:
                self._judge_complete(candidate)

    def _judge_complete(self, candidate: Candidate) -> None:
        """Check a question without open choices, which needs no run."""
        prediction = self.task.decode(candidate.question, np.zeros(0, np.int64), np.zeros(0, np.float32))
        prediction = self.strategy.restore(candidate, prediction)
        violations = self.task.check(self.puzzle.question, prediction.answer)
        if self.best is None:
            self.best = (prediction, 1.0)
        if not violations:
            self._accept(prediction, 1.0, correct=True)
        elif candidate is self.strategy.root:
            self.reason = f"{NO_SOLUTION}: {violations[0].message}"
        self.strategy.record_complete(candidate)

    def observe(self) -> set[Rollout]:
        """Check every run after a step of the batch. Returns the runs that have ended."""
        ended: set[Rollout] = set()
        self.event = None
        for candidate in self.round:
            rollout = candidate.rollout
            if rollout is not None and rollout.readout is not None and self._judge(candidate, rollout):
                ended.add(rollout)
        if self._answered:
            ended |= set(self.rollouts)
            self.round = []
        elif not self.rollouts:
            self.round = []
            self._next_round()
        return ended

    @property
    def _answered(self) -> bool:
        return self.second is not None or (self.answer is not None and not self._needs_unique)

    def _judge(self, candidate: Candidate, rollout: Rollout) -> bool:
        """Check the last step of one run; True if the run has ended."""
        readout, strategy = rollout.readout, self.strategy
        assert readout is not None
        self.steps += 1
        prediction = self.task.decode(candidate.question, rollout.meanings, readout.confidence)
        prediction = strategy.restore(candidate, prediction)
        correct = self.task.is_solution(self.puzzle.question, prediction.answer)
        if self.watched and self.event is None:
            self.event = self._step_event(candidate, rollout, prediction, correct)
        accepted = correct if self.options.verify else readout.halt_prob > 0.5
        if accepted and self._accept(prediction, readout.halt_prob, correct):
            self.event = self._step_event(candidate, rollout, prediction, correct) if self.watched else None
        if self.best is None or readout.halt_prob > self.best[1]:
            self.best = (prediction, readout.halt_prob)
        if accepted and self._needs_unique:
            strategy.record_solution(candidate, readout)
            return True
        if rollout.step < candidate.max_steps and not (self.options.verify and self._should_stop(candidate)):
            return False
        if candidate is strategy.root:
            self.restartable = mean_confidence(readout) >= self.options.restart_confidence
        strategy.record_failure(candidate, readout)
        return True

    def _accept(self, prediction: Prediction, halt_prob: float, correct: bool) -> bool:
        """Record an accepted answer; True if it is the first one."""
        if self.answer is None:
            self.answer, self.verified = (prediction, halt_prob), correct
            return True
        if self._needs_unique and not np.array_equal(self.answer[0].answer, prediction.answer):
            self.second = prediction
        return False

    def _next_round(self) -> None:
        """Start further candidates; without any, the search has finished."""
        while not self.round and not self._answered:
            in_flight = self.options.in_flight if self.answer is None else max(self.options.in_flight, PROOF_IN_FLIGHT)
            number = min(in_flight, self.options.restarts - self.restarts)
            candidates = self.strategy.next_candidates(number) if self.restartable else []
            self._start(candidates)
            if not candidates:
                break
        if self._answered:
            self.round = []
        elif not self.round and self.strategy.complete and self.strategy.exhausted:
            self.proven = True
            if self.answer is None:
                self.reason = f"{NO_SOLUTION}: every assignment of its open choices breaks a rule"

    def _should_stop(self, candidate: Candidate) -> bool:
        return self._below_floor(candidate) or self.strategy.should_stop(candidate, self.options)

    def _below_floor(self, candidate: Candidate) -> bool:
        """Whether the mean confidence of the first run is below the floor."""
        rollout, floor = candidate.rollout, self.options.confidence_floor
        assert rollout is not None and rollout.readout is not None
        if floor is None:
            floor = self.task.confidence_floor if self.options.restarts else 0.0
        if not floor or rollout.step < FLOOR_START or candidate is not self.strategy.root:
            return False
        return mean_confidence(rollout.readout) < floor + FLOOR_SLOPE * (rollout.step - FLOOR_START)

    # -- reports ------------------------------------------------------------------------------------------------
    def _step_event(self, candidate: Candidate, rollout: Rollout, prediction: Prediction, correct: bool) -> StepEvent:
        assert rollout.readout is not None
        return StepEvent(
            puzzle=self.puzzle,
            prediction=prediction,
            step=rollout.step,
            max_steps=candidate.max_steps,
            run=0 if candidate is self.strategy.root else self.restarts,
            halt_prob=rollout.readout.halt_prob,
            solved=correct,
            description=self.strategy.describe(candidate),
        )

    def result(self) -> Result:
        """The outcome, once finished."""
        prediction, halt_prob = self.answer or self.best or (None, 0.0)
        unique = False if self.second is not None else True if self.verified and self.proven else None
        return Result(
            self.puzzle,
            prediction,
            solved=self.verified,
            halted=self.answer is not None,
            steps=self.steps,
            restarts=self.restarts,
            halt_prob=halt_prob,
            seconds=time.monotonic() - self.started,
            reason=self.reason,
            unique=unique if self.options.check_unique else None,
            second_solution=self.second,
            unchecked=not self.task.has_rules,
        )


def mean_confidence(readout: Readout) -> float:
    """The mean confidence of a rollout's choices."""
    return float(readout.confidence.mean())


@dataclass(eq=False, slots=True, kw_only=True)
class AugmentedCandidate(Candidate):
    """The question under augmentation k."""

    k: int


class AugmentedRestarts(SearchStrategy):
    """Restarts for tasks with augmentations: each augmentation of the question once, in order.

    If the network is not equivariant to a task's symmetries, its errors differ between augmentations of a puzzle. The
    first run uses augmentation 0, the identity. A restart has as many steps as the first run, because its question is
    as large, and fresh states, because those of another augmentation do not fit.
    """

    def __init__(self, task: Any, question: np.ndarray) -> None:
        super().__init__(task, question)
        self.used = 1

    def _first_candidate(self) -> Candidate | None:
        return self._candidate(0)

    def _candidate(self, k: int) -> AugmentedCandidate | None:
        question = self.task.augment(self.question, k)
        encoded = self.task.encode(question)
        return None if encoded is None else AugmentedCandidate(question=question, encoded=encoded, k=k)

    def next_candidates(self, number: int) -> Sequence[Candidate]:
        ks = range(self.used, min(self.used + number, self.task.num_augmentations))
        self.used = ks.stop
        return [candidate for candidate in map(self._candidate, ks) if candidate is not None]

    def should_stop(self, candidate: Candidate, options: SolveOptions) -> bool:
        """True if the answer repeats: a repeated wrong answer stays wrong, and the next augmentation costs no more."""
        assert candidate.rollout is not None
        return candidate.rollout.stable_steps >= PATIENCE

    def restore(self, candidate: AugmentedCandidate, prediction: Prediction) -> Prediction:
        """The prediction with the augmentation inverted."""
        return self.task.invert(self.question, prediction, candidate.k)

    def describe(self, candidate: AugmentedCandidate) -> str:
        """For example: turned 90 degrees."""
        return self.task.augmentation_name(candidate.k) if candidate.k else ""
