"""Generate mazes of any size and of several kinds, with a minimum path length.

A maze depends on its seed and index only, so different processes can generate parts of one series.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from trmsolve.errors import TrmsolveError, did_you_mean
from trmsolve.tasks.maze.cells import FLOOR, GOAL, LARGEST, SMALLEST, START, WALL
from trmsolve.tasks.maze.layouts import LAYOUTS
from trmsolve.tasks.maze.rules import canonical, distances

MIXED = "mixed"
KINDS = (MIXED, *LAYOUTS)
MIX = {
    "walls": 0.3,
    "hard": 0.15,
    "perfect": 0.2,
    "braided": 0.2,
    "rooms": 0.15,
}  # probabilities of the kinds in "mixed"
FAR_PROB = {"hard": 1.0}  # probability that start and goal are far apart, by kind
DEFAULT_FAR_PROB = 0.5
FAR_SHARE = 0.95  # of the longest distance: cells at least this far away count as far apart

MAX_TRIES = 200  # layouts per maze


def generate(
    seed: int,
    index: int,
    size: int | tuple[int, int] = (21, 21),
    *,
    kind: str = MIXED,
    density: float | None = None,
    min_path: int = 0,
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Maze number `index` of a seed: (question, answer, difficulty), grids uint8 (height, width) of cells.py.

    The answer is the canonical shortest path. Start and goal are often far apart; otherwise all distances are equally
    likely.

    size: (rows, columns), or one number for both.
    kind: one of KINDS (layouts.py); "mixed" draws one of the others at random.
    density: probability of a wall, for the kind walls; with it, "mixed" means walls.
    min_path: minimum number of steps of the path; layouts are drawn until one has such a path.

    Raises ValueError for a size, density or length out of range, and if no maze is found in MAX_TRIES layouts;
    TrmsolveError for an unknown kind.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if not (SMALLEST <= height <= LARGEST and SMALLEST <= width <= LARGEST):
        raise ValueError(f"a maze of {height}x{width}: rows and columns must lie in {SMALLEST}..{LARGEST}")
    kind = _checked_kind(kind, density)
    # A shortest path crosses at most three cells of each 2x2 block, or there would be a shorter one.
    longest, bound = 0, height * width - (height // 2) * (width // 2) - 1
    if not 0 <= min_path <= bound:
        raise ValueError(f"a path of {min_path} steps: in a maze of {height}x{width} the number must lie in 0..{bound}")
    rng = np.random.default_rng([seed, index])
    for _ in range(MAX_TRIES):
        layout = rng.choice(list(MIX), p=list(MIX.values())) if kind == MIXED else kind
        options = {} if density is None else {"density": density}
        open_cells = LAYOUTS[layout](rng, height, width, **options)
        if not open_cells.any():
            continue
        is_far = rng.random() < FAR_PROB.get(layout, DEFAULT_FAR_PROB)
        end, others, max_steps = _ends(rng, open_cells, is_far, max(1, min_path))
        longest = max(longest, max_steps)
        if others is None:
            continue
        ends = end, _random_cell(rng, others)
        start, goal = ends if rng.random() < 0.5 else ends[::-1]
        question = np.where(open_cells, FLOOR, WALL).astype(np.uint8)
        question[start], question[goal] = START, GOAL
        answer = canonical(question)
        assert answer is not None  # both ends are connected
        return question, answer, difficulty(answer, str(layout))
    raise ValueError(
        f"no {height}x{width} maze of kind {kind} with a path of {max(1, min_path)} steps in {MAX_TRIES} tries; "
        f"the longest path had {longest}"
    )


def difficulty(answer: np.ndarray, kind: str) -> dict[str, Any]:
    """Measures of an answer, uint8 (height, width): steps and turns of the path, open cells and dead ends of the maze.

    A dead end is an open cell with one open neighbour.
    """
    open_cells, path = answer != WALL, answer >= START
    rows, columns = _neighbour_counts(path)
    return {
        "kind": kind,
        "steps": int(path.sum()) - 1,
        # Cells of a shortest path are neighbours only if one follows the other.
        "turns": int((path & (rows > 0) & (columns > 0)).sum()),
        "dead_ends": int((open_cells & (sum(_neighbour_counts(open_cells)) == 1)).sum()),
        "open_cells": int(open_cells.sum()),
    }


def _checked_kind(kind: str, density: float | None) -> str:
    if kind not in KINDS:
        raise TrmsolveError(f"unknown kind of maze '{kind}'", did_you_mean(kind, KINDS))
    if density is None:
        return kind
    if kind not in (MIXED, "walls"):
        raise ValueError(f"density is for the kind walls, not for {kind}")
    if not 0 <= density < 1:
        raise ValueError(f"density {density}: a share of walls must be at least 0 and below 1")
    return "walls"


def _ends(
    rng: np.random.Generator, open_cells: np.ndarray, far: bool, least: int
) -> tuple[tuple[int, int], np.ndarray | None, int]:
    """One end of the path, a mask of possible other ends (None if none is `least` steps away), and the most steps."""
    steps = _large_component(rng, open_cells) if far else distances(open_cells, _random_cell(rng, open_cells))
    if far or steps.max() < least:
        steps = distances(open_cells, _random_cell(rng, steps == steps.max()))
    end = _random_cell(rng, steps == 0)
    most = int(steps.max())
    if most < least:
        return end, None, most
    if far:
        return end, steps >= max(least, FAR_SHARE * most), most
    return end, steps == rng.integers(least, most + 1), most


def _large_component(rng: np.random.Generator, open_cells: np.ndarray) -> np.ndarray:
    """Distances from a random cell of the largest connected component, or of the largest one in four tries."""
    best, rest = np.full(open_cells.shape, -1), open_cells
    for _ in range(4):
        steps = distances(open_cells, _random_cell(rng, rest))
        if (steps >= 0).sum() > (best >= 0).sum():
            best = steps
        rest = rest & (steps < 0)
        if rest.sum() <= (best >= 0).sum():
            break
    return best


def _random_cell(rng: np.random.Generator, cells: np.ndarray) -> tuple[int, int]:
    """A random cell of a mask."""
    r, c = divmod(int(rng.choice(np.flatnonzero(cells))), cells.shape[1])
    return r, c


def _neighbour_counts(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each cell the number of vertical and of horizontal neighbours in a mask, int8 (height, width) each."""
    around = np.pad(cells, 1).astype(np.int8)
    return around[:-2, 1:-1] + around[2:, 1:-1], around[1:-1, :-2] + around[1:-1, 2:]
