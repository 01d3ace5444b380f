"""A task as what the network is trained on and asked: each pair from several sides, each side a row of the table.

Colours that occur in every demonstration are part of the rule. Those that come and go are probably not: half of the
views see them exchanged at random, time and again, so that a colour first met in a test means as little as any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from trmsolve.adapting.votes import Ballot
from trmsolve.solving.recursion import Reading
from trmsolve.tasks.arc.encode import LABELS, decode, encode, sample
from trmsolve.tasks.arc.grids import COLOURS, ArcTask, Grid, Pair
from trmsolve.tasks.arc.sizes import Shape, SizeRule
from trmsolve.tasks.arc.symmetries import View
from trmsolve.tasks.base import Encoded, Guess, Sample
from trmsolve.tasks.symmetries import SYMMETRIES, inverse, transform

EXCHANGES = 4  # of colours, in which such a view sees each demonstration


@dataclass(frozen=True, slots=True)
class Asked:
    """A test, or a demonstration whose answer is asked for as if it were unknown, from one side."""

    number: int  # of the test, or of the demonstration
    v: int  # which view
    view: View  # what it does
    encoded: Encoded
    canvas: Shape
    size: Shape | None  # of the answer, where the sizes of the demonstrations tell

    def guess(self, reading: Reading) -> Guess:
        """What the network chose, as the task stands."""
        seen = decode(self.encoded.meanings[reading.chosen], reading.confidence, self.canvas, self.size)
        return Guess(self.view.undo(seen.answer), self._undo(seen.confidence))

    def ballot(self, reading: Reading, weight: float) -> Ballot:
        """The same as a vote of this weight."""
        grid = self.guess(reading).answer
        seen = reading.probabilities.reshape(*self.canvas, LABELS)
        height, width = self.view.apply(grid).shape
        colours = seen[:height, :width, list(self.view.colours)]
        return Ballot(grid, self._undo(colours), weight)

    def _undo(self, seen: np.ndarray) -> np.ndarray:
        return transform(seen, inverse(self.view.turn))


class Sides:
    """A task from `views` sides, the first as it stands. Its rows of the table begin at `row`.

    The first eight views are the eight symmetries of a square; the next eight see loose colours exchanged; and so on in
    turn, further views differing by their rows alone, in which colours start in another order.
    """

    def __init__(self, task: ArcTask, views: int, row: int = 0, seed: int = 0) -> None:
        self.task, self.views, self.row = task, views, row
        self.rules = [SizeRule.of(map(View(turn).pair, task.demonstrations)) for turn in range(SYMMETRIES)]
        self.loose = loose(task.demonstrations)
        self.rng = np.random.default_rng([seed, row])

    def samples(self) -> list[list[list[Sample]]]:
        """Of each demonstration what each view trains on in turn: the same every time, or in other colours."""
        return [
            [[self.sample(pair, v) for _ in range(self._times(v))] for v in range(self.views)]
            for pair in self.task.demonstrations
        ]

    def asked(self, grids: Sequence[Grid], most: int | None = None) -> Iterator[Asked]:
        """The questions that some inputs of the task are, input by input, from all views or from so many at most."""
        every = 1 if most is None else -(-self.views // most)
        for number, grid in enumerate(grids):
            for v in range(0, self.views, every):
                view = self._view(v)
                seen, rule = view.apply(grid), self.rules[view.turn]
                encoded = encode(seen, rule, self.row + v)
                yield Asked(number, v, view, encoded, rule.canvas(seen.shape), rule.output(seen.shape))

    def sample(self, pair: Pair, v: int) -> Sample:
        """A pair as view v sees it, once."""
        view = self._view(v)
        return sample(view.pair(pair), self.rules[view.turn], self.row + v)

    def _times(self, v: int) -> int:
        """How often view v sees each demonstration: once, or in several exchanges of colours."""
        return EXCHANGES if exchanging(v) and len(self.loose) > 1 else 1

    def _view(self, v: int) -> View:
        colours = np.arange(COLOURS)
        if exchanging(v):
            colours[self.loose] = self.rng.permutation(self.loose)
        return View(v % SYMMETRIES, tuple(colours.tolist()))


def exchanging(v: int) -> bool:
    """Whether view v sees loose colours exchanged."""
    return v // SYMMETRIES % 2 == 1


def loose(demonstrations: Sequence[Pair]) -> list[int]:
    """The colours that some demonstration lacks; never black, the ground of most tasks."""
    occurring = [set(np.unique(pair.input)) | set(np.unique(pair.output)) for pair in demonstrations]
    return [colour for colour in range(1, COLOURS) if not all(colour in of for of in occurring)]


def chunks(asked: Sequence[Asked], tokens: int) -> Iterator[list[Asked]]:
    """In order, as many together as have so many tokens; one at least."""
    chunk: list[Asked] = []
    for one in asked:
        if chunk and sum(prod(a.canvas) for a in chunk) + prod(one.canvas) > tokens:
            yield chunk
            chunk = []
        chunk.append(one)
    if chunk:
        yield chunk
