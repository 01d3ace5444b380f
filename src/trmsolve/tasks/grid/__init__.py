"""A generic task: map a grid of symbols to a grid of the same size, learnt from examples (`--task grid --data FILE`).

Symbols and size come from the data and are stored in the checkpoint. There are no rules: an answer is final when the
halting head accepts it, and is shown as "not checked".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from trmsolve.errors import TrmsolveError, did_you_mean
from trmsolve.tasks.base import DataOption, Prediction, Puzzle, Task, Violation
from trmsolve.tasks.grid.data import GridData, held_out, load, puzzles_of
from trmsolve.tasks.grid_text import MAX_SIDE, Alphabet, read_grids

if TYPE_CHECKING:
    from trmsolve.model.config import TRMConfig
    from trmsolve.model.inputs import Encoded
    from trmsolve.tasks.base import InvalidPuzzle
    from trmsolve.text_io import Line

ANY_SIZE, FIXED_SIZE = ("grid", "relational"), ("mlp", "attention")  # mixers
MLP_CELLS = 256  # maximum cells of grids, all of one size, for which `mlp` is the default mixer
NOT_CHECKED = Violation("not checked: the task grid has no rules")
HOLDOUT = 0.1


class GridTask(Task):
    """The task for one set of data, with the capability Trains (tasks/base.py). TASK itself has no symbols.

    Grids are uint8 or uint16 (rows, columns) of indices into the alphabet. Every cell is predicted.
    """

    name = "grid"
    has_rules = False
    learns_settings = True

    def __init__(
        self,
        symbols: Sequence[str] = (),
        shape: tuple[int, int] | None = None,
        mixer: str = "relational",
        holdout: float = HOLDOUT,
    ) -> None:
        self.alphabet, self.shape, self.mixer, self.holdout = Alphabet(tuple(symbols)), shape, mixer, holdout

    # -- settings: learnt from data, kept in the checkpoint ---------------------------------------------------------
    @property
    def settings(self) -> dict[str, Any]:
        """Symbols, the size of all grids (None: any), and the share of the data that is held out of training."""
        shape = None if self.shape is None else list(self.shape)
        return {"symbols": list(self.alphabet.symbols), "shape": shape, "holdout": self.holdout}

    def with_settings(self, settings: Mapping[str, Any]) -> GridTask:
        """The task of a checkpoint's settings. Raises TrmsolveError for settings that are damaged."""
        symbols, shape, holdout = settings.get("symbols"), settings.get("shape"), settings.get("holdout")
        sizes = shape if isinstance(shape, list) else []
        if (
            not isinstance(symbols, list)
            or not all(isinstance(symbol, str) and 0 < len(symbol) <= 100 for symbol in symbols)
            or not 0 < len(set(symbols)) == len(symbols) <= 1 << 16
            or (shape is not None and len(sizes) != 2)
            or not all(type(side) is int and 0 < side <= MAX_SIDE for side in sizes)
            or not isinstance(holdout, int | float)
            or not 0 <= holdout < 1
        ):
            raise TrmsolveError(
                "the checkpoint's settings of the task grid are damaged", "train it again, or fetch it again"
            )
        return GridTask(symbols, (sizes[0], sizes[1]) if sizes else None, self.mixer, float(holdout))

    def for_data(self, specs: Sequence[str], mixer: str | None = None) -> GridTask:
        """The task with the symbols and the size of these files.

        mixer: by default `mlp` for small grids of one size, else `relational`.
        """
        if not specs:
            raise TrmsolveError(
                "the task grid needs training data", "add --data FILE.csv with the columns question,answer"
            )
        return _for_data(tuple(specs), mixer)

    def for_model(self, config: TRMConfig) -> GridTask:
        """The task for a model's mixer. Raises TrmsolveError when the model has another number of symbols."""
        if config.vocab_size != len(self.alphabet.symbols):
            raise TrmsolveError(
                f"the model has {config.vocab_size} symbols, the task {len(self.alphabet.symbols)}",
                "train on data with the same symbols, or train a new model",
            )
        return GridTask(self.alphabet.symbols, self.shape, config.mixer, self.holdout)

    # -- text ---------------------------------------------------------------------------------------------------------
    def read(self, lines: Iterable[Line], source: str) -> Iterator[Puzzle | InvalidPuzzle]:
        """Grids divided by blank lines, rows joined by `/`, or a CSV (tasks/grid_text.py)."""
        return read_grids(lines, source, self.alphabet, self.unsupported_reason)

    def read_folder(self, folder: str) -> list[Puzzle]:
        """The grids of a folder of the TRM and HRM code (tasks/grid/data.py)."""
        return puzzles_of(self, folder)

    def write(self, puzzle: Puzzle, answer: np.ndarray, style: str, ascii_only: bool = False) -> str:
        """The answer as a grid, a line, or a row of a CSV."""
        if style == "csv":
            return ",".join(self._csv_field(grid) for grid in (puzzle.question, answer))
        return self.format_grid(answer, style, ascii_only)

    def _csv_field(self, grid: np.ndarray) -> str:
        text = self.format_line(grid)
        return '"' + text.replace('"', '""') + '"' if {",", '"'} & set(text) else text

    def format_grid(self, grid: np.ndarray, style: str, ascii_only: bool = False) -> str:
        """Rows of symbols; on one line joined by `/`."""
        return self.alphabet.format(grid, "/" if style == "line" else "\n")

    def format_line(self, grid: np.ndarray) -> str:
        """Rows of symbols, joined by `/`."""
        return self.alphabet.format(grid, "/")

    def symbol_grid(self, grid: np.ndarray) -> list[list[str]]:
        """The symbol of each cell."""
        return [[self.alphabet.symbols[value].strip() for value in row] for row in grid.tolist()]

    # -- the model ----------------------------------------------------------------------------------------------------
    def encode(self, question: np.ndarray) -> Encoded:
        """One token and one choice for each cell. Meanings: cell * symbols + symbol."""
        from trmsolve.model.inputs import Encoded

        num_symbols, num_cells = len(self.alphabet.symbols), question.size
        cells = question.reshape(-1).astype(np.int64)
        if self.mixer in FIXED_SIZE:
            from trmsolve.tasks.sequence import SequenceFormat

            sequence_format = SequenceFormat(1, num_cells, num_symbols, 0)
            return sequence_format.encode(cells, np.arange(num_cells), 0, num_symbols)
        first = np.arange(num_cells) * num_symbols
        edges, sizes = _edges(self.mixer, *question.shape), np.full(num_cells, num_symbols)
        return Encoded(cells, edges, first, sizes, np.arange(num_cells * num_symbols))

    def decode(self, question: np.ndarray, meanings: np.ndarray, confidence: np.ndarray) -> Prediction:
        """The grid of the chosen symbols: int64 (cells,) meanings, float32 (cells,) confidence."""
        answer = (meanings % len(self.alphabet.symbols)).astype(question.dtype).reshape(question.shape)
        return Prediction(answer, confidence.astype(np.float32).reshape(question.shape))

    def open_cells(self, question: np.ndarray) -> np.ndarray:
        """bool, same shape: all cells."""
        return np.ones(question.shape, bool)

    def check(self, question: np.ndarray, answer: np.ndarray) -> list[Violation]:
        """Always one violation, because the task has no rules."""
        return [NOT_CHECKED]

    def is_solution(self, question: np.ndarray, answer: np.ndarray) -> bool:
        """Always False, because the task has no rules."""
        return False

    def unsupported_reason(self, question: np.ndarray) -> str:
        """A message about the size, if the model supports one size only."""
        if self.shape is None or question.shape == self.shape:
            return ""
        return "this model supports {}x{} only, not {}x{}".format(*self.shape, *question.shape)

    def max_steps(self, question: np.ndarray) -> int:
        """16, as published networks are trained for, or enough steps for messages to cross the grid."""
        return max(16, sum(question.shape) // 2)

    # -- Trains -------------------------------------------------------------------------------------------------------
    # Small and quick, as most data of this kind are; the heads learn faster than elsewhere, or short runs never halt.
    train_defaults: ClassVar[Mapping[str, Any]] = {
        "bptt_steps": 2,
        "lr": 0.01,
        "adam_lr": 0.005,
        "warmup": 30,
        "halt_weight": 0.3,
        "solvable_weight": 0.0,
    }
    data_options: ClassVar[tuple[DataOption, ...]] = (
        DataOption("holdout", float, min=0, max=0.9),  # share of the grids that is held out of training
        DataOption("symmetries", bool),  # draw each grid rotated or reflected at random
    )

    @property
    def model_defaults(self) -> Mapping[str, Any]:
        """Fields of TRMConfig; for `mlp` and `attention`, a smaller version of a published network."""
        num_symbols = len(self.alphabet.symbols)
        if self.mixer in FIXED_SIZE:
            assert self.shape is not None
            cells = self.shape[0] * self.shape[1]
            size = {"cells": cells, "hidden_size": 128, "prefix_len": 1, "num_puzzles": 0}
            return {"mixer": self.mixer, "vocab_size": num_symbols, **size}
        relations = {"num_relations": NUM_RELATIONS} if self.mixer == "relational" else {}
        size = {"hidden_size": 32, "intermediate_size": 64}
        return {"mixer": self.mixer, "vocab_size": num_symbols, "num_classes": num_symbols, **size, **relations}

    def training_data(self, specs: Sequence[str], seed: int = 0, **options: Any) -> GridData:
        """The grids of the files."""
        self.holdout = options.setdefault("holdout", self.holdout)
        return GridData.open(self, specs, seed, **options)

    def is_held_out(self, question: np.ndarray) -> bool:
        """Whether training with this task's `holdout` holds the question out."""
        return held_out(question, self.holdout)


@lru_cache(8)
def _for_data(specs: tuple[str, ...], mixer: str | None) -> GridTask:
    """The task with the symbols and the size of all grids of these files."""
    symbols: dict[str, None] = {}
    shapes = set()
    for spec in specs:
        pairs = load(spec.partition("=")[0])
        symbols |= dict.fromkeys(pairs.symbols)
        shapes |= {question.shape for question, _ in pairs.grids}
    shape = next(iter(shapes)) if len(shapes) == 1 else None
    mixers = (*ANY_SIZE, *FIXED_SIZE)
    if mixer is None:
        mixer = "mlp" if shape is not None and shape[0] * shape[1] <= MLP_CELLS else "relational"
    if mixer not in mixers:
        raise TrmsolveError(f"the task grid has no mixer '{mixer}'", did_you_mean(mixer, mixers))
    if shape is None and mixer in FIXED_SIZE:
        raise TrmsolveError(
            f"--mixer {mixer} supports grids of one size, but the data have {len(shapes)} sizes",
            "use --mixer relational",
        )
    # Models of the other mixers have no weights per position, so they support any size.
    return GridTask(sorted(symbols, key=_natural), shape if mixer in FIXED_SIZE else None, mixer)


def _natural(symbol: str) -> tuple[int, int, str]:
    """A sort key that puts numbers first, 9 before 10."""
    is_number = symbol.isascii() and symbol.isdigit() and len(symbol) < 10
    return (0, int(symbol), symbol) if is_number else (1, 0, symbol)


NUM_RELATIONS = 3  # row, column, whole grid


@lru_cache(256)
def _edges(mixer: str, height: int, width: int) -> Any:
    """Edges of a full grid."""
    from trmsolve.model.mixers.grid import GridEdges
    from trmsolve.model.mixers.relational import RelationalEdges

    index = np.full((height + 2, width + 2), -1, np.int32)
    index[1:-1, 1:-1] = np.arange(height * width).reshape(height, width)
    around: tuple[tuple[int, int], ...]
    if mixer == "grid":
        around = ((-1, 0), (0, -1), (0, 1), (1, 0))
    else:  # number k from the front is opposite to number k from the back (model/mixers/grid.py)
        around = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
    shifted = [index[1 + r : 1 + r + height, 1 + c : 1 + c + width].reshape(-1) for r, c in around]  # (L,) each
    neighbors = np.stack(shifted, 1)  # (L, M)
    if mixer == "grid":
        return GridEdges(neighbors)
    row, column = np.indices((height, width), np.int32).reshape(2, -1)
    groups = np.stack([row, column, np.zeros_like(row)])  # (K, L)
    return RelationalEdges(neighbors, groups, groups, np.array([height, width, 1]))


TASK = GridTask()
