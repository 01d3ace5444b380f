"""Training puzzles from files and generators, mixed by weight, for any task.

Sample number i depends on the seed and i only, so a run's position in its data is one number.
"""

from __future__ import annotations

import hashlib
import logging
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from trmsolve.containers import load_arrays
from trmsolve.errors import TrmsolveError
from trmsolve.tasks.base import DataOption, InvalidPuzzle, Puzzle, Sample, Task
from trmsolve.tasks.grid_text import MAX_SIDE
from trmsolve.text_io import is_file, open_lines

if TYPE_CHECKING:
    from trmsolve.tasks.constraints import ConstraintPuzzle

log = logging.getLogger(__name__)

Pair = tuple[np.ndarray, np.ndarray]  # question and answer, same shape
Item = TypeVar("Item")

HINT_OPTIONS = (
    DataOption("hint_prob", float, min=0, max=1),  # probability of extra givens
    DataOption("hint_max", float, min=0, max=1),  # largest share of blanks filled in at first
    DataOption("hint_min", float, min=0, max=1),  # and after hint_draws draws
    DataOption("hint_draws", float, min=0),
)
UNSOLVABLE = DataOption("unsolvable_prob", float, min=0, max=1)  # probability of a wrong extra given


# -- sources ------------------------------------------------------------------------------------------------------
class Source(Protocol):
    """Puzzles to train on."""

    name: str
    digest: str  # sha256 of a file, the seed of a generator

    def __len__(self) -> int:
        """The number of puzzles; 0 for a generator, which has no end."""

    def draw(self, rng: np.random.Generator, index: int) -> Any:
        """A random puzzle in the task's form. index: the number of the run's sample, from 0."""


@dataclass(frozen=True)
class Mixture:
    """Sources with their shares, float64 (sources,), which sum to 1."""

    sources: Sequence[Source]
    shares: np.ndarray

    @classmethod
    def open(cls, specs: Sequence[str], source: Callable[[str], Source]) -> Mixture:
        """Sources by `NAME[=WEIGHT]`; a file's default weight is its number of puzzles.

        source: opens the source of a name. Raises TrmsolveError for an invalid weight.
        """
        sources, weights = [], []
        for spec in specs:
            name, _, weight = spec.partition("=")
            sources.append(source(name))
            weights.append(_weight(spec, weight) if weight else float(len(sources[-1]) or 1000))
        return cls(sources, np.asarray(weights) / sum(weights))

    def pick(self, rng: np.random.Generator) -> Source:
        """A random source, with probability `shares`."""
        index = int(np.searchsorted(np.cumsum(self.shares), rng.random(), side="right"))
        return self.sources[min(index, len(self.sources) - 1)]

    def describe(self) -> list[dict[str, object]]:
        """Provenance: name, sha256, number of puzzles and share of each source."""
        return [
            {"name": s.name, "sha256": s.digest, "puzzles": len(s), "share": round(float(share), 4)}
            for s, share in zip(self.sources, self.shares, strict=True)
        ]


@dataclass(frozen=True)
class MixtureData:
    """An endless series of puzzles from a mixture of sources: base class of the tasks' training data."""

    mixture: Mixture
    seed: int = 0

    def describe(self) -> list[dict[str, object]]:
        """Provenance: name, sha256, number of puzzles and share of each source."""
        return self.mixture.describe()

    def puzzle(self, index: int) -> tuple[Any, np.random.Generator]:
        """Puzzle number `index` in the form of its source, and the random generator to draw further changes from."""
        rng = np.random.default_rng([self.seed, index])
        return self.mixture.pick(rng).draw(rng, index), rng


class PairFile:
    """The puzzles of one file with their answers: text or CSV, or .npz with arrays question and answer (n, cells)."""

    def __init__(self, task: ConstraintPuzzle, path: Path) -> None:
        self.name, self.digest = path.name, file_digest(path)
        self.pairs = answered_pairs(task, training_puzzles(task, path))

    def __len__(self) -> int:
        return len(self.pairs)

    def draw(self, rng: np.random.Generator, index: int) -> Pair:
        """A random puzzle of the file."""
        return self.pairs[rng.integers(len(self.pairs))]


