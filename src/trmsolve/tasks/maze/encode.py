"""Encode a maze as model input, and decode the model's choices as a path.

The tokens are the cells that are not walls, each connected to its neighbours. For each cell the model chooses one of
nine options, which combine the cell's parent (bfs.py; four directions, or none) and whether the path crosses the cell:

    2 * direction + (1 on the path, 0 off it),   8 no parent: the start, and cells from which it cannot be reached

Only the path is part of the answer. The parent gives every cell a label that message passing between neighbours can
compute step by step, so these networks learn in minutes; the path follows the parents from the goal.

In training each cell also predicts its phase, the distance from the start modulo 8. The distances of neighbours differ
by one, so phases show which of two search fronts that meet far from the start is shorter (docs/records.md).
"""

from __future__ import annotations

import numpy as np

from trmsolve.model.inputs import Encoded
from trmsolve.tasks.base import Prediction, Sample
from trmsolve.tasks.maze.cells import FLOOR, GOAL, PATH, START, WALL
from trmsolve.tasks.maze.rules import DIRECTIONS, NO_PARENT, backtrace, distances, find_cell, parents, shortest_length

MOVE_CLASSES, PHASES = 9, 8
OPTIONS = MOVE_CLASSES + PHASES  # of a token
NO_MOVE = 2 * NO_PARENT
KINDS = 3  # token ids: floor, start, goal


def encode(question: np.ndarray) -> Encoded | None:
    """Tokens of a maze, uint8 (height, width), in reading order. None when no path leads from start to goal."""
    return None if shortest_length(question) is None else _tokens(question, [0], [MOVE_CLASSES])


def sample(question: np.ndarray, steps: np.ndarray, off_path: float, phase: float) -> Sample:
    """A training sample from a maze that has a path.

    question: uint8 (height, width). steps: int32, same shape, the distances from its start. off_path, phase: loss
    weights of cells off the canonical path and of phases; cells on the path have weight 1.
    """
    floor = question != WALL
    parent = parents(steps)
    on_path = np.zeros(question.shape, bool)
    on_path[tuple(np.transpose(backtrace(parent, find_cell(question, GOAL))))] = True
    move = np.where(parent == NO_PARENT, NO_MOVE, 2 * parent + on_path)[floor]  # (L,) with L floor cells
    on_path, steps = on_path[floor], steps[floor]  # (L,) (L,)
    accepted = np.ones((len(on_path), OPTIONS), bool)  # only whether the path crosses the cell counts as correct
    accepted[:, :NO_MOVE] = (np.arange(NO_MOVE) % 2 == 1) == on_path[:, None]
    accepted[:, NO_MOVE] = ~on_path | (move == NO_MOVE)
    weight = np.stack([np.where(on_path, 1.0, off_path), np.where(steps < 0, 0.0, phase)], 1)  # (L, 2)
    return Sample(
        _tokens(question, [0, MOVE_CLASSES], [MOVE_CLASSES, PHASES]),
        np.stack([move, steps % PHASES], 1).reshape(-1).astype(np.int64),
        accepted=accepted.reshape(-1),
        weight=weight.reshape(-1).astype("f4"),
    )


def _tokens(question: np.ndarray, first: list[int], size: list[int]) -> Encoded:
    """A maze as model input. first, size: for each choice of a token, the first of its options and their number."""
    from trmsolve.model.mixers.grid import GridEdges  # imports torch

    height, width = question.shape
    floor = question != WALL
    index = np.full((height + 2, width + 2), -1, np.int32)
    index[1:-1, 1:-1][floor] = np.arange(floor.sum())
    neighbors = np.stack(
        [index[1 + r : 1 + r + height, 1 + c : 1 + c + width][floor] for r, c in DIRECTIONS], 1
    )  # (L, 4)
    cells = np.flatnonzero(floor)  # (L,)
    return Encoded(
        question[floor].astype(np.int64) - FLOOR,
        GridEdges(neighbors),
        (np.arange(len(cells))[:, None] * OPTIONS + first).reshape(-1),  # (L, choices per token) -> (U,)
        np.tile(size, len(cells)),  # (U,)
        (cells[:, None] * OPTIONS + np.arange(OPTIONS)).reshape(-1),  # (L, OPTIONS) -> (O,)
    )


def decode(question: np.ndarray, meanings: np.ndarray, confidence: np.ndarray) -> Prediction:
    """The maze with PATH in the cells whose chosen option is on the path, if connected with the start or the goal.

    meanings: int64 (L,), cell * OPTIONS + option. confidence: float32 (L,). Cells that are not connected are dropped,
    because the model sometimes marks a ring of cells far from the path, which then never changes.
    """
    cells, option = np.divmod(meanings, OPTIONS)
    marked = np.zeros(question.shape, bool)  # (height, width)
    marked.reshape(-1)[cells] = option % 2 == 1
    marked |= question > FLOOR
    connected = [distances(marked, find_cell(question, end)) >= 0 for end in (START, GOAL)]
    answer = np.where((question == FLOOR) & np.logical_or(*connected), PATH, question).astype(np.uint8)
    confidences = np.ones(question.shape, np.float32)
    confidences.reshape(-1)[cells] = confidence
    return Prediction(answer, confidences)
