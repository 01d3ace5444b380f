"""Mazes of any size: shortest paths from S to G."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from trmsolve.tasks.base import DataOption, Task
from trmsolve.tasks.maze.augmentations import NUM_AUGMENTATIONS, augment, augmentation_name, invert
from trmsolve.tasks.maze.cells import FLOOR, WALL
from trmsolve.tasks.maze.encode import decode, encode
from trmsolve.tasks.maze.generate import generate
from trmsolve.tasks.maze.read import read
from trmsolve.tasks.maze.rules import check, connected, is_solution, shortest_length
from trmsolve.tasks.maze.write import format_grid, format_line, path_cells, picture

if TYPE_CHECKING:
    from trmsolve.tasks.base import TrainingData
    from trmsolve.tasks.sequence import SequenceFormat

OFF_PATH = DataOption("off_path", float, min=0, max=1)  # loss weight of cells off the path


class Maze(Task):
    """The task; with Augments, Generates and Trains (tasks/base.py)."""

    name = "maze"

    read = staticmethod(read)
    encode = staticmethod(encode)
    decode = staticmethod(decode)
    format_grid = staticmethod(format_grid)
    format_line = staticmethod(format_line)
    check = staticmethod(check)
    is_solution = staticmethod(is_solution)
    picture = staticmethod(picture)
    generate = staticmethod(generate)
    num_augmentations = NUM_AUGMENTATIONS
    augment = staticmethod(augment)
    invert = staticmethod(invert)
    augmentation_name = staticmethod(augmentation_name)

    def open_cells(self, question: np.ndarray) -> np.ndarray:
        """bool, same shape: the floor, which the path crosses."""
        return question == FLOOR

    def infeasible_reason(self, question: np.ndarray) -> str:
        """Why there is no path, by breadth-first search."""
        return check(question, question)[0].message

    def max_steps(self, question: np.ndarray) -> int:
        """Enough steps for messages, at 16 cells per step, to cross half of all cells and back."""
        return 16 + int((question != WALL).sum()) // 16

    def json_fields(self, answer: np.ndarray) -> dict[str, Any]:
        """The path from S to G as [row, column] pairs, 0-based, and its number of steps."""
        cells = path_cells(answer)
        return {"path": cells, "path_steps": len(cells) - 1}

    def difficulty_group(self, question: np.ndarray) -> str:
        """The range of lengths that the shortest path falls into, 50 steps wide."""
        steps = shortest_length(question)
        if steps is None:
            return "no path"
        low = steps // 50 * 50
        return f"{low} to {low + 49} steps"

    def partial_metrics(self, question: np.ndarray, answer: np.ndarray) -> dict[str, bool]:
        """Whether the answer is a simple path to the goal, of any length."""
        return {"valid_path": connected(question, answer)}

    def as_sequence(self, sequence_format: SequenceFormat) -> Maze:
        """For models with one token per cell."""
        from trmsolve.tasks.maze.sequence import SequenceMaze

        return SequenceMaze(sequence_format)

    # -- Trains -------------------------------------------------------------------------------------------------
    # Each layer passes messages to the next cell: a supervision step has (n + 1) T applications, and reaches 16 cells.
    model_defaults: ClassVar[Mapping[str, Any]] = {
        "mixer": "grid",
        "num_classes": 17,  # encode.OPTIONS
        "vocab_size": 3,  # encode.KINDS
        "hidden_size": 32,
        "intermediate_size": 96,
        "T": 2,
        "N_sup": 40,
    }
    train_defaults: ClassVar[Mapping[str, Any]] = {}
    data_options: ClassVar[tuple[DataOption, ...]] = (
        OFF_PATH,
        DataOption("phase", float, min=0, max=1),  # loss weight of the distance modulo 8
    )

    def training_data(self, specs: Sequence[str], seed: int = 0, **options: Any) -> TrainingData:
        """Files and generators, mixed by weight."""
        from trmsolve.tasks.maze.data import MazeData

        return MazeData.open(specs, seed, **options)


TASK = Maze()
