"""A maze as a picture: walls, floor, both ends, and a path of which some cells are new, doubtful or just given up."""

from __future__ import annotations

import numpy as np

from trmsolve.tasks.base import UNSURE, Cell, Picture, Prediction
from trmsolve.tasks.maze.cells import FLOOR, GOAL, PATH, START, SYMBOLS, WALL

UNSURE_PATH, NEW_PATH, FORMER_PATH = range(PATH + 1, PATH + 4)

# One Cell for all cells of a look: a picture of 10,000 cells is made at every step and kept for the files.
LOOKS = {
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

    question: uint8 (height, width) of WALL, FLOOR, START, GOAL. Walls and both ends are drawn as the question has them;
    of the prediction only the path over floor counts. `changed` (the path is new here) and `former` (it ran here) are
    relative to `previous`: at the first step, where everything is new, nothing is marked.
    """
    look = question.astype(np.intp)
    if prediction is not None:
        path = (prediction.answer == PATH) & (question == FLOOR)
        look[path] = PATH
        look[path & (prediction.confidence < UNSURE)] = UNSURE_PATH
        if previous is not None:
            before = (previous.answer == PATH) & (question == FLOOR)
            look[path & ~before] = NEW_PATH
            look[before & ~path] = FORMER_PATH
    return Picture([[LOOKS[k] for k in row] for row in look.tolist()], solid=True)
