"""Generators of walls and floor, by kind (LAYOUTS).

Each takes a random generator and a size, and returns bool (height, width), True for floor; start and goal are placed by
generate.py.
"""

from __future__ import annotations

from functools import partial

import numpy as np

DENSITIES = (0.2, 0.45)  # shares of wall; above about 0.41 the floor of a large grid is no longer connected
HARD_DENSITIES = (0.3, 0.45)
LOOPS = (0.02, 0.3)  # shares of the inner walls that are removed from a braided maze

BATCH_CELLS = 1 << 18  # cells of all grids that `hard` searches together, which takes a few milliseconds
BATCH_SIZES = (4, 256)  # minimum and maximum number of these grids


def walls(rng: np.random.Generator, height: int, width: int, density: float | None = None) -> np.ndarray:
    """Every cell a wall with probability `density`; without one, the probability is drawn from DENSITIES."""
    density = rng.uniform(*DENSITIES) if density is None else density
    return rng.random((height, width)) >= density


def hard(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A random grid with long shortest paths, as in Maze-Hard: the one of a batch whose search takes the most steps.

    About one random grid in a thousand has a path as long as in Maze-Hard from a random start. So a batch of grids is
    searched at once: the cells of all grids are the bits of one integer, and four shifts advance every search one step.
    """
    cells = (height + 1) * (width + 1)  # a closed column and row separate the grids of the batch
    num_grids = np.clip(BATCH_CELLS // cells, *BATCH_SIZES)
    open_cells = np.zeros((num_grids, height + 1, width + 1), bool)
    density = rng.uniform(*HARD_DENSITIES, (num_grids, 1, 1))
    open_cells[:, :height, :width] = rng.random((num_grids, height, width), np.float32) >= density
    starts = np.zeros_like(open_cells)
    start_index = np.arange(num_grids), rng.integers(height, size=num_grids), rng.integers(width, size=num_grids)
    starts[start_index] = open_cells[start_index] = True

    frontier, row = _bits(starts), width + 1
    unvisited = _bits(open_cells) ^ frontier
    while following := (frontier << 1 | frontier >> 1 | frontier << row | frontier >> row) & unvisited:
        frontier = following
        unvisited ^= following
    last = (frontier.bit_length() - 1) // cells  # a grid in which the search took the most steps
    return open_cells[last, :height, :width]


def _bits(cells: np.ndarray) -> int:
    return int.from_bytes(np.packbits(cells, bitorder="little").tobytes(), "little")


def perfect(rng: np.random.Generator, height: int, width: int, loops: float = 0.0) -> np.ndarray:
    """Corridors one cell wide between walls one cell thick, with exactly one path between any two cells.

    An odd side has walls at both ends, an even side at one end chosen at random, and a side of 3 at neither. loops: the
    share of the walls between corridors that is removed.
    """
    top, rows = _corridor_positions(rng, height)
    left, columns = _corridor_positions(rng, width)
    # Half of the mazes are generated depth first, with long winding paths; the others have many short dead ends.
    newest = 1.0 if rng.random() < 0.5 else rng.random()
    open_cells = np.zeros((height, width), bool)
    for (r, c), (r2, c2) in _tree(rng, rows, columns, newest):
        for row, column in ((2 * r, 2 * c), (2 * r2, 2 * c2), (r + r2, c + c2)):
            open_cells[top + row, left + column] = True
    if loops:
        nodes = slice(top, top + 2 * rows, 2), slice(left, left + 2 * columns, 2)
        between = slice(top + 1, top + 2 * rows - 2, 2), slice(left + 1, left + 2 * columns - 2, 2)
        for edges in ((between[0], nodes[1]), (nodes[0], between[1])):
            open_cells[edges] |= rng.random(open_cells[edges].shape) < loops
    return open_cells


def braided(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A perfect maze with some walls removed, so that there are loops and alternative paths."""
    return perfect(rng, height, width, loops=rng.uniform(*LOOPS))


def _corridor_positions(rng: np.random.Generator, side: int) -> tuple[int, int]:
    """The first coordinate of a corridor along one side, and the number of corridors at every second coordinate."""
    first = int(rng.integers(2)) if side % 2 == 0 else int(side > 3)
    return first, (side - first + 1) // 2


def _tree(rng: np.random.Generator, rows: int, columns: int, newest: float) -> list[tuple[tuple[int, int], ...]]:
    """The edges of a random spanning tree of a grid of nodes, by the growing tree method.

    Each step adds a random new neighbour of a node of the tree: with probability `newest` of the node that was added
    last (depth first), else of a random node (similar to Prim's algorithm).
    """
    row = columns + 2  # a border of visited nodes makes bounds checks unnecessary
    border = np.ones((rows + 2, row), bool)
    border[1:-1, 1:-1] = False
    visited = border.reshape(-1).tolist()
    random = iter(rng.random(6 * rows * columns).tolist()).__next__  # two rounds per node, at most three numbers each
    root = (1 + int(rng.integers(rows))) * row + 1 + int(rng.integers(columns))
    visited[root] = True
    active, edges = [root], []
    while active:
        i = len(active) - 1 if random() < newest else int(random() * len(active))
        u = active[i]
        unvisited = [v for v in (u - row, u - 1, u + 1, u + row) if not visited[v]]
        if unvisited:
            v = unvisited[int(random() * len(unvisited))]
            visited[v] = True
            active.append(v)
            edges.append((u, v))
        else:
            active.pop(i)
    return [tuple((node // row - 1, node % row - 1) for node in edge) for edge in edges]


def rooms(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Rectangles of floor that do not touch, joined by straight or bent corridors, with some loops."""
    open_cells = np.zeros((height, width), bool)
    margin = int(rng.integers(2)) if min(height, width) > 4 else 0
    largest = max(2, min(height, width) // int(rng.integers(2, 6)))
    centres: list[tuple[int, int]] = []
    for _ in range(1 + height * width // 12):
        high, wide = (int(n) for n in rng.integers(2, largest + 1, 2))
        r = int(rng.integers(margin, height - high - margin + 1))
        c = int(rng.integers(margin, width - wide - margin + 1))
        if not open_cells[max(0, r - 1) : r + high + 1, max(0, c - 1) : c + wide + 1].any():
            open_cells[r : r + high, c : c + wide] = True
            centres.append((r + int(rng.integers(high)), c + int(rng.integers(wide))))
    for i in range(1, len(centres)):  # to the nearest room that is already connected
        _corridor(rng, open_cells, centres[i], min(centres[:i], key=partial(_manhattan_distance, centres[i])))
    for _ in range(int(rng.integers(1 + len(centres) // 3))):
        first, second = rng.integers(len(centres), size=2)
        _corridor(rng, open_cells, centres[first], centres[second])
    return open_cells


def _manhattan_distance(a: tuple[int, int], b: tuple[int, int]) -> int:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _corridor(rng: np.random.Generator, open_cells: np.ndarray, a: tuple[int, int], b: tuple[int, int]) -> None:
    """Open the cells along the row of one of two cells and along the column of the other, in place."""
    (r, c), (r2, c2) = (a, b) if rng.random() < 0.5 else (b, a)
    open_cells[r, min(c, c2) : max(c, c2) + 1] = True
    open_cells[min(r, r2) : max(r, r2) + 1, c2] = True


LAYOUTS = {"walls": walls, "hard": hard, "perfect": perfect, "braided": braided, "rooms": rooms}
