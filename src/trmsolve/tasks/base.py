"""The interface of a task: a small core, and optional capabilities.

    text --read--> Puzzle --encode--> Encoded --model--> choices --decode--> Prediction --check--> violations
                                                                              \\--write--> text, --picture--> Picture

A task subclasses `Task` and implements read, format_grid, format_line, encode, decode and check; everything else has a
default.
Most puzzles are easier to define as a ConstraintPuzzle (constraints.py).
Capabilities are protocols, checked by isinstance:

    Generates   generates puzzles        Branches   can fix one option of a question (restarts by assumption)
    Trains      has training data        Augments   can transform a question by symmetries (restarts by augmentation)

Few-shot tasks, which are solved by test-time training, are described in few_shot.py. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.text_io import Line

if TYPE_CHECKING:
    from trmsolve.model.config import TRMConfig
    from trmsolve.model.inputs import Encoded
    from trmsolve.tasks.sequence import SequenceFormat

UNSURE = 0.8  # pictures draw cells as unsure below this confidence
DEFAULT_MAX_STEPS = 32


@dataclass(frozen=True, slots=True)
class Puzzle:
    """A question, with its origin and, if known, its solution."""

    question: np.ndarray  # the task's own grid; Sudoku: uint8 (side, side), 0 = blank
    source: str = ""  # "file:line" of its first line
    style: str = ""  # style of the input ("line", "grid", "csv", ...); piped output uses the same style
    solution: np.ndarray | None = None  # the answer in the file; used by eval, never by solving
    layout: str = ""  # how it was written, in words, as `trmsolve read` shows it
    warnings: tuple[str, ...] = ()  # what was left out or assumed in reading it


@dataclass(frozen=True)
class InvalidPuzzle:
    """A record of the input that is not a valid puzzle. The other records are still solved."""

    source: str  # "file:line"
    message: str  # what is wrong and what was expected, one line
    text: str = ""  # the offending text, shortened


@dataclass(frozen=True, slots=True)
class Sample:
    """One training example.

    target: int64 (U,), for each choice the index of the correct option among the choice's options.
    accepted: bool (O,), options that count as correct in metrics; None: the target only.
    weight: float32 (U,), loss weight of each choice; None: all 1.
    """

    encoded: Encoded
    target: np.ndarray
    solvable: bool = True  # False: a question made unsolvable on purpose; only the halting head learns from it
    accepted: np.ndarray | None = None
    weight: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule of an answer: a sentence, and the cells (row, column; 0-based) it concerns."""

    message: str
    cells: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Prediction:
    """The model's answer to one puzzle after one step, with a confidence for each cell."""

    answer: np.ndarray  # same shape as the question, every cell filled
    confidence: np.ndarray  # float32, same shape, probability of the cell's answer; 1 for givens


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a picture."""

    text: str
    role: str  # a key of the tables in render/theme.py: given, answer, changed, unsure, conflict, blank, ...
    confidence: float = 1.0
    candidates: str = ""  # the symbols that the question leaves possible, for pencil marks


@dataclass(frozen=True, slots=True)
class Label:
    """Text over background cells of a picture: `column` is its left end; the row above and the row below are free."""

    row: int
    column: int
    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A grid of cells that every view (terminal, SVG, GIF, HTML) can draw without knowing the task."""

    cells: Sequence[Sequence[Cell]]
    box: tuple[int, int] | None = None  # (rows, columns) between two heavy lines; None: no lines
    solid: bool = False  # cells are areas of colour; their symbols are for terminals without colour
    labels: tuple[Label, ...] = ()  # of solid pictures


@dataclass(frozen=True, slots=True)
class DataOption:
    """An option of a task's training data: data.NAME of a recipe."""

    name: str
    type: type  # int, float, str or bool
    min: float | None = None
    max: float | None = None


class TrainingData(Protocol):
    """An endless series of samples. Sample `index` never changes, so a run's position in its data is one number."""

    def draw(self, index: int) -> Sample: ...

    def describe(self) -> list[dict[str, object]]:
        """Provenance: name, sha256, number of puzzles and share of each source."""
        ...


