"""Restarts by assumption: the tree of one puzzle, and each branch's chance to hold the solution, as the model sees it.

A node is a question; its children take one of its choices as given, each with another option, so that exactly one child
holds the solution if the node does. A child's share of its parent's chance is

    p alive / sum over siblings of p alive

with p the model's probability of the child's option, and alive its belief, after the child's own run, that it has a
solution: 1 before the run, 0 when the rules reject it, and the surviving share of its children once it has any. So a
refuted branch hands its chance to its siblings, and the search is complete: it ends only by budget.

A branch is its parent's question with a choice less to make, so it goes on from its parent's last states, or from
between them and fresh ones (SolveOptions.inherit). Tokens are options wherever there are assumptions, so a branch has
some of its parent's. That makes branches so cheap that the root, too, ends as soon as it stays unsure. How much both
save stands in docs/records.md.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from trmsolve.solving.attempt import Attempt
from trmsolve.solving.options import SolveOptions
from trmsolve.solving.recursion import Heritage, Reading, Run
from trmsolve.tasks.base import Guess, Task

FLOOR = 1e-3  # nothing that the rules allow is ever believed impossible
GIVE_UP = 0.4  # SolveOptions.give_up where nobody says; measured on 400 puzzles of extreme_train (docs/records.md)
HOPELESS = 0.4  # a branch believed to have a solution with less than this ends
JUDGED = 2  # steps; before, what the model believes of a branch is hardly its own
KEPT = 32  # ended runs of a puzzle whose states are kept for their branches, about 50 kB each; then the oldest go


@dataclass(eq=False, slots=True, kw_only=True)
class Node(Attempt):
    """A question in the tree."""

    assumed: tuple[int, ...] = ()  # meanings taken as given, from the root on
    p: float = 1.0  # the model's probability of the last of them, when it was chosen
    alive: float = 1.0
    ran: bool = False
    last: Run | None = None  # the run that has ended, while its states are kept
    children: list[Node] = field(default_factory=list)
    parent: Node | None = field(default=None, repr=False)

    def survival(self) -> float:
        """`alive`, discounted by what has become of the children."""
        if not self.children:
            return self.alive
        return self.alive * sum(child.p * child.survival() for child in self.children)

    def expand(self, task: Task, reading: Reading) -> None:
        """Branch on the choice that the model leaves most evenly between two options."""
        encoded, ends = self.encoded, np.cumsum(self.encoded.size)
        choice = most_telling(reading.probabilities, np.concatenate([[0], ends]))
        size, first = encoded.size[choice], encoded.first[choice]
        p = reading.probabilities[ends[choice] - size : ends[choice]].clip(FLOOR)
        for meaning, share in zip(encoded.meanings[first : first + size].tolist(), p / p.sum(), strict=True):
            question = task.assume(self.question, meaning)
            encoded = task.encode(question)
            if encoded is not None:
                assumed = (*self.assumed, meaning)
                self.children.append(
                    Node(question=question, encoded=encoded, assumed=assumed, p=float(share), parent=self)
                )
        if not self.children:
            self.alive = 0.0

    def leaves(self, chance: float = 1.0) -> list[tuple[float, Node]]:
        """Nodes below that have not run, each with its chance to hold the solution."""
        if not self.children:
            return [] if self.ran or self.run is not None else [(chance, self)]
        weights = [child.p * child.survival() for child in self.children]
        total = sum(weights)
        if total <= 0:
            return []
        return [
            leaf
            for child, weight in zip(self.children, weights, strict=True)
            if weight > 0
            for leaf in child.leaves(chance * weight / total)
        ]


class Tree:
    """The search through it, the likeliest branch first."""

    give_up = GIVE_UP

    def __init__(self, task: Task, question: np.ndarray) -> None:
        self.task, self.question = task, question
        encoded = task.encode(question)
        self.root = None if encoded is None else Node(question=question, encoded=encoded)
        self._to_expand: list[tuple[Node, Reading]] = []
        self._kept: deque[Node] = deque()

    def next(self, number: int) -> list[Node]:
        """The likeliest leaves."""
        if not number:
            return []
        for node, reading in self._to_expand:
            node.expand(self.task, reading)
        self._to_expand.clear()
        leaves = sorted(self.root.leaves(), key=lambda leaf: -leaf[0])  # stable: ties keep the order of the tree
        return [node for _, node in leaves[:number]]

    def steps(self, attempt: Node, options: SolveOptions) -> int:
        """A branch is a smaller question than the root."""
        return options.restart_steps if attempt.assumed else options.max_steps or self.task.max_steps(self.question)

    def heritage(self, attempt: Node, options: SolveOptions) -> Heritage | None:
        """Its parent's last states, of the options that the branch still has; None once they are not kept any more."""
        if attempt.parent is None or attempt.parent.last is None:
            return None
        theirs = attempt.parent.encoded.meanings
        order = np.argsort(theirs)
        rows = order[np.searchsorted(theirs, attempt.encoded.meanings, sorter=order)]
        return Heritage(attempt.parent.last, rows, options.inherit)

    def hopeless(self, attempt: Node, options: SolveOptions) -> bool:
        """True when the model is sure that the branch has no solution, or when its answer rests.

        Without restarts there is nothing better to do with the steps: the plain recursion then takes all of them.
        """
        run, patience = attempt.run, options.patience
        if not attempt.assumed:
            return options.restarts > 0 and run.settled >= 2 * patience
        return run.step >= JUDGED and (run.reading.solvable < HOPELESS or run.settled >= patience)

    def failed(self, attempt: Node, reading: Reading) -> None:
        """How much is the branch still worth, and how does it go on?"""
        attempt.run.bequeaths = True
        attempt.last, attempt.run, attempt.ran, attempt.alive = attempt.run, None, True, max(reading.solvable, FLOOR)
        self._to_expand.append((attempt, reading))
        self._kept.append(attempt)
        if len(self._kept) > KEPT:
            self._kept.popleft().last = None

    def restored(self, attempt: Node, guess: Guess) -> Guess:
        """An answer under assumptions is an answer."""
        return guess

    def name(self, attempt: Node) -> str:
        """assuming r3c5=7 r1c1=2"""
        said = " ".join(self.task.describe(self.question, meaning) for meaning in attempt.assumed)
        return f"assuming {said}" if said else ""


def most_telling(probabilities: np.ndarray, starts: np.ndarray) -> int:
    """The choice whose two likeliest options are both likely, and that has few others.

    Few options matter most: measured with a half-trained model on 48 puzzles of extreme_dev, dividing by their number
    squared took 29 % + restarts from 96 to 100 % solved, at half the restarts; by entropy alone it was 83 %.
    probabilities: float32, choice by choice; starts: int64 (U + 1,) where each begins.
    """
    size = np.diff(starts)
    options = np.zeros((len(size), max(2, size.max())), np.float32)
    options[np.arange(options.shape[1]) < size[:, None]] = probabilities
    second, first = np.partition(options, -2)[:, -2:].T
    score = (second * (first + second)).astype(np.float64) / size**2
    return int(np.where(size > 1, score, -1.0).argmax())
