"""ARC-AGI as a task: a few pairs of grids demonstrate a rule, which is to be applied to test inputs.

Other tasks have one rule, which the model learns once. In ARC each puzzle has its own rule, so solving one is training
(few_shot.Demonstrates; inference/test_time_training.py). An answer cannot be checked by its question alone, as in
base.Task, but only compared with a known answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.arc import read as reader
from trmsolve.tasks.arc.encode import FEATURE_SIZES, NUM_CLASSES, RELATIONS, VOCAB_SIZE
from trmsolve.tasks.arc.grids import MAX_READABLE_SIDE, MAX_SIDE, SizeRule
from trmsolve.tasks.arc.json_io import format_grid, parse_lines, submission
from trmsolve.tasks.arc.picture import grid_picture
from trmsolve.tasks.base import DataOption, InvalidPuzzle, Line, Picture, Prediction, Puzzle, Task
from trmsolve.tasks.few_shot import AugmentedTask, FewShotTask

if TYPE_CHECKING:
    from trmsolve.tasks.arc.dataset import ArcTrainingData
    from trmsolve.tasks.sequence import SequenceFormat

SIDES = (10, 20, MAX_SIDE)  # groups of tasks in reports, by the longest side of their grids


class Arc(Task):
    """The task object; capabilities Trains and Demonstrates."""

    name = "arc"
    styles: ClassVar[tuple[str, ...]] = ("grid",)
    model_defaults: ClassVar[Mapping[str, Any]] = {
        "mixer": "relational",
        "embedding": "color",
        "feature_sizes": FEATURE_SIZES,
        "vocab_size": VOCAB_SIZE,
        "num_classes": NUM_CLASSES,
        "num_relations": len(RELATIONS),
        "hidden_size": 64,
        "intermediate_size": 128,
        "n": 2,
        "N_sup": 6,
    }
    # Each row of the puzzle table gets few updates: large steps, no decay. Every task has a solution.
    train_defaults: ClassVar[Mapping[str, Any]] = {
        "batch_size": 40,
        "puzzle_lr": 0.03,
        "puzzle_weight_decay": 0.0,
        "solvable_weight": 0.0,
    }
    data_options = (
        DataOption("held_out", float, min=0, max=1),  # share of tasks, chosen by name, that are not trained on
        DataOption("rows_per_task", int, min=1),  # rows of the puzzle table for each task, under different symmetries
        DataOption("most", int, min=1),  # maximum cells of a canvas; larger pairs are skipped
    )
    report_groups: ClassVar[Mapping[str, Sequence[str]]] = {
        "sides": tuple(map(str, SIDES)),
        "sizes": ("same", "other"),  # of outputs, compared with their inputs
    }

    # -- text and pictures ----------------------------------------------------------------------------------------
    def read(self, lines: Iterable[Line], source: str) -> Iterator[FewShotTask | InvalidPuzzle]:  # type: ignore[override]
        """The tasks of one text, JSON or JSON Lines."""
        yield from reader.read_documents(parse_lines("\n".join(line.text for line in lines)), source)

    read_files = staticmethod(reader.read)
    empty_answers = staticmethod(reader.empty_answers)
    submission = staticmethod(submission)

    def describe_files(self, paths: Iterable[str | Path]) -> Iterator[dict[str, Any]]:
        """What is understood of each file; see read.FileContent."""
        return (content.as_dict() for content in reader.read_contents(paths, strict=False))

    def write(self, puzzle: Puzzle, answer: np.ndarray, style: str, ascii_only: bool = False) -> str:
        """A grid as rows of digits."""
        return format_grid(answer)

    def format_grid(self, grid: np.ndarray, style: str, ascii_only: bool = False) -> str:
        """A grid as rows of digits."""
        return format_grid(grid)

    def format_line(self, grid: np.ndarray) -> str:
        """A grid's digits, row after row."""
        return format_grid(grid).replace("\n", "")

    def picture(
        self, question: np.ndarray, prediction: Prediction | None, previous: Prediction | None = None
    ) -> Picture:
        """A grid in its colours."""
        return grid_picture(question if prediction is None else prediction.answer)

    # -- few-shot -------------------------------------------------------------------------------------------------
    def augmented_task(self, task: FewShotTask, num_augmentations: int, first_row: int, seed: int) -> AugmentedTask:
        """The task under the first `num_augmentations`, with rows of the puzzle table from `first_row` on."""
        from trmsolve.tasks.arc.augmentations import ArcAugmentedTask

        return ArcAugmentedTask(task, num_augmentations, first_row, seed)

    def supports_model(self, config: Any) -> bool:
        """Whether a network of this TRMConfig takes the tokens and relations of encode.py, and has a puzzle table."""
        fits = tuple(config.feature_sizes) == FEATURE_SIZES and config.num_relations == len(RELATIONS)
        return fits and config.num_puzzles > 0

    def group_of(self, task: FewShotTask) -> dict[str, str]:
        """The task's group in each of report_groups."""
        side = next((limit for limit in SIDES if task.max_side <= limit), MAX_READABLE_SIDE)
        return {"sides": str(side), "sizes": "same" if SizeRule.from_pairs(task.pairs).keeps_size else "other"}

    # -- training -------------------------------------------------------------------------------------------------
    def training_data(self, specs: Sequence[str], seed: int = 0, **options: Any) -> ArcTrainingData:
        """Files of tasks, `[demonstrations:]PATH[=WEIGHT]`; see dataset.ArcTrainingData.open."""
        from trmsolve.tasks.arc.dataset import ArcTrainingData

        return ArcTrainingData.open(specs, seed, **options)

    # -- what ARC does not have -----------------------------------------------------------------------------------
    def encode(self, question: np.ndarray) -> NoReturn:
        """Raises TrmsolveError: an input cannot be solved without demonstrations."""
        raise self._needs_demonstrations()

    def decode(self, question: np.ndarray, meanings: np.ndarray, confidence: np.ndarray) -> NoReturn:
        """Raises TrmsolveError, as encode does."""
        raise self._needs_demonstrations()

    def check(self, question: np.ndarray, answer: np.ndarray) -> NoReturn:
        """Raises TrmsolveError, as encode does."""
        raise self._needs_demonstrations()

    def as_sequence(self, sequence_format: SequenceFormat) -> NoReturn:
        """Raises TrmsolveError: the published networks for ARC identify their tasks by rows of their own tables."""
        raise TrmsolveError(
            "an ARC network with one token per cell cannot solve tasks from the command line",
            "run it step by step from Python: trmsolve.load(FILE).refine(tokens, puzzle_ids)",
        )

    def _needs_demonstrations(self) -> TrmsolveError:
        return TrmsolveError(
            "ARC tasks need test-time training on their demonstrations",
            "use trmsolve arc FILE, or Model.adapt(tasks) in Python",
        )


TASK = Arc()
