"""Futoshiki: a Latin square with signs between neighbours; a sign points to the smaller number.

    .-.<.      A cell of the square stands at every second character. Between them stand
    --^--      < and > between left and right, ^ and v between above and below, - for no sign.
    .-3-.
    -----
    .>.-.

"a < b" is no exact cover. It says for every number t that "a is t or more" and "b is t or less" exclude each other:
groups of which at most one candidate is true, which overlap.
"""

import numpy as np

from trmsolve.tasks.constraints import AtMostOne, ConstraintPuzzle, ExactlyOne

SIGN_SHARE = 0.4  # of pairs of neighbours with a sign in generated puzzles


class Futoshiki(ConstraintPuzzle):
    name = "futoshiki"
    symbols = ".123456789-<>^v"
    kinds = ("line", "line", "less")
    size = (5, 5)

    def num_values(self, grid):
        return (len(grid) + 1) // 2

    def candidates(self, grid):
        possible = np.zeros((*grid.shape, self.num_values(grid)), bool)
        possible[::2, ::2] = True
        return possible

    def invalid_reason(self, grid):
        rows, columns = grid.shape
        if rows != columns or rows % 2 == 0 or not 3 <= rows <= 17:
            return f"an n x n Futoshiki has 2n - 1 rows and columns, n from 2 to 9; this has {rows} and {columns}"
        if grid[::2, ::2].max() > self.num_values(grid):
            return f"a cell of the square holds a number from 1 to {self.num_values(grid)}, or . if it is open"
        between = [(grid[::2, 1::2], "-<>"), (grid[1::2, ::2], "-^v"), (grid[1::2, 1::2], "-")]
        for part, allowed in between:
            if not np.isin(part, [self.symbols.index(sign) for sign in allowed]).all():
                return f"between cells stand signs out of {allowed}"
        return ""

    def constraints(self, grid):
        row, column, value = np.indices((*grid.shape, self.num_values(grid)))
        lines = [ExactlyOne("line", line * 9 + value) for line in (row, column)]
        return [*lines, AtMostOne("less", list(self.less_groups(grid)))]

    def less_groups(self, grid):
        """For every sign and number t: the smaller cell holds t or more, the larger one t or less."""
        for r, c in np.argwhere(np.isin(grid, [self.symbols.index(sign) for sign in "<>^v"])).tolist():
            sign = self.symbols[grid[r, c]]
            before, after = ((r, c - 1), (r, c + 1)) if sign in "<>" else ((r - 1, c), (r + 1, c))
            small, large = (before, after) if sign in "<^" else (after, before)
            values = range(self.num_values(grid))
            for t in values:
                yield [(*small, v) for v in values if v >= t] + [(*large, v) for v in values if v <= t]

    def make(self, rng, size):
        empty = np.full((2 * size[0] - 1, 2 * size[1] - 1), self.symbols.index("-"), np.uint8)
        empty[::2, ::2] = 0
        if reason := self.invalid_reason(empty):
            raise ValueError(reason)
        solution = self.random_solution(rng, empty)
        square = solution[::2, ::2]
        for part, first, second, signs in (
            (solution[::2, 1::2], square[:, :-1], square[:, 1:], "<>"),
            (solution[1::2, ::2], square[:-1], square[1:], "^v"),
        ):
            less, greater = (self.symbols.index(sign) for sign in signs)
            shown = rng.random(part.shape) < SIGN_SHARE
            part[shown] = np.where(first < second, less, greater)[shown]
        return self.remove_givens(rng, solution), solution
