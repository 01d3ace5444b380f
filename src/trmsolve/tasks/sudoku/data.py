"""Training puzzles: files of puzzles with answers, mixed by weight, made easier or unsolvable on the fly.

Draw number i of a seed is always the same sample, so that a run's position in its data is one number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.base import Sample
from trmsolve.tasks.mixture import Mixture, digest, puzzles
from trmsolve.tasks.sudoku.encode import candidates, encode, target
from trmsolve.tasks.sudoku.generate import generate
from trmsolve.tasks.sudoku.read import read
from trmsolve.tasks.sudoku.rules import BOX, check

if TYPE_CHECKING:
    from typing_extensions import Self

Pair = tuple[np.ndarray, np.ndarray]  # question and answer, uint8 (side, side)


class Files:
    """The puzzles of one file: CSV or text with answers, or .npz with uint8 arrays question and answer (n, cells)."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.digest = digest(path)
        self.pairs = _from_npz(path) if path.suffix == ".npz" else _from_text(path)

    def __len__(self) -> int:
        return len(self.pairs)

    def draw(self, rng: np.random.Generator, index: int) -> Pair:
        """A random puzzle of the file."""
        return self.pairs[rng.integers(len(self.pairs))]


class Generated:
    """The generator as a source: it makes one new puzzle for every few draws, and draws from all made so far."""

    FIRST, DRAWS_PER_PUZZLE = 64, 16

    def __init__(self, seed: int, side: int = 9) -> None:
        self.name, self.digest = f"generate:{side}x{side}", f"seed {seed}"
        self.puzzle = lru_cache(maxsize=None)(lambda index: generate(seed, index, side)[:2])

    def __len__(self) -> int:
        return 0  # without end

    def draw(self, rng: np.random.Generator, index: int) -> Pair:
        """A random one of the puzzles that exist by draw number `index`."""
        return self.puzzle(int(rng.integers(self.FIRST + index // self.DRAWS_PER_PUZZLE)))


def _from_npz(path: Path) -> list[Pair]:
    try:
        with np.load(path) as arrays:
            question, answer = arrays["question"], arrays["answer"]
            side = round(question.shape[1] ** 0.5)
            shape = (-1, side, side)
            return list(zip(question.reshape(shape), answer.reshape(shape), strict=True))
    except (OSError, KeyError, ValueError) as error:
        raise TrmsolveError(
            f"{path}: no training puzzles: {error}",
            "expected an .npz with uint8 arrays 'question' and 'answer' (n, cells)",
        ) from error


def _from_text(path: Path) -> list[Pair]:
    pairs = []
    for puzzle in puzzles(path, read):
        if puzzle.solution is None:
            raise TrmsolveError(f"{puzzle.source}: a puzzle without its answer", "train on a CSV with question,answer")
        if broken := check(puzzle.question, puzzle.solution):
            raise TrmsolveError(f"{puzzle.source}: the answer is wrong: {broken[0].message}")
        pairs.append((puzzle.question, puzzle.solution))
    return pairs


@dataclass(frozen=True)
class Pairs:
    """Questions and answers without end."""

    mixture: Mixture
    seed: int = 0
    easier: float = 0.7  # share of puzzles with extra givens: without them learning stalls for long
    easier_most: float = 0.3  # at most this share of the blanks is filled in, in the first draw
    easier_least: float = 0.12  # and this share from draw number easier_draws on; in between it falls evenly
    easier_draws: float = 50_000  # 0: it does not fall

    @classmethod
    def open(cls, specs: Sequence[str], seed: int = 0, **mix: float) -> Self:
        """Sources from `PATH[=WEIGHT]` or `generate:SIDExSIDE[=WEIGHT]`; the 9x9 generator when there are none."""

        def source(name: str) -> Files | Generated:
            if name.startswith("generate:"):
                return Generated(seed, _side(name.removeprefix("generate:")))
            return Files(Path(name))

        return cls(Mixture.open(specs or ["generate:9x9"], source), seed, **mix)

    def describe(self) -> list[dict[str, object]]:
        """Provenance: name, sha256, number of puzzles and share of each source."""
        return self.mixture.describe()

    def pair(self, index: int) -> tuple[Pair, np.random.Generator]:
        """Number `index`, and the randomness that is left for what else is done to it."""
        rng = np.random.default_rng([self.seed, index])
        source = self.mixture.pick(rng)
        question, answer = source.draw(rng, index)
        if rng.random() < self.easier:
            question = _reveal(question, answer, rng.random() * self.most(index), rng)
        return (question, answer), rng

    def most(self, index: int) -> float:
        """The largest share of the blanks that draw number `index` fills in."""
        done = min(1.0, index / self.easier_draws) if self.easier_draws else 0.0
        return self.easier_most - done * max(0.0, self.easier_most - self.easier_least)


@dataclass(frozen=True)
class Data(Pairs):
    """What a run draws from."""

    wrong: float = 0.08  # share with a wrong extra given, which nobody can solve: as in the solver's failed assumptions

    def draw(self, index: int) -> Sample:
        """Sample number `index`."""
        (question, answer), rng = self.pair(index)
        if rng.random() < self.wrong and (unsolvable := _mislead(question, answer, rng)) is not None:
            encoded = encode(unsolvable)
            # The target is of no use to anyone: the right token of a choice may no longer exist.
            return Sample(encoded, np.zeros(encoded.choices, np.int64), solvable=False)
        return Sample(encode(question), target(question, answer))


def _side(size: str) -> int:
    sides = {f"{side}x{side}": side for side in sorted(BOX)}
    if size not in sides:
        raise TrmsolveError(f"generate:{size}: not a size", f"known: {', '.join(sides)}")
    return sides[size]


def _reveal(question: np.ndarray, answer: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """A copy in which each blank is filled in with probability `share`; at least one blank stays."""
    shown = rng.random(question.shape) < share
    return question if (shown | (question > 0)).all() else np.where(shown, answer, question)


def _mislead(question: np.ndarray, answer: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """A copy with one wrong candidate as given, such that no open cell or unit is left without candidates at once."""
    side = len(question)
    tokens = candidates(question)
    wrong = tokens[answer.reshape(-1)[tokens // side] != tokens % side + 1]
    for token in rng.permutation(wrong)[:8]:
        misled = question.copy()
        misled.reshape(-1)[token // side] = token % side + 1
        if encode(misled) is not None:
            return misled
    return None
