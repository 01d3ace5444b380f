"""Constants of ARC's grids, and the size of outputs inferred from the demonstrations of a task.

The network predicts every cell of a canvas that is large enough for input and output (encode.py). A rule that is too
general costs only time; an exact one, such as "three times the input", spares the network from learning the size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from trmsolve.tasks.few_shot import Pair

COLORS = 10  # 0 .. 9; 0 is black
MAX_SIDE = 30  # rows or columns of an ARC grid
MAX_READABLE_SIDE = 100  # of a grid that is read: variants of ARC (1D-ARC) have longer ones

Shape = tuple[int, int]  # rows, columns


@dataclass(frozen=True, slots=True)
class SizeRule:
    """The output's side along each axis: `ratio` times the input's, always `fixed`, or unknown but at most `limit`."""

    ratio: tuple[Fraction | None, Fraction | None]
    fixed: tuple[int | None, int | None]
    limit: Shape

    @classmethod
    def from_pairs(cls, pairs: Iterable[Pair]) -> SizeRule:
        """The rule that fits all pairs, at least one. If both ratio and fixed side fit, the ratio is used."""
        shapes = [(pair.input.shape, pair.output.shape) for pair in pairs]
        ratios = [{Fraction(after[axis], before[axis]) for before, after in shapes} for axis in (0, 1)]
        sides = [{after[axis] for _, after in shapes} for axis in (0, 1)]
        rows, columns = (
            (next(iter(r)) if len(r) == 1 else None, next(iter(s)) if len(s) == 1 else None, max(s))
            for r, s in zip(ratios, sides, strict=True)
        )
        return cls((rows[0], columns[0]), (rows[1], columns[1]), (rows[2], columns[2]))

    @property
    def keeps_size(self) -> bool:
        """Whether outputs are as large as their inputs."""
        return self.ratio == (1, 1)

    def output(self, shape: Shape) -> Shape | None:
        """The output's size for an input of this size; None if the rule does not determine it."""
        height, width = self._side(0, shape[0]), self._side(1, shape[1])
        return None if height is None or width is None else (height, width)

    def canvas(self, shape: Shape) -> Shape:
        """A size that is large enough for the input and any output."""
        height, width = (self._side(axis, shape[axis]) for axis in (0, 1))
        return (
            max(shape[0], self.limit[0] if height is None else height),
            max(shape[1], self.limit[1] if width is None else width),
        )

    def _side(self, axis: int, side: int) -> int | None:
        ratio = self.ratio[axis]
        limit = MAX_SIDE if max(side, self.limit[axis]) <= MAX_SIDE else MAX_READABLE_SIDE
        if ratio is not None and (ratio * side).denominator == 1 and 1 <= ratio * side <= limit:
            return int(ratio * side)
        return self.fixed[axis]
