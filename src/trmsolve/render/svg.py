"""The final state as an SVG: one clean file that follows the reader's light or dark page.

Drawn by hand rather than exported from the terminal: every symbol is one <text> element in its place, so the picture
can be read, searched and restyled.
"""

from __future__ import annotations

from html import escape

from trmsolve.render import caption
from trmsolve.render.areas import shapes
from trmsolve.render.frame import Frame
from trmsolve.render.theme import (
    DARK,
    FONT,
    LIGHT,
    OUTSIDE,
    ROLES,
    Page,
    Role,
    haze,
    in_legend_order,
    looks,
    paint,
    sample,
)
from trmsolve.tasks.base import Cell, Picture

CELL = 44  # pixels
SOLID, LEAST_CELL = 640, 4  # pixels that a solid picture's longer side should take, and that a cell of it needs
MARGIN = 24
TITLE = 52  # above the grid
LINE = 18  # from one line of details to the next
LEAST_WIDTH = 420  # the caption's lines need as much, however small the grid


def svg(frame: Frame) -> str:
    """The frame as an SVG document."""
    rows, columns, cell = len(frame.picture.cells), len(frame.picture.cells[0]), cell_size(frame.picture)
    width = max(columns * cell + 2 * MARGIN, LEAST_WIDTH)
    left, bottom = (width - columns * cell) / 2, TITLE + rows * cell
    table = looks(frame.picture)
    details = caption.paragraph(frame, int((width - 2 * MARGIN) / 6.6))
    foot = bottom + LINE * (len(details) - 1)
    legend = in_legend_order(frame.roles, table)
    height = foot + (138 if legend else 112)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' role="img" aria-labelledby="title description">',
        f'<title id="title">{_text(caption.heading(frame))}</title>',
        f'<desc id="description">{_text(caption.sentence(frame))}</desc>',
        f"<style>{_css(table)}</style>",
        f'<rect class="paper" width="{width}" height="{height}" rx="12"/>',
        f'<text class="heading" x="{MARGIN}" y="33">{_text(_fitting(caption.heading(frame), width, 8.6))}</text>',
        f'<g transform="translate({left:g} {TITLE})">',
        *(_areas(frame, cell) if frame.picture.solid else _cells(frame.picture)),
        *_lines(frame.picture, rows, columns),
        "</g>",
        *_caption(frame, details, bottom),
        *_legend(legend, table, foot + 118),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def cell_size(picture: Picture) -> int:
    """Pixels per cell. Symbols need room to be read; areas need not, and a maze has many."""
    if not picture.solid:
        return CELL
    return min(max(SOLID // max(len(picture.cells), len(picture.cells[0])), LEAST_CELL), CELL)


def _areas(frame: Frame, cell: int) -> list[str]:
    """Filled areas on what lies around them: without an edge, floor at the border would look like the page."""
    high, wide = len(frame.picture.cells) * cell, len(frame.picture.cells[0]) * cell
    ground = f'<rect class="{OUTSIDE}-ground" x="-2" y="-2" width="{wide + 4}" height="{high + 4}"/>'
    return [ground, *shapes(frame.picture, sorted(frame.roles), cell)]


def _cells(picture: Picture) -> list[str]:
    out = []
    for r, row in enumerate(picture.cells):
        for c, cell in enumerate(row):
            x, y = c * CELL, r * CELL
            out += _ground(cell, x, y, ROLES)
            if cell.text.strip():
                size = f' font-size="{CELL * 0.9 / len(cell.text):.0f}"' if len(cell.text) > 1 else ""
                place = f'x="{x + CELL / 2:g}" y="{y + CELL / 2 + 8.5:g}"'
                out.append(f'<text class="cell {cell.role}" {place}{size}>{_text(cell.text)}</text>')
    return out


def _ground(cell: Cell, x: float, y: float, table: dict[str, Role], size: float = CELL) -> list[str]:
    place = f'x="{x:g}" y="{y:g}" width="{size:g}" height="{size:g}"'
    role, doubt, out = table[cell.role], haze(cell, table), []
    if doubt > 0.005:
        out.append(f'<rect class="haze" fill-opacity="{doubt:.2f}" {place}/>')
    elif role.light.fill:
        out.append(f'<rect class="{cell.role}-ground" {place}/>')
    if role.corner:
        edge = max(size / 5, 5)
        out.append(f'<path class="{cell.role}" d="M{x + size - edge:g} {y:g}h{edge:g}v{edge:g}z"/>')
    return out


def _lines(picture: Picture, rows: int, columns: int) -> list[str]:
    if picture.box is None:
        return []
    high, wide = picture.box

    def path(step_down: int, step_across: int) -> str:
        across = [f"M0 {r * CELL}H{columns * CELL}" for r in range(0, rows + 1, step_down)]
        down = [f"M{c * CELL} 0V{rows * CELL}" for c in range(0, columns + 1, step_across)]
        return "".join(across + down)

    return [f'<path class="thin" d="{path(1, 1)}"/>', f'<path class="thick" d="{path(high, wide)}"/>']


def _caption(frame: Frame, details: list[str], top: float) -> list[str]:
    classes = f"verdict {caption.tone(frame)}".strip()
    name, share = caption.meter(frame)
    bar, x, y = 120, MARGIN + 52, top + 34
    last = y + 24 + LINE * (len(details) - 1)
    return [
        f'<text class="{classes}" x="{MARGIN}" y="{y}">{_text(caption.state(frame))}</text>',
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
    out, x = [], float(MARGIN)
    for name in names:
        it = sample(name, table)
        out.append(f'<rect class="frame" x="{x:g}" y="{y - 13:g}" width="16" height="16"/>')
        out += _ground(it, x, y - 13, table, 16)
        if it.text:
            place = f'x="{x + 8:g}" y="{y - 0.5:g}"'
            out.append(f'<text class="sample {name}" {place} aria-hidden="true">{it.text}</text>')
        out.append(f'<text class="detail" x="{x + 22:g}" y="{y:g}">{table[name].word}</text>')
        x += 22 + 7.2 * len(table[name].word) + 11
    return out


def _css(table: dict[str, Role]) -> str:
    """Concrete colours first, for readers that know neither media queries nor variables; then the dark page."""
    shape = [
        f"text{{font-family:{FONT}}}",
        ".cell,.sample{text-anchor:middle;font-variant-numeric:tabular-nums}",
        ".cell{font-size:25px}.sample{font-size:12px}",
        ".heading{font-size:16px;font-weight:600}.verdict{font-size:16px;font-weight:600}.detail{font-size:13px}",
        ".thin,.thick,.frame{fill:none}",
        ".thin,.frame{stroke-width:1}.thick{stroke-width:2.2;stroke-linecap:square}",
    ]
    for name, role in table.items():
        rules = ["font-weight:700"] if role.bold else []
        rules += ["font-style:italic"] if role.italic else []
        rules += ["text-decoration:underline"] if role.underline else []
        if rules:
            shape.append(f".{name}{{{';'.join(rules)}}}")
    return "".join(
        [*shape, *_colours(LIGHT, table), "@media (prefers-color-scheme:dark){", *_colours(DARK, table), "}"]
    )


def _colours(page: Page, table: dict[str, Role]) -> list[str]:
    out = [
        f".paper{{fill:{page.paper}}}.heading,.verdict{{fill:{page.ink}}}.detail{{fill:{page.faint}}}",
        f".good{{fill:{page.good}}}.bad{{fill:{page.bad}}}.haze{{fill:{page.haze}}}",
        f".track{{fill:{page.track}}}.bar{{fill:{page.good}}}",
        f".thin,.frame{{stroke:{page.thin}}}.thick{{stroke:{page.thick}}}",
    ]
    for name in table:
        ink, fill = paint(name, page, table).ink, paint(name, page, table).fill
        out.append(f".{name}{{fill:{ink}}}" + (f".{name}-ground{{fill:{fill}}}" if fill else ""))
    return out


def _fitting(text: str, width: float, letter: float) -> str:
    """The text shortened to the width; its font is the reader's, so the width of a letter is an estimate."""
    return caption.shorten(text, int((width - 2 * MARGIN) / letter))


def _text(text: str) -> str:
    """User text inside an element. XML has no way at all to write most control characters: they become "?"."""
    return escape(caption.printable(text))
