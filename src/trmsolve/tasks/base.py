"""What a task is: a small core, and capabilities that a task may have. No file below tasks/ knows a task by name.

    text --read--> Puzzle --encode--> Encoded --model--> choices --decode--> Prediction --check--> violations
                                                                              \\--write--> text, --picture--> Picture

A task subclasses `Task` and implements read, write, encode, decode and check; everything else has a default that works.
Most puzzles are easier to define as a ConstraintPuzzle (constraints.py).
Capabilities are protocols, told by isinstance:

    Generates   makes puzzles            Branches   can take one option as given (restarts by assumption)
    Trains      has training data        Augments   can look at a puzzle under its symmetries (restarts by augmentation)

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
    """One question as it was read."""

    question: np.ndarray  # the task's own grid; Sudoku: uint8 (side, side), 0 = blank
    source: str = ""  # "file:line" of its first line
    style: str = ""  # how it was written ("line", "grid", "csv", ...): piped output takes the same shape
    solution: np.ndarray | None = None  # the answer that came with it; used by eval, never by solving
    layout: str = ""  # how it was written, in words, as `trmsolve read` shows it
    warnings: tuple[str, ...] = ()  # what was left out or assumed in reading it


@dataclass(frozen=True)
class InvalidPuzzle:
    """A record of the input that is no puzzle. The other records of the stream are solved all the same."""

    source: str  # "file:line"
    message: str  # what is wrong and what was expected, one line
    text: str = ""  # the offending text, shortened


@dataclass(frozen=True, slots=True)
class Sample:
    """One training example.

    target: int64 (U,) for each choice the rank of the right option among its own.
    accepted: bool (O,) options that leave the answer right; None: the target alone.
    weight: float32 (U,) of each choice in the loss; None: all alike.
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
    box: tuple[int, int] | None = None  # a heavier line after so many (rows, columns); None: no lines
    solid: bool = False  # cells are areas of colour; their symbols are for terminals without colour
    labels: tuple[Label, ...] = ()  # of solid pictures


@dataclass(frozen=True, slots=True)
class Difficulty:
    """What the generator measured of a puzzle it made, by name, as JSON records show it."""

    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a task's generator or training data; the command line makes a flag of it."""

    name: str  # as a keyword argument: hint_prob becomes --hint-prob
    type: type  # int, float, str or bool
    help: str
    default: Any = None
    min: float | None = None
    max: float | None = None
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()  # former names


class TrainingData(Protocol):
    """Samples without end. Sample number `index` is always the same, so a run's position in its data is one number."""

    def draw(self, index: int) -> Sample: ...

    def describe(self) -> list[dict[str, object]]:
        """Provenance: name, sha256, number of puzzles and share of each source."""
        ...


