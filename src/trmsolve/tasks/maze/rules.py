"""Shortest paths, and the rules of mazes: an answer is the question with a shortest path from S to G drawn into it.

Any shortest path is accepted; the canonical one is only the label in training. The rules check answers and are never
used to find them.

A maze has very many shortest paths (10^4 to 10^10 in Maze-Hard); a model cannot predict which of them a data set
contains. So ties are broken by a local rule: the parent of a cell is the first of its neighbours, in the order up,
left, right, down, that is one step closer to the start. The canonical path follows parents from the goal. The rule is
not symmetric, so labels are recomputed after every rotation, reflection, or exchange of start and goal.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from trmsolve.tasks.base import Violation
from trmsolve.tasks.maze.cells import FLOOR, GOAL, NAMES, PATH, START, WALL, cell_name, cell_names

Cell = tuple[int, int]

CACHE_SIZE = 256  # questions whose shortest length is cached: more than are solved at a time
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


def shortest_length(question: np.ndarray) -> int | None:
    """The length in steps of a shortest path from S to G. question: uint8 (height, width). None if there is no path."""
    return _shortest_length(np.asarray(question, np.uint8).tobytes(), question.shape[1])


@lru_cache(CACHE_SIZE)
def _shortest_length(cells: bytes, width: int) -> int | None:
    maze = np.frombuffer(cells, np.uint8).reshape(-1, width)
    steps = int(distances(maze != WALL, find_cell(maze, START))[find_cell(maze, GOAL)])
    return steps if steps >= 0 else None


def is_solution(question: np.ndarray, answer: np.ndarray) -> bool:
    """Whether check() is empty. Both uint8 (height, width).

    Counting cells suffices to exclude forks, loops and isolated cells. Let a shortest path have n steps, and let G be
    reachable from S through n - 1 PATH cells. A path through them has at least n steps, so it needs all n - 1 cells. It
    does not touch itself either, or there would be a shorter path.
    """
    path = answer == PATH
    length = shortest_length(question)
    if length is None or np.count_nonzero(path) != length - 1 or not (np.where(path, FLOOR, answer) == question).all():
        return False
    start, goal = find_cell(question, START), find_cell(question, GOAL)
    return bool(distances(_with_ends(path, start, goal), start)[goal] >= 0)


def connected(question: np.ndarray, answer: np.ndarray) -> bool:
    """Whether the answer is its question with a simple path from S to G, of any length. Both uint8 (height, width)."""
    start, goal = find_cell(question, START), find_cell(question, GOAL)
    return not _changed_cells(question, answer) and not _path_violations(answer == PATH, start, goal, answer.size)


def check(question: np.ndarray, answer: np.ndarray) -> list[Violation]:
    """All rules that the answer breaks; empty if and only if it is a shortest path drawn into its question.

    question: uint8 (height, width). answer: any array; a wrong shape is a violation like any other. Where no path
    exists, that is the only violation.
    """
    answer = np.asarray(answer)
    if answer.shape != question.shape:
        return [Violation(f"the answer has shape {answer.shape}, the question {question.shape}")]
    start, goal = find_cell(question, START), find_cell(question, GOAL)
    length = shortest_length(question)
    if length is None:
        return [Violation(f"no path leads from S ({cell_name(start)}) to G ({cell_name(goal)})", (start, goal))]
    return _changed_cells(question, answer) + _path_violations(answer == PATH, start, goal, length)


def _changed_cells(question: np.ndarray, answer: np.ndarray) -> list[Violation]:
    """Violations where the answer differs from its question, apart from the path over floor."""
    path, violations = answer == PATH, []
    if (path_on_wall := (question == WALL) & path).any():
        violations.append(_violation("the path runs through walls", path_on_wall))
    for cell in (WALL, FLOOR, START, GOAL):
        changed = (question == cell) & (answer != cell) & (~path if cell in (WALL, FLOOR) else True)
        if changed.any():
            violations.append(_violation(f"{NAMES[cell]} in the question, but no longer in the answer", changed))
    return violations


def _path_violations(path: np.ndarray, start: Cell, goal: Cell, length: int) -> list[Violation]:
    """Violations of the path's shape. path: bool (height, width). length: steps of a shortest path."""
    cells, violations = _with_ends(path, start, goal), []
    from_start, from_goal = distances(cells, start), distances(cells, goal)
    is_connected = from_start[goal] >= 0
    if not is_connected:
        ends = _farthest(from_start), _farthest(from_goal)
        message = f"the path from S ({cell_name(start)}) breaks off at {cell_name(ends[0])}, "
        message += f"from G ({cell_name(goal)}) at {cell_name(ends[1])}"
        violations.append(Violation(message, ends))
    neighbours = _neighbours(cells)
    expected = np.full(path.shape, 2)  # neighbours of a path cell
    expected[start] = expected[goal] = 1
    isolated = cells & (from_start < 0) & (from_goal < 0)
    forks = cells & ~isolated & (neighbours > expected)
    dead_ends = cells & ~isolated & (neighbours < expected)
    if forks.any():
        violations.append(_violation("the path forks or touches itself", forks))
    if is_connected and dead_ends.any():  # the message above names those of a broken path
        violations.append(_violation("dead ends", dead_ends))
    if isolated.any():
        violations.append(_violation("path cells apart from the path", isolated))
    if is_connected and from_start[goal] > length:
        violations.append(Violation(f"{from_start[goal]} steps; the shortest has {length}"))
    return violations


def _with_ends(path: np.ndarray, start: Cell, goal: Cell) -> np.ndarray:
    cells = path.copy()
    cells[start] = cells[goal] = True
    return cells


def _neighbours(cells: np.ndarray) -> np.ndarray:
    """For each cell the number of its four neighbours that are True."""
    around = np.pad(cells.astype(np.int8), 1)
    return around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]


def _farthest(steps: np.ndarray) -> Cell:
    r, c = np.unravel_index(int(steps.argmax()), steps.shape)
    return int(r), int(c)


def _violation(message: str, mask: np.ndarray) -> Violation:
    """A violation in the cells of a mask, bool (height, width)."""
    cells = tuple((r, c) for r, c in np.argwhere(mask).tolist())
    return Violation(f"{message}: {cell_names(cells)}", cells)
