"""Training puzzles: files of puzzles with answers, mixed by weight, with hints or corrupted on the fly.

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
from trmsolve.tasks.dataset import Mixture, file_digest, training_puzzles
from trmsolve.tasks.sudoku.encode import candidates, encode, target
from trmsolve.tasks.sudoku.generate import generate
from trmsolve.tasks.sudoku.read import read
from trmsolve.tasks.sudoku.rules import BOX, check

if TYPE_CHECKING:
    from typing_extensions import Self

Pair = tuple[np.ndarray, np.ndarray]  # question and answer, uint8 (side, side)


class FileSource:
    """The puzzles of one file: CSV or text with answers, or .npz with uint8 arrays question and answer (n, cells)."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.digest = file_digest(path)
        self.pairs = _from_npz(path) if path.suffix == ".npz" else _from_text(path)

    def __len__(self) -> int:
        return len(self.pairs)

    def draw(self, rng: np.random.Generator, index: int) -> Pair:
        """A random puzzle of the file."""
        return self.pairs[rng.integers(len(self.pairs))]


class GeneratorSource:
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
    for puzzle in training_puzzles(path, read):
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
    hint_prob: float = 0.7  # probability that a puzzle gets extra givens: without them learning stalls for long
    hint_max: float = 0.3  # largest share of the blanks that is filled in, at the first draw
    hint_min: float = 0.12  # the same from draw number hint_draws on; it falls linearly in between
    hint_draws: float = 50_000  # 0: it stays at hint_max

    @classmethod
    def open(cls, specs: Sequence[str], seed: int = 0, **options: float) -> Self:
        """Sources from `PATH[=WEIGHT]` or `generate:SIDExSIDE[=WEIGHT]`; the 9x9 generator when there are none."""

        def source(name: str) -> FileSource | GeneratorSource:
            if name.startswith("generate:"):
                return GeneratorSource(seed, _side(name.removeprefix("generate:")))
            return FileSource(Path(name))

        return cls(Mixture.open(specs or ["generate:9x9"], source), seed, **options)

    def describe(self) -> list[dict[str, object]]:
        """Provenance: name, sha256, number of puzzles and share of each source."""
        return self.mixture.describe()

    def pair(self, index: int) -> tuple[Pair, np.random.Generator]:
        """Number `index`, and the randomness that is left for what else is done to it."""
        rng = np.random.default_rng([self.seed, index])
        source = self.mixture.pick(rng)
        question, answer = source.draw(rng, index)
        if rng.random() < self.hint_prob:
            question = add_hints(question, answer, rng.random() * self.hint_share(index), rng)
        return (question, answer), rng

    def hint_share(self, index: int) -> float:
        """The largest share of the blanks that draw number `index` fills in."""
        progress = min(1.0, index / self.hint_draws) if self.hint_draws else 0.0
        return self.hint_max - progress * max(0.0, self.hint_max - self.hint_min)


@dataclass(frozen=True)
class SudokuData(Pairs):
    """Training samples of the bundled model."""

    unsolvable_prob: float = 0.08  # probability of a wrong extra given, as in a search's wrong branches

    def draw(self, index: int) -> Sample:
        """Sample number `index`."""
        (question, answer), rng = self.pair(index)
        if rng.random() < self.unsolvable_prob and (unsolvable := corrupt(question, answer, rng)) is not None:
            encoded = encode(unsolvable)
            assert encoded is not None
            # Without target: the right token of a choice may no longer exist.
            return Sample(encoded, np.zeros(encoded.num_choices, np.int64), solvable=False)
        encoded = encode(question)
        assert encoded is not None
        return Sample(encoded, target(question, answer))


def _side(size: str) -> int:
    sides = {f"{side}x{side}": side for side in sorted(BOX)}
    if size not in sides:
        raise TrmsolveError(f"generate:{size}: not a size", f"known: {', '.join(sides)}")
    return sides[size]


def add_hints(question: np.ndarray, answer: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """A copy in which each blank is filled in with probability `share`; at least one blank stays."""
    revealed = rng.random(question.shape) < share
    return question if (revealed | (question > 0)).all() else np.where(revealed, answer, question)


def corrupt(question: np.ndarray, answer: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """A copy with one wrong candidate as given, such that no open cell or unit is left without candidates at once."""
    side = len(question)
    tokens = candidates(question)
    wrong = tokens[answer.reshape(-1)[tokens // side] != tokens % side + 1]
    for token in rng.permutation(wrong)[:8]:
        corrupted = question.copy()
        corrupted.reshape(-1)[token // side] = token % side + 1
        if encode(corrupted) is not None:
            return corrupted
    return None
