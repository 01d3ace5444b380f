"""ARC pairs to train on: collections of tasks, mixed by weight, each task with rows of its own in the model's table.

A row sees its task from one side, always the same, so that it stands for one rule. Draw number i of a seed is always
the same sample.

Nothing that is measured on may be learnt from its answers. So an evaluation set is taken only as `demonstrations:PATH`,
which gives the pairs that a solver is shown, too, and never the outputs of tests.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.arc.data import Collection, collection
from trmsolve.tasks.arc.encode import sample
from trmsolve.tasks.arc.grids import Pair
from trmsolve.tasks.arc.read import json_files
from trmsolve.tasks.arc.sizes import SizeRule
from trmsolve.tasks.arc.symmetries import View
from trmsolve.tasks.base import Sample
from trmsolve.tasks.mixture import Mixture
from trmsolve.tasks.symmetries import SYMMETRIES

if TYPE_CHECKING:
    from typing_extensions import Self

SHOWN = 4  # pairs from which sizes are inferred, as many as tasks have demonstrations
DEMONSTRATIONS = "demonstrations:"
PATIENCE = 1000  # tasks drawn in vain


class Source:
    """The pairs of one collection, without the tasks that are held out."""

    def __init__(self, found: Collection, held_out: float, pairs: str = "all") -> None:
        self.collection, self.name, self.digest, self.pairs = found, found.name, found.digest, pairs
        self.tasks = [i for i, name in enumerate(found.names) if not is_held_out(name, held_out)]
        if not self.tasks:
            raise TrmsolveError(f"{found.name}: holds no tasks to train on", "lower data.held_out")

    @classmethod
    def open(cls, spec: str, held_out: float) -> Self:
        """Of `PATH`, or of `demonstrations:PATH`. Raises TrmsolveError for an evaluation set with its answers."""
        path = Path(spec.removeprefix(DEMONSTRATIONS))
        if spec.startswith(DEMONSTRATIONS):
            if path.suffix.lower() == ".npz":
                raise TrmsolveError(f"{spec}: generated pairs are not divided", f"name it without {DEMONSTRATIONS}")
            return cls(collection(path, answers=False), held_out, "demonstrations")
        if (measured := _evaluation(path)) is not None:
            raise TrmsolveError(
                f"{measured}: an evaluation set, by its name; what is measured on must not be learnt from its answers",
                f"train on its demonstrations alone: --data {DEMONSTRATIONS}{path}",
            )
        return cls(collection(path), held_out)

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
    rows_per_task: int = 1  # rows of the table for each task, each from another side
    most: int = 225  # cells of a canvas; larger pairs are passed over for others of their task, while it has any

    def __post_init__(self) -> None:
        for name in ("rows_per_task", "most"):
            value = getattr(self, name)
            if value < 1 or value != int(value):
                raise TrmsolveError(f"data.{name}: a whole number from 1 on needed, found {value:g}")
            object.__setattr__(self, name, int(value))  # a recipe knows numbers only

    @classmethod
    def open(cls, specs: Sequence[str], seed: int = 0, held_out: float = 0.0, **mix: Any) -> Self:
        """Sources from `[demonstrations:]PATH[=WEIGHT]`, where the default weight of a file is its number of tasks.

        held_out: the share of tasks, by their names, that are not trained on, so that they can be measured on.
        """
        if not specs:
            raise TrmsolveError("ARC has no generator: nothing to train on", "name files of tasks: --data FILE.json")
        mixture = Mixture.open(specs, lambda spec: Source.open(spec, held_out))
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
        """Provenance: name, sha256, number of tasks, share, and which pairs of each source, all or demonstrations."""
        sources: Sequence[Any] = self.mixture.sources
        return [
            {("tasks" if key == "puzzles" else key): value for key, value in said.items()} | {"pairs": source.pairs}
            for source, said in zip(sources, self.mixture.describe(), strict=True)
        ]

    def draw(self, index: int) -> Sample:
        """Sample number `index`. Raises TrmsolveError when no pair is small enough."""
        rng = np.random.default_rng([self.seed, index])
        for _ in range(PATIENCE):
            name, pairs = self.mixture.pick(rng).draw(rng, index)
            row = self.rows_per_task * self.names[name] + int(rng.integers(self.rows_per_task))
            view = View(int(np.random.default_rng([self.seed, row, 3]).integers(SYMMETRIES)))
            for pair in pairs:
                seen, shown = view.pair(pair), [view.pair(p) for p in (pair, *pairs[:SHOWN])]
                rule = SizeRule.of(shown)
                if prod(rule.canvas(seen.input.shape)) <= self.most:
                    return sample(seen, rule, row)
        raise TrmsolveError(f"no pair of {PATIENCE} tasks has at most {self.most} cells", "raise data.most")


def is_held_out(name: str, share: float) -> bool:
    """Whether a task is among the share of all tasks that a run may not train on: by its name, in any collection."""
    return zlib.crc32(name.encode()) % 1000 < 1000 * share


def _evaluation(path: Path) -> Path | None:
    """The part of what is named that is an evaluation set, by its name or by its folder's; None when nothing is."""
    files = [path, *(json_files(path) if path.is_dir() else [])]
    inside = path.absolute().parent.name.lower() == "evaluation"
    return path if inside else next((file for file in files if "evaluation" in file.name.lower()), None)
