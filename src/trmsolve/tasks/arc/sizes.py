"""How large the output of a task is, as far as its demonstrations tell: a canvas that holds it, and what maps onto it.

The content of the canvas is predicted, its unused part too (encode.py), so a rule that is too wide loses nothing but
time. What the sizes tell for certain, the model need not find out: that the output is the input three times as large,
or one of its four panels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from trmsolve.tasks.arc.grids import LARGEST, Pair

Shape = tuple[int, int]  # rows, columns


@dataclass(frozen=True, slots=True)
class SizeRule:
    """The rule for one axis and the other: `times` the input's, or always `fixed`, or unknown but up to `most`."""

    times: tuple[Fraction | None, Fraction | None]
    fixed: tuple[int | None, int | None]
    most: Shape

    @classmethod
    def of(cls, pairs: Iterable[Pair]) -> SizeRule:
        """What holds for all pairs, one or more. Where both would do, the output grows with the input."""
        shapes = [(pair.input.shape, pair.output.shape) for pair in pairs]
        ratios = [{Fraction(after[axis], before[axis]) for before, after in shapes} for axis in (0, 1)]
        sides = [{after[axis] for _, after in shapes} for axis in (0, 1)]
        return cls(
            tuple(next(iter(r)) if len(r) == 1 else None for r in ratios),
            tuple(next(iter(s)) if len(s) == 1 else None for s in sides),
            tuple(max(s) for s in sides),
        )

    @property
    def keeps(self) -> bool:
        """Whether outputs are as large as their inputs."""
        return self.times == (1, 1)

    def output(self, shape: Shape) -> Shape | None:
        """The output's size for an input of this size; None where the rule does not say."""
        sides = [self._side(axis, shape[axis]) for axis in (0, 1)]
        return None if None in sides else (sides[0], sides[1])

    def _side(self, axis: int, side: int) -> int | None:
        times, fixed = self.times[axis], self.fixed[axis]
        if times is not None and (times * side).denominator == 1 and 1 <= times * side <= LARGEST:
            return int(times * side)
        return fixed

    def canvas(self, shape: Shape) -> Shape:
        """A size that holds input and output."""
        after = self.output(shape)
        if after is None:
            after = tuple(self.most[axis] if (s := self._side(axis, shape[axis])) is None else s for axis in (0, 1))
        return max(shape[0], after[0]), max(shape[1], after[1])
