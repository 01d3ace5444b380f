"""What one line of text is, seen alone: cells, labels, a frame, a section, prose, or nothing. read.py makes puzzles of
them.

A `-` is both a blank and what frames are drawn with. A line of dashes alone counts as cells when their number fits a
row, and read.py decides by the rows around it; with any other sign of a frame (`+`, corners, box drawing, a number of
dashes that fits no row) it is one.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import NamedTuple

from trmsolve.tasks.reading.layout import VERTICAL, is_alignment_row, is_sequence
from trmsolve.tasks.reading.table import DELIMITERS, fields
from trmsolve.tasks.sudoku.rules import BOX, SIDE
from trmsolve.tasks.sudoku.symbols import BLANKS, RARE, cell_value, cell_values, value
from trmsolve.text_io import character_name

WIDEST_ROW = 27  # cells of a row, with labels; a line with more is meant as a whole puzzle
COUNTS = frozenset(BOX) | frozenset(SIDE)
CANDIDATES = 729  # a 9x9 grid as nine characters for each cell: the digits that it may hold

_TO_BAR = str.maketrans(dict.fromkeys(VERTICAL, "|"))
_UNQUOTE = str.maketrans(dict.fromkeys("[](){}\"'", " "))  # rows copied out of a program: [5, 3, 0],
_LEGAL = frozenset("123456789ABCDEFGabcdefg,;" + VERTICAL + "".join(BLANKS))
_CORNERED = re.compile(r"[.:*'`,|]?-{3,}([.:*'`|]-{3,})*[.:*'`,|]?")  # *-----------*  .---.---.---.  :---:
_FENCE = re.compile(r"\s*(```|~~~)[\w+-]*\s*")
_RUN = re.compile(r"[0-9A-Za-z._*?·-]{36,}")
_SLASHED = re.compile(r"(?<![\w./])[\w.*-]{4,25}(?:/[\w.*-]{4,25}){3,24}(?![\w/])")
_ROW_LABEL = re.compile(r"(?:(?:r|row)[ _-]?\d{1,2}[.:)]?|\d{1,2}[.:)]|[a-z][.:)]?)", re.IGNORECASE)
_RISING = re.compile(r"1?2?3?4?5?6?7?8?9?")
_FIELDS = re.compile(r"[\d.,;\s_?*-]*[;,][\d.,;\s_?*-]*")
_TITLE = re.compile(
    r"""[\W\d_]* ( (grid|puzzle|sudoku|board|problem|level|version|rating|difficulty|easy|medium|hard|expert|extreme)s?
        \b [\s\W]* (no|nr|number)? [\s\W]* [\w.]{0,12} \W* | (\w+\s){1,3}sudoku \W* | [^\W\d_][\w ]{0,20}: (\s.*)? )""",
    re.IGNORECASE | re.VERBOSE,
)


class Kind(Enum):
    EMPTY = auto()
    COMMENT = auto()  # also fences of code: nothing to read, but no end of a grid either
    FRAME = auto()
    SECTION = auto()  # [Puzzle]
    TITLE = auto()  # prose that plainly is a heading: Grid 01
    LABELS = auto()  # names of columns: A B C D
    PROSE = auto()
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


def lex(text: str) -> Lexed:
    """What the line is. Never fails: what is nothing else is PROSE."""
    body = text.split("#", 1)[0].rstrip("\r\n")
    bare = body.strip()
    if not bare:
        return Lexed(Kind.COMMENT if text.strip() else Kind.EMPTY)
    if _FENCE.fullmatch(body) or (bare[0] == ";" and bare.count(";") + 1 not in COUNTS and not _FIELDS.fullmatch(body)):
        return Lexed(Kind.COMMENT)
    if bare[0] == "[" and bare[-1] == "]" and bare[1:2].isalpha():
        return Lexed(Kind.SECTION, (bare[1:-1].strip().lower(),))
    if is_frame(bare):
        return Lexed(Kind.FRAME)
    whole = next((token for token in bare.split() if is_whole(token)), None)
    if whole:  # also behind a number or a name, and whatever follows it
        return Lexed(Kind.CELLS, tuple(whole))
    cells = split_cells(body)
    if any(len(cell) > 1 for cell in cells) and all(map(_RISING.fullmatch, cells)):  # candidates
        return Lexed(Kind.CELLS, cells)
    if _FIELDS.fullmatch(body):
        parts = separated(body)
        if len(parts) in COUNTS or len(cells) not in COUNTS:
            cells = parts if all(cell_value(cell) is not None for cell in parts) else cells
    foreign = first_foreign(text, cells)
    if foreign and (row := row_cells(body)):
        return Lexed(Kind.CELLS, row)
    tokens = body.translate(_TO_BAR).replace("|", " ").split()
    if len(tokens) in BOX and not tokens[0].isdigit() and is_sequence(tokens):
        return Lexed(Kind.LABELS)
    if len(bare) <= 100 and _TITLE.fullmatch(bare):
        return Lexed(Kind.TITLE)
    if foreign and not _meant_as_cells(bare, cells):
        return Lexed(Kind.PROSE, (), foreign)
    return Lexed(Kind.CELLS, cells, foreign)


def is_whole(token: str) -> bool:
    """Whether the word is a puzzle by itself; 16 characters do not count, they may be a row."""
    return len(token) in SIDE and len(token) > WIDEST_ROW and all(value(mark) is not None for mark in token)


def wholes(text: str) -> tuple[list[str], str]:
    """The whole puzzles within a line, wherever they stand (fields, links, code), and the field separator, if any."""
    for delimiter in (*DELIMITERS, "|"):
        if delimiter in text:
            filled = [field for field in map(str.strip, fields(text, delimiter)) if field]
            whole = [field for field in filled if len(field) in SIDE and _is_grid(field)]
            if whole and len(filled) > 1:
                return whole, delimiter
    is_dense = 5 * sum(mark.isalnum() for mark in text) >= len(text)  # otherwise it may be a row of numbers
    one_mark = " " not in text.strip() or not set(text) & set("._*0-")
    for padded in (text, text.strip()) if is_dense and one_mark else ():  # `#` or a space for a blank
        if len(padded) in SIDE and len(padded) > 36 and len(padded.split()) not in BOX and _is_grid(padded):
            return [padded], ""
    return [run for run in _RUN.findall(text) if len(run) in (*SIDE, CANDIDATES) and _is_grid(run)], ""


def unslashed(text: str) -> str:
    """The text with puzzles whose rows are joined by `/` as puzzles on a line, and HoDoKu's entries (+5) as blanks."""
    if text.startswith(":") and "+" in text:
        text = re.sub(r"\+\d", ".", text)
    return _SLASHED.sub(_joined, text) if "/" in text else text


