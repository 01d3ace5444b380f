"""Make mazes: seeded, of any size, of several kinds, with a path as long as asked for.

Maze `index` of a seed depends on nothing else, so a stream can be cut anywhere and its parts made by different
processes.
"""

from __future__ import annotations

import numpy as np

from trmsolve.errors import TrmsolveError, did_you_mean
from trmsolve.tasks.base import Difficulty
from trmsolve.tasks.maze.bfs import canonical, distances
from trmsolve.tasks.maze.cells import FLOOR, GOAL, LARGEST, SMALLEST, START, WALL
from trmsolve.tasks.maze.layouts import LAYOUTS

MIXED = "mixed"
KINDS = (MIXED, *LAYOUTS)
MIX = {"walls": 0.3, "hard": 0.15, "perfect": 0.2, "braided": 0.2, "rooms": 0.15}  # how often it draws which kind
FAR = {"hard": 1.0}  # how often start and goal are at far ends of the maze
USUALLY_FAR = 0.5
NEARLY = 0.95  # a way that is at least this share of the longest leads to a far end

DRAWS = 200


def generate(
    seed: int,
    index: int,
    size: int | tuple[int, int] = (21, 21),
    *,
    kind: str = MIXED,
    density: float | None = None,
    min_path: int = 0,
) -> tuple[np.ndarray, np.ndarray, Difficulty]:
    """Maze number `index` of a seed: (question, answer, difficulty), grids uint8 (height, width) of cells.py.

    The answer is the canonical shortest path (bfs.py). `size` is rows and columns, or a number for both. `kind` is
    one of KINDS, described in layouts.py; "mixed" draws another one of them. `density` is the probability of a wall; it
    goes with the kind walls, which it turns "mixed" into. Start and goal are often at far ends; otherwise every length
    of path is as likely. `min_path` asks for a path of so many steps at least: mazes are drawn until one has it.
    ValueError: a size, density or length out of range, or no such maze in DRAWS draws. TrmsolveError: an unknown kind.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if not (SMALLEST <= height <= LARGEST and SMALLEST <= width <= LARGEST):
        raise ValueError(f"a maze of {height}x{width}: rows and columns must lie in {SMALLEST}..{LARGEST}")
    kind = _checked(kind, density)
    # A shortest path leaves a cell of every 2x2 block aside, or it would have a short cut.
    longest, bound = 0, height * width - (height // 2) * (width // 2) - 1
    if not 0 <= min_path <= bound:
        raise ValueError(f"a path of {min_path} steps: in a maze of {height}x{width} the number must lie in 0..{bound}")
    rng = np.random.default_rng([seed, index])
    for _ in range(DRAWS):
        layout = rng.choice(list(MIX), p=list(MIX.values())) if kind == MIXED else kind
        options = {} if density is None else {"density": density}
        open_cells = LAYOUTS[layout](rng, height, width, **options)
        if not open_cells.any():
            continue
        end, others, reached = _ends(rng, open_cells, rng.random() < FAR.get(layout, USUALLY_FAR), max(1, min_path))
        longest = max(longest, reached)
        if others is None:
            continue
        ends = end, _any(rng, others)
        start, goal = ends if rng.random() < 0.5 else ends[::-1]
        question = np.where(open_cells, FLOOR, WALL).astype(np.uint8)
        question[start], question[goal] = START, GOAL
        answer = canonical(question)
        assert answer is not None  # both ends are connected
        return question, answer, difficulty(answer, str(layout))
    raise ValueError(
        f"no {height}x{width} maze of kind {kind} with a path of {max(1, min_path)} steps in {DRAWS} draws; "
        f"the longest seen has {longest}"
    )


def difficulty(answer: np.ndarray, kind: str) -> Difficulty:
    """Measures of a maze with a shortest path in it, uint8 (height, width), made as `kind`: steps from start to goal,
    turns on the way, and of the whole maze the dead ends (open cells with one open neighbour) and the open cells.
    """
    open_cells, path = answer != WALL, answer >= START
    rows, columns = _beside(path)
    return Difficulty(
        {
            "kind": kind,
            "steps": int(path.sum()) - 1,
            # Cells of a shortest path are beside each other only where they follow each other.
            "turns": int((path & (rows > 0) & (columns > 0)).sum()),
            "dead_ends": int((open_cells & (sum(_beside(open_cells)) == 1)).sum()),
            "open_cells": int(open_cells.sum()),
        }
    )


def _checked(kind: str, density: float | None) -> str:
    if kind not in KINDS:
        raise TrmsolveError(f"unknown kind of maze '{kind}'", did_you_mean(kind, KINDS))
    if density is None:
        return kind
    if kind not in (MIXED, "walls"):
        raise ValueError(f"density goes with the kind walls, not with {kind}")
    if not 0 <= density < 1:
        raise ValueError(f"density {density}: a share of walls must be at least 0 and below 1")
    return "walls"


def _ends(
    rng: np.random.Generator, open_cells: np.ndarray, far: bool, least: int
) -> tuple[tuple[int, int], np.ndarray | None, int]:
    """One end, the cells that may be the other (bool, None when none is `least` steps away), the most steps seen."""
    steps = _steps_of_much(rng, open_cells) if far else distances(open_cells, _any(rng, open_cells))
    if far or steps.max() < least:
        steps = distances(open_cells, _any(rng, steps == steps.max()))
    end = _any(rng, steps == 0)
    most = int(steps.max())
    if most < least:
        return end, None, most
    if far:
        return end, steps >= max(least, NEARLY * most), most
    return end, steps == rng.integers(least, most + 1), most


def _steps_of_much(rng: np.random.Generator, open_cells: np.ndarray) -> np.ndarray:
    """Distances from a random cell that half of the open cells can be reached from, or the most of a few tries."""
    best, rest = np.full(open_cells.shape, -1), open_cells
    for _ in range(4):
        steps = distances(open_cells, _any(rng, rest))
        if (steps >= 0).sum() > (best >= 0).sum():
            best = steps
        rest = rest & (steps < 0)
        if rest.sum() <= (best >= 0).sum():
            break
    return best


def _any(rng: np.random.Generator, cells: np.ndarray) -> tuple[int, int]:
    """A random cell of a mask."""
    r, c = divmod(int(rng.choice(np.flatnonzero(cells))), cells.shape[1])
    return r, c


def _beside(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many cells of a mask are above and below, and how many left and right, of every cell."""
    around = np.pad(cells, 1).astype(np.int8)
    return around[:-2, 1:-1] + around[2:, 1:-1], around[1:-1, :-2] + around[1:-1, 2:]