class GeneratorSource(Generic[Item]):
    """A generator as a source: one new puzzle every DRAWS_PER_PUZZLE samples; samples are drawn from all so far.

    name: "generate:" and its arguments. make: the puzzle with a number. first: puzzles that sample 0 is drawn from.
    """

    DRAWS_PER_PUZZLE = 16

    def __init__(self, name: str, seed: int, make: Callable[[int], Item], first: int) -> None:
        self.name, self.digest, self.first = name, f"seed {seed}", first
        self.puzzle = lru_cache(maxsize=None)(make)

    def __len__(self) -> int:
        return 0  # endless

    def draw(self, rng: np.random.Generator, index: int) -> Item:
        """A random puzzle among those generated by sample number `index`."""
        return self.puzzle(int(rng.integers(self.first + index // self.DRAWS_PER_PUZZLE)))


def pair_mixture(task: ConstraintPuzzle, specs: Sequence[str], seed: int) -> Mixture:
    """Sources from `PATH[=WEIGHT]` or `generate[:SIZE][=WEIGHT]`; the generator when there are none."""

    def source(name: str) -> Source:
        kind, _, size = name.partition(":")
        return _generator(task, seed, size) if kind == "generate" else PairFile(task, Path(name))

    return Mixture.open(specs or ["generate"], source)


def _generator(task: ConstraintPuzzle, seed: int, size: str) -> GeneratorSource[Pair]:
    rows, columns = shape = parse_size(size, "generate:") if size else task.size
    name = f"generate:{rows}x{columns}"

    def make(index: int) -> Pair:
        try:
            return task.generate(seed, index, shape)[:2]
        except ValueError as error:
            raise TrmsolveError(f"{name}: {error}", "name another size") from None

    return GeneratorSource(name, seed, make, first=64)


# -- puzzles of one answer, for the mixer `units` -------------------------------------------------------------------
@dataclass(frozen=True)
class HintedPairs(MixtureData):
    """An endless series of questions and answers, some with extra givens."""

    hint_prob: float = 0.7  # probability of extra givens: without them the loss stays on a plateau for long
    hint_max: float = 0.3  # largest share of the blanks filled in, for sample 0
    hint_min: float = 0.12  # largest share from sample hint_draws on; linear in between
    hint_draws: float = 50_000  # 0: always hint_max

    def pair(self, index: int) -> tuple[Pair, np.random.Generator]:
        """Question and answer number `index`, and the random generator to draw further changes from."""
        (question, answer), rng = self.puzzle(index)
        if rng.random() < self.hint_prob:
            question = add_hints(question, answer, rng.random() * self.hint_share(index), rng)
        return (question, answer), rng

    def hint_share(self, index: int) -> float:
        """The largest share of the blanks filled in for sample number `index`."""
        progress = min(1.0, index / self.hint_draws) if self.hint_draws else 0.0
        return self.hint_max - progress * max(0.0, self.hint_max - self.hint_min)


@dataclass(frozen=True)
class PairData(HintedPairs):
    """Training samples of a ConstraintPuzzle."""

    unsolvable_prob: float = 0.08  # probability of a wrong extra given, as in a search's wrong branches
    task: ConstraintPuzzle | None = None

    def draw(self, index: int) -> Sample:
        """Sample number `index`."""
        assert self.task is not None
        (question, answer), rng = self.pair(index)
        if rng.random() < self.unsolvable_prob:
            unsolvable = corrupt(self.task, question, answer, rng)
            encoded = None if unsolvable is None else self.task.encode(unsolvable)
            if encoded is not None and encoded.num_choices:
                # The target is zeros: the correct token of a choice may no longer exist.
                return Sample(encoded, np.zeros(encoded.num_choices, np.int64), solvable=False)
        encoded = self.task.encode(question)
        if encoded is None:
            raise TrmsolveError(f"training data: {self.task.infeasible_reason(question)}", "correct the generator")
        return Sample(encoded, self.task.target(question, answer))


def add_hints(question: np.ndarray, answer: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """A copy in which each blank is filled in with probability `share`; at least one blank stays."""
    revealed = rng.random(question.shape) < share
    return question if (revealed | (question > 0)).all() else np.where(revealed, answer, question)


def corrupt(
    task: ConstraintPuzzle, question: np.ndarray, answer: np.ndarray, rng: np.random.Generator
) -> np.ndarray | None:
    """A copy with one wrong candidate as given, such that no open cell or unit is left without candidates at once."""
    tokens, num_values = task.tokens(question), task.num_values(question)
    wrong = tokens[answer.reshape(-1)[tokens // num_values] != tokens % num_values + 1]
    for token in rng.permutation(wrong)[:8]:
        corrupted = task.with_assignment(question, token)
        if task.encode(corrupted) is not None:
            return corrupted
    return None


# -- files --------------------------------------------------------------------------------------------------------
def file_digest(path: Path) -> str:
    """The sha256 of a file; "" if it is not a file or cannot be read, which its reader reports."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() if is_file(path) else ""
    except OSError:
        return ""


def training_puzzles(task: Task, path: Path) -> list[Puzzle]:
    """The puzzles of a file. Complete ones, without an open cell, are skipped with a warning.

    Raises TrmsolveError for the first invalid record, and for a file without puzzles.
    """
    from trmsolve.tasks.constraints import ConstraintPuzzle  # which imports this module

    if path.suffix == ".npz" and isinstance(task, ConstraintPuzzle):
        records: Iterable[Puzzle | InvalidPuzzle] = _npz_records(path, task)
    else:
        records = task.read(open_lines(path), str(path))
    puzzles, complete = [], 0
    for record in records:
        if not isinstance(record, Puzzle):
            raise TrmsolveError(f"{record.source}: {record.message}", "correct the file: training data must be valid")
        if task.open_cells(record.question).any():
            puzzles.append(record)
        else:
            complete += 1
    if complete:
        total = complete + len(puzzles)
        log.warning("%s: %d of %d puzzles are already complete and are skipped", path, complete, total)
    if not puzzles:
        raise TrmsolveError(f"{path}: no puzzles to train on", "use a CSV with the columns question,answer")
    return puzzles


def _npz_records(path: Path, task: ConstraintPuzzle) -> Iterator[Puzzle | InvalidPuzzle]:
    """The square grids of an .npz with integer arrays question and answer (n, cells).

    Reading them as lines of JSON (containers.py), as other commands do, takes thirty times as long.
    """
    expected = "expected an .npz with uint8 arrays 'question' and 'answer' (n, cells)"
    arrays = load_arrays(path, str(path), expected, ("question", "answer"))
    for name in ("question", "answer"):
        if name not in arrays:
            raise TrmsolveError(f"{path}: no training puzzles: no array '{name}'", expected)
        if (values := arrays[name]).dtype.kind not in "iu" or values.ndim != 2 or not values.size:
            raise TrmsolveError(f"{path}: '{name}' is {values.dtype} of shape {values.shape}", expected)
    question, answer = arrays["question"], arrays["answer"]
    if question.shape != answer.shape:
        raise TrmsolveError(f"{path}: question has shape {question.shape}, answer {answer.shape}", expected)
    side = isqrt(question.shape[1])
    for number, cells in enumerate(np.stack([question, answer], 1), 1):  # (2, cells)
        source, text = f"{path}:{number}", " ".join(map(str, cells[0, :40].tolist()))
        if side * side != question.shape[1]:
            yield InvalidPuzzle(source, f"{question.shape[1]} cells make no square grid", text)
        elif cells.min() < 0 or cells.max() >= len(task.symbols):
            reason = f"values from {cells.min()} to {cells.max()}, expected 0 to {len(task.symbols) - 1}"
            yield InvalidPuzzle(source, reason, text)
        else:
            grid, solution = cells.reshape(2, side, side).astype(np.uint8)
            reason = task.invalid_reason(grid)
            yield InvalidPuzzle(source, reason, text) if reason else Puzzle(grid, source, "line", solution)


def answered_pairs(task: Task, puzzles: Sequence[Puzzle]) -> list[Pair]:
    """Questions and answers. Raises TrmsolveError for a puzzle without an answer, or with one that breaks a rule."""
    pairs = []
    for puzzle in puzzles:
        if puzzle.solution is None:
            raise TrmsolveError(f"{puzzle.source}: the answer is missing", "use a CSV with the columns question,answer")
        if violations := task.check(puzzle.question, puzzle.solution):
            message = f"{puzzle.source}: the answer is wrong: {violations[0].message}"
            raise TrmsolveError(message, "correct or remove it")
        pairs.append((puzzle.question, puzzle.solution))
    return pairs


def parse_size(size: str, option: str) -> tuple[int, int]:
    """Rows and columns of `9x9`, or of `9` for both. option: what stands before it. Raises TrmsolveError."""
    match = re.fullmatch(r"(\d{1,9})(?:x(\d{1,9}))?", size)
    if not match:
        raise TrmsolveError(f"{option}{size}: not a size", "expected rows x columns, for example 9x9")
    rows, columns = int(match[1]), int(match[2] or match[1])
    if max(rows, columns) > MAX_SIDE:
        raise TrmsolveError(f"{option}{size}: too large", f"expected at most {MAX_SIDE} rows and columns")
    return rows, columns


def _weight(spec: str, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not 0 < weight < math.inf:
        raise TrmsolveError(f"{spec}: '{text}' is not a weight", "expected FILE=WEIGHT with a positive number")
    return weight