class Task:
    """The core of a task, with defaults for what a task need not define. One object per task; see tasks/__init__.py."""

    name: ClassVar[str]
    styles: ClassVar[tuple[str, ...]] = ("grid", "line")  # --format names that write() knows besides json and jsonl
    csv_header: ClassVar[str] = ""  # header line of the style csv
    search_defaults: ClassVar[Mapping[str, Any]] = {}  # fields of inference.options.SearchSettings, tuned for the task
    has_rules: ClassVar[bool] = True  # False: check() cannot judge, so answers are shown as "not checked"
    learns_settings: ClassVar[bool] = False  # True: only data or a checkpoint tell what the task needs to read a puzzle
    serves: ClassVar[str] = ""  # another task whose checkpoints fit this one

    # -- the core -----------------------------------------------------------------------------------------------
    def read(self, lines: Iterable[Line], source: str) -> Iterator[Puzzle | InvalidPuzzle]:
        """Puzzles of one file, each as soon as its last line has been seen. `source` is the file's name."""
        raise NotImplementedError

    def write(self, puzzle: Puzzle, answer: np.ndarray, style: str, ascii_only: bool = False) -> str:
        """The answer as text in one of `styles`, without a trailing newline."""
        raise NotImplementedError

    def format_grid(self, grid: np.ndarray, style: str, ascii_only: bool = False) -> str:
        """A question or an answer as text in the style grid or line."""
        raise NotImplementedError

    def format_line(self, grid: np.ndarray) -> str:
        """A question or an answer on one line (JSON records)."""
        raise NotImplementedError

    def encode(self, question: np.ndarray) -> Encoded | None:
        """The question as model input; None when the rules already reject it."""
        raise NotImplementedError

    def decode(self, question: np.ndarray, meanings: np.ndarray, confidence: np.ndarray) -> Prediction:
        """The grid that the chosen options mean: int64 (U,) meanings, float32 (U,) confidence, by choice."""
        raise NotImplementedError

    def check(self, question: np.ndarray, answer: np.ndarray) -> list[Violation]:
        """Every rule that the answer breaks; empty when it solves the question. Rules judge and never supply."""
        raise NotImplementedError

    def open_cells(self, question: np.ndarray) -> np.ndarray:
        """bool, same shape: the cells that an answer fills in."""
        raise NotImplementedError

    # -- defaults -----------------------------------------------------------------------------------------------
    def is_solution(self, question: np.ndarray, answer: np.ndarray) -> bool:
        """Whether check() would be empty. Called after every step of every puzzle: override it where that is slow."""
        return not self.check(question, answer)

    def unsupported_reason(self, question: np.ndarray) -> str:
        """Why the model cannot take this question, whatever its answer (another size); "" when it can."""
        return ""

    def infeasible_reason(self, question: np.ndarray) -> str:
        """Why encode() gives None."""
        return "the rules leave some cell without a value"

    def ambiguity_reason(self, question: np.ndarray) -> str:
        """Why the question must have several answers, as far as this is seen without solving it; "" otherwise."""
        return ""

    def is_held_out(self, question: np.ndarray) -> bool:
        """Whether training on a file with this question kept it out, for measuring."""
        return True

    def max_steps(self, question: np.ndarray) -> int:
        """Supervision steps of a rollout at most, unless the user chooses."""
        return DEFAULT_MAX_STEPS

    def json_fields(self, answer: np.ndarray) -> dict[str, Any]:
        """Further fields of a JSON record with a verified answer."""
        return {}

    def difficulty_group(self, question: np.ndarray) -> str:
        """The group in which accuracy is reported, "" where the task has none."""
        return ""

    def partial_metrics(self, question: np.ndarray, answer: np.ndarray) -> dict[str, bool]:
        """Weaker properties of an answer that breaks a rule, by name."""
        return {}

    def picture(
        self, question: np.ndarray, prediction: Prediction | None, previous: Prediction | None = None
    ) -> Picture:
        """The grid with givens, changes since `previous`, confidence and conflicts told apart by role."""
        return default_picture(self, question, prediction, previous)

    def symbol_grid(self, grid: np.ndarray) -> list[list[str]]:
        """The text of each cell in a picture, "" for a blank; by default the characters of format_line()."""
        symbols = np.array(list(self.format_line(grid))).reshape(grid.shape).tolist()
        return [["" if symbol in "._0 " else symbol for symbol in row] for row in symbols]

    # -- the model ------------------------------------------------------------------------------------------------
    def as_sequence(self, sequence_format: SequenceFormat) -> Task:
        """The task for a model that takes one token per cell, as the published networks do."""
        raise TrmsolveError(f"{self.name} has no form for models with one token per cell", "use another --mixer")

    def for_model(self, config: TRMConfig) -> Task:
        """The task in the form that a model takes."""
        from trmsolve.tasks.sequence import SequenceFormat

        return self.as_sequence(SequenceFormat.of(config)) if config.seq_len else self

    def for_data(self, specs: Sequence[str], mixer: str | None = None) -> Task:
        """The task that training files describe, for tasks that learn their settings from data. mixer: the model's."""
        return self

    def model_config(self, config: TRMConfig) -> TRMConfig:
        """A checkpoint's configuration, as this task uses it. Raises TrmsolveError for one that does not fit."""
        return config

    @property
    def settings(self) -> dict[str, Any]:
        """What a checkpoint keeps of the task, as JSON."""
        return {}

    def with_settings(self, settings: Mapping[str, Any]) -> Task:
        """The task with the settings of a checkpoint. Raises TrmsolveError for settings that are damaged."""
        return self


