"""Restarts by assignment: a search tree of one puzzle, ordered by the network's own probabilities.

A node is a question; its children have one of its open choices assigned, each with another option, so exactly one child
holds the solution if the node does and the solution is unique. A child's share of its parent's probability is

    p * solvable_prob / sum over siblings of p * solvable_prob

with p the network's probability of the child's option, and solvable_prob its belief, after the child's own run, that
the child has a solution: 1 before the run, 0 when the rules reject it, discounted by its children once it has any
(subtree_value). So the probability of a refuted branch goes to its siblings and the search is complete: unless a limit
ends it, it ends with a solution or with a proof that there is none.

A branch is its parent's question with one choice fewer, so its run is initialised with its parent's last states
(SolveOptions.keep_state). That makes branches so cheap that the first run, too, ends as soon as it stays unsure
(docs/records.md has the measurements).

With several solutions the probability is spread over ever more branches, and best-first search becomes breadth-first:
an empty 9x9 Sudoku stayed unsolved after 1024 restarts. So once the best leaf's probability is below 1/32, the search
goes depth-first, which finds a solution of that grid after 41 restarts. On 350 of the hardest Sudokus with a unique
solution the best leaf was never below 0.06.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trmsolve.inference.batch import Rollout, WarmStart
from trmsolve.inference.options import SolveOptions, search_settings
from trmsolve.inference.search import Candidate
from trmsolve.model.readout import Readout
from trmsolve.tasks.base import Prediction

MIN_PROB = 1e-3  # lower bound of every probability of what the rules allow


@dataclass(eq=False, slots=True, kw_only=True)
class Branch(Candidate):
    """A node of the search tree."""

    decisions: tuple[int, ...] = ()  # the assigned meanings, from the root down
    p: float = 1.0  # the network's probability of the last decision, in the parent's last readout
    solvable_prob: float = 1.0
    expanded: bool = False  # whether `children` are all that the rules allow
    ran: bool = False
    last: Rollout | None = None  # the finished run, while its states are kept
    children: list[Branch] = field(default_factory=list)
    parent: Branch | None = field(default=None, repr=False)

    @property
    def refuted(self) -> bool:
        """Whether the rules reject every way to complete the question, or those left are known solutions."""
        return self.expanded and all(child.refuted for child in self.children)

    def subtree_value(self) -> float:
        """solvable_prob, discounted by the children's."""
        if not self.children:
            return self.solvable_prob
        return self.solvable_prob * sum(child.p * child.subtree_value() for child in self.children)

    def expand(self, task: Any, readout: Readout) -> None:
        """Branch on the choice of select_branch_variable()."""
        encoded, ends = self.encoded, np.cumsum(self.encoded.size)
        variable = select_branch_variable(readout.probabilities, np.concatenate([[0], ends]))
        size, first = encoded.size[variable], encoded.first[variable]
        p = readout.probabilities[ends[variable] - size : ends[variable]].clip(MIN_PROB)
        for meaning, share in zip(encoded.meanings[first : first + size].tolist(), p / p.sum(), strict=True):
            question = task.with_assignment(self.question, meaning)
            child = task.encode(question)
            if child is not None:
                decisions = (*self.decisions, meaning)
                self.children.append(
                    Branch(question=question, encoded=child, decisions=decisions, p=float(share), parent=self)
                )
        self.expanded = True
        if not self.children:
            self.solvable_prob = 0.0

    def leaves(self, prob: float = 1.0) -> list[tuple[float, Branch]]:
        """The nodes below that have not run, each with its probability to hold the solution."""
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


