"""A maze as a picture: walls, floor, start, goal, and the path with new, unsure and removed cells."""

from __future__ import annotations

import numpy as np

from trmsolve.tasks.base import UNSURE, Cell, Picture, Prediction
from trmsolve.tasks.maze.cells import FLOOR, GOAL, PATH, START, SYMBOLS, WALL

UNSURE_PATH, NEW_PATH, FORMER_PATH = range(PATH + 1, PATH + 4)

# All cells of one kind share a Cell object: a picture of 10,000 cells is created at every step and kept in memory.
CELLS = {
    WALL: Cell(SYMBOLS[WALL], "wall"),
    FLOOR: Cell(SYMBOLS[FLOOR], "floor"),
    START: Cell(SYMBOLS[START], "start"),
    GOAL: Cell(SYMBOLS[GOAL], "goal"),
    PATH: Cell(SYMBOLS[PATH], "path"),
    UNSURE_PATH: Cell(SYMBOLS[PATH], "unsure"),
    NEW_PATH: Cell(SYMBOLS[PATH], "changed"),
    FORMER_PATH: Cell(SYMBOLS[FLOOR], "former"),
}


def picture(question: np.ndarray, prediction: Prediction | None, previous: Prediction | None = None) -> Picture:
    """The maze after one step; with `prediction` None the bare question.

    question: uint8 (height, width) of WALL, FLOOR, START, GOAL. Walls, start and goal are drawn as in the question, the
    path of the prediction over floor only. The roles `changed` (added to the path) and `former` (removed from it) are
    relative to `previous`; without it, at the first step, no cell is marked.
    """
    kinds = question.astype(np.intp)
    if prediction is not None:
        path = (prediction.answer == PATH) & (question == FLOOR)
        kinds[path] = PATH
        kinds[path & (prediction.confidence < UNSURE)] = UNSURE_PATH
        if previous is not None:
            before = (previous.answer == PATH) & (question == FLOOR)
            kinds[path & ~before] = NEW_PATH
            kinds[before & ~path] = FORMER_PATH
    return Picture([[CELLS[kind] for kind in row] for row in kinds.tolist()], solid=True)
