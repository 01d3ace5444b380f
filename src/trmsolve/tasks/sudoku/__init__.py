"""Sudoku: 4x4, 6x6, 9x9 and 16x16 grids as one task (tasks/base.py says what a task is)."""

from __future__ import annotations

from trmsolve.tasks.sudoku.data import Data
from trmsolve.tasks.sudoku.encode import assume, decode, describe, encode
from trmsolve.tasks.sudoku.generate import generate
from trmsolve.tasks.sudoku.picture import picture
from trmsolve.tasks.sudoku.read import read
from trmsolve.tasks.sudoku.rules import check, solved
from trmsolve.tasks.sudoku.write import CSV_HEADER, draw, line, write


class Sudoku:
    """The task: each method is the function of its name, imported above."""

    name = "sudoku"
    styles = ("grid", "line", "csv")
    csv_header = CSV_HEADER

    read = staticmethod(read)
    write = staticmethod(write)
    draw = staticmethod(draw)
    line = staticmethod(line)
    check = staticmethod(check)
    solved = staticmethod(solved)
    encode = staticmethod(encode)
    decode = staticmethod(decode)
    assume = staticmethod(assume)
    describe = staticmethod(describe)
    picture = staticmethod(picture)
    generate = staticmethod(generate)
    data = Data.open


TASK = Sudoku()
