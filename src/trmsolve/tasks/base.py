"""What a task is: the one small interface behind which Sudoku, mazes and ARC stand.

The model, the solver, the trainer and the views import this file and no task. Nothing here imports torch, so that
reading, checking and writing puzzles start at once.

A puzzle travels like this:

    text --read--> Puzzle --encode--> Encoded --model--> values [cells] --decode--> answer --check--> violations
                                                                              \\--write--> text, --picture--> Picture
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from trmsolve.tasks.cellwise import Frame

UNSURE = 0.8  # pictures draw as doubtful what the model itself gives less than this


class Line(NamedTuple):
    """One line of input as sources.py delivers it: 1-based number, text without its line ending."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Puzzle:
    """One question as it was read."""

    question: np.ndarray  # the task's own grid; Sudoku: uint8 (side, side), 0 = blank
    source: str = ""  # "file:line" of its first line
    style: str = ""  # how it was written ("line", "grid", "csv", ...): piped output takes the same shape
    solution: np.ndarray | None = (
        None  # the answer that came with it (CSV answer column); used by eval, never by solving
    )


@dataclass(frozen=True, slots=True)
class BadPuzzle:
    """A record of the input that is no puzzle: it spoils only itself."""

    source: str  # "file:line"
    message: str  # what is wrong and what was expected, one line
    text: str = ""  # the offending text, shortened


@dataclass(frozen=True, slots=True)
class Units:
    """Tokens tied by the units they lie in, for the mixer `units`.

    of_token: int32 (K, L) for each of K kinds of unit, the unit (0 .. number-1) that each token belongs to.
    number: units of each kind (the same for every kind).
    """

    of_token: np.ndarray
    number: int


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Tokens tied to those beside them, for the mixer `grid`.

    of_token: int32 (L, 4) the token above, left, right and below; -1 where there is none.
    """

    of_token: np.ndarray


@dataclass(frozen=True, slots=True)
class Scene:
    """Tokens tied to those around them and to groups of K kinds, for the mixer `scene`.

    near: int32 (L, 8) the tokens around each, -1 where there is none.
    speaks, hears: int32 (K, L) for each kind the group that a token speaks to, and the one that it hears; -1 for none.
    numbers: int64 (K,) groups of each kind.
    """

    near: np.ndarray
    speaks: np.ndarray
    hears: np.ndarray
    numbers: np.ndarray


@dataclass(frozen=True, slots=True)
class Places:
    """Tokens known by their place in a row, for the mixers `mlp` and `attention`: everyone hears everyone.

    length: how many. All puzzles of a batch have the same number.
    """

    length: int


@dataclass(frozen=True, slots=True)
class Encoded:
    """One question as the model takes it: L tokens, what ties them together, and the U choices that make an answer.

    x: int64 (L,) token ids for the embedding of the question (model/question.py).
    ties: which tokens hear each other.
    first, size: int64 (U,) The model gives every token one logit or several; all of them in a row, token by token, are
        the options. Choice u takes exactly one of the size[u] options from first[u] on.
    meanings: int64 (O,) what each option says, in the task's own terms (Sudoku: cell * side + digit, 0-based).
    """

    x: np.ndarray
    ties: Units | Neighbours | Scene | Places
    first: np.ndarray
    size: np.ndarray
    meanings: np.ndarray

    @property
    def choices(self) -> int:
        """U, how many choices there are to make."""
        return len(self.first)


@dataclass(frozen=True, slots=True)
class Sample:
    """One training example.

    target: int64 (U,) for each choice the rank of its right option among its own.
    accepted: bool (O,) options that leave the answer right; None: the target alone.
    weight: float32 (U,) of each choice in the loss; None: all alike.
    """

    encoded: Encoded
    target: np.ndarray
    solvable: bool = True  # False: a question made unsolvable on purpose; only the heads learn from it
    accepted: np.ndarray | None = None
    weight: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule of an answer: a sentence for people and the cells (row, column; 0-based) it concerns."""

    message: str
    cells: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Guess:
    """What the model says of one puzzle after one step: its answer and how sure it is, cell by cell."""

    answer: np.ndarray  # same shape as the question, every cell filled
    confidence: np.ndarray  # float32, same shape, probability of the cell's answer; 1 for givens


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a picture. `role` is a key of view/theme.py: given, answer, changed, unsure, conflict, blank, ..."""

    text: str
    role: str
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Picture:
    """A grid of cells that every view (terminal, SVG, GIF, HTML) can draw without knowing the task."""

    cells: Sequence[Sequence[Cell]]
    box: tuple[int, int] | None = None  # a heavier line after every so many (rows, columns); None: no lines
    solid: bool = False  # cells are areas of colour; their symbols are for where there is no colour


@dataclass(frozen=True, slots=True)
class Difficulty:
    """What the generator knows of a puzzle it made: the task's own measures by name, as JSON records show them."""

    details: dict[str, Any]


