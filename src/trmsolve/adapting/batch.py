"""A task as what the network is trained on and asked: each pair from several sides, each side a row of the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from trmsolve.adapting.votes import Ballot
from trmsolve.solving.recursion import Reading
from trmsolve.tasks.arc.encode import LABELS, decode, encode, sample
from trmsolve.tasks.arc.grids import COLOURS, ArcTask, Grid
from trmsolve.tasks.arc.sizes import Shape, SizeRule
from trmsolve.tasks.arc.symmetries import View
from trmsolve.tasks.base import Encoded, Guess, Sample
from trmsolve.tasks.symmetries import SYMMETRIES, inverse, transform


@dataclass(frozen=True, slots=True)
class Asked:
    """A test, or a demonstration whose answer is asked for as if it were unknown, from one side."""

    number: int  # of the test, or of the demonstration
    view: View
    encoded: Encoded
    canvas: Shape
    size: Shape | None  # of the answer, where the sizes of the demonstrations tell

    def guess(self, reading: Reading) -> Guess:
        """What the network chose, as the task stands."""
        seen = decode(self.encoded.meanings[reading.chosen], reading.confidence, self.canvas, self.size)
        return Guess(self.view.undo(seen.answer), self._undo(seen.confidence))

    def ballot(self, reading: Reading) -> Ballot:
        """The same as a vote."""
        grid = self.guess(reading).answer
        seen = reading.probabilities.reshape(*self.canvas, LABELS)
        height, width = self.view.apply(grid).shape
        return Ballot(grid, self._undo(seen[:height, :width, :COLOURS]), reading.halt)

    def _undo(self, seen: np.ndarray) -> np.ndarray:
        return transform(seen, inverse(self.view.turn))


class Sides:
    """A task from `views` sides, the first as it stands. Its rows of the table begin at `row`.

    Beyond the eight sides a view differs by its row alone, in which colours start in another order.
    """

    def __init__(self, task: ArcTask, views: int, row: int = 0) -> None:
        self.task, self.views, self.row = task, views, row
        self.rules = [SizeRule.of(map(View(turn).pair, task.demonstrations)) for turn in range(SYMMETRIES)]

    def samples(self) -> list[list[Sample]]:
        """Of each demonstration what all views train on."""
        return [
            [
                sample(View(v % SYMMETRIES).pair(pair), self.rules[v % SYMMETRIES], self.row + v)
                for v in range(self.views)
            ]
            for pair in self.task.demonstrations
        ]

    def asked(self, grids: Sequence[Grid], most: int | None = None) -> Iterator[Asked]:
        """The questions that some inputs of the task are, input by input, from all views or from so many at most."""
        for number, grid in enumerate(grids):
            for v in range(self.views if most is None else min(most, self.views)):
                view, rule = View(v % SYMMETRIES), self.rules[v % SYMMETRIES]
                seen = view.apply(grid)
                encoded = encode(seen, rule, self.row + v)
                yield Asked(number, view, encoded, rule.canvas(seen.shape), rule.output(seen.shape))


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
