"""Ways to lay out floor and walls. Each maker takes a random generator and a size and returns bool (height, width),
True where one may walk; it places no start and no goal. LAYOUTS finds them by the name of their kind.
"""

from __future__ import annotations

from functools import partial

import numpy as np

DENSITIES = (0.2, 0.45)  # shares of wall; from 0.41 on a large grid falls apart into small pieces of floor
HARD_DENSITIES = (0.3, 0.45)
LOOPS = (0.02, 0.3)  # shares of the inner walls that a braided maze has lost

CROWD_BITS = 1 << 18  # cells of all the mazes that `hard` looks at together: a few milliseconds
CROWD = (4, 256)  # at least and at most so many mazes


def walls(rng: np.random.Generator, height: int, width: int, density: float | None = None) -> np.ndarray:
    """Every cell a wall with probability `density`; without one, the probability is drawn from DENSITIES."""
    density = rng.uniform(*DENSITIES) if density is None else density
    return rng.random((height, width)) >= density


def hard(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Of many random grids the one in which a random cell is farthest from some other: like Maze-Hard.

    A path as long as in Maze-Hard is rare: one grid in about a thousand has it from a given start. So a whole crowd is
    searched at once, as one long integer whose bits are the cells of all grids: a few shifts move every wave one step.
    """
    cells = (height + 1) * (width + 1)  # a closed column and a closed row keep the waves of neighbours apart
    crowd = np.clip(CROWD_BITS // cells, *CROWD)
    open_cells = np.zeros((crowd, height + 1, width + 1), bool)
    density = rng.uniform(*HARD_DENSITIES, (crowd, 1, 1))
    open_cells[:, :height, :width] = rng.random((crowd, height, width), np.float32) >= density
    starts = np.zeros_like(open_cells)
    at = np.arange(crowd), rng.integers(height, size=crowd), rng.integers(width, size=crowd)
    starts[at] = open_cells[at] = True

    wave, row = _bits(starts), width + 1
    free = _bits(open_cells) ^ wave
    while ahead := (wave << 1 | wave >> 1 | wave << row | wave >> row) & free:
        wave = ahead
        free ^= ahead
    last = (wave.bit_length() - 1) // cells  # the grid whose wave ran longest
    return open_cells[last, :height, :width]


def _bits(cells: np.ndarray) -> int:
    return int.from_bytes(np.packbits(cells, bitorder="little").tobytes(), "little")


def perfect(rng: np.random.Generator, height: int, width: int, loops: float = 0.0) -> np.ndarray:
    """Corridors one cell wide between walls one cell thick, with exactly one way between any two cells.

    The walls stand all around where a side is odd; an even side has room for one of its two outer walls, drawn by
    chance, and a side of 3 for neither. `loops` knocks out that share of the walls between corridors.
    """
    top, rows = _places(rng, height)
    left, columns = _places(rng, width)
    # Half the mazes are made depth first, with long winding paths; in the others many dead ends are short.
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
    """A perfect maze with some walls knocked out, so that there are loops and several ways."""
    return perfect(rng, height, width, loops=rng.uniform(*LOOPS))


def _places(rng: np.random.Generator, side: int) -> tuple[int, int]:
    """The first coordinate of a corridor along one side of the grid, and how many follow at every second one."""
    first = int(rng.integers(2)) if side % 2 == 0 else int(side > 3)
    return first, (side - first + 1) // 2


def _tree(rng: np.random.Generator, rows: int, columns: int, newest: float) -> list[tuple[tuple[int, int], ...]]:
    """The edges of a random spanning tree of a grid of nodes, by the growing tree method.

    The tree grows to a random new neighbour of one of its nodes: with probability `newest` of the one that joined last
    (depth first), else of a random one (much as in Prim's algorithm).
    """
    row = columns + 2  # a border of taken nodes saves asking whether a neighbour exists
    border = np.ones((rows + 2, row), bool)
    border[1:-1, 1:-1] = False
    taken = border.reshape(-1).tolist()
    draw = iter(rng.random(6 * rows * columns).tolist()).__next__  # two rounds per node, at most three draws in each
    at = (1 + int(rng.integers(rows))) * row + 1 + int(rng.integers(columns))
    taken[at] = True
    growing, edges = [at], []
    while growing:
        i = len(growing) - 1 if draw() < newest else int(draw() * len(growing))
        u = growing[i]
        free = [v for v in (u - row, u - 1, u + 1, u + row) if not taken[v]]
        if free:
            v = free[int(draw() * len(free))]
            taken[v] = True
            growing.append(v)
            edges.append((u, v))
        else:
            growing.pop(i)
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
    for i in range(1, len(centres)):  # to the nearest one that is joined already
        _corridor(rng, open_cells, centres[i], min(centres[:i], key=partial(_apart, centres[i])))
    for _ in range(int(rng.integers(1 + len(centres) // 3))):
        first, second = rng.integers(len(centres), size=2)
        _corridor(rng, open_cells, centres[first], centres[second])
    return open_cells


def _apart(a: tuple[int, int], b: tuple[int, int]) -> int:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _corridor(rng: np.random.Generator, open_cells: np.ndarray, a: tuple[int, int], b: tuple[int, int]) -> None:
    """Digs along the row of one of two cells and along the column of the other."""
    (r, c), (r2, c2) = (a, b) if rng.random() < 0.5 else (b, a)
    open_cells[r, min(c, c2) : max(c, c2) + 1] = True
    open_cells[min(r, r2) : max(r, r2) + 1, c2] = True


LAYOUTS = {"walls": walls, "hard": hard, "perfect": perfect, "braided": braided, "rooms": rooms}
