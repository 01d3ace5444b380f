"""The refinement as an animated GIF, drawn with Pillow and the font that comes with it."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from trmsolve.render import caption
from trmsolve.render.areas import runs
from trmsolve.render.frame import Frame
from trmsolve.render.theme import AREAS, LIGHT, OUTSIDE, ROLES, Role, haze, in_legend_order, looks, mix, paint, sample
from trmsolve.tasks.base import Cell, Picture
from trmsolve.text_io import atomic_write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

MOST_FRAMES = 240  # more are thinned out: nobody watches them, and browsers keep every one in memory
FRAME_MS, LAST_MS, WHOLE_MS = 180, 3000, 15_000  # one step; the last one; what all steps together should not exceed
COLOURS = 160
MARGIN, TITLE, FOOT = 20, 44, 108
LINE = 16  # from one line of details to the next
LEAST_WIDTH = 400
LEAST_TILE = 8  # pixels of a cell that an outline leaves enough of
SCALE = 2  # drawn larger and then reduced: smooth letters from a palette of few colours


def save_gif(frames: Sequence[Frame], path: str | Path, force: bool = False) -> Path:
    """Write the frames as an endlessly repeating GIF; the last one is held longer. Returns the path written."""
    chosen = thinned(frames)
    legend = in_legend_order(set().union(*(frame.roles for frame in chosen)), looks(chosen[0].picture))
    lines = max(len(_details(frame)) for frame in chosen)
    table = looks(chosen[0].picture)
    fills = {paint(name, LIGHT, table).fill for frame in chosen for name in frame.roles}
    images = _with_one_palette([_draw(frame, legend, lines) for frame in chosen], fills - {""})
    step = min(FRAME_MS, max(WHOLE_MS // len(images), 20))  # browsers slow a GIF down when told less than 20 ms
    buffer = BytesIO()
    images[0].save(
        buffer,
        "GIF",
        save_all=True,
        append_images=images[1:],
        duration=[step // 10 * 10] * (len(images) - 1) + [LAST_MS],  # GIF counts in hundredths of a second
        loop=0,
        optimize=True,
    )
    return atomic_write(path, buffer.getvalue(), force)


def thinned(frames: Sequence[Frame]) -> list[Frame]:
    """At most MOST_FRAMES of them, evenly chosen, the first and the last always among them."""
    if not frames:
        raise ValueError("no frames to draw")
    n = min(len(frames), MOST_FRAMES)
    return [frames[round(i * (len(frames) - 1) / max(n - 1, 1))] for i in range(n)] if n > 1 else [frames[-1]]


def _with_one_palette(images: list[Image], fills: set[str]) -> list[Image]:
    """The images in the same few colours, so that the file need only hold where a frame differs from the last.

    fills: colours that are wanted however rare they are.
    """
    from PIL import Image, ImageColor

    # Steps of eight: Pillow looks palettes up coarsely and would take nearly white for white.
    steps = [min(round(v / 8) * 8, 255) for v in range(256)]
    images = [image.point(steps * 3) for image in images]
    shown = [images[i * (len(images) - 1) // 3] for i in range(4)]
    width, height = shown[0].size
    sheet = Image.new("RGB", (width, height * len(shown)))
    for i, image in enumerate(shown):
        sheet.paste(image, (0, i * height))
    # The commonest colours themselves, not averages of them: paper stays white, and every area flat.
    common = sorted(sheet.getcolors(width * height * len(shown)), reverse=True)[:COLOURS]
    filled = sorted(tuple(steps[v] for v in ImageColor.getrgb(fill)) for fill in fills)
    colours = dict.fromkeys([*(colour for _, colour in common), *filled])
    palette = Image.new("P", (1, 1))
    palette.putpalette([channel for colour in colours for channel in colour])
    return [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]


def _width(frame: Frame) -> int:
    rows, columns = len(frame.picture.cells), len(frame.picture.cells[0])
    return max(columns * cell_size(rows, columns, frame.picture.solid) + 2 * MARGIN, LEAST_WIDTH)


def _details(frame: Frame) -> list[str]:
    return caption.paragraph(frame, int((_width(frame) - 2 * MARGIN) / 5.8))


def _draw(frame: Frame, legend: list[str], lines: int) -> Image:
    """lines: of details that there is room for."""
    from PIL import Image, ImageDraw

    cells = frame.picture.cells
    rows, columns = len(cells), len(cells[0])
    cell = cell_size(rows, columns, frame.picture.solid)
    width = _width(frame)
    height = TITLE + rows * cell + FOOT + LINE * (lines - 1)
    image = Image.new("RGB", (width * SCALE, height * SCALE), LIGHT.paper)
    pen = _Pen(ImageDraw.Draw(image))
    left = (width - columns * cell) // 2

    pen.text(MARGIN, 22, caption.shorten(caption.heading(frame), (width - 2 * MARGIN) // 8), 15, LIGHT.ink, bold=True)
    if frame.picture.solid:
        pen.areas(frame.picture, left, TITLE, cell)
    else:
        for r, row in enumerate(cells):
            for c, it in enumerate(row):
                pen.cell(it, left + c * cell, TITLE + r * cell, cell)
    if frame.picture.box:
        _lines(pen, frame.picture.box, rows, columns, cell, left)
    _foot(pen, frame, legend, lines, TITLE + rows * cell)
    return image.resize((width, height), Image.Resampling.BOX)


def cell_size(rows: int, columns: int, solid: bool = False) -> int:
    """Pixels per cell: about 400 for the whole grid, within what can be read and what looks absurd."""
    whole, least = (480, 4) if solid else (400, 12)
    return min(max(whole // max(rows, columns), least), 48)


def _lines(pen: _Pen, box: tuple[int, int], rows: int, columns: int, cell: int, left: int) -> None:
    right, bottom = left + columns * cell, TITLE + rows * cell
    for colour, high, wide, weight in ((LIGHT.thin, 1, 1, 1), (LIGHT.thick, *box, 2)):
        for r in range(0, rows + 1, high):
            pen.line(left, TITLE + r * cell, right, TITLE + r * cell, colour, weight)
        for c in range(0, columns + 1, wide):
            pen.line(left + c * cell, TITLE, left + c * cell, bottom, colour, weight)


def _foot(pen: _Pen, frame: Frame, legend: list[str], lines: int, top: int) -> None:
    tone = {"good": LIGHT.good, "bad": LIGHT.bad}.get(caption.tone(frame), LIGHT.ink)
    pen.text(MARGIN, top + 24, caption.state(frame), 15, tone, bold=True)
    for i, line in enumerate(_details(frame)):
        pen.text(MARGIN, top + 45 + LINE * i, line, 12, LIGHT.faint)
    top += LINE * (lines - 1)
    (name, share), bar, x = caption.meter(frame), 110, MARGIN + 48
    pen.text(MARGIN, top + 65, name, 12, LIGHT.faint)
    pen.bar(x, top + 61, bar, 1.0, LIGHT.track)
    pen.bar(x, top + 61, bar, share, LIGHT.good)
    pen.text(x + bar + 8, top + 65, caption.percent(share), 12, LIGHT.faint)
    x, y, box = MARGIN, top + 80, 16
    table = looks(frame.picture)
    for name in legend:
        pen.cell(sample(name, table), x, y, box, table)
        for x0, y0, x1, y1 in ((0, 0, 1, 0), (0, 1, 1, 1), (0, 0, 0, 1), (1, 0, 1, 1)):
            pen.line(x + box * x0, y + box * y0, x + box * x1, y + box * y1, LIGHT.thin, 1)
        x += box + 5 + pen.text(x + box + 5, y + 8, table[name].word, 12, LIGHT.faint) + 12


class _Pen:
    """Draws in the picture's own pixels on the enlarged image."""

    def __init__(self, draw: ImageDraw) -> None:
        self.draw = draw

    def text(
        self, x: float, y: float, text: str, size: float, colour: str, bold: bool = False, anchor: str = "lm"
    ) -> float:
        """Write the text and return its width. The bundled font has one weight; a stroke makes the bold one."""
        font = _font(round(size * SCALE))
        self.draw.text((x * SCALE, y * SCALE), text, colour, font, anchor, stroke_width=round(SCALE / 2) if bold else 0)
        return self.draw.textlength(text, font) / SCALE

    def areas(self, picture: Picture, left: int, top: int, size: int) -> None:
        """A solid picture, on what lies around it."""
        right, bottom = left + len(picture.cells[0]) * size, top + len(picture.cells) * size
        corners = ((left - 2) * SCALE, (top - 2) * SCALE, (right + 2) * SCALE - 1, (bottom + 2) * SCALE - 1)
        self.draw.rectangle(corners, paint(OUTSIDE, LIGHT, AREAS).fill)
        for r, row in enumerate(picture.cells):
            y = top + r * size
            for c, length, cell in runs(row):
                x, colours = left + c * size, paint(cell.role, LIGHT, AREAS)
                tile = AREAS[cell.role].tile and size >= LEAST_TILE
                wide, end, bottom = size if tile else length * size, x + length * size, (y + size) * SCALE - 1 - tile
                for begin in range(x, end, wide):
                    right = (begin + wide) * SCALE - 1 - tile  # a tile leaves its last row and column to the ground
                    self.draw.rectangle((begin * SCALE, y * SCALE, right, bottom), colours.fill)
                if AREAS[cell.role].letter:
                    self.text(x + size / 2, y + size / 2, cell.text, 0.8 * size, colours.ink, size > 20, "mm")

    def cell(self, cell: Cell, x: float, y: float, size: float, table: dict[str, Role] = ROLES) -> None:
        role, colours = table[cell.role], paint(cell.role, LIGHT, table)
        doubt = round(8 * haze(cell, table)) / 8  # eight shades leave room in the palette for the letters' soft edges
        ground = mix(colours.fill or LIGHT.paper, LIGHT.haze, doubt)
        self.draw.rectangle((x * SCALE, y * SCALE, (x + size) * SCALE, (y + size) * SCALE), ground)
        if role.corner:
            right, edge = x + size, max(size / 5, 5)
            corners = ((right - edge, y), (right, y), (right, y + edge))
            self.draw.polygon([(a * SCALE, b * SCALE) for a, b in corners], colours.ink)
        if not cell.text.strip():
            return
        middle, letters = (x + size / 2, y + size / 2), (0.6 * size) / len(cell.text) ** 0.7
        wide = self.text(*middle, cell.text, letters, colours.ink, role.bold and size > 20, "mm")
        if role.underline:
            down = middle[1] + 0.34 * size
            self.line(middle[0] - wide / 2, down, middle[0] + wide / 2, down, colours.ink, max(size / 24, 1))

    def line(self, x0: float, y0: float, x1: float, y1: float, colour: str, weight: float) -> None:
        self.draw.line((x0 * SCALE, y0 * SCALE, x1 * SCALE, y1 * SCALE), colour, round(weight * SCALE))

    def bar(self, x: float, y: float, length: float, share: float, colour: str) -> None:
        end = x + max(length * share, 8)
        self.draw.rounded_rectangle((x * SCALE, y * SCALE, end * SCALE, (y + 8) * SCALE), 4 * SCALE, colour)


def _font(size: int) -> FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.load_default(size)
