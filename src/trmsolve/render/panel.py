"""One puzzle's drawing in a terminal: picture, text and legend, arranged to fit the window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.text import Text

from trmsolve.render import blocks, caption
from trmsolve.render.blocks import GRID_SIZES, Span, Viewport, crop, draw_grid, fit, styled
from trmsolve.render.console import encodable, glyphs_for, has_color
from trmsolve.render.frame import Frame
from trmsolve.render.theme import legend_roles, role_table
from trmsolve.tasks.base import Picture

GAP = 2  # columns between the picture and the text beside it
LABEL = 8  # columns of a stat's name: "halting "
SIDE = LABEL + 15  # least columns of the text: "step 7 of at most 64"
BAR = 10  # columns of the meter
MAX_HISTORY = 28  # steps in the row of bars
LEAST_BELOW = 3  # least lines of the text below a picture
STATS = 6  # least lines of the text beside a part of a picture
TALL = 15  # lines of a window from which on all text is below a part of a picture, not only the state
MAX_RECORDED = 4096  # frames that are kept at least
LOG_WIDTH = 80  # columns that a solid picture in a log should not exceed


class Drawing(NamedTuple):
    """A picture at one scale, drawn only when it fits: solid pictures are large."""

    columns: int
    rows: int
    draw: Callable[[], list[Text]]
    has_candidates: bool = False


class PuzzlePanel:
    """The newest frame of one puzzle with the history of its steps, as a Rich renderable that fits the window."""

    def __init__(self, console: Console) -> None:
        self.glyphs, self.color, self.encoding = glyphs_for(console), has_color(console), console.encoding
        self.frames: list[Frame] = []  # the latest ones
        self.index = 0  # of the frame that is drawn
        self.candidates = self.shades = False  # shown as pencil marks; confidence shown as shade
        self.footer: Sequence[str] = ()  # parts of the line below everything, the most important first
        self.help: tuple[str, ...] = ()  # lines that are shown in place of the picture
        self._roles: list[set[str]] = []  # of each frame and those before it: a legend that only grows does not jump
        self._viewport = Viewport()
        self._has_candidates = False  # they are drawn

    @property
    def frame(self) -> Frame:
        """The frame that is drawn."""
        return self.frames[self.index]

    def add(self, frame: Frame) -> None:
        """Record this frame as the newest one and draw it."""
        if len(self.frames) >= 2 * MAX_RECORDED:
            del self.frames[:-MAX_RECORDED], self._roles[:-MAX_RECORDED]
        self._roles.append(frame.roles if frame.done else frame.roles.union(*self._roles[-1:]))
        self.frames.append(frame)
        self.index = len(self.frames) - 1

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # One row stays free for the cursor when the drawing ends: the final frame must not scroll itself away.
        for i, line in enumerate(self.lines(options.max_width, console.size.height - 1)):
            if i:
                yield Segment.line()
            yield from line.render(console)

    def lines(self, width: int, height: int) -> list[Text]:
        """The drawing in at most `width` columns and `height` rows: the largest arrangement that fits."""
        has_footer = bool(self.footer) and height > 3
        help_lines = [self._text(line) for line in self.help[: height - has_footer]]
        lines = help_lines or self._arranged(width, height - has_footer)
        if has_footer:
            marks = "candidates" if self._has_candidates else "candidates need a larger window"
            footer = ""
            for part in [marks] * self.candidates + ["confidence"] * self.shades + [*self.footer]:  # as many as fit
                longer = f"{footer}  {part}" if footer else part
                footer = longer if len(longer) <= width else footer
            lines.append(self._text(footer, "dim"))
        return [fit(line, width, self.glyphs) for line in lines]

    def whole(self, width: int | None = None) -> list[Text]:
        """The picture at its largest with its legend, for output that no window limits, or only its width."""
        drawings = list(self._drawings(self.frame.picture))
        narrow = (drawing for drawing in drawings if drawing.columns <= (width or LOG_WIDTH))
        drawing = next(narrow, drawings[-1]) if width or self.frame.picture.solid else drawings[0]
        return [*drawing.draw(), *(self._legend(width) or [Text()])]

    def title(self) -> Text:
        """The heading of the puzzle."""
        return self._text(self.frame.heading, "bold")

    def summary(self) -> Text:
        """The frame on one line, for a log."""
        return self._text(self.frame.sentence(self.glyphs.dot))

    # -- arrangements ---------------------------------------------------------------------------------------------
    def _arranged(self, width: int, height: int) -> list[Text]:
        title, side = self.title(), self._side()
        state, *_ = below = [*self._below(width), *self._legend(width)]
        for picture in (self.frame.picture, *self.frame.zoom_levels):
            for columns, rows, draw, has_candidates in self._drawings(picture):
                self._has_candidates = has_candidates
                if columns + GAP + side <= width and rows + 1 <= height:
                    return [title, *self._beside(draw(), columns, width - columns - GAP, height - 1)]
                if columns <= width and rows + 1 + min(len(below), LEAST_BELOW) <= height:
                    return [title, *draw(), *below[: height - rows - 1]]
        # Nothing fits. The state matters most, then the title, then as much of the picture as possible.
        if height < 4:
            return [state]
        if self.frame.picture.solid:
            return self._part(width, height, below if height >= TALL else [state])
        grid = draw_grid(self.frame.picture, GRID_SIZES[-1], self.glyphs, self.color)
        return [title, *crop(grid, width, height - 2, self.glyphs), state]

    def _drawings(self, picture: Picture) -> Iterator[Drawing]:
        """The whole picture at every scale, the largest first."""
        if picture.solid:
            for scale in blocks.scales(self.glyphs, self.color):
                columns, rows = scale.extent(len(picture.cells), len(picture.cells[0]))
                arguments = picture.cells, scale, self.glyphs, self.color, picture.labels
                yield Drawing(columns, rows, partial(blocks.draw_solid, *arguments))
            return
        for candidates in (True, False) if self.candidates else (False,):
            for size in GRID_SIZES[:-1] if candidates else GRID_SIZES:  # candidates need a space between cells
                grid = draw_grid(picture, size, self.glyphs, self.color, candidates, self.shades)
                columns = max((line.cell_len for line in grid), default=0)
                yield Drawing(columns, len(grid), partial(list, grid), candidates)

    def _part(self, width: int, height: int, below: list[Text]) -> list[Text]:
        """As much of a solid picture as fits, where the changes are, and the text beside it or below."""
        picture = (self.frame.picture, *self.frame.zoom_levels)[-1]
        cells, scale = picture.cells, blocks.scales(self.glyphs, self.color)[-1]

        def extent(columns: int, lines: int) -> tuple[int, int]:
            """The number of rows and columns of cells that fit into these columns and lines of text."""
            return min(lines * scale.per_line, len(cells)), min(columns // scale.wide, len(cells[0]))

        left = extent(width - GAP - self._side() - 3, height - 1)  # 3: large mazes take "118 of at most 256" steps
        above = extent(width, height - 1 - len(below))
        # The text goes below a picture that is as wide as the window: then it need be scrolled in one direction only.
        is_cut = left[1] < above[1] == len(cells[0])
        beside = height > STATS and left[0] * left[1] >= above[0] * above[1] and not is_cut
        rows, columns = self._viewport.follow(picture, *(left if beside else above))
        part = [row[slice(*columns)] for row in cells[slice(*rows)]]
        lines = blocks.draw_solid(part, scale, self.glyphs, self.color, picture.labels, (rows[0], columns[0]))
        title = self._title_of_part(picture, rows, columns, width)
        if not beside:
            return [title, *lines, *below]
        num_columns, _ = scale.extent(1, len(part[0]))
        return [title, *self._beside(lines, num_columns, width - num_columns - GAP, height - 1)]

    def _title_of_part(self, picture: Picture, rows: Span, columns: Span, width: int) -> Text:
        """The title with the rows and columns that are shown, counted from 1."""
        spans = ("rows", rows, len(picture.cells)), ("columns", columns, len(picture.cells[0]))
        parts = [f"{name} {a + 1}-{b} of {size}" for name, (a, b), size in spans if b - a < size]
        where = ", ".join(parts)
        line = self._text(caption.shorten_start(self.frame.heading, max(width - len(where) - GAP, 0)), "bold")
        return line.append(" " * GAP if line.plain else "").append(where, style="dim")

    def _beside(self, grid: list[Text], columns: int, text_width: int, height: int) -> list[Text]:
        """Text to the right of the grid; a low grid gets blank lines below, as far as the window allows."""
        name, share = self.frame.meter
        legend = self._legend(text_width)
        stats = [self._labelled(it.name, self._text(it.value, self._tone(it.good))) for it in self.frame.stats]
        text = [
            self._text(self.frame.state, self._state_style()),
            self._labelled(name, self._bar(share, text_width)),
            *stats,
        ]
        shown = [it for it in self.frames[: self.index + 1] if it.step][-max(min(text_width - LABEL, MAX_HISTORY), 1) :]
        remaining = [it.status.remaining for it in shown]
        halting = [it.meter[1] for it in shown if it.meter[0] == name == "halting"]
        for position, values, most in ((3, remaining, max(remaining, default=0)), (2, halting, 1.0)):
            bars = self._bars(values, most)
            if bars and max(len(grid), STATS) > len(text) + len(legend) + 1:
                text.insert(position, self._labelled("", self._text(bars, "dim")))
        height = min(height, max(len(grid), len(text) + 1 + len(legend)))
        blank = [Text()] * max(height - len(text) - len(legend), 0)
        if blank or not legend:
            text += [*blank, *legend]
        lines = [line.copy() for line in grid] + [Text(no_wrap=True, end="") for _ in range(height - len(grid))]
        for line, beside in zip(lines, text, strict=False):
            line.pad_right(columns - line.cell_len + GAP)
            line.append_text(beside)
        return lines

    def _below(self, width: int) -> list[Text]:
        """Lines below the picture: the state, then the details."""
        name, share = self.frame.meter
        state = caption.joined([self.frame.state, f"{name} {caption.percent(share)}"], self.glyphs.dot)
        details = self.frame.paragraph(width, self.glyphs.dot)
        return [self._text(state, self._state_style()), *map(self._text, details)]

    # -- parts ----------------------------------------------------------------------------------------------------
    def _text(self, text: str, style: str = "") -> Text:
        return styled(encodable(text, self.encoding), style)

    def _tone(self, good: bool | None) -> str:
        return "" if good is None or not self.color else "green" if good else "red"

    def _state_style(self) -> str:
        good = {"good": True, "bad": False}.get(self.frame.outcome)
        return f"bold {self._tone(good)}".strip()

    def _labelled(self, name: str, value: Text) -> Text:
        return Text.assemble((f"{name:<{LABEL}}", "dim"), value, no_wrap=True, end="")

    def _side(self) -> int:
        """Columns of the text beside a picture, which is not shortened except for stats that may be."""
        stats = (LABEL + len(stat.value) for stat in self.frame.stats if not stat.may_be_cut)
        return max([SIDE, len(self.frame.state), *stats])

    def _bar(self, share: float, text_width: int) -> Text:
        number = f"{caption.percent(share):>6}"
        length = min(BAR, text_width - LABEL - len(number))
        if length < 4:
            return Text(number.strip())
        full = round(share * length)
        bar = (self.glyphs.full * full, self._tone(True))
        return Text.assemble(bar, (self.glyphs.empty * (length - full), "dim"), number)

    def _bars(self, values: Sequence[float], most: float) -> str:
        """Values from 0 to `most` as a row of bars; "" if all are 0, or if bars cannot be drawn."""
        heights = self.glyphs.spark
        if not heights or not any(values):
            return ""
        return "".join(heights[round(value / most * (len(heights) - 1))] for value in values)

    def _legend(self, width: int | None) -> list[Text]:
        """The roles in their styles, in lines of at most `width` columns; None: in one line."""
        table, solid = role_table(self.frame.picture), self.frame.picture.solid
        is_area = solid and blocks.scales(self.glyphs, self.color) is blocks.BLOCKS
        lines: list[Text] = []
        for name in legend_roles(self._roles[self.index], table):
            role = table[name]
            style = role.color if self.color else role.plain
            mark = role.mark.strip() if solid or not self.color else ""
            if not (role.color if self.color else mark):
                continue  # it looks like the background
            if is_area:
                entry = Text.assemble((self.glyphs.full * 2, style), f" {role.word}", no_wrap=True, end="")
            else:
                entry = styled(f"{mark} {role.word}".strip(), style)
            if lines and (width is None or lines[-1].cell_len + GAP + entry.cell_len <= width):
                lines[-1].append(" " * GAP).append_text(entry)
            else:
                lines.append(entry)
        return lines
