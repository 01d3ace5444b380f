"""Breadth-first search, and the canonical shortest path, which training uses as label.

A maze has very many shortest paths (10^4 to 10^10 in Maze-Hard); a model cannot predict which of them a data set
contains. So ties are broken by a local rule: the parent of a cell is the first of its neighbours, in the order up,
left, right, down, that is one step closer to the start. The canonical path follows parents from the goal. The rule is
not symmetric, so labels are recomputed after every rotation, reflection, or exchange of start and goal.
"""

from __future__ import annotations

import numpy as np

from trmsolve.tasks.maze.cells import GOAL, PATH, START, WALL

DIRECTIONS = ((-1, 0), (0, -1), (0, 1), (1, 0))  # up, left, right, down: direction k is opposite to 3 - k
NO_PARENT = 4  # of the start, of cells from which it cannot be reached, and of walls


def find_cell(maze: np.ndarray, cell: int) -> tuple[int, int]:
    """Row and column of the only START or GOAL of a maze."""
    r, c = divmod(int((maze == cell).argmax()), maze.shape[1])
    return r, c


def distances(open_cells: np.ndarray, start: tuple[int, int]) -> np.ndarray:
    """Steps to the start over open cells, by breadth-first search: int32, same shape, -1 if it cannot be reached.

    open_cells: bool (height, width), False for walls.
    """
    height, width = open_cells.shape
    row = width + 2  # a border of closed cells makes bounds checks unnecessary
    closed = np.ones((height + 2, row), bool)
    closed[1:-1, 1:-1] = ~open_cells
    visited = closed.reshape(-1).tolist()
    start_index = (start[0] + 1) * row + start[1] + 1
    steps = [-1] * len(visited)
    visited[start_index], steps[start_index] = True, 0
    frontier, k = [start_index], 0
    while frontier:
        k += 1
        following = []
        for u in frontier:
            for v in (u - row, u - 1, u + 1, u + row):
                if not visited[v]:
                    visited[v] = True
                    steps[v] = k
                    following.append(v)
        frontier = following
    return np.array(steps, np.int32).reshape(height + 2, row)[1:-1, 1:-1]


def parents(steps: np.ndarray) -> np.ndarray:
    """For each cell the direction to its parent, int8, same shape as `steps` (of distances); NO_PARENT for none."""
    height, width = steps.shape
    around = np.full((height + 2, width + 2), -9, np.int32)
    around[1:-1, 1:-1] = steps
    parent = np.full(steps.shape, NO_PARENT, np.int8)
    for k in reversed(range(4)):  # so that the first matching direction is written last
        r, c = DIRECTIONS[k]
        neighbour = around[1 + r : 1 + r + height, 1 + c : 1 + c + width]
        parent[(steps > 0) & (neighbour == steps - 1)] = k
    return parent


def backtrace(parent: np.ndarray, goal: tuple[int, int]) -> list[tuple[int, int]]:
    """The cells from the goal to the start, both included, along the parents."""
    r, c = goal
    path = [(r, c)]
    while (k := int(parent[r, c])) != NO_PARENT:
        r, c = r + DIRECTIONS[k][0], c + DIRECTIONS[k][1]
        path.append((r, c))
    return path


def canonical(maze: np.ndarray) -> np.ndarray | None:
    """The maze with its canonical shortest path as PATH; None when the goal cannot be reached."""
    steps = distances(maze != WALL, find_cell(maze, START))
    return None if steps[find_cell(maze, GOAL)] < 0 else with_path(maze, steps)


def with_path(maze: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """A copy of the maze with its canonical path as PATH; steps: int32, same shape, the distances from its start."""
    answer = maze.copy()
    for cell in backtrace(parents(steps), find_cell(maze, GOAL))[1:-1]:
        answer[cell] = PATH
    return answer