class Task:
    """The core of a task, and defaults of its optional methods. One object per task; see tasks/__init__.py."""

    name: ClassVar[str]
    styles: ClassVar[tuple[str, ...]] = (
        "grid",
        "line",
        "csv",
    )  # of write(), besides json and jsonl
    csv_header: ClassVar[str] = "question,answer"  # header line of the style csv
    confidence_floor: ClassVar[float] = 0.0  # mean confidence below which a first run ends for restarts; 0: never
    has_rules: ClassVar[bool] = True  # False: check() cannot decide, so answers are shown as "not checked"
    learns_settings: ClassVar[bool] = False  # True: settings, such as symbols, come from data or from a checkpoint
    serves: ClassVar[str] = ""  # another task whose checkpoints fit this one

    # -- the core -----------------------------------------------------------------------------------------------
    def read(self, lines: Iterable[Line], source: str) -> Iterator[Puzzle | InvalidPuzzle]:
        """The puzzles of one file, each as soon as its last line has been read. source: the file's name."""
        raise NotImplementedError

    def read_folder(self, folder: str) -> Iterable[Puzzle | InvalidPuzzle]:
        """The puzzles of a folder. Raises InputError for tasks whose puzzles are in files only."""
        from trmsolve.text_io import open_lines

        return self.read(open_lines(folder), folder)

    def format_grid(self, grid: np.ndarray, style: str, ascii_only: bool = False) -> str:
        """A question or an answer as text in the style grid or line."""
        raise NotImplementedError

    def format_line(self, grid: np.ndarray) -> str:
        """A question or an answer on one line (JSON records)."""
        raise NotImplementedError

    def encode(self, question: np.ndarray) -> Encoded | None:
        """The question as model input; None if the rules rule out any answer."""
        raise NotImplementedError

    def decode(self, question: np.ndarray, meanings: np.ndarray, confidence: np.ndarray) -> Prediction:
        """The answer grid of the chosen options. meanings: int64 (U,); confidence: float32 (U,), per choice."""
        raise NotImplementedError

    def check(self, question: np.ndarray, answer: np.ndarray) -> list[Violation]:
        """Every rule that the answer breaks; empty if it solves the question. Rules are never used to find answers."""
        raise NotImplementedError

    def open_cells(self, question: np.ndarray) -> np.ndarray:
        """bool, same shape: the cells that an answer fills in."""
        raise NotImplementedError

    # -- defaults -----------------------------------------------------------------------------------------------
    def write(self, puzzle: Puzzle, answer: np.ndarray, style: str, ascii_only: bool = False) -> str:
        """The answer as text in one of `styles`, without a trailing newline; csv: question and answer."""
        if style == "csv":
            return f"{self.format_line(puzzle.question)},{self.format_line(answer)}"
        return self.format_grid(answer, style, ascii_only)

    def is_solution(self, question: np.ndarray, answer: np.ndarray) -> bool:
        """Whether check() is empty. Called after every step of every puzzle: override it if check() is slow."""
        return not self.check(question, answer)

    def unsupported_reason(self, question: np.ndarray) -> str:
        """Why the model does not support the question, for example its size; "" if it does."""
        return ""

    def infeasible_reason(self, question: np.ndarray) -> str:
        """Why encode() returns None."""
        return "the rules leave some cell without a value"

    def ambiguity_reason(self, question: np.ndarray) -> str:
        """Why the question must have several answers, if this is evident without solving it; "" otherwise."""
        return ""

    def is_held_out(self, question: np.ndarray) -> bool:
        """Whether training on a file with this question holds it out for evaluation."""
        return True

    def max_steps(self, question: np.ndarray) -> int:
        """Default maximum number of supervision steps of a rollout."""
        return DEFAULT_MAX_STEPS

    def json_fields(self, answer: np.ndarray) -> dict[str, Any]:
        """Additional fields of a JSON record with a verified answer."""
        return {}

    def difficulty_group(self, question: np.ndarray) -> str:
        """The group for which accuracy is reported separately; "" if the task has no groups."""
        return ""

    def partial_metrics(self, question: np.ndarray, answer: np.ndarray) -> dict[str, bool]:
        """Weaker properties, by name, of an answer that may break rules."""
        return {}

    def picture(
        self, question: np.ndarray, prediction: Prediction | None, previous: Prediction | None = None
    ) -> Picture:
        """The grid with a role for each cell: given, changed since `previous`, unsure, conflicting, ..."""
        return symbol_picture(self, question, prediction, previous)

    def symbol_grid(self, grid: np.ndarray) -> list[list[str]]:
        """The text of each cell in a picture, "" for a blank; by default the characters of format_line()."""
        symbols = np.array(list(self.format_line(grid))).reshape(grid.shape).tolist()
        return [["" if symbol in "._0 " else symbol for symbol in row] for row in symbols]

    # -- the model ------------------------------------------------------------------------------------------------
    def as_sequence(self, sequence_format: SequenceFormat) -> Task:
        """The task for a model that takes one token per cell, as the published networks do."""
        raise TrmsolveError(f"{self.name} does not support models with one token per cell", "use another --mixer")

    def for_model(self, config: TRMConfig) -> Task:
        """The task in the form that a model of this configuration needs."""
        from trmsolve.tasks.sequence import SequenceFormat

        return self.as_sequence(SequenceFormat.of(config)) if config.seq_len else self

    def for_data(self, specs: Sequence[str], mixer: str | None = None) -> Task:
        """The task with settings taken from training files (learns_settings). mixer: of the model, None for default."""
        return self

    def model_config(self, config: TRMConfig) -> TRMConfig:
        """A checkpoint's configuration adapted to the task. Raises TrmsolveError if it does not fit."""
        return config

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that a checkpoint stores, as JSON values."""
        return {}

    def with_settings(self, settings: Mapping[str, Any]) -> Task:
        """The task with the settings of a checkpoint. Raises TrmsolveError if they are damaged."""
        return self


@runtime_checkable
class Branches(Protocol):
    """Capability for restarts by assumption: one option of a question is added to the givens."""

    def with_assignment(self, question: np.ndarray, meaning: int) -> np.ndarray:
        """A copy of the question in which the option with this meaning is a given."""
        ...

    def describe_assignment(self, question: np.ndarray, meaning: int) -> str:
        """The option in readable form: r3c5=7."""
        ...


@runtime_checkable
class Augments(Protocol):
    """Capability for restarts by augmentation: a question under symmetries to which the model is not equivariant."""

    num_augmentations: int  # number 0 is the question itself

    def augment(self, question: np.ndarray, k: int) -> np.ndarray:
        """The question under augmentation k."""
        ...

    def invert(self, question: np.ndarray, prediction: Prediction, k: int) -> Prediction:
        """A prediction for augment(question, k) as one for the question."""
        ...

    def augmentation_name(self, k: int) -> str:
        """Augmentation k in readable form: turned left."""
        ...


@runtime_checkable
class Generates(Protocol):
    """Capability of tasks that generate puzzles."""

    def generate(
        self, seed: int, index: int, size: int | tuple[int, int] = ..., **options: Any
    ) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        """Puzzle number `index` of a seed: question, solution, and measures of its difficulty by name (JSON values).

        size: (rows, columns), or one number for both. Raises ValueError or TrmsolveError for invalid options.
        """
        ...


@runtime_checkable
class Trains(Protocol):
    """Capability of tasks with training data, and with defaults of the model and its training."""

    model_defaults: Mapping[str, Any]  # fields of TRMConfig
    train_defaults: Mapping[str, Any]  # fields of TrainConfig
    data_options: tuple[DataOption, ...]  # keyword arguments of training_data

    def training_data(self, specs: Sequence[str], seed: int = 0, **options: Any) -> TrainingData:
        """The samples of the sources in `--data`; of the generator if there are none."""
        ...


def symbol_picture(
    task: Task,
    question: np.ndarray,
    prediction: Prediction | None,
    previous: Prediction | None = None,
    box: tuple[int, int] | None = None,
    candidates: Sequence[Sequence[str]] | None = None,
) -> Picture:
    """A grid of symbols. box: of the Picture. candidates: of each cell, "" for none (Cell.candidates)."""
    answer = question if prediction is None else prediction.answer
    symbols, is_open = task.symbol_grid(answer), task.open_cells(question)
    violations = task.check(question, answer) if task.has_rules and prediction is not None else []
    conflicting = {cell for violation in violations for cell in violation.cells}

    def cell(row: int, column: int) -> Cell:
        marks = "" if candidates is None else candidates[row][column]
        if prediction is None or not is_open[row, column]:
            return Cell(symbols[row][column], "given" if symbols[row][column] else "blank", candidates=marks)
        confidence = float(prediction.confidence[row, column])
        if (row, column) in conflicting:
            role = "conflict"
        elif previous is not None and previous.answer[row, column] != answer[row, column]:
            role = "changed"
        else:
            role = "unsure" if confidence < UNSURE else "answer"
        return Cell(symbols[row][column], role, confidence, marks)

    rows, columns = question.shape
    return Picture([[cell(row, column) for column in range(columns)] for row in range(rows)], box)


def cells_of(mask: np.ndarray) -> list[tuple[int, int]]:
    """The cells (row, column) where a mask, bool (rows, columns), is true, in reading order."""
    return [(row, column) for row, column in np.argwhere(mask).tolist()]


def cell_name(cell: Sequence[int]) -> str:
    """The name of a cell (row, column; 0-based) in messages: r1c1 is the first."""
    return f"r{cell[0] + 1}c{cell[1] + 1}"
