"""Mazes for the published networks: a token for each cell, walls among them.

Token ids: pad 0, # 1, space 2, S 3, G 4, o 5 (the data set of the TRM and HRM code): one more than our cells.
"""

from __future__ import annotations

import numpy as np

from trmsolve.tasks.base import Encoded, Guess
from trmsolve.tasks.cellwise import MAX_STEPS, Frame
from trmsolve.tasks.maze import Maze
from trmsolve.tasks.maze.cells import FLOOR, PATH
from trmsolve.tasks.maze.rules import shortest

SHIFT = 1


class CellwiseMaze(Maze):
    """The task for one model: rules, text and views are the same, what the model sees is another."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame

    def unfit(self, question: np.ndarray) -> str:
        """Only the model's own size, 30x30."""
        return self.frame.unfit(question)

    def encode(self, question: np.ndarray) -> Encoded | None:
        """The maze, uint8 (height, width), cell by cell; None when no path leads to the goal, or for another size.

        A cell's options are all that a maze may hold but walls: a start or a goal where none is means no path.
        """
        if self.unfit(question) or shortest(question) is None:
            return None
        open_cells = np.flatnonzero(question == FLOOR)
        return self.frame.encode(question.reshape(-1) + SHIFT, open_cells, FLOOR + SHIFT, PATH - FLOOR + 1)

    def decode(self, question: np.ndarray, meanings: np.ndarray, confidence: np.ndarray) -> Guess:
        """The maze with PATH where the chosen tokens (cell * vocabulary + token id, int64 (U,)) say so."""
        answer, sure = question.copy(), np.ones(question.shape, np.float32)
        cells, tokens = np.divmod(meanings, self.frame.vocabulary)
        answer.reshape(-1)[cells[tokens == PATH + SHIFT]] = PATH
        sure.reshape(-1)[cells] = confidence
        return Guess(answer, sure)

    def max_steps(self, question: np.ndarray) -> int:
        """Runs whose answer rests end before."""
        return MAX_STEPS
