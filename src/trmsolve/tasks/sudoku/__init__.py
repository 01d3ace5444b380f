"""Sudoku: 4x4, 6x6, 9x9 and 16x16 grids as one task (tasks/base.py says what a task is)."""

from __future__ import annotations

from trmsolve.tasks.sudoku.encode import assume, decode, describe, encode
from trmsolve.tasks.sudoku.picture import picture
from trmsolve.tasks.sudoku.read import read
from trmsolve.tasks.sudoku.rules import check, solved
from trmsolve.tasks.sudoku.write import line, write


class Sudoku:
    """The task: each method is the function of its name, imported above."""

    name = "sudoku"
    styles = ("grid", "line", "csv")

    read = staticmethod(read)
    write = staticmethod(write)
    line = staticmethod(line)
    check = staticmethod(check)
    solved = staticmethod(solved)
    encode = staticmethod(encode)
    decode = staticmethod(decode)
    assume = staticmethod(assume)
    describe = staticmethod(describe)
    picture = staticmethod(picture)


TASK = Sudoku()
