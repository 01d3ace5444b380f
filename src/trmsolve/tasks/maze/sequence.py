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
from trmsolve.tasks.base import DataOption, Prediction, Sample
from trmsolve.tasks.maze import OFF_PATH, Maze
from trmsolve.tasks.maze.augmentations import NUM_AUGMENTATIONS, augment
from trmsolve.tasks.maze.cells import FLOOR, PATH
from trmsolve.tasks.maze.data import MazeSamples
from trmsolve.tasks.maze.rules import shortest_length, with_path
from trmsolve.tasks.sequence import SEQUENCE_MAX_STEPS, SequenceFormat

SHIFT = 1
VOCAB_SIZE = PATH + SHIFT + 1


class SequenceMaze(Maze):
    """The task for one model: rules, text and augmentations as in Maze; encoding differs."""

    data_options: ClassVar[tuple[DataOption, ...]] = (
        DataOption("given", bool),  # train on the answers in the files
        DataOption("symmetries", bool),  # draw each maze under a random augmentation
        OFF_PATH,
    )

    def __init__(self, sequence_format: SequenceFormat) -> None:
        self.format = sequence_format.for_task("maze", VOCAB_SIZE)

    def training_data(self, specs: Sequence[str], seed: int = 0, **options: Any) -> SequenceMazeData:
        """Mazes of the network's size; generated ones if there are no files."""
        return SequenceMazeData.open(specs or [f"generate:{self.format.side}"], seed, format=self.format, **options)

    def unsupported_reason(self, question: np.ndarray) -> str:
        """A message unless the maze has the model's size, 30x30."""
        return self.format.unsupported_reason(question)

    def encode(self, question: np.ndarray) -> Encoded | None:
        """The maze, uint8 (height, width), one token per cell; None if there is no path, or for another size.

        The options of a cell are floor, start, goal and path. Start or goal where the question has none count as floor.
        """
        if self.unsupported_reason(question) or shortest_length(question) is None:
            return None
        open_cells = np.flatnonzero(question == FLOOR)
        return self.format.encode(question.reshape(-1) + SHIFT, open_cells, FLOOR + SHIFT, PATH - FLOOR + 1)

    def decode(self, question: np.ndarray, meanings: np.ndarray, confidence: np.ndarray) -> Prediction:
        """The maze with PATH in the cells whose chosen token is PATH.

        meanings: int64 (U,), cell * vocab_size + token id. confidence: float32 (U,).
        """
        answer, confidences = question.copy(), np.ones(question.shape, np.float32)
        cells, tokens = np.divmod(meanings, self.format.vocab_size)
        answer.reshape(-1)[cells[tokens == PATH + SHIFT]] = PATH
        confidences.reshape(-1)[cells] = confidence
        return Prediction(answer, confidences)

    def max_steps(self, question: np.ndarray) -> int:
        """A constant; a rollout ends earlier if its answer no longer changes."""
        return SEQUENCE_MAX_STEPS


@dataclass(frozen=True)
class SequenceMazeData(MazeSamples):
    """Training samples of such a model."""

    given: bool = False  # label: the answer in the file, as published, or (False) the canonical shortest path
    symmetries: bool = True  # each sample under a random augmentation; published: none
    off_path: float = 1.0  # loss weight of cells off the path
    format: SequenceFormat | None = None

    def draw(self, index: int) -> Sample:
        """Sample number `index`. Raises TrmsolveError for a maze of another size, or without a required answer."""
        assert self.format is not None
        searched, rng = self.puzzle(index)
        if reason := self.format.unsupported_reason(searched.maze):
            raise TrmsolveError(f"training data: {reason}", f"train on mazes with sides of {self.format.side} only")
        k = int(rng.integers(NUM_AUGMENTATIONS)) if self.symmetries else 0
        maze, steps = searched.augmented(k)
        if self.given and searched.given is None:
            raise TrmsolveError("training data: the answer is missing", "set data.given=false, or add answers")
        answer = augment(searched.given, k) if self.given and searched.given is not None else with_path(maze, steps)
        sample = self.format.sample(maze.reshape(-1) + SHIFT, answer.reshape(-1) + SHIFT)
        weight = np.where(answer == PATH, 1.0, self.off_path).reshape(-1).astype(np.float32)
        return replace(sample, weight=weight)
