"""The refinement as an animated GIF, drawn with Pillow and its bundled font."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from trmsolve.render.drawing import CELL, CENTERED, SIZES, FrameLayout, Span, draw
from trmsolve.render.frame import Frame
from trmsolve.render.theme import LIGHT, SOLID_ROLES, Role, class_colors, mix, page_colors, role_table
from trmsolve.tasks.base import Picture
from trmsolve.text_io import atomic_write

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_FRAMES = 240  # more are thinned out, because browsers keep every frame in memory
FRAME_MS, LAST_MS = 800, 3000  # most for a step, slow enough to see what it changes; for the last one
TOTAL_MS = 15_000  # all steps together should not exceed this
MIN_FRAME_MS = 20  # browsers show shorter frames slowly
COLORS = 160
LEAST_TILE = 8  # pixels of a cell that still has an outline
SCALE = 2  # drawn larger and then reduced, for smooth letters in few colours
SHADES = 8  # leave entries of the palette for the letters' soft edges
WEIGHTS = {"thin": 1, "frame": 1, "thick": 2}  # pixels of lines


def save_gif(frames: Sequence[Frame], path: str | Path, force: bool = False) -> Path:
    """Write the frames as an endlessly repeating GIF whose last frame is held longer. Returns the path."""
    chosen = thinned(frames)
    picture, table = chosen[0].picture, role_table(chosen[0].picture)
    layout = FrameLayout.of(chosen, cell_size(picture))
    fills = {page_colors(name, LIGHT, table).fill for frame in chosen for name in frame.roles}
    images = _with_shared_palette([_image(frame, layout) for frame in chosen], fills - {""})
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


def cell_size(picture: Picture) -> int:
    """Pixels per cell: about 400 for the whole grid, between readable and oversized."""
    side, least = (480, 4) if picture.solid else (400, 12)
    return min(max(side // max(len(picture.cells), len(picture.cells[0])), least), CELL)


def _image(frame: Frame, layout: FrameLayout) -> Image:
    from PIL import Image

    image = Image.new("RGB", (layout.width * SCALE, layout.height * SCALE), LIGHT.paper)
    draw(PixelCanvas(image, role_table(frame.picture)), frame, layout)
    return image.resize((layout.width, layout.height), Image.Resampling.BOX)


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


class PixelCanvas:
    """A drawing.Canvas on an image that is SCALE times as large."""

    def __init__(self, image: Image, table: dict[str, Role]) -> None:
        from PIL import ImageDraw

        self.pen, self.table, self.colors = ImageDraw.Draw(image), table, class_colors(LIGHT, table)
        self.x = self.y = 0.0  # the origin

    @contextmanager
    def shifted(self, x: float, y: float) -> Iterator[None]:
        """What is drawn inside the block has its origin at x, y."""
        self.x, self.y = x, y
        yield
        self.x = self.y = 0.0

    def rect(
        self, name: str, x: float, y: float, width: float, height: float, radius: float = 0, opacity: float = 1
    ) -> None:
        (left, top), (right, bottom) = self._at(x, y), self._at(x + width, y + height)
        box, color = (
            (left, top, right - 1, bottom - 1),
            mix(LIGHT.paper, self.colors[name], round(SHADES * opacity) / SHADES),
        )
        if name in WEIGHTS:
            self.pen.rectangle(box, None, color, SCALE)
        else:
            self.pen.rounded_rectangle(box, radius * SCALE, color)

    def polygon(self, name: str, points: Sequence[tuple[float, float]]) -> None:
        self.pen.polygon([self._at(*point) for point in points], self.colors[name])

    def lines(self, name: str, ends: Iterable[tuple[float, float, float, float]]) -> None:
        for x0, y0, x1, y1 in ends:
            self.pen.line([self._at(x0, y0), self._at(x1, y1)], self.colors[name], WEIGHTS[name] * SCALE)

    def areas(self, role: str, spans: Sequence[Span], size: int) -> None:
        """A rectangle per span or, for tiles, a square per cell, whose last row and column show the ground."""
        outline = SOLID_ROLES[role].tile and size >= LEAST_TILE
        for r, c, length in spans:
            for start, width in [(c + i, 1) for i in range(length)] if outline else [(c, length)]:
                (left, top), (right, bottom) = (
                    self._at(start * size, r * size),
                    self._at((start + width) * size, (r + 1) * size),
                )
                box = left, top, right - 1 - outline, bottom - 1 - outline
                self.pen.rectangle(box, self.colors[f"{role}-ground"])

    def text(self, name: str, x: float, y: float, text: str, size: float = 0) -> None:
        """Write a text. The bundled font has one weight; a stroke makes it bold."""
        from PIL import ImageFont

        first, last = name.split()[0], name.split()[-1]
        role, size = self.table.get(last), size or SIZES[first]
        bold = first in ("heading", "verdict") or bool(role and role.bold and size > 12)
        font, anchor = ImageFont.load_default(round(size * SCALE)), "ms" if first in CENTERED else "ls"
        self.pen.text(self._at(x, y), text, self.colors[last], font, anchor, stroke_width=SCALE // 2 if bold else 0)
        if role and role.underline:
            half, down = self.pen.textlength(text, font) / SCALE / 2, y + 0.12 * size
            (left, top), (right, _) = self._at(x - half, down), self._at(x + half, down)
            self.pen.line([(left, top), (right, top)], self.colors[last], round(max(size / 14, 1) * SCALE))

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return round((self.x + x) * SCALE), round((self.y + y) * SCALE)