@runtime_checkable
class Branches(Protocol):
    """Restarts by assumption: one option of a question is taken as given."""

    def with_assignment(self, question: np.ndarray, meaning: int) -> np.ndarray:
        """A copy of the question in which an option's meaning is given."""
        ...

    def describe_assignment(self, question: np.ndarray, meaning: int) -> str:
        """An option for people: r3c5=7."""
        ...


@runtime_checkable
class Augments(Protocol):
    """Restarts by augmentation: a question under symmetries that the model does not have."""

    num_augmentations: int  # number 0 is the question itself

    def augment(self, question: np.ndarray, k: int) -> np.ndarray:
        """The question under augmentation k."""
        ...

    def invert(self, question: np.ndarray, prediction: Prediction, k: int) -> Prediction:
        """A prediction for augment(question, k) as one for the question."""
        ...

    def augmentation_name(self, k: int) -> str:
        """Augmentation k for people: turned 90 degrees."""
        ...


@runtime_checkable
class Generates(Protocol):
    """Makes puzzles."""

    generator_options: tuple[Option, ...]

    def generate(
        self, seed: int, index: int, size: int | tuple[int, int] = ..., **options: Any
    ) -> tuple[np.ndarray, np.ndarray, Difficulty]:
        """Puzzle number `index` of a seed: question, solution, difficulty.

        `size` is (rows, columns), or a number for both. Raises ValueError or TrmsolveError for an impossible request.
        """
        ...


@runtime_checkable
class Trains(Protocol):
    """Has training data, and defaults for a model and its training."""

    model_defaults: Mapping[str, Any]  # fields of TRMConfig
    train_defaults: Mapping[str, Any]  # fields of TrainConfig
    data_options: tuple[Option, ...]  # keyword arguments of training_data

    def training_data(self, specs: Sequence[str], seed: int = 0, **options: Any) -> TrainingData:
        """What `--data` names, as a source of samples; the generator when it names nothing."""
        ...


def default_picture(
    task: Task, question: np.ndarray, prediction: Prediction | None, previous: Prediction | None = None
) -> Picture:
    """A picture of any grid of symbols."""
    if prediction is None:
        return Picture([[Cell(s, "given" if s else "blank") for s in row] for row in task.symbol_grid(question)])
    symbols, is_open = task.symbol_grid(prediction.answer), task.open_cells(question)
    violations = task.check(question, prediction.answer) if task.has_rules else []
    wrong = {cell for violation in violations for cell in violation.cells}

    def cell(row: int, column: int) -> Cell:
        confidence = float(prediction.confidence[row, column])
        if not is_open[row, column]:
            role = "given" if symbols[row][column] else "blank"
        elif (row, column) in wrong:
            role = "conflict"
        elif previous is not None and previous.answer[row, column] != prediction.answer[row, column]:
            role = "changed"
        else:
            role = "unsure" if confidence < UNSURE else "answer"
        return Cell(symbols[row][column], role, confidence)

    rows, columns = question.shape
    return Picture([[cell(row, column) for column in range(columns)] for row in range(rows)])


def cells_of(mask: np.ndarray) -> list[tuple[int, int]]:
    """The cells (row, column) where a mask, bool (rows, columns), is true, in reading order."""
    return [(row, column) for row, column in np.argwhere(mask).tolist()]


def cell_name(cell: Sequence[int]) -> str:
    """A cell (row, column; 0-based) as messages call it: r1c1 is the first."""
    return f"r{cell[0] + 1}c{cell[1] + 1}"
