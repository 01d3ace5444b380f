"""A maze as the model takes it, and the model's choices as a path.

The tokens are the cells that are no wall, each connected to its neighbours among them. For each cell the model
predicts two things at once, as one of nine options: which neighbour is its parent (bfs.py; four directions, or none),
and whether the path runs through it:

    2 * direction + (1 on the path, 0 off it),   8 no parent: the start, and cells without a way to it

Only the second is the answer. The first is a label for every cell, which is why these networks learn in minutes:
messages between neighbours can compute it step by step, and the path follows by tracing parents back from the goal.

In training each cell also predicts its phase, the distance from the start modulo 8. Neighbours' distances differ by
one, so phases tell which of two came first, and by how much, when two fronts of the search meet far from the start
(docs/records.md).
"""

from __future__ import annotations

import numpy as np

from trmsolve.model.inputs import Encoded
from trmsolve.tasks.base import Prediction, Sample
from trmsolve.tasks.maze.bfs import DIRECTIONS, NO_PARENT, backtrace, distances, find_cell, parents
from trmsolve.tasks.maze.cells import FLOOR, GOAL, PATH, START, WALL
from trmsolve.tasks.maze.rules import shortest_length

MOVE_CLASSES, PHASES = 9, 8
OPTIONS = MOVE_CLASSES + PHASES  # of a token
NO_MOVE = 2 * NO_PARENT
KINDS = 3  # token ids: floor, start, goal


def encode(question: np.ndarray) -> Encoded | None:
    """Tokens of a maze, uint8 (height, width), in reading order. None when no path leads from start to goal."""
    return None if shortest_length(question) is None else _tokens(question, [0], [MOVE_CLASSES])


def sample(question: np.ndarray, steps: np.ndarray, off_path: float, phase: float) -> Sample:
    """A maze that has a path, with its labels.

    question: uint8 (height, width). steps: int32, same shape, the distances from its start. off_path, phase: weights in
    the loss of cells beside the canonical path and of phases, where cells of the path weigh 1.
    """
    floor = question != WALL
    parent = parents(steps)
    on = np.zeros(question.shape, bool)
    on[tuple(np.transpose(backtrace(parent, find_cell(question, GOAL))))] = True
    move = np.where(parent == NO_PARENT, NO_MOVE, 2 * parent + on)[floor]
    on, steps = on[floor], steps[floor]
    accepted = np.ones((len(on), OPTIONS), bool)  # neither phases nor directions beside the path are the answer
    accepted[:, :NO_MOVE] = (np.arange(NO_MOVE) % 2 == 1) == on[:, None]
    accepted[:, NO_MOVE] = ~on | (move == NO_MOVE)
    return Sample(
        _tokens(question, [0, MOVE_CLASSES], [MOVE_CLASSES, PHASES]),
        np.stack([move, steps % PHASES], 1).reshape(-1).astype(np.int64),
        accepted=accepted.reshape(-1),
        weight=np.stack([np.where(on, 1.0, off_path), np.where(steps < 0, 0.0, phase)], 1).reshape(-1).astype("f4"),
    )


def _tokens(question: np.ndarray, first: list[int], size: list[int]) -> Encoded:
    """A maze whose every token has choices that begin at these of its options, of these sizes."""
    from trmsolve.model.mixers.grid import GridEdges  # beside its layer, and so torch

    height, width = question.shape
    floor = question != WALL
    index = np.full((height + 2, width + 2), -1, np.int32)
    index[1:-1, 1:-1][floor] = np.arange(floor.sum())
    neighbors = np.stack([index[1 + r : 1 + r + height, 1 + c : 1 + c + width][floor] for r, c in DIRECTIONS], 1)
    cells = np.flatnonzero(floor)
    return Encoded(
        question[floor].astype(np.int64) - FLOOR,
        GridEdges(neighbors),
        (np.arange(len(cells))[:, None] * OPTIONS + first).reshape(-1),
        np.tile(size, len(cells)),
        (cells[:, None] * OPTIONS + np.arange(OPTIONS)).reshape(-1),
    )


def decode(question: np.ndarray, meanings: np.ndarray, confidence: np.ndarray) -> Prediction:
    """The maze with PATH where the chosen options (cell * OPTIONS + option, int64 (L,)) say so, as far as it is
    connected with the start or the goal.

    The model sometimes marks a ring of cells far away from the path, which never vanishes; it is dropped.
    """
    cells, option = np.divmod(meanings, OPTIONS)
    marked = np.zeros(question.shape, bool)
    marked.reshape(-1)[cells] = option % 2 == 1
    marked |= question > FLOOR
    connected = [distances(marked, find_cell(question, end)) >= 0 for end in (START, GOAL)]
    answer = np.where((question == FLOOR) & np.logical_or(*connected), PATH, question).astype(np.uint8)
    confidences = np.ones(question.shape, np.float32)
    confidences.reshape(-1)[cells] = confidence
    return Prediction(answer, confidences)
