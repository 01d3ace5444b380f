"""A frame as an SVG: one small file that follows the reader's light or dark page.

Every symbol is one <text> element, so that the picture is accessible to screen readers, searchable and can be restyled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from html import escape

from trmsolve.render.drawing import CELL, CENTERED, OUTLINE, SIZES, SYMBOL, FrameLayout, Span, draw
from trmsolve.render.frame import Frame
from trmsolve.render.theme import (
    DARK,
    FONT,
    LIGHT,
    SOLID_ROLES,
    PageColors,
    Role,
    class_colors,
    role_styles,
    role_table,
)
from trmsolve.tasks.base import Picture
from trmsolve.text_io import printable

SIDE, LEAST_CELL = 640, 4  # pixels of a solid picture's longer side, and least pixels of its cells
MAX_TEXT = 10_000  # characters of one text
STROKED = ("thin", "thick", "frame")  # classes of lines and outlines


def svg(frame: Frame) -> str:
    """The frame as an SVG document."""
    layout, canvas = FrameLayout.of([frame], cell_size(frame.picture)), SvgCanvas()
    draw(canvas, frame, layout)
    width, height = layout.width, layout.height
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' role="img" aria-labelledby="title description">',
        f'<title id="title">{_text(frame.heading)}</title>',
        f'<desc id="description">{_text(frame.sentence())}</desc>',
        f"<style>{_css(role_table(frame.picture))}</style>",
        *canvas.parts,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def cell_size(picture: Picture) -> int:
    """Pixels per cell. Symbols need a readable size; areas do not, and a maze has many."""
    if not picture.solid:
        return CELL
    return min(max(SIDE // max(len(picture.cells), len(picture.cells[0])), LEAST_CELL), CELL)


class SvgCanvas:
    """A drawing.Canvas of SVG elements, whose colours are in the style sheet."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    @contextmanager
    def shifted(self, x: float, y: float) -> Iterator[None]:
        """What is drawn inside the block has its origin at x, y."""
        self.parts.append(f'<g transform="translate({x:g} {y:g})">')
        yield
        self.parts.append("</g>")

    def rect(
        self, name: str, x: float, y: float, width: float, height: float, radius: float = 0, opacity: float = 1
    ) -> None:
        look = f' rx="{radius:g}"' * bool(radius) + f' fill-opacity="{opacity:.2f}"' * (opacity < 1)
        self.parts.append(f'<rect class="{name}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"{look}/>')

    def polygon(self, name: str, points: Sequence[tuple[float, float]]) -> None:
        self.parts.append(f'<path class="{name}" d="M{"L".join(f"{x:g} {y:g}" for x, y in points)}z"/>')

    def lines(self, name: str, ends: Iterable[tuple[float, float, float, float]]) -> None:
        path = "".join(f"M{x0:g} {y0:g}L{x1:g} {y1:g}" for x0, y0, x1, y1 in ends)
        self.parts.append(f'<path class="{name}" d="{path}"/>')

    def areas(self, role: str, spans: Sequence[Span], size: int) -> None:
        """One path: a rectangle per span or, for tiles, a square per cell, between which the ground is visible."""
        if SOLID_ROLES[role].tile:
            gap, kind = OUTLINE * size, ' tile"'
            corners = [((c + i) * size + gap, r * size + gap) for r, c, length in spans for i in range(length)]
            side = size - 2 * gap
            path = "".join(f"M{x:g} {y:g}h{side:g}v{side:g}h{-side:g}z" for x, y in corners)
        else:  # crisp: between smoothed edges of two neighbours the ground would shine through
            kind = '" shape-rendering="crispEdges"'
            path = "".join(f"M{c * size} {r * size}h{n * size}v{size}h{-n * size}z" for r, c, n in spans)
        self.parts.append(f'<path class="{role}-ground{kind} d="{path}"/>')

    def text(self, name: str, x: float, y: float, text: str, size: float = 0) -> None:
        look = f' style="font-size:{size:g}px"' if size and size != CELL * SYMBOL else ""
        look += ' aria-hidden="true"' if name.startswith("sample") else ""
        if text:
            self.parts.append(f'<text class="{name}" x="{x:g}" y="{y:g}"{look}>{_text(text)}</text>')


def _css(table: dict[str, Role]) -> str:
    """Plain colours first, for readers without media queries or variables; then the dark page."""
    sizes = {**SIZES, "cell": CELL * SYMBOL}
    rules = [
        f"text{{font-family:{FONT}}}",
        f"{','.join(f'.{name}' for name in CENTERED)}{{text-anchor:middle;font-variant-numeric:tabular-nums}}",
        *(f".{name}{{font-size:{size:g}px}}" for name, size in sizes.items()),
        ".heading,.verdict{font-weight:600}.thin,.thick,.frame{fill:none}",
        ".thin,.frame{stroke-width:1}.thick{stroke-width:2.2;stroke-linecap:square}",
    ]
    rules += [f".{name}{{{';'.join(styles)}}}" for name, role in table.items() if (styles := role_styles(role))]
    return "".join([*rules, _colors(LIGHT, table), f"@media (prefers-color-scheme:dark){{{_colors(DARK, table)}}}"])


def _colors(page: PageColors, table: dict[str, Role]) -> str:
    colors = class_colors(page, table)
    return "".join(f".{name}{{{'stroke' if name in STROKED else 'fill'}:{c}}}" for name, c in colors.items())


def _text(text: str) -> str:
    """User text inside an element. XML has no form for most control characters, so they are escaped."""
    return escape(printable(text, MAX_TEXT))
