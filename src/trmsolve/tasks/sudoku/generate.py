"""Make Sudoku puzzles with one solution: seeded, of any of the sides, minimal or not, easy or as hard as asked for.

A puzzle is a random solved grid from which givens are dropped, in random order, as long as the exact solver proves that
the solution stays the only one. Puzzle `index` of a seed depends on nothing else, so a stream can be cut anywhere and
its parts made by different processes.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.base import Difficulty
from trmsolve.tasks.sudoku.backtracking import Board, board, grid, restrict, search, solutions

# The share of givens at which `minimal=False` stops.
EASY_SHARE = {4: 0.45, 6: 0.45, 9: 0.45, 16: 0.58}

# A proof of uniqueness may take this many guesses; a given whose proof takes longer stays. Up to 9x9 no proof comes
# near it; on 16x16 it bounds the work (by a count and not by a clock, or a seed would not mean the same puzzle on
# another machine).
PROOF_BRANCHES = {4: 10_000, 6: 10_000, 9: 10_000, 16: 60}

# The climb to a hard puzzle begins anew from another grid after so many steps in vain, and ends after so many climbs.
PATIENCE = 60
CLIMBS = 60


class Hardness(Difficulty):
    """How hard a Sudoku is; `details` holds its branches and givens."""

    __slots__ = ()

    @property
    def branches(self) -> int:
        """Guesses of the exact solver until the solution was proved unique."""
        return self.details["branches"]


def generate(
    seed: int,
    index: int,
    size: int | tuple[int, int] = 9,
    extra: int | range = 0,
    minimal: bool = True,
    min_branches: int = 0,
) -> tuple[np.ndarray, np.ndarray, Hardness]:
    """Puzzle number `index` of a seed: (question, solution, difficulty), both grids uint8 (side, side), 0 = blank.

    The solution is the only one. `minimal` drops givens until none can go; exactly so up to 9x9, while on 16x16 a given
    also stays when to prove it needless would take too long. `minimal=False` stops at the share of givens in EASY_SHARE
    (a little above it where that is not reached). `extra` puts so many further givens back, chosen at random; of a
    range, one member is drawn. `min_branches` asks for a puzzle that takes the exact solver so many guesses before
    `extra` is added; it implies `minimal` and means a search, on 9x9 of about 1 s for 30 branches, 2 s for 50 and 10 s
    for 100. `size` is the side, or rows and columns. ValueError: a side without boxes, a negative number, more givens
    than cells. TrmsolveError: no puzzle that hard was found.
    """
    side, columns = size if isinstance(size, tuple) else (size, size)
    if side != columns:
        raise ValueError(f"a Sudoku of {side}x{columns}: rows and columns must be as many, for example 9x9")
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


def difficulty(question: np.ndarray) -> Hardness:
    """How hard a question (uint8 (side, side)) is for the exact solver: guesses until its solution was proved the only
    one; 0 means that singles suffice. The number depends a little on how the grid is turned, as the solver tries cells
    in reading order. ValueError: no solution, or more than one.
    """
    solution_grids, branches = solutions(question)
    if len(solution_grids) != 1:
        raise ValueError(
            "the puzzle has no solution" if not solution_grids else "the puzzle has more than one solution"
        )
    return Hardness({"branches": branches, "givens": int(np.count_nonzero(question))})


def _first(tables: Board, rng: np.random.Generator, minimal: bool) -> tuple[list[int], list[int]]:
    """A random solved grid and givens that determine it, both as lists of candidate bits (see backtracking.py)."""
    filled: list[int] = []
    while not filled:  # the rare search that takes too long is given up early
        filled, _, _ = search(tables, tables.full, 1, 4 * tables.plane, rng)
    solved = [bit for bit in range(tables.side * tables.plane) if filled[0] >> bit & 1]
    target = 0 if minimal else round(EASY_SHARE[tables.side] * tables.plane)
    return solved, _drop(tables, _shuffled(rng, solved), target)


def _drop(tables: Board, givens: list[int], target: int = 0) -> list[int]:
    """Drop givens one by one in the order listed, where the solution stays unique, until `target` of them are left."""
    # The first ones all go, usually: find by halving how many, instead of proving it for each. Same outcome.
    low, high = 0, len(givens) - target
    while low < high:
        middle = (low + high + 1) // 2
        if _unique(tables, givens[middle:]):
            low = middle
        else:
            high = middle - 1
    kept = givens[low:]
    # What could not go while more givens were there cannot go later either, so one round makes the puzzle minimal.
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
    """Is the candidate `bit` of the solution forced by the givens, that is: no solution without it?"""
    without = restrict(tables, givens) & ~(1 << bit)
    leaves, _, complete = search(tables, without, 1, PROOF_BRANCHES[tables.side])
    return complete and not leaves


def _climb(
    tables: Board, rng: np.random.Generator, solved: list[int], givens: list[int], goal: int
) -> tuple[list[int], list[int]]:
    """Hill climbing to a minimal puzzle with at least `goal` branches.

    One step puts a few givens back and drops others; it stands if the puzzle got no easier.
    """
    score, vain, climbs, best = _branches(tables, givens), 0, 1, 0
    while score < goal:
        best = max(best, score)
        if vain == PATIENCE:
            if climbs == CLIMBS:
                raise TrmsolveError(
                    f"no {tables.side}x{tables.side} puzzle of {goal} branches in {CLIMBS} climbs, at most {best}",
                    "ask for fewer branches or another seed",
                )
            solved, givens = _first(tables, rng, True)
            score, vain, climbs = _branches(tables, givens), 0, climbs + 1
            continue
        added = _shuffled(rng, set(solved) - set(givens))[: rng.integers(1, 4)]
        other = _drop(tables, _shuffled(rng, givens) + added)
        reached = _branches(tables, other)
        vain = 0 if reached > score else vain + 1
        if reached >= score:
            givens, score = other, reached
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
