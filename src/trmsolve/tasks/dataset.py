"""Where training puzzles come from: several sources, mixed by weight, for any task."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.base import Puzzle
from trmsolve.text_io import open_lines


class Source(Protocol):
    """Puzzles to train on."""

    name: str
    digest: str  # sha256 of a file, the seed of a generator

    def __len__(self) -> int:
        """How many puzzles; 0 for a generator, which has no end."""

    def draw(self, rng: np.random.Generator, index: int) -> Any:
        """A random puzzle, in the task's own form, for draw number `index` of the run."""


@dataclass(frozen=True)
class Mixture:
    """Sources with their shares, float64 (sources,), which sum to 1."""

    sources: Sequence[Source]
    shares: np.ndarray

    @classmethod
    def open(cls, specs: Sequence[str], source: Callable[[str], Source]) -> Mixture:
        """Sources by `NAME[=WEIGHT]`; a file's default weight is its number of puzzles.

        source: makes one from its name. Raises TrmsolveError for an invalid weight.
        """
        sources, weights = [], []
        for spec in specs:
            name, _, weight = spec.partition("=")
            sources.append(source(name))
            weights.append(_weight(spec, weight) if weight else float(len(sources[-1]) or 1000))
        return cls(sources, np.asarray(weights) / sum(weights))

    def pick(self, rng: np.random.Generator) -> Source:
        """One of them at random."""
        index = int(np.searchsorted(np.cumsum(self.shares), rng.random(), side="right"))
        return self.sources[min(index, len(self.sources) - 1)]

    def describe(self) -> list[dict[str, object]]:
        """Provenance: name, sha256, number of puzzles and share of each source."""
        return [
            {"name": s.name, "sha256": s.digest, "puzzles": len(s), "share": round(float(share), 4)}
            for s, share in zip(self.sources, self.shares, strict=True)
        ]


def file_digest(path: Path) -> str:
    """The sha256 of a file; "" when it cannot be read as one (its reader will say why)."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def training_puzzles(path: Path, read: Callable[[Any, str], Any]) -> list[Puzzle]:
    """All puzzles of a file. Raises TrmsolveError for the first record that is none, and for a file without any."""
    puzzles = []
    for record in read(open_lines(str(path)), str(path)):
        if not isinstance(record, Puzzle):
            raise TrmsolveError(f"{record.source}: {record.message}", "training data must be free of errors")
        puzzles.append(record)
    if not puzzles:
        raise TrmsolveError(f"{path}: holds no puzzles", "train on a CSV with question,answer")
    return puzzles


def _weight(spec: str, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not 0 < weight < math.inf:
        raise TrmsolveError(f"{spec}: '{text}' is no weight", "expected FILE=WEIGHT with a positive number")
    return weight
