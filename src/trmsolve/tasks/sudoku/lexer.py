"""What one line of text is, seen alone: cells, a frame, a section, prose, or nothing. read.py makes puzzles of them.

A `-` is both a blank and what frames are drawn with. A line of dashes alone counts as cells when their number fits a
row, and read.py decides by the rows around it; with any other sign of a frame (`+`, corners, box drawing, a number of
dashes that fits no row) it is one.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import NamedTuple

from trmsolve.tasks.sudoku.rules import BOX, SIDE
from trmsolve.tasks.sudoku.symbols import BLANKS, value
from trmsolve.tasks.text import describe

WIDEST_ROW = 25  # more cells than this on a line are meant as a whole puzzle, fewer as a row (or a 4x4 puzzle)
COUNTS = frozenset(BOX) | frozenset(SIDE)

VERTICAL = "|│║┃¦"
_TO_BAR = str.maketrans(dict.fromkeys(VERTICAL, "|"))
_UNQUOTE = str.maketrans(dict.fromkeys("[](){}\"'", " "))  # rows copied out of a program: [5, 3, 0],
_LEGAL = frozenset("123456789ABCDEFGabcdefg,;" + VERTICAL + "".join(BLANKS))
_SPACED = re.compile(r"[1-9A-Ga-g ]*")
_CORNERED = re.compile(r"[.:*'`,|]?-{3,}([.:*'`|]-{3,})*[.:*'`,|]?")  # *-----------*  .---.---.---.  :---:
_TITLE = re.compile(
    r"""[\W\d_]* ( (grid|puzzle|sudoku|board|problem|level|version|rating|difficulty|easy|medium|hard|expert|extreme)s?
        \b [\s\W]* (no|nr|number)? [\s\W]* [\w.]{0,12} \W* | (\w+\s){1,3}sudoku \W* | [^\W\d_][\w ]{0,20}: (\s.*)? )""",
    re.IGNORECASE | re.VERBOSE,
)


class Kind(Enum):
    EMPTY = auto()
    COMMENT = auto()  # also frames: nothing to read, but no end of a grid either
    SECTION = auto()  # [Puzzle]
    TITLE = auto()  # prose that plainly is a heading: Grid 01
    PROSE = auto()  # prose that is a heading only if a grid follows
    CELLS = auto()


class Lexed(NamedTuple):
    """One line understood. cells: one string each, as value() of symbols.py takes it. foreign: "'x' in column 3"."""

    kind: Kind
    cells: tuple[str, ...] = ()
    foreign: str = ""

    @property
    def dashes(self) -> bool:
        """Whether this may be a frame as well as a row of blanks."""
        return bool(self.cells) and all(cell == "-" for cell in self.cells)


def lex(text: str, spaced: int = 0) -> Lexed:
    """What the line is. Never fails: what is nothing else is PROSE.

    spaced: columns of the open grid when it writes its blanks as spaces, which no line alone can tell for sure.
    """
    body = text.split("#", 1)[0].rstrip("\r\n")
    if 0 < len(body) <= spaced and _SPACED.fullmatch(body) and "#" not in text:
        return Lexed(Kind.CELLS, tuple(body.ljust(spaced)))  # editors like to remove spaces at the end
    bare = body.strip()
    if not bare:
        return Lexed(Kind.COMMENT if text.strip() else Kind.EMPTY)
    if bare[0] == ";" and bare.count(";") + 1 not in COUNTS:
        return Lexed(Kind.COMMENT)
    if bare[0] == "[" and bare[-1] == "]" and bare[1:2].isalpha():
        return Lexed(Kind.SECTION, (bare[1:-1].strip().lower(),))
    if is_frame(bare):
        return Lexed(Kind.COMMENT)
    whole = next((token for token in bare.split() if is_whole(token)), None)
    if whole:  # also behind a number or a name, and whatever follows it
        return Lexed(Kind.CELLS, tuple(whole))
    if len(bare) <= 100 and _TITLE.fullmatch(bare):
        return Lexed(Kind.TITLE)
    cells = split_cells(body)
    foreign = first_foreign(text, cells)
    if foreign and not _meant_as_cells(bare, cells):
        return Lexed(Kind.PROSE, (), foreign)
    return Lexed(Kind.CELLS, cells, foreign)


def is_whole(token: str) -> bool:
    """Whether the word is a puzzle by itself; 16 characters do not count, they may be a row."""
    return len(token) in SIDE and len(token) > WIDEST_ROW and all(value(mark) is not None for mark in token)


def is_frame(bare: str) -> bool:
    """Whether the line only draws: +---+---+, |---+---|, *-----*, box drawing, a rule of any one character."""
    marks = set(bare) - {" ", "\t"}
    if any(value(mark) for mark in marks):
        return False
    if (
        marks <= set("[](){},")
        or marks & set("+=~")
        or any("─" <= mark <= "╿" and mark not in VERTICAL for mark in marks)
    ):
        return all(mark in "+=~-|.*:'`_[](){}," or "─" <= mark <= "╿" for mark in marks)
    solid = bare.replace(" ", "").translate(_TO_BAR)
    if marks <= set("-" + VERTICAL):
        return solid.count("-") not in COUNTS and "-" in marks
    if marks in ({"_"}, {"*"}):
        return len(solid) not in COUNTS
    return bool(_CORNERED.fullmatch(solid))


def split_cells(body: str) -> tuple[str, ...]:
    """The cells of a line, whatever separates them. The first reading that gives a known number of cells wins."""
    if any(mark in body for mark in "[({\"'"):
        body = body.translate(_UNQUOTE)
    for mark in ",;\t":
        if mark in body:
            fields = [field.strip() for field in body.split(mark)]
            if fields[-1] == "" and len(fields) not in COUNTS:
                fields.pop()  # a comma after the last cell
            if len(fields) in COUNTS and all(len(field) <= 2 for field in fields):
                return tuple(fields)
            body = body.replace(mark, " ")
    if any(mark in body for mark in VERTICAL):
        return _between_bars(body.translate(_TO_BAR))
    tokens = body.split()
    if _blanks_are_spaces(body):
        return tuple(body)
    first = tokens[0] if tokens else ""
    if len(first) in SIDE and any(len(token) != len(first) for token in tokens):
        return tuple(first)  # a puzzle, then its rating or name
    return _from_tokens(tokens)


def first_foreign(text: str, cells: tuple[str, ...]) -> str:
    """The first cell no Sudoku knows and its column in the text (1-based); "" when all are blanks or digits."""
    odd = next((cell for cell in cells if value(cell) is None), None)
    if odd is None:
        return ""
    if all(mark in _LEGAL for mark in odd):  # 123: every mark is known, the cell is not
        return f"'{odd[:20]}' in column {text.find(odd) + 1}"
    mark = next(mark for mark in odd if mark not in _LEGAL)
    return f"{describe(mark)} in column {text.find(mark) + 1}"


def _between_bars(body: str) -> tuple[str, ...]:
    outer_left, *inner, outer_right = body.split("|")
    segments = [s for s in (outer_left,) if s.strip()] + inner + [s for s in (outer_right,) if s.strip()]
    tokens = [segment.split() for segment in segments]
    if len(segments) in BOX and all(len(words) <= 1 for words in tokens) and max(map(len, map("".join, tokens))) <= 2:
        return tuple("".join(words) for words in tokens)  # a bar between any two cells: an empty one is a blank
    for side, (_, width) in BOX.items():  # a bar between boxes: every cell has its place, so blanks may be spaces
        for start, step, span in ((0, 1, width), (0, 2, 2 * width - 1), (1, 2, 2 * width + 1), (1, 3, 3 * width)):
            if len(segments) * width == side and span == max(map(len, segments)):
                placed = "".join(segment.ljust(span)[start::step][:width] for segment in segments)
                if "".join(placed.split()) == "".join(body.replace("|", " ").split()):
                    return tuple(placed)
    return _from_tokens(body.replace("|", " ").split())


def _from_tokens(tokens: list[str]) -> tuple[str, ...]:
    if len(tokens) in (16, 256) and all(len(token) <= 2 for token in tokens):
        return tuple(tokens)  # here 10 is one cell
    return tuple("".join(tokens))


def _blanks_are_spaces(body: str) -> bool:
    """Whether the line has a known length counting its spaces, and they do not just set cells or boxes apart."""
    if len(body) not in COUNTS or not _SPACED.fullmatch(body):
        return False
    gaps = {len(gap) for gap in re.findall(" +", body.strip())}
    return len(gaps) > 1 or len({len(token) for token in body.split()}) > 1 or len("".join(body.split())) not in COUNTS


def _meant_as_cells(bare: str, cells: tuple[str, ...]) -> bool:
    """Whether a line with foreign characters is a damaged row or puzzle rather than prose."""
    first = bare.split()[0]
    if len(first) <= WIDEST_ROW and 2 * sum(mark.isalpha() for mark in first) > len(first):
        return False
    plain = sum(value(cell) is not None and not cell.isalpha() for cell in cells)
    return len(cells) >= 4 and 2 * plain >= len(cells)
