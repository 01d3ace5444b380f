"""A maze as the model takes it, and the model's choices as a path.

The tokens are the cells that are no wall, each tied to its neighbours among them. Of each cell the model says two
things at once, as one of nine options: which neighbour is its parent (paths.py; four directions, or none), and whether
the path runs through it:

    2 * direction + (1 on the path, 0 off it),   8 no parent: the start, and cells without a way to it

Only the second is the answer. The first is asked of every cell, and is why these nets learn in minutes: it is what a
wave of neighbours can find out step by step, and once it stands, the path follows by walking it back from the goal.
"""

from __future__ import annotations

import numpy as np

from trmsolve.tasks.base import Encoded, Guess, Neighbours
from trmsolve.tasks.maze.cells import FLOOR, GOAL, PATH, WALL
from trmsolve.tasks.maze.paths import DIRECTIONS, NO_PARENT, follow, parents, place
from trmsolve.tasks.maze.rules import shortest

OPTIONS = 9
NOWHERE = 2 * NO_PARENT
KINDS = 3  # what x tells the model of a cell: floor, start, goal


def encode(question: np.ndarray) -> Encoded | None:
    """Tokens of a maze, uint8 (height, width), in reading order. None when no path leads from start to goal."""
    return None if shortest(question) is None else tokens(question)


def tokens(question: np.ndarray) -> Encoded:
    """The same for any maze."""
    height, width = question.shape
    floor = question != WALL
    index = np.full((height + 2, width + 2), -1, np.int32)
    index[1:-1, 1:-1][floor] = np.arange(floor.sum())
    neighbours = np.stack([index[1 + r : 1 + r + height, 1 + c : 1 + c + width][floor] for r, c in DIRECTIONS], 1)
    cells = np.flatnonzero(floor)
    starts = np.arange(len(cells) + 1) * OPTIONS
    meanings = (cells[:, None] * OPTIONS + np.arange(OPTIONS)).reshape(-1)
    return Encoded(question[floor].astype(np.int64) - FLOOR, Neighbours(neighbours), starts, meanings)


def target(question: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the model should say of a maze that has a path, uint8 (height, width).

    steps: int32, same shape, the distances from its start. Returns, for each token, int64 (L,) the option, and bool
    (L,) whether the canonical path runs through it.
    """
    parent = parents(steps)
    on = np.zeros(question.shape, bool)
    on[tuple(np.transpose(follow(parent, place(question, GOAL))))] = True
    option = np.where(parent == NO_PARENT, NOWHERE, 2 * parent + on)
    floor = question != WALL
    return option[floor].astype(np.int64), on[floor]


def decode(question: np.ndarray, meanings: np.ndarray, confidence: np.ndarray) -> Guess:
    """The maze with PATH where the chosen options (cell * 9 + option, int64 (L,)) say so."""
    answer, sure = question.copy(), np.ones(question.shape, np.float32)
    cells, option = np.divmod(meanings, OPTIONS)
    on = cells[(option % 2 == 1) & (question.reshape(-1)[cells] == FLOOR)]
    answer.reshape(-1)[on] = PATH
    sure.reshape(-1)[cells] = confidence
    return Guess(answer, sure)


def open_cells(question: np.ndarray) -> np.ndarray:
    """bool, same shape: the floor, of which the path is a part."""
    return question == FLOOR
