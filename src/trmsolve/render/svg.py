"""The final state as an SVG: one small file that follows the reader's light or dark page.

Every symbol is one <text> element, so that the picture is accessible to screen readers, searchable and can be restyled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby

from trmsolve.render import caption
from trmsolve.render.frame import Frame
from trmsolve.render.theme import (
    DARK,
    FONT,
    LIGHT,
    OUTSIDE,
    ROLES,
    SOLID_ROLES,
    PageColors,
    Role,
    confidence_shade,
    legend_cell,
    legend_roles,
    page_colors,
    role_table,
)
from trmsolve.tasks.base import Cell, Picture

CELL = 44  # pixels
SOLID, LEAST_CELL = 640, 4  # pixels of a solid picture's longer side, and least pixels of its cells
MARGIN = 24
TITLE = 52  # above the grid
LINE = 18  # from one line of details to the next
LEAST_WIDTH = 420  # for the caption, however small the grid
OUTLINE = 0.04  # of a tile's side, on each side (page.html has the same)


def svg(frame: Frame) -> str:
    """The frame as an SVG document."""
    picture, cell, table = frame.picture, cell_size(frame.picture), role_table(frame.picture)
    rows, columns = len(picture.cells), len(picture.cells[0])
    width = max(columns * cell + 2 * MARGIN, LEAST_WIDTH)
    left, bottom = (width - columns * cell) / 2, TITLE + rows * cell
    details = frame.paragraph(int((width - 2 * MARGIN) / 6.6))
    foot = bottom + LINE * (len(details) - 1)
    legend = legend_roles(frame.roles, table)
    height = foot + (138 if legend else 112)
    heading = caption.shorten(frame.heading, int((width - 2 * MARGIN) / 8.6))  # 8.6: about the width of a letter
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' role="img" aria-labelledby="title description">',
        f'<title id="title">{_text(frame.heading)}</title>',
        f'<desc id="description">{_text(frame.sentence())}</desc>',
        f"<style>{_css(table)}</style>",
        f'<rect class="paper" width="{width}" height="{height}" rx="12"/>',
        f'<text class="heading" x="{MARGIN}" y="33">{_text(heading)}</text>',
        f'<g transform="translate({left:g} {TITLE})">',
        *(_solid(frame, cell) if picture.solid else _symbols(picture)),
        *_lines(picture, rows, columns),
        "</g>",
        *_caption(frame, details, bottom),
        *_legend(legend, table, foot + 118),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def cell_size(picture: Picture) -> int:
    """Pixels per cell. Symbols need a readable size; areas do not, and a maze has many."""
    if not picture.solid:
        return CELL
    return min(max(SOLID // max(len(picture.cells), len(picture.cells[0])), LEAST_CELL), CELL)


# -- solid pictures -----------------------------------------------------------------------------------------------
def runs(row: Sequence[Cell]) -> Iterator[tuple[int, int, Cell]]:
    """Neighbouring cells of one role: the index of the first, their number, and the first cell."""
    start = 0
    for _, group in groupby(row, lambda cell: cell.role):
        cells = list(group)
        yield start, len(cells), cells[0]
        start += len(cells)


def shapes(picture: Picture, roles: Iterable[str], size: int) -> list[str]:
    """A <path class="ROLE-ground"> for each of the roles, in that order, then a <text class="cell ROLE"> per letter.

    Neighbours of one role are one rectangle, unless they are tiles: between tiles the ground is visible, and their
    paths have the class "tile" too. size: pixels per cell. The first cell's corner is at 0, 0.
    """
    outlines: dict[str, list[str]] = {name: [] for name in roles}
    letters = []
    for r, row in enumerate(picture.cells):
        for c, length, cell in runs(row):
            if SOLID_ROLES[cell.role].tile:
                outlines[cell.role] += (_tile((c + i) * size, r * size, size) for i in range(length))
            else:
                outlines[cell.role].append(f"M{c * size} {r * size}h{length * size}v{size}h{-length * size}z")
            if SOLID_ROLES[cell.role].letter:
                position = f'x="{(c + 0.5) * size:g}" y="{(r + 0.82) * size:g}" style="font-size:{0.9 * size:g}px"'
                letters.append(f'<text class="cell {cell.role}" {position}>{escape(cell.text)}</text>')
    for x, y, text in label_positions(picture, size):
        position = f'x="{x:g}" y="{y:g}" style="font-size:{1.4 * size:g}px"'
        letters.append(f'<text class="label mat" {position}>{escape(text)}</text>')
    return [*(_path(name, "".join(outline)) for name, outline in outlines.items()), *letters]


def label_positions(picture: Picture, size: int) -> list[tuple[float, float, str]]:
    """For each label the left end of its base line, in pixels, and its text."""
    return [(label.column * size, (label.row + 1.1) * size, label.text) for label in picture.labels]


def _path(role: str, outline: str) -> str:
    # Crisp: between smoothed edges of two neighbours the ground would shine through.
    kind = ' tile"' if SOLID_ROLES[role].tile else '" shape-rendering="crispEdges"'
    return f'<path class="{role}-ground{kind} d="{outline}"/>'


def _tile(x: int, y: int, size: int) -> str:
    gap = OUTLINE * size
    side = size - 2 * gap
    return f"M{x + gap:g} {y + gap:g}h{side:g}v{side:g}h{-side:g}z"


def _solid(frame: Frame, cell: int) -> list[str]:
    """Filled areas on a ground: without an edge, floor at the border would look like the page."""
    high, wide = len(frame.picture.cells) * cell, len(frame.picture.cells[0]) * cell
    ground = f'<rect class="{OUTSIDE}-ground" x="-2" y="-2" width="{wide + 4}" height="{high + 4}"/>'
    return [ground, *shapes(frame.picture, sorted(frame.roles), cell)]


# -- grids of symbols ---------------------------------------------------------------------------------------------
def _symbols(picture: Picture) -> list[str]:
    parts = []
    for r, row in enumerate(picture.cells):
        for c, cell in enumerate(row):
            x, y = c * CELL, r * CELL
            parts += _ground(cell, x, y, ROLES)
            if cell.text.strip():
                size = f' font-size="{CELL * 0.9 / len(cell.text):.0f}"' if len(cell.text) > 1 else ""
                position = f'x="{x + CELL / 2:g}" y="{y + CELL / 2 + 8.5:g}"'
                parts.append(f'<text class="cell {cell.role}" {position}{size}>{_text(cell.text)}</text>')
    return parts


def _ground(cell: Cell, x: float, y: float, table: dict[str, Role], size: float = CELL) -> list[str]:
    square = f'x="{x:g}" y="{y:g}" width="{size:g}" height="{size:g}"'
    role, shade, parts = table[cell.role], confidence_shade(cell, table), []
    if shade > 0.005:
        parts.append(f'<rect class="shade" fill-opacity="{shade:.2f}" {square}/>')
    elif role.light.fill:
        parts.append(f'<rect class="{cell.role}-ground" {square}/>')
    if role.corner:
        edge = max(size / 5, 5)
        parts.append(f'<path class="{cell.role}" d="M{x + size - edge:g} {y:g}h{edge:g}v{edge:g}z"/>')
    return parts


def _lines(picture: Picture, rows: int, columns: int) -> list[str]:
    if picture.box is None:
        return []

    def path(step_down: int, step_across: int) -> str:
        across = [f"M0 {r * CELL}H{columns * CELL}" for r in range(0, rows + 1, step_down)]
        down = [f"M{c * CELL} 0V{rows * CELL}" for c in range(0, columns + 1, step_across)]
        return "".join(across + down)

    return [f'<path class="thin" d="{path(1, 1)}"/>', f'<path class="thick" d="{path(*picture.box)}"/>']


# -- text ---------------------------------------------------------------------------------------------------------
def _caption(frame: Frame, details: list[str], top: float) -> list[str]:
    name, share = frame.meter
    bar, x, y = 120, MARGIN + 52, top + 34
    last = y + 24 + LINE * (len(details) - 1)
    return [
        f'<text class="{f"verdict {frame.outcome}".strip()}" x="{MARGIN}" y="{y}">{_text(frame.state)}</text>',
        *(
            f'<text class="detail" x="{MARGIN}" y="{y + 24 + LINE * i}">{_text(line)}</text>'
            for i, line in enumerate(details)
        ),
        f'<text class="detail" x="{MARGIN}" y="{last + 22}">{name}</text>',
        f'<rect class="track" x="{x}" y="{last + 13}" width="{bar}" height="8" rx="4"/>',
        f'<rect class="bar" x="{x}" y="{last + 13}" width="{max(bar * share, 8):.1f}" height="8" rx="4"/>',
        f'<text class="detail" x="{x + bar + 10}" y="{last + 22}">{_text(caption.percent(share))}</text>',
    ]


def _legend(names: list[str], table: dict[str, Role], y: float) -> list[str]:
    parts, x = [], float(MARGIN)
    for name in names:
        cell, word = legend_cell(name, table), table[name].word
        parts.append(f'<rect class="frame" x="{x:g}" y="{y - 13:g}" width="16" height="16"/>')
        parts += _ground(cell, x, y - 13, table, 16)
        if cell.text:
            position = f'x="{x + 8:g}" y="{y - 0.5:g}"'
            parts.append(f'<text class="sample {name}" {position} aria-hidden="true">{cell.text}</text>')
        parts.append(f'<text class="detail" x="{x + 22:g}" y="{y:g}">{word}</text>')
        x += 22 + 7.2 * len(word) + 11
    return parts


def _css(table: dict[str, Role]) -> str:
    """Plain colours first, for readers without media queries or variables; then the dark page."""
    rules = [
        f"text{{font-family:{FONT}}}",
        ".cell,.sample{text-anchor:middle;font-variant-numeric:tabular-nums}",
        ".cell{font-size:25px}.sample{font-size:12px}",
        ".heading{font-size:16px;font-weight:600}.verdict{font-size:16px;font-weight:600}.detail{font-size:13px}",
        ".thin,.thick,.frame{fill:none}",
        ".thin,.frame{stroke-width:1}.thick{stroke-width:2.2;stroke-linecap:square}",
    ]
    for name, role in table.items():
        styles = ["font-weight:700"] * role.bold + ["font-style:italic"] * role.italic
        styles += ["text-decoration:underline"] * role.underline
        rules += [f".{name}{{{';'.join(styles)}}}"] if styles else []
    return "".join([*rules, *_colors(LIGHT, table), "@media (prefers-color-scheme:dark){", *_colors(DARK, table), "}"])


def _colors(page: PageColors, table: dict[str, Role]) -> list[str]:
    rules = [
        f".paper{{fill:{page.paper}}}.heading,.verdict{{fill:{page.ink}}}.detail{{fill:{page.faint}}}",
        f".good{{fill:{page.good}}}.bad{{fill:{page.bad}}}.shade{{fill:{page.shade}}}",
        f".track{{fill:{page.track}}}.bar{{fill:{page.good}}}",
        f".thin,.frame{{stroke:{page.thin}}}.thick{{stroke:{page.thick}}}",
    ]
    for name in table:
        colors = page_colors(name, page, table)
        rules.append(f".{name}{{fill:{colors.ink}}}" + (f".{name}-ground{{fill:{colors.fill}}}" if colors.fill else ""))
    return rules


def _text(text: str) -> str:
    """User text inside an element. XML has no form for most control characters: they become "?"."""
    return escape(caption.printable(text))