class BranchSearch:
    """Best-first search through the tree; depth-first once no branch stands out."""

    complete = True

    def __init__(self, task: Any, question: np.ndarray) -> None:
        self.task, self.question = task, question
        self.settings = search_settings(task)
        encoded = task.encode(question)
        self.root = None if encoded is None else Branch(question=question, encoded=encoded)
        self.depth_first = False
        self._unexpanded: list[tuple[Branch, Readout]] = []
        self._with_states: deque[Branch] = deque()

    @property
    def exhausted(self) -> bool:
        return self.root is None or self.root.refuted

    def next_candidates(self, number: int) -> list[Branch]:
        """The leaves with the highest probability to hold the solution; depth-first half as many, the deepest."""
        if not number or self.root is None:
            return []
        for branch, readout in self._unexpanded:
            branch.expand(self.task, readout)
        self._unexpanded.clear()
        leaves = self.root.leaves()
        if leaves and max(prob for prob, _ in leaves) < self.settings.depth_first_below:
            self.depth_first = True
        if self.depth_first:
            return [branch for _, branch in sorted(leaves, key=_depth_first_order)[: max(1, number // 2)]]
        leaves.sort(key=lambda leaf: -leaf[0])  # stable: ties keep the order of the tree
        return [branch for _, branch in leaves[:number]]

    def max_steps(self, candidate: Branch, options: SolveOptions) -> int:
        """Fewer for a branch, which is a smaller question than the root."""
        return options.restart_steps if candidate.decisions else options.max_steps or self.task.max_steps(self.question)

    def warm_start(self, candidate: Branch, options: SolveOptions) -> WarmStart | None:
        """The parent's last states, of those options that the branch still has; None once they are not kept any more.

        parent.meanings  [4 7 9 2]    branch.meanings  [9 4]    rows  [2 0]
        """
        if candidate.parent is None or candidate.parent.last is None:
            return None
        parent_meanings = candidate.parent.encoded.meanings
        order = np.argsort(parent_meanings)
        rows = order[np.searchsorted(parent_meanings, candidate.encoded.meanings, sorter=order)]
        return WarmStart(candidate.parent.last, rows, options.keep_state)

    def should_stop(self, candidate: Branch, options: SolveOptions) -> bool:
        """True when the network is sure that a branch has no solution, or when the answer repeats.

        The first run stops only if there are restarts to spend the steps on.
        """
        rollout, patience, settings = candidate.rollout, options.patience, self.settings
        assert rollout is not None and rollout.readout is not None
        if not candidate.decisions:
            return options.restarts > 0 and rollout.stable_steps >= 2 * patience
        if rollout.step < settings.min_judged_steps:
            return False
        return rollout.readout.solvable_prob < settings.min_solvable_prob or rollout.stable_steps >= patience

    def record_failure(self, candidate: Branch, readout: Readout) -> None:
        """Keep the run's states for its branches, and its belief that there is a solution."""
        assert candidate.rollout is not None
        candidate.rollout.keep_state = True
        candidate.last, candidate.rollout, candidate.ran = candidate.rollout, None, True
        candidate.solvable_prob = max(readout.solvable_prob, MIN_PROB)
        self._unexpanded.append((candidate, readout))
        self._with_states.append(candidate)
        if len(self._with_states) > self.settings.max_kept_states:
            self._with_states.popleft().last = None

    def record_solution(self, candidate: Branch, readout: Readout) -> None:
        """As a failure, but of low value: further runs below would mostly find the same solution again."""
        self.record_failure(candidate, readout)
        candidate.solvable_prob = MIN_PROB

    def record_complete(self, candidate: Branch) -> None:
        """There is nothing below it."""
        candidate.ran = candidate.expanded = True
        candidate.solvable_prob = 0.0

    def restore(self, candidate: Branch, prediction: Prediction) -> Prediction:
        """Unchanged: an answer under assignments is an answer of the puzzle."""
        return prediction

    def describe(self, candidate: Branch) -> str:
        """For example: assuming r3c5=7 r1c1=2."""
        decisions = " ".join(self.task.describe_assignment(self.question, meaning) for meaning in candidate.decisions)
        return f"assuming {decisions}" if decisions else ""


def _depth_first_order(leaf: tuple[float, Branch]) -> tuple[int, float]:
    """Deepest first, then the likeliest option. (solvable_prob is left out: of such questions it is unreliable.)"""
    branch = leaf[1]
    return -len(branch.decisions), -branch.p


def select_branch_variable(probabilities: np.ndarray, starts: np.ndarray) -> int:
    """The choice whose two likeliest options are both likely, and that has few options.

    Few options matter most: measured with a half-trained model on 48 puzzles of extreme_dev, dividing by their number
    squared took 29 % + restarts from 96 to 100 % solved, at half the restarts; by entropy alone it was 83 %.
    probabilities: float32, choice by choice; starts: int64 (U + 1,) where each begins.
    """
    size = np.diff(starts)  # (U,)
    options = np.zeros((len(size), max(2, size.max())), np.float32)  # (U, C)
    options[np.arange(options.shape[1]) < size[:, None]] = probabilities
    second, first = np.partition(options, -2)[:, -2:].T  # (U,) each
    score = (second * (first + second)).astype(np.float64) / size**2
    return int(np.where(size > 1, score, -1.0).argmax())
