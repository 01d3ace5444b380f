"""Restarts by assignment: a search tree of one puzzle, ordered by the network's probabilities.

A node is a question. Its children assign one open choice, each to another option. If the solution is unique, exactly
one child of a node with the solution has it too. A child's share of its parent's probability is

    p * solvable_prob / sum over siblings of p * solvable_prob

where p is the network's probability of the child's option, and solvable_prob the network's probability, after the
child's run, that the child has a solution: 1 before the run, 0 if the rules reject the child, discounted by its
children once it has any (subtree_value). The probability of a refuted branch goes to its siblings, so the search is
complete: unless a limit ends it, it ends with a solution or with a proof that there is none.

A branch has one choice fewer than its parent, so its run starts from its parent's last states and takes few steps.
Therefore the first run ends early too if its confidence stays low (measured in docs/records.md).

With several solutions the probability is spread over many branches, and best-first search becomes breadth-first: an
empty 9x9 Sudoku is not solved after 1024 restarts. So the search is depth-first where the task sees that there must be
several solutions, and becomes so once the best leaf's probability is below 1/32. (On 350 of the hardest Sudokus with a
unique solution it was never below 0.06.) There, a tenth of the open choices is assigned after each run: that grid takes
29 steps and 7 restarts, and took 228 and 36 with one choice at a time.

Once a solution is known and the search continues for a second one, branches that the rules reject when they look ahead
(_is_rejected) need no run: of 40 puzzles of extreme_dev 40 in place of 6 were proved unique within 1024 restarts.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trmsolve.inference.batch import Rollout, WarmStart
from trmsolve.inference.options import SolveOptions
from trmsolve.inference.search import PATIENCE, Candidate, SearchStrategy, mean_confidence
from trmsolve.model.inputs import Encoded
from trmsolve.model.packing import Readout

CHAIN_SHARE = 0.1  # of the open choices are assigned after one run while there are many solutions
MIN_PROB = 1e-3  # lower bound of the probability of every option that the rules allow
MIN_SOLVABLE_PROB = 0.4  # a branch ends when the network's probability of a solution is below this
MIN_JUDGED_STEPS = 2  # supervision steps before MIN_SOLVABLE_PROB applies
MAX_KEPT_STATES = 32  # finished runs per puzzle whose states are kept for their branches
DEPTH_FIRST_BELOW = 1 / 32  # probability of the best leaf below which the search becomes depth-first


@dataclass(eq=False, slots=True, kw_only=True)
class Branch(Candidate):
    """A node of the search tree."""

    decisions: tuple[int, ...] = ()  # the assigned meanings, from the root down
    p: float = 1.0  # the network's probability of the last decision, in the parent's last readout
    solvable_prob: float = 1.0
    expanded: bool = False  # whether `children` has all branches that the rules allow
    ran: bool = False
    last: Rollout | None = None  # the finished run, while its states are kept
    children: list[Branch] = field(default_factory=list)
    parent: Branch | None = field(default=None, repr=False)

    @property
    def refuted(self) -> bool:
        """Whether the rules reject every completion of the question, apart from solutions found before."""
        return self.expanded and all(child.refuted for child in self.children)

    def subtree_value(self) -> float:
        """solvable_prob, discounted by the children's."""
        if not self.children:
            return self.solvable_prob
        return self.solvable_prob * sum(child.p * child.subtree_value() for child in self.children)

    def expand(self, task: Any, probabilities: np.ndarray, look_ahead: bool = False) -> None:
        """Branch on the choice of select_branch_variable().

        probabilities: float32 (O,), choice by choice. look_ahead: leave out branches of _is_rejected().
        """
        encoded, ends = self.encoded, np.cumsum(self.encoded.size)
        variable = select_branch_variable(probabilities, np.concatenate([[0], ends]))
        size, first = encoded.size[variable], encoded.first[variable]
        p = probabilities[ends[variable] - size : ends[variable]].clip(MIN_PROB)
        for meaning, share in zip(encoded.meanings[first : first + size].tolist(), p / p.sum(), strict=True):
            question = task.with_assignment(self.question, meaning)
            child = task.encode(question)
            if child is not None and not (look_ahead and _is_rejected(task, question, child)):
                decisions = (*self.decisions, meaning)
                self.children.append(
                    Branch(question=question, encoded=child, decisions=decisions, p=float(share), parent=self)
                )
        self.expanded = True
        if not self.children:
            self.solvable_prob = 0.0

    def expand_chain(self, task: Any, probabilities: np.ndarray, length: int) -> None:
        """Branch `length` times by one readout, each time below the most probable branch, and below an only branch.

        With many solutions, hardly any assignment is wrong, and a run for each of them would take long.
        """
        options = _options(self.encoded)  # (O,) the meaning of each probability
        branch = self
        while True:
            branch.expand(task, probabilities, look_ahead=True)
            length -= 1
            if not branch.children or (length <= 0 and len(branch.children) > 1):
                return
            branch = max(branch.children, key=lambda child: child.p)
            if not branch.encoded.num_choices:
                return
            left = _options(branch.encoded)
            probabilities, options = probabilities[np.isin(options, left)], left
            ends = np.cumsum(branch.encoded.size)
            sums = np.add.reduceat(probabilities, ends - branch.encoded.size)  # (U,)
            probabilities = probabilities / np.repeat(sums.clip(MIN_PROB), branch.encoded.size)
            branch.ran = True

    def leaves(self, prob: float = 1.0) -> list[tuple[float, Branch]]:
        """The descendants that have not run, each with its probability of having the solution."""
        if not self.children:
            return [] if self.ran or self.rollout is not None else [(prob, self)]
        weights = [child.p * child.subtree_value() for child in self.children]
        total = sum(weights)
        if total <= 0:
            return []
        return [
            leaf
            for child, weight in zip(self.children, weights, strict=True)
            if weight > 0
            for leaf in child.leaves(prob * weight / total)
        ]


