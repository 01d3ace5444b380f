"""What makes an answer right: the question with a shortest path from S to G drawn into it. Judges, never supplies.

Any shortest path will do; the canonical one (bfs.py) is what is learnt, not what is asked for.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from trmsolve.tasks.base import Violation
from trmsolve.tasks.maze.bfs import distances, find_cell
from trmsolve.tasks.maze.cells import FLOOR, GOAL, NAMES, PATH, START, WALL, cell_name, cell_names

Cell = tuple[int, int]

REMEMBERED = 256  # questions whose shortest length is kept: more than run at a time


def shortest_length(question: np.ndarray) -> int | None:
    """Steps from S to G of a question, uint8 (height, width), at the least; None when there is no way."""
    return _shortest_length(np.asarray(question, np.uint8).tobytes(), question.shape[1])


@lru_cache(REMEMBERED)
def _shortest_length(cells: bytes, width: int) -> int | None:
    maze = np.frombuffer(cells, np.uint8).reshape(-1, width)
    steps = int(distances(maze != WALL, find_cell(maze, START))[find_cell(maze, GOAL)])
    return steps if steps >= 0 else None


def is_solution(question: np.ndarray, answer: np.ndarray) -> bool:
    """Whether check() finds nothing. Both uint8 (height, width).

    Counting is enough to rule out forks, loops and strays. Let the shortest way have n steps, and PATH be n - 1 cells
    through which G is reached from S. That takes n steps at least, so n - 1 different cells between S and G: all there
    are, in one simple path. Nor can it touch itself: where it did, there would be a shorter way.
    """
    path = answer == PATH
    least = shortest_length(question)
    if least is None or np.count_nonzero(path) != least - 1 or not (np.where(path, FLOOR, answer) == question).all():
        return False
    start, goal = find_cell(question, START), find_cell(question, GOAL)
    return bool(distances(_with_ends(path, start, goal), start)[goal] >= 0)


def connected(question: np.ndarray, answer: np.ndarray) -> bool:
    """Whether the answer is its question with a simple path from S to G, of any length. Both uint8 (height, width)."""
    start, goal = find_cell(question, START), find_cell(question, GOAL)
    return not _changes(question, answer) and not _course(answer == PATH, start, goal, least=answer.size)


def check(question: np.ndarray, answer: np.ndarray) -> list[Violation]:
    """Everything wrong with the answer; empty exactly when it is a shortest path drawn into its question.

    question: uint8 (height, width). answer: any array; a wrong shape is a violation like any other. Where no path
    exists, that is the only violation.
    """
    answer = np.asarray(answer)
    if answer.shape != question.shape:
        return [Violation(f"the answer has shape {answer.shape}, the question {question.shape}")]
    start, goal = find_cell(question, START), find_cell(question, GOAL)
    least = shortest_length(question)
    if least is None:
        return [Violation(f"no path leads from S ({cell_name(start)}) to G ({cell_name(goal)})", (start, goal))]
    return _changes(question, answer) + _course(answer == PATH, start, goal, least)


def _changes(question: np.ndarray, answer: np.ndarray) -> list[Violation]:
    """Where the answer is not its question."""
    path, found = answer == PATH, []
    if (through := (question == WALL) & path).any():
        found.append(_at("the path runs through walls", through))
    for cell in (WALL, FLOOR, START, GOAL):
        here = question == cell
        other = here & (answer != cell) & (~path if cell in (WALL, FLOOR) else True)
        if other.any():
            found.append(_at(f"{NAMES[cell]} in the question, but no longer in the answer", other))
    return found


def _course(path: np.ndarray, start: Cell, goal: Cell, least: int) -> list[Violation]:
    """What is wrong with the cells (bool, height x width) as a shortest path of `least` steps, wherever they lie."""
    drawn, found = _with_ends(path, start, goal), []
    steps, back = distances(drawn, start), distances(drawn, goal)
    reached = steps[goal] >= 0
    if not reached:
        ends = _farthest(steps), _farthest(back)
        message = f"the path from S ({cell_name(start)}) breaks off at {cell_name(ends[0])}, "
        message += f"from G ({cell_name(goal)}) at {cell_name(ends[1])}"
        found.append(Violation(message, ends))
    neighbours = _neighbours(drawn)
    most = np.full(path.shape, 2)
    most[start] = most[goal] = 1
    stray = drawn & (steps < 0) & (back < 0)
    forks = drawn & ~stray & (neighbours > most)
    dead_ends = drawn & ~stray & (neighbours < most)
    if forks.any():
        found.append(_at("the path forks or touches itself", forks))
    if reached and dead_ends.any():  # of a path that breaks off the ends have been named
        found.append(_at("dead ends", dead_ends))
    if stray.any():
        found.append(_at("path cells apart from the path", stray))
    if reached and steps[goal] > least:
        found.append(Violation(f"{steps[goal]} steps; the shortest has {least}"))
    return found


def _with_ends(path: np.ndarray, start: Cell, goal: Cell) -> np.ndarray:
    drawn = path.copy()
    drawn[start] = drawn[goal] = True
    return drawn


def _neighbours(cells: np.ndarray) -> np.ndarray:
    """For each cell how many of the four beside it are True."""
    around = np.pad(cells.astype(np.int8), 1)
    return around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]


def _farthest(steps: np.ndarray) -> Cell:
    r, c = np.unravel_index(int(steps.argmax()), steps.shape)
    return int(r), int(c)


def _at(what: str, where: np.ndarray) -> Violation:
    cells = tuple((r, c) for r, c in np.argwhere(where).tolist())
    return Violation(f"{what}: {cell_names(cells)}", cells)
