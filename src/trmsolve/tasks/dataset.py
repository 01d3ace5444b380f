"""Where training puzzles come from: files and generators, mixed by weight, for any task.

Draw number i of a seed is always the same sample, so that a run's position in its data is one number.
"""

from __future__ import annotations

import hashlib
import logging
import math
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.base import InvalidPuzzle, Option, Puzzle, Sample, Task
from trmsolve.text_io import open_lines

if TYPE_CHECKING:
    from trmsolve.tasks.constraints import ConstraintPuzzle

log = logging.getLogger(__name__)

Pair = tuple[np.ndarray, np.ndarray]  # question and answer, same shape

HINT_OPTIONS = (
    Option("hint_prob", float, "Probability of extra givens.", min=0, max=1, aliases=("easier",)),
    Option("hint_max", float, "Largest share of blanks filled in at first.", min=0, max=1, aliases=("easier_most",)),
    Option("hint_min", float, "The same from draw hint_draws on.", min=0, max=1, aliases=("easier_least",)),
    Option("hint_draws", float, "Draws until hint_min is reached.", min=0, aliases=("easier_draws",)),
)
UNSOLVABLE = Option("unsolvable_prob", float, "Probability of a wrong extra given.", min=0, max=1, aliases=("wrong",))


# -- sources ------------------------------------------------------------------------------------------------------
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


class FileSource:
    """The puzzles of one file with their answers: text or CSV, or .npz with arrays question and answer (n, cells)."""

    def __init__(self, task: ConstraintPuzzle, path: Path) -> None:
        self.name, self.digest = path.name, file_digest(path)
        self.pairs = answered_pairs(task, training_puzzles(task, path))

    def __len__(self) -> int:
        return len(self.pairs)

    def draw(self, rng: np.random.Generator, index: int) -> Pair:
        """A random puzzle of the file."""
        return self.pairs[rng.integers(len(self.pairs))]


class GeneratorSource:
    """The generator as a source: it makes one new puzzle for every few draws, and draws from all made so far."""

    FIRST, DRAWS_PER_PUZZLE = 64, 16

    def __init__(self, task: ConstraintPuzzle, seed: int, size: str) -> None:
        rows, columns = shape = parse_size(size) if size else task.size
        self.name, self.digest = f"generate:{rows}x{columns}", f"seed {seed}"

        def make(index: int) -> Pair:
            try:
                return task.generate(seed, index, shape)[:2]
            except ValueError as error:
                raise TrmsolveError(f"{self.name}: {error}", "name another size") from None

        self.puzzle = lru_cache(maxsize=None)(make)

    def __len__(self) -> int:
        return 0  # without end

    def draw(self, rng: np.random.Generator, index: int) -> Pair:
        """A random one of the puzzles that exist by draw number `index`."""
        return self.puzzle(int(rng.integers(self.FIRST + index // self.DRAWS_PER_PUZZLE)))


def pair_mixture(task: ConstraintPuzzle, specs: Sequence[str], seed: int) -> Mixture:
    """Sources from `PATH[=WEIGHT]` or `generate[:SIZE][=WEIGHT]`; the generator when there are none."""

    def source(name: str) -> Source:
        kind, _, size = name.partition(":")
        return GeneratorSource(task, seed, size) if kind == "generate" else FileSource(task, Path(name))

    return Mixture.open(specs or ["generate"], source)


# -- puzzles of one answer, for the mixer `units` -------------------------------------------------------------------
@dataclass(frozen=True)
class PairSource:
    """Questions and answers without end."""

    mixture: Mixture
    seed: int = 0
    hint_prob: float = 0.7  # probability that a puzzle gets extra givens: without them learning stalls for long
    hint_max: float = 0.3  # largest share of the blanks that is filled in, at the first draw
    hint_min: float = 0.12  # the same from draw number hint_draws on; it falls linearly in between
    hint_draws: float = 50_000  # 0: it stays at hint_max

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
class PairData(PairSource):
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
                # Without target: the right token of a choice may no longer exist.
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
    """The sha256 of a file; "" when it cannot be read as one (its reader will say why)."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def training_puzzles(task: Task, path: Path) -> list[Puzzle]:
    """The puzzles of a file. Those without an open cell teach nothing: they are left out, and a warning counts them.

    Raises TrmsolveError for the first record that is no puzzle, and for a file without any.
    """
    from_cells = getattr(task, "from_cells", None)
    is_npz = path.suffix == ".npz" and from_cells is not None
    records = _npz_records(path, from_cells) if is_npz else task.read(open_lines(path), str(path))  # type: ignore[arg-type]
    puzzles, complete = [], 0
    for record in records:
        if not isinstance(record, Puzzle):
            raise TrmsolveError(f"{record.source}: {record.message}", "training data must be free of errors")
        if task.open_cells(record.question).any():
            puzzles.append(record)
        else:
            complete += 1
    if complete:
        total = complete + len(puzzles)
        log.warning("%s: %d of %d puzzles are complete already and are left out", path, complete, total)
    if not puzzles:
        raise TrmsolveError(f"{path}: holds no puzzles to train on", "train on a CSV with question,answer")
    return puzzles


def _npz_records(path: Path, from_cells: Callable[[np.ndarray, str], Puzzle | InvalidPuzzle]) -> list[Any]:
    """The rows of an .npz with integer arrays question and answer (n, cells)."""
    expected = "expected an .npz with uint8 arrays 'question' and 'answer' (n, cells)"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            question, answer = np.asarray(arrays["question"]), np.asarray(arrays["answer"])
    except (OSError, EOFError, KeyError, ValueError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        reason = error.args[0] if isinstance(error, KeyError) else str(error) or "it is empty"
        raise TrmsolveError(f"{path}: no training puzzles: {reason}", expected) from None
    for name, values in (("question", question), ("answer", answer)):
        if values.dtype.kind not in "iu" or values.ndim != 2 or not values.size:
            raise TrmsolveError(f"{path}: '{name}' is {values.dtype} of shape {values.shape}", expected)
    if question.shape != answer.shape:
        raise TrmsolveError(f"{path}: question has shape {question.shape}, answer {answer.shape}", expected)
    return [from_cells(np.stack(row), f"{path}:{n}") for n, row in enumerate(zip(question, answer, strict=True), 1)]


def answered_pairs(task: Task, puzzles: Sequence[Puzzle]) -> list[Pair]:
    """Questions and answers. Raises TrmsolveError for a puzzle without an answer, or with one that breaks a rule."""
    pairs = []
    for puzzle in puzzles:
        if puzzle.solution is None:
            raise TrmsolveError(f"{puzzle.source}: a puzzle without its answer", "train on a CSV with question,answer")
        if broken := task.check(puzzle.question, puzzle.solution):
            raise TrmsolveError(f"{puzzle.source}: the answer is wrong: {broken[0].message}", "correct or remove it")
        pairs.append((puzzle.question, puzzle.solution))
    return pairs


def parse_size(size: str) -> tuple[int, int]:
    """Rows and columns of `9x9`, or of `9` for both. Raises TrmsolveError."""
    match = re.fullmatch(r"(\d{1,4})(?:x(\d{1,4}))?", size)
    if not match:
        raise TrmsolveError(f"generate:{size}: not a size", "expected rows x columns, for example 9x9")
    return int(match[1]), int(match[2] or match[1])


def _weight(spec: str, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not 0 < weight < math.inf:
        raise TrmsolveError(f"{spec}: '{text}' is no weight", "expected FILE=WEIGHT with a positive number")
    return weight
