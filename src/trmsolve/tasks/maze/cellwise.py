"""Mazes for the published networks: a token for each cell, walls among them.

Token ids: pad 0, # 1, space 2, S 3, G 4, o 5 (the data set of the TRM and HRM code): one more than our cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.base import Encoded, Guess, Sample
from trmsolve.tasks.cellwise import MAX_STEPS, Frame
from trmsolve.tasks.maze import Maze
from trmsolve.tasks.maze.cells import FLOOR, PATH
from trmsolve.tasks.maze.data import Mazes
from trmsolve.tasks.maze.paths import drawn
from trmsolve.tasks.maze.rules import shortest
from trmsolve.tasks.maze.views import VIEWS, view

SHIFT = 1
VOCABULARY = PATH + SHIFT + 1


class CellwiseMaze(Maze):
    """The task for one model: rules, text and views are the same, what the model sees is another."""

    mix = ("given", "symmetries", "off_path")

    def __init__(self, frame: Frame) -> None:
        self.frame = frame.for_task("maze", VOCABULARY)

    def data(self, specs: Sequence[str], seed: int = 0, **mix: Any) -> CellwiseData:
        """Mazes of the network's one size, by default generated ones."""
        return CellwiseData.open(specs or [f"generate:{self.frame.side}"], seed, frame=self.frame, **mix)

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


@dataclass(frozen=True)
class CellwiseData(Mazes):
    """What a run of such a network draws from."""

    given: bool = False  # train on the answer that came with a maze, one of very many, as published; else the canonical
    symmetries: bool = True  # each draw from a random side; published: as it stands
    off_path: float = 1.0  # weight in the loss of cells beside the path
    frame: Frame | None = None

    def draw(self, index: int) -> Sample:
        """Sample number `index`. Raises TrmsolveError for a maze of another size, or without the answer asked for."""
        known, rng = self.maze(index)
        if reason := self.frame.unfit(known.maze):
            raise TrmsolveError(f"training data: {reason}", f"train on mazes with sides of {self.frame.side} only")
        k = int(rng.integers(VIEWS)) if self.symmetries else 0
        maze, steps = known.seen(k)
        if self.given and known.given is None:
            raise TrmsolveError("training data: a maze without its answer", "leave out data.given, or give answers")
        answer = view(known.given, k) if self.given else drawn(maze, steps)
        made = self.frame.sample(maze.reshape(-1) + SHIFT, answer.reshape(-1) + SHIFT)
        weight = np.where(answer == PATH, 1.0, self.off_path).reshape(-1).astype(np.float32)
        return replace(made, weight=weight)
