"""ARC pairs to train on: collections of tasks, mixed by weight, each task with rows of its own in the model's table.

A row sees its task from one side, always the same, so that it stands for one rule. Draw number i of a seed is always the
same sample.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.arc.data import Collection, collection
from trmsolve.tasks.arc.encode import sample
from trmsolve.tasks.arc.grids import Pair
from trmsolve.tasks.arc.sizes import SizeRule
from trmsolve.tasks.arc.symmetries import View
from trmsolve.tasks.base import Sample
from trmsolve.tasks.mixture import Mixture
from trmsolve.tasks.symmetries import SYMMETRIES

if TYPE_CHECKING:
    from typing_extensions import Self

SHOWN = 4  # pairs from which sizes are inferred, as many as tasks have demonstrations


class Source:
    """The pairs of one collection, without the tasks that are held out."""

    def __init__(self, found: Collection, held_out: float) -> None:
        self.collection, self.name, self.digest = found, found.name, found.digest
        self.tasks = [i for i, name in enumerate(found.names) if not is_held_out(name, held_out)]
        if not self.tasks:
            raise TrmsolveError(f"{found.name}: holds no tasks to train on", "lower data.held_out")

    def __len__(self) -> int:
        return len(self.tasks)

    def draw(self, rng: np.random.Generator, index: int) -> tuple[str, list[Pair]]:
        """A random task's name, and some of its pairs in random order."""
        task = self.tasks[int(rng.integers(len(self.tasks)))]
        chosen = rng.permutation(int(self.collection.counts[task]))[: 2 * SHOWN]
        return self.collection.names[task], [self.collection.pair(task, int(number)) for number in chosen]


@dataclass(frozen=True)
class Data:
    """What a run draws from."""

    mixture: Mixture
    seed: int = 0
    rows_per_task: int = 2  # rows of the table for each task, each from another side
    most: int = 400  # cells of a canvas; larger pairs are passed over for others of their task, while it has any

    @classmethod
    def open(cls, specs: Sequence[str], seed: int = 0, held_out: float = 0.0, **mix: Any) -> Self:
        """Sources from `PATH[=WEIGHT]`, where the default weight of a file is its number of tasks.

        held_out: the share of tasks, by their names, that are not trained on, so that they can be measured on.
        """
        if not specs:
            raise TrmsolveError("ARC has no generator: nothing to train on", "name files of tasks: --data FILE.json")
        mixture = Mixture.open(specs, lambda name: Source(collection(name), held_out))
        return cls(mixture, seed, **mix)

    @cached_property
    def names(self) -> dict[str, int]:
        """Of all tasks, and their number. Collections that share a name have pairs of the same task."""
        sources: Sequence[Any] = self.mixture.sources
        names = (s.collection.names[i] for s in sources for i in s.tasks)
        return {name: number for number, name in enumerate(dict.fromkeys(names))}

    @property
    def rows(self) -> int:
        """Rows that the model's table needs."""
        return self.rows_per_task * len(self.names)

    def describe(self) -> list[dict[str, object]]:
        """Provenance: name, sha256, number of tasks and share of each source."""
        return [{("tasks" if k == "puzzles" else k): v for k, v in d.items()} for d in self.mixture.describe()]

    def draw(self, index: int) -> Sample:
        """Sample number `index`."""
        rng = np.random.default_rng([self.seed, index])
        while True:
            name, pairs = self.mixture.pick(rng).draw(rng, index)
            row = self.rows_per_task * self.names[name] + int(rng.integers(self.rows_per_task))
            view = View(int(np.random.default_rng([self.seed, row, 3]).integers(SYMMETRIES)))
            for pair in pairs:
                seen, shown = view.pair(pair), [view.pair(p) for p in (pair, *pairs[:SHOWN])]
                rule = SizeRule.of(shown)
                if prod(rule.canvas(seen.input.shape)) <= self.most:
                    return sample(seen, rule, row)


def is_held_out(name: str, share: float) -> bool:
    """Whether a task is among the share of all tasks that a run may not train on: by its name, in any collection."""
    return zlib.crc32(name.encode()) % 1000 < 1000 * share