def _joined(match: re.Match[str]) -> str:
    rows = match[0].split("/")
    return "".join(rows) if {len(row) for row in rows} == {len(rows)} and len(rows) in BOX else match[0]


def damaged(text: str, whole: list[str]) -> str:
    """Another run of cells in a line of puzzles, of a length that no puzzle has; "" where there is none."""
    for run in _RUN.findall(text):
        if run not in whole and 2 * sum(value(mark) is not None and not mark.isalpha() for mark in run) > len(run):
            return run
    return ""


def _is_grid(text: str) -> bool:
    if len(text) == CANDIDATES:
        return all(mark in (str(place % 9 + 1), ".", "0") for place, mark in enumerate(text))
    return cell_values(text, SIDE[len(text)]) is not None


def is_frame(bare: str) -> bool:
    """Whether the line only draws: +---+---+, |---+---|, *-----*, box drawing, a rule of any one character."""
    marks = set(bare) - {" ", "\t"}
    if any(value(mark) for mark in marks):
        return False
    if (
        marks <= set("[](){},;")
        or marks & set("+=~")
        or any("─" <= mark <= "╿" and mark not in VERTICAL for mark in marks)
    ) and not marks <= set(";,"):
        return all(mark in "+=~-|.*:'`_[](){},;" or "─" <= mark <= "╿" for mark in marks)
    solid = bare.replace(" ", "").translate(_TO_BAR)
    if marks <= set("-" + VERTICAL):
        return "-" in marks and (solid.count("-") not in COUNTS or (is_alignment_row(bare) and "--" in bare))
    if marks in ({"_"}, {"*"}):
        return len(solid) not in COUNTS
    return bool(_CORNERED.fullmatch(solid)) or is_alignment_row(bare)


