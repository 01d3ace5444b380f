"""From the rows of a block to a maze: quotes, frames, labels, margins and separators come off.

+---+---+        #####
| S     |   ->   #S  #    walls as lines: a cell for every corner, every wall or gap between two corners, and every cell
+   +---+        # ###
|     G |        #  G#
+---+---+        #####
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from trmsolve.tasks.maze import parse
from trmsolve.tasks.maze.cells import ARROWS, FLOOR, FORMS, LARGEST, OTHER_WALLS, SMALLEST, VALUES, WALL, WORDS
from trmsolve.tasks.maze.parse import ParsedMaze
from trmsolve.tasks.maze.write import is_spread
from trmsolve.tasks.reading.layout import IN_SHEET, is_alignment_row, is_sequence, layouts, unbracketed
from trmsolve.tasks.reading.values import Malformed
from trmsolve.text_io import shorten

_RULE = re.compile(r"[+|.*=─━═┌┐└┘╔╗╚╝┏┓┗┛-]{3,}")
_QUOTED = re.compile(r"""\s*(?P<quote>["'])(?P<row>.*)(?P=quote),?\s*""")
_QUOTATION = re.compile(r"(?:>(?: (?=>))?)+ ?")  # > >> > >
_COMMENT = re.compile(r"\s*(//+|--|;+|\*|%|#|\+)(?: |$|(?<=\+)(?=#))")
_DRAWN = "#*%+"  # marks of comments that may be cells
_CORNERS = "+o*"
_UPRIGHT = "|│┃║!"
_LEVEL = "-=_─━═"


def of_rows(rows: Sequence[str], legend: parse.Legend | None = None) -> tuple[ParsedMaze, str]:
    """The maze of the rows of a block, and how it is laid out. Raises Malformed."""
    marks = [_COMMENT.match(row) for row in rows]
    if len({mark and mark[1] for mark in marks}) > 1 or not marks[0]:
        return _of_rows(rows, legend)
    behind = [row[mark.end() :] for row, mark in zip(rows, marks, strict=True) if mark]
    if marks[0][1] == ";" and any(";" in row for row in behind):  # between cells, of which the first is blank
        return _of_rows(rows, legend)
    if marks[0][1] not in _DRAWN:
        return _of_rows(behind, legend)
    try:
        maze, layout = _of_rows(rows, legend)
    except Malformed as error:
        if not _is_maze(behind, legend):
            raise error from None
        return _of_rows(behind, legend)
    if not layout and _is_maze(behind, legend):
        raise Malformed(f"'{marks[0][1]}' may mark comments or be the first cell of all rows; write floor as .")
    return maze, layout


def _of_rows(rows: Sequence[str], legend: parse.Legend | None) -> tuple[ParsedMaze, str]:
    if len(rows) > LARGEST and not may_be_lines(rows[0]):
        parse.refuse_sizes(rows, legend)
    for opening, closing in () if legend else ("[]", "{}", "()"):
        if sum(row.count(opening) for row in rows) != sum(row.count(closing) for row in rows):
            raise Malformed(
                f"{opening} and {closing} do not match: a row may be missing; expected all rows in brackets"
            )
    rows = _without_alignment_row(_unquoted(rows))
    if (lines := from_lines([row.rstrip() for row in _dedented(rows)])) is not None:
        maze = parse.maze(lines, legend)
        return maze._replace(warnings=(*maze.warnings, "walls are lines between the cells")), "walls as lines"
    if (inner := _unframed(rows)) is not None:
        return of_rows(inner, legend)
    rows = _trimmed(rows)
    mazes: dict[bytes, tuple[ParsedMaze, str]] = {}
    error: Malformed | None = None
    for cells, name in _layouts(rows):
        try:
            maze = parse.maze(cells, legend)
        except Malformed as refused:
            error = error or refused
        else:
            mazes.setdefault(repr(maze.question.shape).encode() + maze.question.tobytes(), (maze, name))
    if len(mazes) > 1:
        both = [f"{'x'.join(map(str, maze.question.shape))} ({name or 'plain'})" for maze, name in mazes.values()]
        raise Malformed(f"two readings explain these rows: {' and '.join(both[:2])}; write floor as .")
    if not mazes:
        raise error or Malformed(f"no maze in rows such as '{shorten(rows[0], 30)}'; {parse.EXPECTED}")
    ((maze, name),) = mazes.values()
    return maze, name


def _layouts(rows: Sequence[str], labels: bool = True) -> Iterator[tuple[Sequence[Sequence[str]], str]]:
    """Every regular layout of the rows, plain ones first. labels: whether some rows and columns may be labels."""
    if (halved := _halved(rows)) is not None:
        yield halved[0], "a cell in every 2 columns"
        if halved[1]:
            return
    floors = {mark for row in rows for mark in row if VALUES.get(mark) == FLOOR or mark == "_"}
    separated = [
        layout
        for layout in layouts(rows)
        if not layout.name.startswith(("by position", "in boxes"))
        and (labels or "label" not in layout.name)
        and IN_SHEET not in layout.name
        and (not layout.is_unglued or "label" in layout.name)
        and len(layout.cells[0]) >= SMALLEST
        and all(len({row.count(mark) for row in rows}) == 1 for mark in ",;\t")
    ]
    spaced = any("spaces" in layout.name for layout in separated) and _same_gaps(rows)
    marked = any(2 * sum(mark in row for row in rows) >= len(rows) for mark in "\t,;")
    if not (spaced and floors - {" "}) and not marked:
        yield from _without_margins(rows, floors)
    is_block = len({len(row) for row in rows}) == 1
    for step in (2, 3) if floors <= {" "} and is_block else ():
        if is_spread(rows, step):
            offset = next(at for row in rows for at, mark in enumerate(row) if mark != " ") % step
            spread = [row[offset::step] for row in rows]
            for cells, name in _without_margins(spread, floors):
                yield cells, ", ".join(filter(None, (f"a cell in every {step} columns", name)))
    if labels and (rest := _without_row_labels(rows)) is not None:
        yield from ((cells, f"row labels, {name}") for cells, name in _layouts(rest, labels=False))
    for layout in separated:
        if "spaces" not in layout.name or spaced or "label" in layout.name:
            yield [[cell_mark(cell) for cell in row] for row in layout.cells], layout.name


def _halved(rows: Sequence[str]) -> tuple[list[str], bool] | None:
    """The rows of a maze that is drawn two characters wide, to look square, and whether they can be nothing else; None
    where they are not drawn so.

    A cell is a mark twice, or a mark beside floor. The evidence is the number of places where a wall begins or ends
    and does not so in the row above: in a maze of single characters half of them lie within a pair.
    """
    bare = [row.rstrip() for row in _dedented(rows)]
    width = max(map(len, bare))
    if width % 2 or width < 2 * SMALLEST or any(len(row) < width - 2 for row in bare):
        return None
    halved = []
    for row in (row.ljust(width) for row in bare):
        cells = ""
        for left, right in zip(row[::2], row[1::2], strict=True):
            mark, other = (right, left) if VALUES.get(left) == FLOOR else (left, right)
            if left != right and (VALUES.get(other) != FLOOR or VALUES.get(mark) in (WALL, None)):
                return None
            cells += mark
        halved.append(cells)
    walls = [[VALUES.get(mark) == WALL for mark in row] for row in halved]
    edges = [{at for at in range(1, len(row)) if row[at] != row[at - 1]} for row in walls]
    evidence = sum(len(below - above) for above, below in zip([set(), *edges], edges, strict=False))
    closed = [row for row in walls if row[0] and row[-1]]
    if len(closed) >= len(rows) - 2 and not all(map(all, closed)):  # walls two thick on both sides
        return halved, evidence >= 4
    if evidence < 4 or bare != list(rows):
        return None
    return halved, evidence >= 10


def _without_margins(rows: Sequence[str], floors: set[str]) -> Iterator[tuple[Sequence[str], str]]:
    """Rows with and without the spaces that all of them begin or end with; without, where a border of walls or another
    mark for floor says that those are no floor.
    """
    both = _dedented(rows)
    is_block = len({len(row) for row in rows}) == 1
    margin = min(len(row) - len(row.rstrip()) for row in rows) if is_block else 0
    both = [row[: len(row) - margin] for row in both]
    if floors != {" "} or " " not in _border(both):
        yield both, "" if both == list(rows) else "indented"
        return
    yield rows, ""
    if all(row[:1] == " " for row in rows):
        yield [row[1:] for row in rows], "indented"
    if margin:
        yield [row[:-1] for row in rows], "with spaces behind the rows"


def _border(rows: Sequence[str]) -> set[str]:
    return {*rows[0], *rows[-1], *(row[:1] for row in rows), *(row[-1:] for row in rows)}


def _without_row_labels(rows: Sequence[str]) -> list[str] | None:
    """The rows behind labels that number them, and below a row of labels if there is one; None without labels."""
    words = [(row.split() or [""])[0] for row in rows]
    for top in (0, 1, 2):  # numbers of two digits, one above the other
        if is_sequence(words[top:]):
            ends = [row.index(word) + len(word) + 1 for row, word in zip(rows[top:], words[top:], strict=True)]
            head = rows[top - 1][max(ends) :] if top else ""
            numbered = not top or is_sequence(list(head)) or is_sequence(rows[top - 1].split())
            if top == 2 and not set(rows[0]) <= set(" 0123456789"):
                numbered = False
            if numbered and len(set(ends)) == 1:
                rest = [row[ends[0] :] for row in rows[top:]]
                return [row.lstrip()[1:] for row in rest] if all(row.lstrip()[:1] == "|" for row in rest) else rest
    return None


def _same_gaps(rows: Sequence[str]) -> bool:
    """Whether spaces stand in the same columns of all rows, as separators do."""
    gaps = {tuple(at for at, mark in enumerate(row.rstrip()) if mark == " ") for row in rows}
    return len(gaps) == 1 and gaps != {()}


def _dedented(rows: Sequence[str]) -> list[str]:
    """The rows without the indentation that all of them share."""
    indent = min((len(row) - len(row.lstrip()) for row in rows if row.strip()), default=0)
    return [row[indent:] for row in rows]


def _trimmed(rows: Sequence[str]) -> Sequence[str]:
    """Rows without stray spaces at their ends, where without them all are of one length."""
    bare = [row.rstrip(" ") for row in rows]
    return bare if len({len(row) for row in rows}) > 1 and len({len(row) for row in bare}) == 1 else rows


def _is_maze(rows: Sequence[str], legend: parse.Legend | None) -> bool:
    try:
        return bool(_of_rows(rows, legend))
    except Malformed:
        return False


def _unquoted(rows: Sequence[str]) -> Sequence[str]:
    quoted = [_QUOTED.fullmatch(row) for row in rows]
    if all(quoted):
        return [match["row"] for match in quoted if match]
    if all(row.startswith(">") for row in rows) and any(row.startswith("> ") for row in rows):
        return [_QUOTATION.sub("", row, count=1) for row in rows]
    if all(row.lstrip().startswith("[") for row in rows):
        return [unbracketed(row) for row in rows]
    return rows


def _without_alignment_row(rows: Sequence[str]) -> Sequence[str]:
    """A markdown table without its second line, and without its head where that is empty or counts columns."""
    if len(rows) < SMALLEST + 1 or not is_alignment_row(rows[1]) or any("-" in row for row in [rows[0], *rows[2:]]):
        return rows  # a - elsewhere is floor
    head = [cell.strip() for cell in rows[0].strip().strip("|").split("|")]
    names = [cell for cell in head if cell]
    is_label = not names or is_sequence(names)
    return rows[2:] if is_label else [rows[0], *rows[2:]]


def _unframed(rows: Sequence[str]) -> list[str] | None:
    """The rows within a frame of lines; None where there is no frame, or it is the wall itself."""
    inner = [row.strip() for row in rows]
    sides = "|│║┃"
    if all(len(row) > SMALLEST and row[0] in sides and row[-1] in sides for row in inner):
        return None if any(mark in row[1:-1] for row in inner for mark in sides) else [row[1:-1] for row in inner]
    if all(row[:1] == "|" and row.count("|") == 1 for row in inner):  # as Kotlin's trimMargin() wants it
        return [row.lstrip()[1:] for row in rows]
    if len(rows) < 5 or not all(_RULE.fullmatch(row) for row in (inner[0], inner[-1])):
        return None
    if not all(row[0] in sides and row[-1] in sides for row in inner[1:-1]):
        return None
    rest = [row[1:-1] for row in inner[1:-1]]
    walls = any(mark in row for row in rest for mark in (*FORMS[WALL], *"".join(OTHER_WALLS)))
    return rest if walls and not any(map(is_box_drawing, rest)) else None


def cell_mark(cell: str) -> str:
    """A cell's text without spaces around it, .0 of a float, or quotes; an empty one is floor, and words are marks."""
    bare = cell.strip()
    bare = (bare[1:] if bare[:2] in ("b'", 'b"') else bare).strip("\"'")
    bare = WORDS.get(bare.lower(), bare) if len(bare) > 2 else bare
    return re.sub(r"(?<=\d)\.0*$", "", bare) or (" " if cell or not bare else bare)


# -- walls as lines ----------------------------------------------------------------------------------------------------
def is_box_drawing(text: str) -> bool:
    """Whether a line has strokes of box drawing."""
    return any("─" <= mark <= "╿" for mark in text)


def may_be_lines(top: str) -> bool:
    """Whether a maze with this first row may have its walls drawn as lines."""
    return is_box_drawing(top) or (top.strip()[:1] in tuple(_CORNERS) and any(mark in top for mark in _LEVEL))


def from_lines(rows: Sequence[str]) -> list[str] | None:
    """The maze of rows with walls as lines, as rows of # and floor; None where the rows are not drawn so.

    Raises Malformed where a wall is drawn in part.
    """
    if any(map(is_box_drawing, rows)):
        return _from_box_drawing(rows)
    return _from_corners(rows)


def _from_corners(rows: Sequence[str]) -> list[str] | None:
    top = rows[0].rstrip()
    corner = top[:1]
    if len(rows) < 3 or len(rows) % 2 == 0 or corner not in _CORNERS or top.count(corner) < 2 or top[-1] != corner:
        return None
    places = [place for place, mark in enumerate(top) if mark == corner]
    pitch = places[1]
    regular = pitch > (1 if corner == "+" else 2) and places == list(range(0, len(top), pitch))
    if not regular or any(set(top[at + 1 : at + pitch]) - set(_LEVEL + " ") for at in places[:-1]):
        return None
    if any(row.ljust(len(top))[at] != corner for row in rows[::2] for at in places):
        return None
    return _at_pitch([row.ljust(len(top)) for row in rows], pitch)


def _at_pitch(rows: Sequence[str], pitch: int) -> list[str] | None:
    """Rows with a corner at every `pitch`-th column of every second row."""
    width, result = len(rows[0]), []
    if any(len(row.rstrip()) > width for row in rows):
        return None
    for number, row in enumerate(rows):
        cells = ""
        for at in range(0, width, pitch):
            if number % 2 == 0:
                cells += "#"
                cells += _uniform(row[at + 1 : at + pitch], number) if at + 1 < width else ""
            else:
                cells += " " if row[at] == " " else "#" if row[at] in _UPRIGHT else row[at]
                inside = row[at + 1 : at + pitch].strip() if at + 1 < width else ""
                if len(inside) > 1:
                    return None
                cells += (inside or " ") if at + 1 < width else ""
        result.append(cells)
    return result


def _uniform(marks: str, row: int) -> str:
    """The cell that the marks between two corners mean: a wall, or a gap with at most a mark in it."""
    if set(marks) <= set(_LEVEL):
        return "#"
    inside = marks.strip()
    if len(inside) > 1:
        raise Malformed(f"row {row + 1} has half a wall, {marks}; expected a wall or a gap between two corners", row)
    return inside or " "


def _from_box_drawing(rows: Sequence[str]) -> list[str] | None:
    """Strokes of box drawing as walls. Corners further apart than two columns are brought together."""
    width = max(map(len, rows))
    padded = [row.ljust(width) for row in rows]
    plain_marks = set(" .SGsgABEab" + ARROWS)
    if any(not is_box_drawing(mark) and mark not in plain_marks for row in padded for mark in row):
        return None
    corners = {
        at for row in padded for at, mark in enumerate(row) if is_box_drawing(mark) and mark not in _LEVEL + "╌╴╶╸╺"
    }
    for pitch in (4, 3, 6, 5, 8):
        odd_rows = len(padded) % 2 == 1
        if odd_rows and (width - 1) % pitch == 0 and width > pitch and all(at % pitch == 0 for at in corners):
            strokes = str.maketrans({mark: "|" for row in padded for mark in row if is_box_drawing(mark)})
            lines = [
                "".join("─" if is_box_drawing(mark) else mark for mark in row)
                if at % 2 == 0
                else row.translate(strokes)
                for at, row in enumerate(padded)
            ]
            return _with_posts(lines, padded, pitch)
    return ["".join("#" if is_box_drawing(mark) else mark for mark in row) for row in padded]


def _with_posts(lines: Sequence[str], strokes: Sequence[str], pitch: int) -> list[str] | None:
    """As _at_pitch, where a corner without a stroke is no wall."""
    rows = _at_pitch(lines, pitch)
    if rows is None:
        return None
    for number in range(0, len(rows), 2):
        marks = list(rows[number])
        for at in range(0, len(marks), 2):
            if strokes[number][at // 2 * pitch] == " ":
                marks[at] = " "
        rows[number] = "".join(marks)
    return rows
