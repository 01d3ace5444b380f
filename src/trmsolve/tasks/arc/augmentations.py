"""Augmentations of ARC tasks: eight rotations and reflections, and permutations of the colours.

Colours that occur in every demonstration are treated as part of the rule. Half of the augmentations permute the other
colours at random, differently each time, so that the network treats a colour that is new in a test like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from trmsolve.tasks.arc.encode import NUM_CLASSES, decode, encode, sample
from trmsolve.tasks.arc.grids import COLORS, Shape, SizeRule
from trmsolve.tasks.base import Prediction, Sample
from trmsolve.tasks.few_shot import FewShotTask, Grid, LazySample, Pair, Query
from trmsolve.tasks.symmetries import SYMMETRIES, inverse, transform

if TYPE_CHECKING:
    from trmsolve.model.inputs import Encoded

IDENTITY = tuple(range(COLORS))
RECOLORINGS = 4  # colour permutations in which a permuting augmentation trains on each demonstration


@dataclass(frozen=True, slots=True)
class Augmentation:
    """A symmetry and a colour permutation, applied to all grids of a task.

    Raises ValueError for an invalid symmetry or permutation.
    """

    symmetry: int = 0  # 0 .. 7 (tasks/symmetries.py)
    colors: tuple[int, ...] = IDENTITY  # the new colour of each colour: a permutation of 0 .. 9

    def __post_init__(self) -> None:
        if self.symmetry not in range(SYMMETRIES) or sorted(self.colors) != list(IDENTITY):
            raise ValueError(f"not an augmentation: symmetry {self.symmetry}, colours {self.colors}")

    def apply(self, grid: Grid) -> Grid:
        """An augmented copy of a grid, uint8 (height, width)."""
        return np.array(self.colors, np.uint8)[transform(grid, self.symmetry)]

    def invert(self, grid: Grid) -> Grid:
        """The inverse: invert(apply(grid)) equals the grid."""
        return np.argsort(self.colors).astype(np.uint8)[transform(grid, inverse(self.symmetry))]

    def pair(self, pair: Pair) -> Pair:
        """Both grids of a pair."""
        return Pair(self.apply(pair.input), self.apply(pair.output))


@dataclass(frozen=True, eq=False)
class ArcQuery:
    """An input grid under one augmentation, whose output is to be predicted (few_shot.Query)."""

    index: int  # of the grid among those queried
    group: tuple[int, bool]  # first row of the task, and whether colours are permuted
    grid: Grid  # augmented
    augmentation: Augmentation
    rule: SizeRule
    row: int  # of the puzzle table

    @property
    def canvas(self) -> Shape:
        """The size of the canvas on which the output is predicted."""
        return self.rule.canvas(self.grid.shape)

    @property
    def num_tokens(self) -> int:
        """Cells of the canvas."""
        return prod(self.canvas)

    @cached_property
    def encoded(self) -> Encoded:
        """The network's input."""
        return encode(self.grid, self.rule, self.row)

    def prediction(self, choice: np.ndarray, confidence: np.ndarray) -> Prediction:
        """The predicted grid, augmentation undone. choice: int64 (cells,) classes; confidence: float32 (cells,)."""
        augmented = decode(choice, confidence, self.canvas, self.rule.output(self.grid.shape))
        return Prediction(self.augmentation.invert(augmented.answer), self._invert(augmented.confidence))

    def probabilities(self, grid: Grid, probabilities: np.ndarray) -> np.ndarray:
        """Probabilities of colours in the cells of a predicted grid, augmentation undone.

        grid: uint8 (height, width). probabilities: float32 (cells * NUM_CLASSES,).
        Returns float32 (height, width, COLORS).
        """
        by_cell = probabilities.reshape(*self.canvas, NUM_CLASSES)  # (rows, columns, NUM_CLASSES)
        height, width = self.augmentation.apply(grid).shape
        return self._invert(by_cell[:height, :width, list(self.augmentation.colors)])

    def _invert(self, array: np.ndarray) -> np.ndarray:
        return transform(array, inverse(self.augmentation.symmetry))


@dataclass(frozen=True, eq=False)
class ArcSample:
    """A pair under one augmentation, to train on (few_shot.LazySample)."""

    pair: Pair  # not augmented
    augmentation: Augmentation
    rule: SizeRule
    row: int  # of the puzzle table

    @property
    def num_tokens(self) -> int:
        """Cells of the canvas."""
        return prod(self.rule.canvas(self.augmentation.apply(self.pair.input).shape))

    @cached_property
    def sample(self) -> Sample:
        """The encoded pair."""
        return sample(self.augmentation.pair(self.pair), self.rule, self.row)


class ArcAugmentedTask:
    """A task under several augmentations, the first one the identity. Its rows of the puzzle table begin at first_row.

    The first eight augmentations are the eight symmetries of a square; the next eight also permute the free colours;
    and so on in turn. Further augmentations differ only by their rows, whose colours start in another order.
    """

    def __init__(self, task: FewShotTask, num_augmentations: int, first_row: int = 0, seed: int = 0) -> None:
        self.task, self.num_augmentations, self.first_row = task, num_augmentations, first_row
        self.rules = [
            SizeRule.from_pairs(map(Augmentation(symmetry).pair, task.demonstrations)) for symmetry in range(SYMMETRIES)
        ]
        self.free_colors = free_colors(task.demonstrations)
        self.rng = np.random.default_rng([seed, first_row])

    def samples(self) -> list[list[list[LazySample]]]:
        """The variants by demonstration and augmentation: one, or several colour permutations."""
        return [
            [[self._sample(pair, k) for _ in range(self._num_variants(k))] for k in range(self.num_augmentations)]
            for pair in self.task.demonstrations
        ]

    def queries(self, grids: Sequence[Grid], limit: int | None = None) -> list[Query]:
        """A query for each grid and augmentation, grid by grid. limit: the maximum number of augmentations."""
        stride = 1 if limit is None else -(-self.num_augmentations // limit)
        return [
            self._query(index, grid, k)
            for index, grid in enumerate(grids)
            for k in range(0, self.num_augmentations, stride)
        ]

    def _query(self, index: int, grid: Grid, k: int) -> ArcQuery:
        augmentation, group = self._augmentation(k), (self.first_row, permutes_colors(k))
        rule = self.rules[augmentation.symmetry]
        return ArcQuery(index, group, augmentation.apply(grid), augmentation, rule, self.first_row + k)

    def _sample(self, pair: Pair, k: int) -> ArcSample:
        augmentation = self._augmentation(k)
        return ArcSample(pair, augmentation, self.rules[augmentation.symmetry], self.first_row + k)

    def _num_variants(self, k: int) -> int:
        return RECOLORINGS if permutes_colors(k) and len(self.free_colors) > 1 else 1

    def _augmentation(self, k: int) -> Augmentation:
        """Augmentation k; where it permutes colours, another permutation with each call."""
        colors = np.arange(COLORS)
        if permutes_colors(k):
            colors[self.free_colors] = self.rng.permutation(self.free_colors)
        return Augmentation(k % SYMMETRIES, tuple(colors.tolist()))


def permutes_colors(k: int) -> bool:
    """Whether augmentation k permutes the free colours."""
    return k // SYMMETRIES % 2 == 1


def free_colors(demonstrations: Sequence[Pair]) -> list[int]:
    """The colours missing in at least one demonstration, except black, the background of most tasks."""
    used = [{*np.unique(pair.input).tolist(), *np.unique(pair.output).tolist()} for pair in demonstrations]
    return [color for color in range(1, COLORS) if not all(color in colors for colors in used)]
