"""An endless stream of lines for `trmsolve sudoku`: puzzles, and what else comes through pipes. Each is one record."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trmsolve.tasks.sudoku import TASK
from trmsolve.tasks.sudoku.backtracking import solutions
from trmsolve.tasks.sudoku.rules import conflicts
from trmsolve.tasks.sudoku.symmetries import Symmetry
from trmsolve.text_io import LINE_LIMIT

PUZZLES, UNSOLVABLE = ("6x6", "9x9"), "unsolvable"  # kinds; all others are bad
POOL = 40  # puzzles whose symmetric copies are sent; making new ones takes longer than solving them


@dataclass(frozen=True)
class Sent:
    """A line and what should become of it."""

    line: bytes
    kind: str
    answer: str | None = None  # of a puzzle that has one


def mixture(seed: int = 0, bad: float = 0.25) -> Iterator[Sent]:
    """Lines without end, of which a share `bad` is no puzzle, and a few puzzles have no solution."""
    rng, turns = random.Random(seed), np.random.default_rng(seed)
    puzzles = [_puzzle(seed, index, 6) for index in range(POOL)] + [
        _puzzle(seed, index, 9) for index in range(POOL // 8)
    ]
    unsolvable = [found for sent in puzzles[:POOL] if (found := _spoilt(sent, rng)) is not None]
    while True:
        draw = rng.random()
        if draw < bad:
            yield _bad(rng, rng.choice(puzzles).line)
        elif draw < bad + 0.01:
            yield rng.choice(unsolvable)
        else:
            yield _copy(rng.choice(puzzles), turns)


def _puzzle(seed: int, index: int, side: int) -> Sent:
    question, answer, _ = TASK.generate(seed, index, side, **({"extra": 20} if side == 9 else {}))
    return Sent(TASK.format_line(question).encode(), f"{side}x{side}", TASK.format_line(answer))


def _copy(sent: Sent, rng: np.random.Generator) -> Sent:
    """A symmetric copy: a stream hardly ever has a puzzle twice, so that whoever remembers them all is found out."""
    assert sent.answer is not None
    grids = np.array([_grid(sent.line.decode()), _grid(sent.answer)])
    question, answer = Symmetry.random(rng, grids.shape[-1]).apply(grids)
    return Sent(TASK.format_line(question).encode(), sent.kind, TASK.format_line(answer))


def _grid(line: str) -> np.ndarray:
    digits = np.frombuffer(line.replace(".", "0").encode(), np.uint8) - ord("0")
    return digits.reshape(2 * (math.isqrt(len(digits)),))


def _spoilt(sent: Sent, rng: random.Random) -> Sent | None:
    """The puzzle with one more given that breaks no rule by itself, and leaves it without a solution."""
    question = _grid(sent.line.decode())
    cells = list(np.argwhere(question == 0))
    rng.shuffle(cells)
    for row, column in cells:
        for digit in range(1, 7):
            spoilt = question.copy()
            spoilt[row, column] = digit
            if not conflicts(spoilt) and not solutions(spoilt, 1)[0]:
                return Sent(TASK.format_line(spoilt).encode(), UNSOLVABLE)
    return None


def _bad(rng: random.Random, line: bytes) -> Sent:
    at = rng.randrange(17, len(line))
    kinds = {
        "prose": lambda: b"this is no puzzle but " + bytes(rng.choices(b"abcdefgh ", k=20)),
        "cut": lambda: line[:at],
        "long": lambda: line + line[: at // 2],
        "NUL": lambda: line[:at] + b"\0" + line[at + 1 :],
        "no UTF-8": lambda: line[:at] + bytes([rng.randrange(0x80, 0x100)]) + line[at + 1 :],
        "wrong size": lambda: b"." * rng.choice([49, 100, 121]),  # not 25, a row of a 25x25 grid
        "a digit twice": lambda: b"11" + line[2:],
        "bytes": lambda: b"!" + bytes(rng.choices(range(0x80, 0x100), k=30)),
    }
    kind = rng.choice(list(kinds)) if rng.random() > 1e-3 else "huge"
    return Sent(b"1" * (LINE_LIMIT + 10) if kind == "huge" else kinds[kind](), kind)
