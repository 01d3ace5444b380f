"""Generate Sudoku puzzles with one solution, of all sizes, minimal or not, with a minimum difficulty.

A puzzle is a random solved grid from which givens are removed in random order, while the exact solver proves that the
solution is unique. A puzzle depends on its seed and index only, so different processes can generate parts of a series.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.sudoku.backtracking import Board, board, grid, restrict, search, solutions

# The share of givens at which generate(minimal=False) stops removing givens.
EASY_SHARE = {4: 0.45, 6: 0.45, 8: 0.45, 9: 0.45, 12: 0.5, 16: 0.58}

# Maximum guesses of a proof of uniqueness; a given whose proof takes more is kept. Proofs up to 9x9 take far fewer; for
# larger grids the limit bounds the work. It is a count, not a time, so a seed gives the same puzzle on every machine.
PROOF_BRANCHES = {4: 10_000, 6: 10_000, 8: 10_000, 9: 10_000, 12: 200, 16: 60}

PATIENCE = 60  # steps of hill climbing without progress before it restarts from another grid
CLIMBS = 60  # maximum number of restarts


def generate(
    seed: int,
    index: int,
    size: int | tuple[int, int] = 9,
    extra: int | range = 0,
    minimal: bool = True,
    min_branches: int = 0,
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Puzzle number `index` of a seed: (question, solution, difficulty), both grids uint8 (side, side), 0 = blank.

    size: the side, or (rows, columns).
    extra: number of random givens to add at the end; a range means a random member of it.
    minimal: remove givens while the solution is unique. In 16x16 a given is also kept if the proof takes too long.
        False: stop at the share of givens in EASY_SHARE, or slightly above it if it cannot be reached.
    min_branches: minimum number of guesses of the exact solver, before `extra` is added. Implies minimal. The search
        takes about 1 s for 30 branches, 2 s for 50 and 10 s for 100 on 9x9.

    Raises ValueError for a side without boxes, a negative number, or more givens than cells; TrmsolveError if no puzzle
    with min_branches was found.
    """
    side, columns = size if isinstance(size, tuple) else (size, size)
    if side != columns:
        raise ValueError(
            f"a Sudoku of {side}x{columns}: the numbers of rows and columns must be equal, for example 9x9"
        )
    if side not in EASY_SHARE:
        raise ValueError(f"no generator for Sudokus of side {side}: expected one of {', '.join(map(str, EASY_SHARE))}")
    tables = board(side)
    most = max(extra, default=0) if isinstance(extra, range) else extra
    least = min(extra, default=-1) if isinstance(extra, range) else extra
    if least < 0 or most >= tables.plane or min_branches < 0:
        raise ValueError(f"extra must lie in 0..{tables.plane - 1} and min_branches must not be negative")
    rng = np.random.default_rng([seed, index])

    solved, givens = _first(tables, rng, minimal or min_branches > 0)
    if min_branches:
        solved, givens = _climb(tables, rng, solved, givens, min_branches)
    count = int(rng.choice(list(extra))) if isinstance(extra, range) else extra
    if count:
        rest = _shuffled(rng, set(solved) - set(givens))
        givens = givens + rest[:count]

    question = _question(tables, givens)
    solution = grid(tables, sum(1 << bit for bit in solved))
    return question, solution, difficulty(question)


def difficulty(question: np.ndarray) -> dict[str, int]:
    """branches, the guesses until the solution of a question, uint8 (side, side), is proved unique, and givens.

    The number depends slightly on the grid's orientation, because the solver tries cells in reading order. Raises
    ValueError unless there is exactly one solution.
    """
    solution_grids, branches = solutions(question)
    if len(solution_grids) != 1:
        raise ValueError(
            "the puzzle has no solution" if not solution_grids else "the puzzle has more than one solution"
        )
    return {"branches": branches, "givens": int(np.count_nonzero(question))}


def _first(tables: Board, rng: np.random.Generator, minimal: bool) -> tuple[list[int], list[int]]:
    """A random solved grid and givens that determine it, both as lists of candidate bits (see backtracking.py)."""
    filled: list[int] = []
    while not filled:  # retry if the search, which is bounded, fails
        filled, _, _ = search(tables, tables.full, 1, 4 * tables.plane, rng)
    solved = [bit for bit in range(tables.side * tables.plane) if filled[0] >> bit & 1]
    target = 0 if minimal else round(EASY_SHARE[tables.side] * tables.plane)
    return solved, _drop(tables, _shuffled(rng, solved), target)


def _drop(tables: Board, givens: list[int], target: int = 0) -> list[int]:
    """Remove givens in the order listed, while the solution is unique, until `target` of them are left."""
    # Usually the first givens can all be removed: find their number by bisection instead of one proof for each.
    low, high = 0, len(givens) - target
    while low < high:
        middle = (low + high + 1) // 2
        if _unique(tables, givens[middle:]):
            low = middle
        else:
            high = middle - 1
    kept = givens[low:]
    # A given that is needed beside more givens is needed beside fewer ones too, so one pass makes the puzzle minimal.
    for bit in kept[1:]:
        if len(kept) <= target:
            break
        rest = [given for given in kept if given != bit]
        if _follows(tables, rest, bit):
            kept = rest
    return kept


def _unique(tables: Board, givens: list[int]) -> bool:
    leaves, _, complete = search(tables, restrict(tables, givens), 2, PROOF_BRANCHES[tables.side])
    return complete and len(leaves) == 1


def _follows(tables: Board, givens: list[int], bit: int) -> bool:
    """Whether the givens imply the candidate `bit`: there is no solution without it."""
    without = restrict(tables, givens) & ~(1 << bit)
    leaves, _, complete = search(tables, without, 1, PROOF_BRANCHES[tables.side])
    return complete and not leaves


def _climb(
    tables: Board, rng: np.random.Generator, solved: list[int], givens: list[int], goal: int
) -> tuple[list[int], list[int]]:
    """Hill climbing to a minimal puzzle with at least `goal` branches.

    One step adds a few givens and removes others; it is kept if the puzzle has no fewer branches.
    """
    score, failures, climbs, best = _branches(tables, givens), 0, 1, 0
    while score < goal:
        best = max(best, score)
        if failures == PATIENCE:
            if climbs == CLIMBS:
                raise TrmsolveError(
                    f"no {tables.side}x{tables.side} puzzle of {goal} branches in {CLIMBS} climbs, at most {best}",
                    "lower --min-branches, or try another --seed",
                )
            solved, givens = _first(tables, rng, True)
            score, failures, climbs = _branches(tables, givens), 0, climbs + 1
            continue
        added = _shuffled(rng, set(solved) - set(givens))[: rng.integers(1, 4)]
        other = _drop(tables, _shuffled(rng, givens) + added)
        branches = _branches(tables, other)
        failures = 0 if branches > score else failures + 1
        if branches >= score:
            givens, score = other, branches
    return solved, givens


def _branches(tables: Board, givens: list[int]) -> int:
    return search(tables, restrict(tables, givens), 2, None)[1]


def _question(tables: Board, givens: list[int]) -> np.ndarray:
    question = np.zeros(tables.plane, np.uint8)
    for bit in givens:
        digit, cell = divmod(bit, tables.plane)
        question[cell] = digit + 1
    return question.reshape(tables.side, tables.side)


def _shuffled(rng: np.random.Generator, bits: Iterable[int]) -> list[int]:
    return rng.permutation(sorted(bits)).tolist()
