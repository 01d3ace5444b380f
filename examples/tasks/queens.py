"""Completing n queens: some queens stand on the board; place the others so that no two attack each other.

    ....        -Q--
    ...Q   ->   ---Q
    ....        Q---
    ....        --Q-

Rows and columns hold exactly one queen, diagonals at most one. Any complete placement is an answer.
"""

import numpy as np

from trmsolve.tasks.constraints import AtMostOne, ConstraintPuzzle, ExactlyOne

EMPTY, QUEEN = 1, 2


class Queens(ConstraintPuzzle):
    name = "queens"
    symbols = ".-Q"  # undecided, no queen, a queen
    kinds = ("line", "line", "diagonal", "diagonal")
    size = (8, 8)

    def invalid_reason(self, grid):
        rows, columns = grid.shape
        return (
            "" if rows == columns >= 4 else f"a board has as many columns as rows, 4 or more, this is {rows}x{columns}"
        )

    def constraints(self, grid):
        side = len(grid)
        row, column, value = np.indices((side, side, 2))  # of each candidate
        queen = value == QUEEN - 1  # only queens exclude each other

        def groups(number):
            return np.where(queen, number, -1)  # -1: in no group

        return [
            ExactlyOne("line", groups(row)),
            ExactlyOne("line", groups(column)),
            AtMostOne("diagonal", groups(row + column)),
            AtMostOne("diagonal", groups(row - column + side)),
        ]

    def make(self, rng, size):
        empty = np.zeros(size, np.uint8)
        if reason := self.invalid_reason(empty):
            raise ValueError(reason)
        solution = self.random_solution(rng, empty)
        queens = np.where(solution == QUEEN, QUEEN, 0).astype(np.uint8)
        return self.remove_givens(rng, solution, givens=queens), solution
