"""The sixteen augmentations of a maze: rotated, reflected, and with start and goal exchanged.

The canonical path (rules.py) has none of these symmetries, so the model may predict another shortest path under each.
"""

from __future__ import annotations

import numpy as np

from trmsolve.tasks.base import Prediction
from trmsolve.tasks.maze.cells import FLOOR, GOAL, PATH, START, WALL
from trmsolve.tasks.symmetries import NAMES, SYMMETRIES, inverse, transform

NUM_AUGMENTATIONS = 2 * SYMMETRIES

_SWAPPED = np.array([WALL, FLOOR, GOAL, START, PATH], np.uint8)


def symmetry_of(k: int) -> int:
    """The symmetry (tasks/symmetries.py) of augmentation k, 0 .. 15."""
    return k % SYMMETRIES


def swaps_ends(k: int) -> bool:
    """Whether augmentation k exchanges start and goal."""
    return k >= SYMMETRIES


def swap_ends(maze: np.ndarray) -> np.ndarray:
    """A copy of a maze, uint8 of any shape, question or answer, with START and GOAL exchanged."""
    return _SWAPPED[maze]


def augment(question: np.ndarray, k: int) -> np.ndarray:
    """The maze, uint8 (height, width), under augmentation k; 0 is the identity."""
    turned = transform(question, symmetry_of(k))
    return swap_ends(turned) if swaps_ends(k) else turned


def invert(question: np.ndarray, prediction: Prediction, k: int) -> Prediction:
    """A prediction for augment(question, k) as one for the question."""
    answer, confidence = (
        transform(grid, inverse(symmetry_of(k))) for grid in (prediction.answer, prediction.confidence)
    )
    return Prediction(swap_ends(answer) if swaps_ends(k) else answer, confidence)


def augmentation_name(k: int) -> str:
    """Augmentation k in readable form."""
    words = NAMES[symmetry_of(k)], "start and goal exchanged" if swaps_ends(k) else ""
    return ", ".join(word for word in words if word)
