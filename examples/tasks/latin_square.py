"""Latin squares: every row and every column holds each number once.

trmsolve generate examples/tasks/latin_square.py -n 3 --format grid
trmsolve train --task examples/tasks/latin_square.py --minutes 5
trmsolve solve --task examples/tasks/latin_square.py --checkpoint runs/latin_square/latin_square.safetensors FILE
"""

import numpy as np

from trmsolve.tasks.constraints import ConstraintPuzzle, ExactlyOne


class LatinSquare(ConstraintPuzzle):
    name = "latin_square"
    symbols = ".123456789"  # a blank, then the values 1, 2, ...
    kinds = ("line", "line")  # rows and columns are of one kind: they share weights
    size = (6, 6)

    def num_values(self, grid):
        return len(grid)

    def invalid_reason(self, grid):
        side = len(grid)
        if grid.shape != (side, side) or not 2 <= side <= 9:
            return "a Latin square has 2 to 9 rows and as many columns, this is {}x{}".format(*grid.shape)
        return f"holds {grid.max()}, the largest number is {side}" if grid.max() > side else ""

    def constraints(self, grid):
        side = len(grid)
        row, column, value = np.indices((side, side, side))  # of each candidate
        return [ExactlyOne("line", row * side + value), ExactlyOne("line", column * side + value)]

    def make(self, rng, size):
        empty = np.zeros(size, np.uint8)
        if reason := self.invalid_reason(empty):
            raise ValueError(reason)
        solution = self.random_solution(rng, empty)
        return self.remove_givens(rng, solution), solution
