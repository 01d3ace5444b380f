"""Pairs of grids from CSV files with the columns question and answer, or from folders written by the TRM and HRM code.

FOLDER/[train/]all__inputs.npy    int (n, cells), token ids
FOLDER/[train/]all__labels.npy    int (n, cells)
FOLDER/[train/]dataset.json       {"ignore_label_id": 0, ...}: labels that are not learnt
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trmsolve.containers import load_arrays
from trmsolve.errors import TrmsolveError
from trmsolve.tasks.base import Puzzle, Sample
from trmsolve.tasks.dataset import Mixture, MixtureData, Pair, file_digest
from trmsolve.tasks.grid_text import MalformedGrid, records, split_rows
from trmsolve.tasks.symmetries import SYMMETRIES, transform
from trmsolve.text_io import open_lines

if TYPE_CHECKING:
    from typing_extensions import Self

    from trmsolve.tasks.grid import GridTask

EXPECTED = "expected a CSV with the columns question,answer, or a folder with all__inputs.npy and all__labels.npy"


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs of one file or folder; symbols are indices into `symbols`."""

    symbols: tuple[str, ...]
    grids: list[Pair]  # question and answer, uint16 (rows, columns) both
    ignored: int | None = None  # answers of this index are not learnt


def held_out(question: np.ndarray, share: float) -> bool:
    """Whether a question belongs to the share that is held out of training: by a hash of its cells and size."""
    digest = hashlib.blake2b(question.astype("<u2").tobytes() + bytes(str(question.shape), "ascii"), digest_size=8)
    return int.from_bytes(digest.digest(), "little") < share * 2**64


@lru_cache(8)
def load(path: str) -> Pairs:
    """The pairs of a file or folder. Raises TrmsolveError for invalid grids, and for answers of another size."""
    return _load_folder(Path(path)) if Path(path).is_dir() else _load_text(path)


def _load_text(path: str) -> Pairs:
    cells = []
    for number, _, question, answer in records(open_lines(path)):
        if not answer.strip():
            raise TrmsolveError(f"{path}:{number}: the answer is missing", EXPECTED)
        try:
            cells.append((number, split_rows(question), split_rows(answer)))
        except MalformedGrid as error:
            raise TrmsolveError(f"{path}:{number}: {error}", "correct the file: training data must be valid") from None
    if not cells:
        raise TrmsolveError(f"{path}: no grids to train on", EXPECTED)
    symbols = tuple({symbol: None for _, *both in cells for rows in both for row in rows for symbol in row})
    values, grids = {symbol: value for value, symbol in enumerate(symbols)}, []
    for number, *both in cells:
        lengths = [[len(row) for row in rows] for rows in both]  # of the question, of the answer
        if lengths[0] != lengths[1] or len(set(lengths[0])) > 1:
            sizes = " and ".join(f"{len(rows)} rows of {sorted(set(rows))} cells" for rows in lengths)
            problem = "question and answer differ in size" if lengths[0] != lengths[1] else "rows differ in length"
            message = f"{path}:{number}: {problem}: {sizes}"
            raise TrmsolveError(message, "correct the row: both need the same size, and rows of one length")
        pair = [np.array([[values[symbol] for symbol in row] for row in rows], np.uint16) for rows in both]
        grids.append((pair[0], pair[1]))
    return Pairs(symbols, grids)


def _load_folder(folder: Path) -> Pairs:
    folder = folder / "train" if (folder / "train" / "all__inputs.npy").is_file() else folder
    inputs, labels = (_array(folder / f"all__{name}.npy") for name in ("inputs", "labels"))
    if inputs.shape != labels.shape:
        raise TrmsolveError(f"{folder}: inputs have shape {inputs.shape}, labels {labels.shape}", EXPECTED)
    identifiers = folder / "all__puzzle_identifiers.npy"
    if identifiers.is_file() and len(np.unique(load_arrays(identifiers, str(identifiers), EXPECTED).get("", 0))) > 1:
        raise TrmsolveError(
            f"{folder}: its puzzles follow several rules (puzzle_identifiers)", "the task grid learns one rule"
        )
    side = isqrt(inputs.shape[1])
    shape = (side, side) if side * side == inputs.shape[1] else (1, inputs.shape[1])
    ids = np.unique(np.concatenate([inputs.reshape(-1), labels.reshape(-1)]))
    symbols = tuple(str(i) for i in ids.tolist())
    grids = [
        (
            np.searchsorted(ids, q).astype(np.uint16).reshape(shape),
            np.searchsorted(ids, a).astype(np.uint16).reshape(shape),
        )
        for q, a in zip(inputs, labels, strict=True)
    ]
    ignored = _ignored_label(folder / "dataset.json")
    return Pairs(symbols, grids, symbols.index(str(ignored)) if str(ignored) in symbols else None)