def split_cells(body: str) -> tuple[str, ...]:
    """The cells of a line, whatever separates them. The first reading that gives a known number of cells wins."""
    if any(mark in body for mark in "[({\"'"):
        body = body.translate(_UNQUOTE)
    for mark in ",;\t":
        if mark in body:
            fields = [field.strip() for field in body.split(mark)]
            if fields[-1] == "" and len(fields) not in COUNTS:
                fields.pop()  # a comma after the last cell
            if len(fields) in COUNTS and all(len(field) <= 2 or cell_value(field) is not None for field in fields):
                return tuple(fields)
            body = body.replace(mark, " ")
    if any(mark in body for mark in VERTICAL):
        return _between_bars(body.translate(_TO_BAR))
    tokens = body.split()
    if tokens and len(tokens[0]) == 16 and any(len(token) != 16 for token in tokens):
        return tuple(tokens[0])  # a puzzle, then its rating or name
    return _from_tokens(tokens)


def row_cells(body: str) -> tuple[str, ...]:
    """The cells of a row with words for blanks, candidates or a label; () when it is none."""
    parts = separated(body)
    if len(parts) == 1 and (side := len(parts[0])) in BOX:
        letters = side > 9 and all("A" <= mark <= chr(64 + side) or value(mark) is not None for mark in parts[0])
        if letters or cell_values(parts[0], side) is not None:
            return tuple(parts[0])
    if len(parts) > 1 and _ROW_LABEL.fullmatch(parts[0]):
        parts = parts[1:]
        if len(parts) <= 6 and all(value(mark) is not None for mark in "".join(parts)):
            parts = tuple("".join(parts))
    if len(parts) < 4 or len(set(parts) & RARE) > 1 or any(cell_value(part) is None for part in parts):
        return ()
    return parts


def separated(body: str) -> tuple[str, ...]:
    """The texts of a line between its commas, semicolons or tabs, or else between spaces and bars."""
    body = body.translate(_UNQUOTE)
    for mark in ",;\t":
        if mark in body:
            return tuple(field.strip() for field in body.strip(" ").split(mark))
    return tuple(body.translate(_TO_BAR).replace("|", " ").split())


def first_foreign(text: str, cells: tuple[str, ...]) -> str:
    """The first cell no Sudoku knows and its column in the text (1-based); "" when all are blanks or digits."""
    odd = next((cell for cell in cells if value(cell) is None), None)
    if odd is None:
        return ""
    if all(mark in _LEGAL for mark in odd):  # 123: every mark is known, the cell is not
        return f"'{odd[:20]}' in column {text.find(odd) + 1}"
    mark = next(mark for mark in odd if mark not in _LEGAL)
    return f"{character_name(mark)} in column {text.find(mark) + 1}"


def _between_bars(body: str) -> tuple[str, ...]:
    """The cells of a line with bars: between any two of them, where an empty one is a blank, or between boxes."""
    segments = [segment.strip() for segment in body.strip().removeprefix("|").removesuffix("|").split("|")]
    if len(segments) in BOX and max(map(len, segments)) <= 2:
        return tuple(segments)
    return _from_tokens(body.replace("|", " ").split())


def _from_tokens(tokens: list[str]) -> tuple[str, ...]:
    if len(tokens) in BOX and all(".0" in token and cell_value(token) is not None for token in tokens):
        return tuple(tokens)  # 5.0 3.0
    joined = tuple("".join(tokens))
    numbers = tokens[1:] if tokens and _ROW_LABEL.fullmatch(tokens[0]) else tokens
    if len(numbers) > 9 and all(len(token) <= 2 for token in numbers):
        in_pairs = {len(token) for token in tokens} == {2} and len(joined) in COUNTS
        return joined if in_pairs and len(tokens) not in COUNTS else tuple(tokens)
    are_candidates = len(tokens) == 9 < len(joined) and all(map(_RISING.fullmatch, tokens))
    return tuple(tokens) if are_candidates and len(joined) not in SIDE else joined


def _meant_as_cells(bare: str, cells: tuple[str, ...]) -> bool:
    """Whether a line with foreign characters is a damaged row or puzzle rather than prose."""
    first = bare.split()[0]
    if len(first) <= WIDEST_ROW and 2 * sum(mark.isalpha() for mark in first) > len(first):
        return False
    plain = sum(value(cell) is not None and not cell.isalpha() for cell in cells)
    return len(cells) >= 4 and 2 * plain >= len(cells)
