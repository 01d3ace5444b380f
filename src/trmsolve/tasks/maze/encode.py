"""A maze as the model takes it, and the model's choices as a path.

The tokens are the cells that are no wall, each tied to its neighbours among them. Of each cell the model says two
things at once, as one of nine options: which neighbour is its parent (paths.py; four directions, or none), and whether
the path runs through it:

    2 * direction + (1 on the path, 0 off it),   8 no parent: the start, and cells without a way to it

Only the second is the answer. The first is asked of every cell, and is why these nets learn in minutes: it is what a
wave of neighbours can find out step by step, and once it stands, the path follows by walking it back from the goal.

In training each cell is also asked for its phase, the distance from the start modulo 8. Neighbours' distances differ by
one, so phases tell which of two came first, and by how much, when waves meet after long ways (docs/records.md).
"""

from __future__ import annotations

import numpy as np

from trmsolve.tasks.base import Encoded, Guess, Neighbours, Sample
from trmsolve.tasks.maze.cells import FLOOR, GOAL, PATH, START, WALL
from trmsolve.tasks.maze.paths import DIRECTIONS, NO_PARENT, distances, follow, parents, place
from trmsolve.tasks.maze.rules import shortest

COURSES, PHASES = 9, 8
OPTIONS = COURSES + PHASES  # of a token
NOWHERE = 2 * NO_PARENT
KINDS = 3  # what x tells the model of a cell: floor, start, goal


def encode(question: np.ndarray) -> Encoded | None:
    """Tokens of a maze, uint8 (height, width), in reading order. None when no path leads from start to goal."""
    return None if shortest(question) is None else _tokens(question, [0], [COURSES])


def sample(question: np.ndarray, steps: np.ndarray, off_path: float, phase: float) -> Sample:
    """A maze that has a path, with what the model should say of it.

    question: uint8 (height, width). steps: int32, same shape, the distances from its start. off_path, phase: weights in
    the loss of cells beside the canonical path and of phases, where cells of the path weigh 1.
    """
    floor = question != WALL
    parent = parents(steps)
    on = np.zeros(question.shape, bool)
    on[tuple(np.transpose(follow(parent, place(question, GOAL))))] = True
    course = np.where(parent == NO_PARENT, NOWHERE, 2 * parent + on)[floor]
    on, steps = on[floor], steps[floor]
    accepted = np.ones((len(on), OPTIONS), bool)  # neither phases nor directions beside the path are the answer
    accepted[:, :NOWHERE] = (np.arange(NOWHERE) % 2 == 1) == on[:, None]
    accepted[:, NOWHERE] = ~on | (course == NOWHERE)
    return Sample(
        _tokens(question, [0, COURSES], [COURSES, PHASES]),
        np.stack([course, steps % PHASES], 1).reshape(-1).astype(np.int64),
        accepted=accepted.reshape(-1),
        weight=np.stack([np.where(on, 1.0, off_path), np.where(steps < 0, 0.0, phase)], 1).reshape(-1).astype("f4"),
    )


def _tokens(question: np.ndarray, first: list[int], size: list[int]) -> Encoded:
    """A maze whose every token has choices that begin at these of its options, of these sizes."""
    height, width = question.shape
    floor = question != WALL
    index = np.full((height + 2, width + 2), -1, np.int32)
    index[1:-1, 1:-1][floor] = np.arange(floor.sum())
    neighbours = np.stack([index[1 + r : 1 + r + height, 1 + c : 1 + c + width][floor] for r, c in DIRECTIONS], 1)
    cells = np.flatnonzero(floor)
    return Encoded(
        question[floor].astype(np.int64) - FLOOR,
        Neighbours(neighbours),
        (np.arange(len(cells))[:, None] * OPTIONS + first).reshape(-1),
        np.tile(size, len(cells)),
        (cells[:, None] * OPTIONS + np.arange(OPTIONS)).reshape(-1),
    )


def decode(question: np.ndarray, meanings: np.ndarray, confidence: np.ndarray) -> Guess:
    """The maze with PATH where the chosen options (cell * OPTIONS + option, int64 (L,)) say so, as far as it hangs
    together with the start or the goal.

    A ring of cells may believe in each other for ever, far from the path; it is no part of what leads from the start.
    """
    cells, option = np.divmod(meanings, OPTIONS)
    marked = np.zeros(question.shape, bool)
    marked.reshape(-1)[cells] = option % 2 == 1
    marked |= question > FLOOR
    hangs = [distances(marked, place(question, end)) >= 0 for end in (START, GOAL)]
    answer = np.where((question == FLOOR) & np.logical_or(*hangs), PATH, question).astype(np.uint8)
    sure = np.ones(question.shape, np.float32)
    sure.reshape(-1)[cells] = confidence
    return Guess(answer, sure)


def open_cells(question: np.ndarray) -> np.ndarray:
    """bool, same shape: the floor, of which the path is a part."""
    return question == FLOOR
