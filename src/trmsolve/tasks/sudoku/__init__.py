"""Sudoku: 4x4, 6x6, 9x9 and 16x16 grids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from trmsolve.tasks.base import Option, Task
from trmsolve.tasks.sudoku.generate import generate
from trmsolve.tasks.sudoku.picture import picture
from trmsolve.tasks.sudoku.read import read
from trmsolve.tasks.sudoku.rules import check, is_solution
from trmsolve.tasks.sudoku.write import CSV_HEADER, format_grid, format_line, write

if TYPE_CHECKING:
    from trmsolve.model.inputs import Encoded
    from trmsolve.tasks.base import Prediction, TrainingData
    from trmsolve.tasks.sequence import SequenceFormat

MIN_GIVENS = 17  # of a 9x9 grid with one solution

HINT_OPTIONS = (
    Option("hint_prob", float, "Probability of extra givens.", min=0, max=1, aliases=("easier",)),
    Option("hint_max", float, "Largest share of blanks filled in at first.", min=0, max=1, aliases=("easier_most",)),
    Option("hint_min", float, "The same from draw hint_draws on.", min=0, max=1, aliases=("easier_least",)),
    Option("hint_draws", float, "Draws until hint_min is reached.", min=0, aliases=("easier_draws",)),
)


class Sudoku(Task):
    """The task; with Branches, Generates and Trains (tasks/base.py)."""

    name = "sudoku"
    styles = ("grid", "line", "csv")
    csv_header = CSV_HEADER
    search_defaults: ClassVar[Mapping[str, Any]] = {"confidence_floor": 0.4}  # tuned on extreme_train (docs/records.md)

    read = staticmethod(read)
    write = staticmethod(write)
    format_grid = staticmethod(format_grid)
    format_line = staticmethod(format_line)
    check = staticmethod(check)
    is_solution = staticmethod(is_solution)
    picture = staticmethod(picture)
    generate = staticmethod(generate)

    # Encoding needs the model's edge types, and so torch: it is imported when the first puzzle is solved.
    def encode(self, question: np.ndarray) -> Encoded | None:
        """Candidates as tokens (encode.py)."""
        from trmsolve.tasks.sudoku.encode import encode

        return encode(question)

    def decode(self, question: np.ndarray, meanings: np.ndarray, confidence: np.ndarray) -> Prediction:
        """The grid with the chosen candidates."""
        from trmsolve.tasks.sudoku.encode import decode

        return decode(question, meanings, confidence)

    def open_cells(self, question: np.ndarray) -> np.ndarray:
        """bool (side, side): the blanks."""
        return question == 0

    def infeasible_reason(self, question: np.ndarray) -> str:
        """Why encode() gives None."""
        return "the givens leave some cell or unit without a digit"

    def ambiguity_reason(self, question: np.ndarray) -> str:
        """For fewer givens than any 9x9 grid with one solution has (arXiv 1201.0749)."""
        givens = int((question > 0).sum())
        if question.shape != (9, 9) or givens >= MIN_GIVENS:
            return ""
        return f"with {givens} givens it has several solutions or none: for only one a 9x9 grid needs {MIN_GIVENS}"

    def difficulty_group(self, question: np.ndarray) -> str:
        """By size."""
        return f"{len(question)}x{len(question)}"

    def as_sequence(self, sequence_format: SequenceFormat) -> Sudoku:
        """For models with one token per cell."""
        from trmsolve.tasks.sudoku.sequence import SequenceSudoku

        return SequenceSudoku(sequence_format)

    # -- Branches -----------------------------------------------------------------------------------------------
    def with_assignment(self, question: np.ndarray, meaning: int) -> np.ndarray:
        """A copy of the question with one candidate as given."""
        from trmsolve.tasks.sudoku.encode import with_assignment

        return with_assignment(question, meaning)

    def describe_assignment(self, question: np.ndarray, meaning: int) -> str:
        """A candidate for people: r3c5=7."""
        from trmsolve.tasks.sudoku.encode import describe_assignment

        return describe_assignment(question, meaning)

    # -- Generates ----------------------------------------------------------------------------------------------
    generator_options = (
        Option("extra", int, "Further givens beyond those needed.", 0, min=0),
        Option("minimal", bool, "Drop givens until none can go.", True),
        Option("min_branches", int, "Guesses that an exact solver needs at least.", 0, min=0),
    )

    # -- Trains -------------------------------------------------------------------------------------------------
    model_defaults: ClassVar[Mapping[str, Any]] = {
        "mixer": "units",
        "weight_sharing": (0, 1, 1, 2),  # cell, row, column, box: row and column share theirs
        "unit_scale": 1 / 3,  # 1/sqrt(9) keeps the variance of a unit's sum near 1
        "N_sup": 32,
    }
    train_defaults: ClassVar[Mapping[str, Any]] = {"bptt_steps": 4, "lr": 0.006}
    data_options: ClassVar[tuple[Option, ...]] = (
        *HINT_OPTIONS,
        Option("unsolvable_prob", float, "Probability of a wrong extra given.", min=0, max=1, aliases=("wrong",)),
    )

    def training_data(self, specs: Sequence[str], seed: int = 0, **options: Any) -> TrainingData:
        """Files and generators, mixed by weight."""
        from trmsolve.tasks.sudoku.data import SudokuData

        return SudokuData.open(specs, seed, **options)


TASK = Sudoku()