class TrainingData(Protocol):
    """Samples without end. Sample number `index` is always the same, so that a run's position is one number."""

    def draw(self, index: int) -> Sample: ...

    def describe(self) -> list[dict[str, object]]:
        """Provenance: name, sha256, number of puzzles and share of each source."""


class Task(Protocol):
    """The interface. One module-level object per task implements it; tasks/__init__.py finds it by name."""

    name: str
    styles: tuple[str, ...]  # the --format names that write() knows besides json and jsonl
    csv_header: str  # what stands above the rows of the style csv

    # -- text ---------------------------------------------------------------------------------------------------
    def read(self, lines: Iterable[Line], source: str) -> Iterator[Puzzle | BadPuzzle]:
        """Puzzles of one file, as soon as their last line has been seen. `source` is the file's name."""

    def write(self, puzzle: Puzzle, answer: np.ndarray, style: str, ascii_only: bool = False) -> str:
        """The answer as text in one of `styles`, without a trailing newline."""

    def draw(self, grid: np.ndarray, style: str, ascii_only: bool = False) -> str:
        """A question or an answer as text in the style grid or line."""

    def line(self, grid: np.ndarray) -> str:
        """A question or an answer on one line (JSON records)."""

    # -- rules --------------------------------------------------------------------------------------------------
    def check(self, question: np.ndarray, answer: np.ndarray) -> list[Violation]:
        """Every rule the answer breaks; empty when it is a solution of the question. Judges, never supplies."""

    def solved(self, question: np.ndarray, answer: np.ndarray) -> bool:
        """Whether check() would find nothing, quickly: it is asked after every step of every puzzle."""

    # -- model --------------------------------------------------------------------------------------------------
    def by_cells(self, frame: Frame) -> Task:
        """The same task for a published network, which takes a token for each cell."""

    def unfit(self, question: np.ndarray) -> str:
        """Why the model cannot take this question whatever its answer (another size), "" when it can."""

    def encode(self, question: np.ndarray) -> Encoded | None:
        """Tokens of the question; None when the rules already reject it (an open cell with nothing left, no way)."""

    def decode(self, question: np.ndarray, meanings: np.ndarray, confidence: np.ndarray) -> Guess:
        """The grid that the chosen tokens mean: int64 (U,) meanings, float32 (U,) confidence, by choice."""

    def open_cells(self, question: np.ndarray) -> np.ndarray:
        """bool, same shape: the cells that an answer fills in."""

    # -- restarts: by assumption where `views` is 0, otherwise by looking at the question from another side ------
    views: int  # how many ways there are to look at a question, the first being as it stands

    def assume(self, question: np.ndarray, meaning: int) -> np.ndarray:
        """A copy of the question in which what an option says is taken as given."""

    def describe(self, question: np.ndarray, meaning: int) -> str:
        """What an option says, for people: r3c5=7."""

    def view(self, question: np.ndarray, k: int) -> np.ndarray:
        """The same question, seen in way k of `views`."""

    def unview(self, question: np.ndarray, guess: Guess, k: int) -> Guess:
        """A guess at view(question, k) as one at the question."""

    def name_view(self, k: int) -> str:
        """Way k for people: turned 90 degrees."""

    # -- measures -----------------------------------------------------------------------------------------------
    def max_steps(self, question: np.ndarray) -> int:
        """Supervision steps that a run takes at most, unless somebody says otherwise."""

    def details(self, answer: np.ndarray) -> dict[str, Any]:
        """What a JSON record says of a verified answer beyond its text."""

    def refusal(self, question: np.ndarray) -> str:
        """Why encode() gives None."""

    def stratum(self, question: np.ndarray) -> str:
        """The kind of question by which accuracy is reported, "" where the task knows none."""

    def qualities(self, question: np.ndarray, answer: np.ndarray) -> dict[str, bool]:
        """What an answer that breaks a rule may still be worth, by name; empty where right is all there is."""

    # -- pictures -----------------------------------------------------------------------------------------------
    def picture(self, question: np.ndarray, guess: Guess | None, previous: Guess | None = None) -> Picture:
        """The grid with givens, this step's changes, confidence and conflicts told apart by role."""

    # -- making puzzles -----------------------------------------------------------------------------------------
    def generate(
        self, seed: int, index: int, size: int | tuple[int, int] = ..., **wanted: Any
    ) -> tuple[np.ndarray, np.ndarray, Difficulty]:
        """Puzzle number `index` of a seed: question, solution, difficulty.

        `size` is rows and columns, or a number for both. What else can be wanted, each task says by its own parameters;
        `trmsolve generate` reads their names there. ValueError or TrmsolveError: what is wanted cannot be had.
        """

    model: dict[str, Any]  # a new model's TRMConfig, where it differs from the defaults
    train: dict[str, Any]  # how to train it: TrainConfig, where it differs from the defaults
    mix: tuple[str, ...]  # the keywords that data() knows

    def data(self, specs: Sequence[str], seed: int = 0, **mix: float) -> TrainingData:
        """What `--data` names, as a source of samples; the generator when it names nothing."""