def _array(path: Path) -> np.ndarray:
    array = load_arrays(path, str(path), EXPECTED).get("")
    if array is None or array.dtype.kind not in "iu" or array.ndim != 2 or not array.size:
        raise TrmsolveError(f"{path}: no integers (n, cells)", EXPECTED)
    if array.min() < 0 or array.max() >= 1 << 16:
        raise TrmsolveError(f"{path}: token ids from {array.min()} to {array.max()}", "expected 0 to 65,535")
    return array


def _ignored_label(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8")).get("ignore_label_id")
    except (OSError, ValueError, AttributeError):
        return None


def puzzles_of(task: GridTask, path: str) -> list[Puzzle]:
    """The pairs of a file or folder in the symbols of the task. Raises TrmsolveError for a symbol that it lacks."""
    pairs, index = load(path), {symbol: value for value, symbol in enumerate(task.alphabet.symbols)}
    if missing := [symbol for symbol in pairs.symbols if symbol not in index]:
        raise TrmsolveError(
            f"{path}: the model has no symbol '{missing[0]}'", "use data with the symbols that it was trained on"
        )
    table = np.array([index[symbol] for symbol in pairs.symbols], np.uint8 if len(index) <= 256 else np.uint16)
    return [
        Puzzle(table[question], f"{path}:{n}", "csv", table[answer])
        for n, (question, answer) in enumerate(pairs.grids, 1)
    ]


class GridFile:
    """The pairs of one file that are not held out."""

    def __init__(self, task: GridTask, path: str, holdout: float) -> None:
        self.name = Path(path).name
        folder, pairs = Path(path), load(path)
        self.pairs: list[Pair] = []
        self.held_out: list[Puzzle] = []
        self.digest = file_digest(folder / "all__inputs.npy" if folder.is_dir() else folder)
        for puzzle in puzzles_of(task, path):
            assert puzzle.solution is not None
            if held_out(puzzle.question, holdout):
                self.held_out.append(puzzle)
            else:
                self.pairs.append((puzzle.question, puzzle.solution))
        self.ignored = None if pairs.ignored is None else task.alphabet.symbols.index(pairs.symbols[pairs.ignored])
        if not self.pairs:
            raise TrmsolveError(f"{path}: all of its grids are held out", "lower --set data.holdout=SHARE")
        for question, _ in self.pairs:
            if reason := task.unsupported_reason(question):
                raise TrmsolveError(f"{path}: {reason}", "train on grids of one size, or use --mixer relational")

    def __len__(self) -> int:
        return len(self.pairs)

    def draw(self, rng: np.random.Generator, index: int) -> tuple[Pair, int | None]:
        """A random pair of the file, and the answer symbol without a loss (None: there is none)."""
        return self.pairs[rng.integers(len(self.pairs))], self.ignored


@dataclass(frozen=True, kw_only=True)
class GridData(MixtureData):
    """An endless series of training samples."""

    task: GridTask
    symmetries: bool

    @classmethod
    def open(
        cls, task: GridTask, specs: Sequence[str], seed: int, holdout: float = 0.1, symmetries: bool = False
    ) -> Self:
        """Sources from `PATH[=WEIGHT]`."""
        mixture = Mixture.open(specs, lambda path: GridFile(task, path, holdout))
        return cls(mixture, seed, task=task, symmetries=symmetries)

    @property
    def held_out(self) -> list[Puzzle]:
        """The held-out pairs of all sources."""
        return [puzzle for source in self.mixture.sources for puzzle in source.held_out]  # type: ignore[attr-defined]

    def draw(self, index: int) -> Sample:
        """Sample number `index`."""
        ((question, answer), ignored), rng = self.puzzle(index)
        if self.symmetries:
            keep_shape = (0, 2, 5, 7)  # symmetries that do not exchange height and width
            any_symmetry = self.task.shape is None or question.shape[0] == question.shape[1]
            k = int(rng.choice(list(range(SYMMETRIES) if any_symmetry else keep_shape)))
            question, answer = transform(question, k), transform(answer, k)
        weight = None if ignored is None else (answer != ignored).reshape(-1).astype(np.float32)
        return Sample(self.task.encode(question), answer.reshape(-1).astype(np.int64), weight=weight)
