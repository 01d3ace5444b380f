"""Mazes for models with one token per cell, walls included.

Token ids: pad 0, # 1, space 2, S 3, G 4, o 5 (the data set of the TRM and HRM code): one more than our cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.model.inputs import Encoded
from trmsolve.tasks.base import Option, Prediction, Sample
from trmsolve.tasks.maze import OFF_PATH, Maze
from trmsolve.tasks.maze.augmentations import NUM_AUGMENTATIONS, augment
from trmsolve.tasks.maze.bfs import with_path
from trmsolve.tasks.maze.cells import FLOOR, PATH
from trmsolve.tasks.maze.data import MazeSamples
from trmsolve.tasks.maze.rules import shortest_length
from trmsolve.tasks.sequence import SEQUENCE_MAX_STEPS, SequenceFormat

SHIFT = 1
VOCAB_SIZE = PATH + SHIFT + 1


class SequenceMaze(Maze):
    """The task for one model: rules, text and augmentations as in Maze; encoding differs."""

    data_options: ClassVar[tuple[Option, ...]] = (
        Option("given", bool, "Train on the answers that come with mazes."),
        Option("symmetries", bool, "Draw each maze under a random augmentation."),
        OFF_PATH,
    )

    def __init__(self, sequence_format: SequenceFormat) -> None:
        self.format = sequence_format.for_task("maze", VOCAB_SIZE)

    def training_data(self, specs: Sequence[str], seed: int = 0, **options: Any) -> SequenceMazeData:
        """Mazes of the network's one size, by default generated ones."""
        return SequenceMazeData.open(specs or [f"generate:{self.format.side}"], seed, format=self.format, **options)

    def unsupported_reason(self, question: np.ndarray) -> str:
        """Only the model's own size, 30x30."""
        return self.format.unsupported_reason(question)

    def encode(self, question: np.ndarray) -> Encoded | None:
        """The maze, uint8 (height, width), cell by cell; None when no path leads to the goal, or for another size.

        A cell's options are all that a maze may hold but walls: a start or a goal where none is means no path.
        """
        if self.unsupported_reason(question) or shortest_length(question) is None:
            return None
        open_cells = np.flatnonzero(question == FLOOR)
        return self.format.encode(question.reshape(-1) + SHIFT, open_cells, FLOOR + SHIFT, PATH - FLOOR + 1)

    def decode(self, question: np.ndarray, meanings: np.ndarray, confidence: np.ndarray) -> Prediction:
        """The maze with PATH where the chosen tokens (cell * vocab_size + token id, int64 (U,)) say so."""
        answer, confidences = question.copy(), np.ones(question.shape, np.float32)
        cells, tokens = np.divmod(meanings, self.format.vocab_size)
        answer.reshape(-1)[cells[tokens == PATH + SHIFT]] = PATH
        confidences.reshape(-1)[cells] = confidence
        return Prediction(answer, confidences)

    def max_steps(self, question: np.ndarray) -> int:
        """Rollouts whose answer no longer changes end earlier."""
        return SEQUENCE_MAX_STEPS


@dataclass(frozen=True)
class SequenceMazeData(MazeSamples):
    """Training samples of such a model."""

    given: bool = False  # train on the answer that came with a maze, one of very many, as published; else the canonical
    symmetries: bool = True  # each draw under a random augmentation; published: none
    off_path: float = 1.0  # weight in the loss of cells beside the path
    format: SequenceFormat | None = None

    def draw(self, index: int) -> Sample:
        """Sample number `index`. Raises TrmsolveError for a maze of another size, or without the answer needed."""
        assert self.format is not None
        searched, rng = self.maze(index)
        if reason := self.format.unsupported_reason(searched.maze):
            raise TrmsolveError(f"training data: {reason}", f"train on mazes with sides of {self.format.side} only")
        k = int(rng.integers(NUM_AUGMENTATIONS)) if self.symmetries else 0
        maze, steps = searched.augmented(k)
        if self.given and searched.given is None:
            raise TrmsolveError("training data: a maze without its answer", "leave out data.given, or give answers")
        answer = augment(searched.given, k) if self.given and searched.given is not None else with_path(maze, steps)
        sample = self.format.sample(maze.reshape(-1) + SHIFT, answer.reshape(-1) + SHIFT)
        weight = np.where(answer == PATH, 1.0, self.off_path).reshape(-1).astype(np.float32)
        return replace(sample, weight=weight)
