"""The refinement as an animated GIF, drawn with Pillow and its bundled font."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from trmsolve.render import caption
from trmsolve.render.frame import Frame
from trmsolve.render.svg import label_positions, runs
from trmsolve.render.theme import (
    LIGHT,
    OUTSIDE,
    ROLES,
    SOLID_ROLES,
    Role,
    confidence_shade,
    legend_cell,
    legend_roles,
    mix,
    page_colors,
    role_table,
)
from trmsolve.tasks.base import Cell, Picture
from trmsolve.text_io import atomic_write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

MAX_FRAMES = 240  # more are thinned out, because browsers keep every frame in memory
FRAME_MS, LAST_MS = 180, 3000  # duration of a step, and of the last one
TOTAL_MS = 15_000  # all steps together should not exceed this
MIN_FRAME_MS = 20  # browsers show shorter frames slowly
COLORS = 160
MARGIN, TITLE, FOOT = 20, 44, 108
LINE = 16  # from one line of details to the next
LEAST_WIDTH = 400
LEAST_TILE = 8  # pixels of a cell that still has an outline
SCALE = 2  # drawn larger and then reduced, for smooth letters in few colours


def save_gif(frames: Sequence[Frame], path: str | Path, force: bool = False) -> Path:
    """Write the frames as an endlessly repeating GIF whose last frame is held longer. Returns the path."""
    chosen = thinned(frames)
    table = role_table(chosen[0].picture)
    roles = set().union(*(frame.roles for frame in chosen))
    legend = legend_roles(roles, table)
    lines = max(len(_details(frame)) for frame in chosen)
    fills = {page_colors(name, LIGHT, table).fill for name in roles}
    images = _with_shared_palette([_draw(frame, legend, lines) for frame in chosen], fills - {""})
    step = min(FRAME_MS, max(TOTAL_MS // len(images), MIN_FRAME_MS))
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
    """At most MAX_FRAMES frames, evenly spaced, including the first and the last."""
    if not frames:
        raise ValueError("no frames to draw")
    n = min(len(frames), MAX_FRAMES)
    return [frames[round(i * (len(frames) - 1) / max(n - 1, 1))] for i in range(n)] if n > 1 else [frames[-1]]


def cell_size(rows: int, columns: int, solid: bool = False) -> int:
    """Pixels per cell: about 400 for the whole grid, between readable and oversized."""
    side, least = (480, 4) if solid else (400, 12)
    return min(max(side // max(rows, columns), least), 48)


def _with_shared_palette(images: list[Image], fills: set[str]) -> list[Image]:
    """The images in one palette, so that the file stores only where a frame differs from the one before.

    fills: colours that the palette must have, however rare they are.
    """
    from PIL import Image, ImageColor

    # Multiples of eight: Pillow matches palette colours coarsely and would take nearly white for white.
    rounded = [min(round(v / 8) * 8, 255) for v in range(256)]
    images = [image.point(rounded * 3) for image in images]
    samples = [images[i * (len(images) - 1) // 3] for i in range(4)]
    width, height = samples[0].size
    sheet = Image.new("RGB", (width, height * len(samples)))
    for i, image in enumerate(samples):
        sheet.paste(image, (0, i * height))
    # The most frequent colours themselves, not averages of them: paper stays white, and every area flat.
    counts: list[tuple[int, tuple[int, ...]]] = sheet.getcolors(width * height * len(samples))  # type: ignore[assignment]
    frequent = sorted(counts, reverse=True)[:COLORS]
    required = sorted(tuple(rounded[v] for v in ImageColor.getrgb(fill)) for fill in fills)
    colors = dict.fromkeys([*(color for _, color in frequent), *required])
    palette = Image.new("P", (1, 1))
    palette.putpalette([channel for color in colors for channel in color])
    return [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]


def _width(frame: Frame) -> int:
    rows, columns = len(frame.picture.cells), len(frame.picture.cells[0])
    return max(columns * cell_size(rows, columns, frame.picture.solid) + 2 * MARGIN, LEAST_WIDTH)


def _details(frame: Frame) -> list[str]:
    return frame.paragraph(int((_width(frame) - 2 * MARGIN) / 5.8))


def _draw(frame: Frame, legend: list[str], lines: int) -> Image:
    """One frame as an image. lines: the number of lines of details to reserve space for."""
    from PIL import Image, ImageDraw

    cells = frame.picture.cells
    rows, columns, width = len(cells), len(cells[0]), _width(frame)
    cell = cell_size(rows, columns, frame.picture.solid)
    height = TITLE + rows * cell + FOOT + LINE * (lines - 1)
    image = Image.new("RGB", (width * SCALE, height * SCALE), LIGHT.paper)
    pen = _Pen(ImageDraw.Draw(image))
    left = (width - columns * cell) // 2

    pen.text(MARGIN, 22, caption.shorten(frame.heading, (width - 2 * MARGIN) // 8), 15, LIGHT.ink, bold=True)
    if frame.picture.solid:
        pen.areas(frame.picture, left, TITLE, cell)
    else:
        for r, row in enumerate(cells):
            for c, cell_of_picture in enumerate(row):
                pen.cell(cell_of_picture, left + c * cell, TITLE + r * cell, cell)
    if frame.picture.box:
        right, bottom = left + columns * cell, TITLE + rows * cell
        for color, high, wide, weight in ((LIGHT.thin, 1, 1, 1), (LIGHT.thick, *frame.picture.box, 2)):
            for y in range(TITLE, bottom + 1, high * cell):
                pen.line(left, y, right, y, color, weight)
            for x in range(left, right + 1, wide * cell):
                pen.line(x, TITLE, x, bottom, color, weight)
    _draw_foot(pen, frame, legend, lines, TITLE + rows * cell)
    return image.resize((width, height), Image.Resampling.BOX)


def _draw_foot(pen: _Pen, frame: Frame, legend: list[str], lines: int, top: int) -> None:
    color = {"good": LIGHT.good, "bad": LIGHT.bad}.get(frame.outcome, LIGHT.ink)
    pen.text(MARGIN, top + 24, frame.state, 15, color, bold=True)
    for i, line in enumerate(_details(frame)):
        pen.text(MARGIN, top + 45 + LINE * i, line, 12, LIGHT.faint)
    top += LINE * (lines - 1)
    (name, share), bar, x = frame.meter, 110, MARGIN + 48
    pen.text(MARGIN, top + 65, name, 12, LIGHT.faint)
    pen.bar(x, top + 61, bar, 1.0, LIGHT.track)
    pen.bar(x, top + 61, bar, share, LIGHT.good)
    pen.text(x + bar + 8, top + 65, caption.percent(share), 12, LIGHT.faint)
    left, y, box = float(MARGIN), top + 80, 16
    table = role_table(frame.picture)
    for name in legend:
        pen.cell(legend_cell(name, table), left, y, box, table)
        for x0, y0, x1, y1 in ((0, 0, 1, 0), (0, 1, 1, 1), (0, 0, 0, 1), (1, 0, 1, 1)):
            pen.line(left + box * x0, y + box * y0, left + box * x1, y + box * y1, LIGHT.thin, 1)
        left += box + 5 + pen.text(left + box + 5, y + 8, table[name].word, 12, LIGHT.faint) + 12


class _Pen:
    """Draws in the picture's own pixels on the enlarged image."""

    def __init__(self, draw: ImageDraw) -> None:
        self.draw = draw

    def text(
        self, x: float, y: float, text: str, size: float, color: str, bold: bool = False, anchor: str = "lm"
    ) -> float:
        """Write the text and return its width. The bundled font has one weight; a stroke makes it bold."""
        from PIL import ImageFont

        font = ImageFont.load_default(round(size * SCALE))
        self.draw.text((x * SCALE, y * SCALE), text, color, font, anchor, stroke_width=round(SCALE / 2) if bold else 0)
        return self.draw.textlength(text, font) / SCALE

    def areas(self, picture: Picture, left: int, top: int, size: int) -> None:
        """A solid picture with an edge of two pixels."""
        right, bottom = left + len(picture.cells[0]) * size, top + len(picture.cells) * size
        corners = ((left - 2) * SCALE, (top - 2) * SCALE, (right + 2) * SCALE - 1, (bottom + 2) * SCALE - 1)
        self.draw.rectangle(corners, page_colors(OUTSIDE, LIGHT, SOLID_ROLES).fill)
        for r, row in enumerate(picture.cells):
            y = top + r * size
            for c, length, cell in runs(row):
                x, colors = left + c * size, page_colors(cell.role, LIGHT, SOLID_ROLES)
                outline = SOLID_ROLES[cell.role].tile and size >= LEAST_TILE  # its last row and column show the ground
                wide = size if outline else length * size
                for start in range(x, x + length * size, wide):
                    end = (start + wide) * SCALE - 1 - outline, (y + size) * SCALE - 1 - outline
                    self.draw.rectangle((start * SCALE, y * SCALE, *end), colors.fill)
                if SOLID_ROLES[cell.role].letter:
                    self.text(x + size / 2, y + size / 2, cell.text, 0.8 * size, colors.ink, size > 20, "mm")
        for label_x, label_y, text in label_positions(picture, size):
            self.text(
                left + label_x, top + label_y, text, 1.4 * size, page_colors("mat", LIGHT, SOLID_ROLES).ink, anchor="ls"
            )

    def cell(self, cell: Cell, x: float, y: float, size: float, table: dict[str, Role] = ROLES) -> None:
        """One cell of a grid of symbols."""
        role, colors = table[cell.role], page_colors(cell.role, LIGHT, table)
        # Eight shades leave entries of the palette for the letters' soft edges.
        ground = mix(colors.fill or LIGHT.paper, LIGHT.shade, round(8 * confidence_shade(cell, table)) / 8)
        self.draw.rectangle((x * SCALE, y * SCALE, (x + size) * SCALE, (y + size) * SCALE), ground)
        if role.corner:
            right, edge = x + size, max(size / 5, 5)
            corners = ((right - edge, y), (right, y), (right, y + edge))
            self.draw.polygon([(a * SCALE, b * SCALE) for a, b in corners], colors.ink)
        if not cell.text.strip():
            return
        middle, letters = (x + size / 2, y + size / 2), (0.6 * size) / len(cell.text) ** 0.7
        wide = self.text(*middle, cell.text, letters, colors.ink, role.bold and size > 20, "mm")
        if role.underline:
            down = middle[1] + 0.34 * size
            self.line(middle[0] - wide / 2, down, middle[0] + wide / 2, down, colors.ink, max(size / 24, 1))

    def line(self, x0: float, y0: float, x1: float, y1: float, color: str, weight: float) -> None:
        """A straight line."""
        self.draw.line((x0 * SCALE, y0 * SCALE, x1 * SCALE, y1 * SCALE), color, round(weight * SCALE))

    def bar(self, x: float, y: float, length: float, share: float, color: str) -> None:
        """A bar of which this share of `length` is filled."""
        end = x + max(length * share, 8)
        self.draw.rounded_rectangle((x * SCALE, y * SCALE, end * SCALE, (y + 8) * SCALE), 4 * SCALE, color)