class BranchSearch(SearchStrategy):
    """Best-first search through the tree; depth-first once all leaves have a low probability."""

    complete = True

    def __init__(self, task: Any, question: np.ndarray) -> None:
        super().__init__(task, question)
        self.depth_first = bool(task.ambiguity_reason(question))
        self.proving = False  # a solution is known
        self._unexpanded: list[tuple[Branch, Readout]] = []
        self._with_states: deque[Branch] = deque()

    def _first_candidate(self) -> Branch | None:
        encoded = self.task.encode(self.question)
        return None if encoded is None else Branch(question=self.question, encoded=encoded)

    @property
    def exhausted(self) -> bool:
        return self.root is None or self.root.refuted

    def next_candidates(self, number: int) -> list[Branch]:
        """The `number` leaves with the highest probability; in depth-first mode, the deepest leaves, half as many."""
        if not number or self.root is None:
            return []
        for branch, readout in self._unexpanded:
            if self.proving:
                branch.expand_chain(self.task, readout.probabilities, 1)
            elif self.depth_first:
                length = int(CHAIN_SHARE * branch.encoded.num_choices)
                branch.expand_chain(self.task, readout.probabilities, length)
            else:
                branch.expand(self.task, readout.probabilities)
        self._unexpanded.clear()
        leaves = self.root.leaves()
        if leaves and max(prob for prob, _ in leaves) < DEPTH_FIRST_BELOW:
            self.depth_first = True
        if self.depth_first:
            return [branch for _, branch in sorted(leaves, key=_depth_first_order)[: max(1, number // 2)]]
        leaves.sort(key=lambda leaf: -leaf[0])  # stable: ties keep the order of the tree
        return [branch for _, branch in leaves[:number]]

    def max_steps(self, candidate: Branch, options: SolveOptions) -> int:
        """Maximum supervision steps: fewer for a branch, which has fewer open choices than the root."""
        return options.restart_steps if candidate.decisions else options.max_steps or self.task.max_steps(self.question)

    def warm_start(self, candidate: Branch) -> WarmStart | None:
        """The parent's last states of the options that the branch still has; None if they are no longer kept.

        parent.meanings  [4 7 9 2]    branch.meanings  [9 4]    rows  [2 0]
        """
        parent = candidate.parent
        while parent is not None and parent.last is None:  # an ancestor, where the branches between have not run
            parent = parent.parent
        if parent is None or parent.last is None:
            return None
        parent_meanings = parent.encoded.meanings
        order = np.argsort(parent_meanings)
        rows = order[np.searchsorted(parent_meanings, candidate.encoded.meanings, sorter=order)]
        return WarmStart(parent.last, rows)

    def should_stop(self, candidate: Branch, options: SolveOptions) -> bool:
        """True if the network predicts that a branch has no solution, or if the answer repeats.

        The first run stops early only if restarts are allowed.
        """
        rollout = candidate.rollout
        assert rollout is not None and rollout.readout is not None
        if not candidate.decisions:
            return options.restarts > 0 and rollout.stable_steps >= 2 * PATIENCE
        if rollout.step < MIN_JUDGED_STEPS:
            return False
        if self.depth_first and mean_confidence(rollout.readout) < self.task.confidence_floor:
            return True
        return rollout.readout.solvable_prob < MIN_SOLVABLE_PROB or rollout.stable_steps >= PATIENCE

    def record_failure(self, candidate: Branch, readout: Readout) -> None:
        """Keep the run's states for its branches, and its probability that there is a solution."""
        assert candidate.rollout is not None
        candidate.rollout.keep_state = True
        candidate.last, candidate.rollout, candidate.ran = candidate.rollout, None, True
        candidate.solvable_prob = max(readout.solvable_prob, MIN_PROB)
        self._unexpanded.append((candidate, readout))
        self._with_states.append(candidate)
        if len(self._with_states) > MAX_KEPT_STATES:
            self._with_states.popleft().last = None

    def record_solution(self, candidate: Branch, readout: Readout) -> None:
        """Record a solution as a failure of low value: runs below it would mostly find the same solution again."""
        self.record_failure(candidate, readout)
        candidate.solvable_prob = MIN_PROB
        self.proving = True

    def record_complete(self, candidate: Branch) -> None:
        """Mark a candidate without open choices, which has no branches."""
        candidate.ran = candidate.expanded = True
        candidate.solvable_prob = 0.0

    def describe(self, candidate: Branch) -> str:
        """For example: assuming r3c5=7 r1c1=2."""
        decisions = " ".join(self.task.describe_assignment(self.question, meaning) for meaning in candidate.decisions)
        return f"assuming {decisions}" if decisions else ""


def _options(encoded: Encoded) -> np.ndarray:
    """int64 (O,): the meanings of the options, choice by choice."""
    before = np.cumsum(encoded.size) - encoded.size  # (U,) options of the choices before
    return encoded.meanings[np.repeat(encoded.first - before, encoded.size) + np.arange(encoded.size.sum())]


def _is_rejected(task: Any, question: np.ndarray, encoded: Encoded | None) -> bool:
    """Whether the rules reject the question with every choice assigned that has one option left, and so on.

    These assignments serve to reject a branch. No answer is made of them.
    """
    while encoded is not None and (single := encoded.first[encoded.size == 1]).size:
        for meaning in encoded.meanings[single].tolist():
            question = task.with_assignment(question, meaning)
        encoded = task.encode(question)
    return encoded is None


def _depth_first_order(leaf: tuple[float, Branch]) -> tuple[int, float]:
    """Deepest first, then the most probable option. solvable_prob is ignored: it is unreliable for such questions."""
    branch = leaf[1]
    return -len(branch.decisions), -branch.p


def select_branch_variable(probabilities: np.ndarray, starts: np.ndarray) -> int:
    """The index of a choice with few options whose two most probable options are both probable.

    The division by the squared number of options matters most: for a half-trained model on 48 puzzles of extreme_dev it
    raised the share solved from 96 to 100 %, with half the restarts; choosing by entropy solved 83 %.
    probabilities: float32 (O,), choice by choice. starts: int64 (U + 1,), the index at which each choice begins.
    """
    size = np.diff(starts)  # (U,)
    options = np.zeros((len(size), max(2, size.max())), np.float32)  # (U, C)
    options[np.arange(options.shape[1]) < size[:, None]] = probabilities
    second, first = np.partition(options, -2)[:, -2:].T  # (U,) each
    score = (second * (first + second)).astype(np.float64) / size**2
    return int(np.where(size > 1, score, -1.0).argmax())
