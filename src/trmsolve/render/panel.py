"""One puzzle's drawing in a terminal: picture, figures and legend, arranged to fit the window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.text import Text

from trmsolve.render import blocks, caption
from trmsolve.render.blocks import GRID_SIZES, Span, Viewport, crop, draw_grid, fit, styled
from trmsolve.render.console import encodable, glyphs_for, has_color
from trmsolve.render.frame import Frame, Stat
from trmsolve.render.theme import legend_roles, role_table
from trmsolve.tasks.base import Picture

GAP = 2  # columns between the picture and the text beside it
LABEL = 8  # columns of a stat's name: "halting "
SIDE = LABEL + 15  # least columns of the text: "7 of at most 64"
BAR = 10  # columns of the meter
STATS = 6  # least lines of the text beside a picture
TALL = 15  # lines of a window from which on all text is below a part of a picture, not only the state
MAX_RECORDED = 4096  # frames that are kept at least
LOG_WIDTH = 80  # columns that a solid picture in a log should not exceed


class Drawing(NamedTuple):
    """A picture at one scale, drawn only when it fits: solid pictures are large."""

    columns: int
    rows: int
    draw: Callable[[], list[Text]]


class PuzzlePanel:
    """The newest frame of one puzzle with the history of its steps, as a Rich renderable that fits the window."""

    def __init__(self, console: Console) -> None:
        self.glyphs, self.color, self.encoding = glyphs_for(console), has_color(console), console.encoding
        self.frames: list[Frame] = []  # the latest ones
        self.index = 0  # of the frame that is drawn
        self.roles: set[str] = set()  # of all frames: a legend that only grows does not jump
        self.candidates = self.shades = False  # pencil marks; confidence as shade
        self.footer = ""  # a line below everything
        self.help: tuple[str, ...] = ()  # lines that are shown in place of the picture
        self._viewport = Viewport()

    @property
    def frame(self) -> Frame:
        """The frame that is drawn."""
        return self.frames[self.index]

    def add(self, frame: Frame) -> None:
        """Record this frame as the newest one and draw it."""
        if len(self.frames) >= 2 * MAX_RECORDED:
            del self.frames[:-MAX_RECORDED]
        self.frames.append(frame)
        self.index = len(self.frames) - 1
        is_end = frame.done and frame.status  # without the change map there is nothing to explain
        self.roles = frame.roles if is_end else self.roles | frame.roles

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # One row stays free for the cursor when the drawing ends: the final frame must not scroll itself away.
        for i, line in enumerate(self.lines(options.max_width, console.size.height - 1)):
            if i:
                yield Segment.line()
            yield from line.render(console)

    def lines(self, width: int, height: int) -> list[Text]:
        """The drawing in at most `width` columns and `height` rows: the largest arrangement that fits."""
        footer = [styled(self._encodable(self.footer), "dim")] if self.footer and height > 3 else []
        content = [styled(self._encodable(line)) for line in self.help[: height - len(footer)]]
        lines = [*(content or self._lines(width, height - len(footer))), *footer]
        return [fit(line, width, self.glyphs) for line in lines]

    def _lines(self, width: int, height: int) -> list[Text]:
        title, side, below = self.title(), self._side(), self._below(width)
        for picture in (self.frame.picture, *self.frame.zoom_levels):
            for columns, rows, draw in self._drawings(picture):
                if columns + GAP + side <= width and rows + 1 <= height:
                    return [title, *self._beside(draw(), columns, width - columns - GAP, height - 1)]
                if columns <= width and rows + 1 + len(below) <= height:
                    return [title, *draw(), *below]
        # Nothing fits. The state matters most, then the title, then as much of the picture as possible.
        rows = height - 2
        if rows < 2:
            return below[:1]
        if self.frame.picture.solid:
            return self._part(width, height)
        grid = draw_grid(self.frame.picture, GRID_SIZES[-1], self.glyphs, self.color)
        return [title, *crop(grid, width, rows, self.glyphs), *below[:1]]

    def whole(self) -> list[Text]:
        """The picture at its largest with its legend, for output that no window limits."""
        drawings = list(self._drawings(self.frame.picture))
        narrow = (drawing for drawing in drawings if drawing.columns <= LOG_WIDTH)
        drawing = next(narrow, drawings[-1]) if self.frame.picture.solid else drawings[0]
        return [*drawing.draw(), self.legend(self._legend_names())]

    def title(self) -> Text:
        """The heading of the puzzle."""
        return styled(self._encodable(self.frame.heading), "bold")

    def summary(self) -> Text:
        """The frame on one line, in columns, so that a log of them reads as a table."""
        f = self.frame
        if f.status:
            name, share = f.meter
            parts = [f.state, f"{name} {caption.percent(share)}", *f.details()]
            return styled(self._encodable(caption.joined(parts, self.glyphs.dot)))
        text = (
            f"step {f.step:3d}/{f.max_steps:<3d} halt {f.halt_probability:6.1%}  broken {f.violations:3d}"
            f"  changed {f.count('changed'):3d}  unsure {f.count('unsure'):3d}  {caption.duration(f.seconds):>7}"
        )
        text += f"  {f.run_text}" if f.run or f.assumption else ""
        return styled(self._encodable(f"{text}  {f.verdict()}" if f.done else text))

    def legend(self, names: list[str]) -> Text:
        """The roles on one line, each in its style."""
        line = Text(no_wrap=True, end="")
        solid = self.frame.picture.solid
        for name in names:
            role = role_table(self.frame.picture)[name]
            line.append("  " if line.plain else "")
            style = role.color if self.color else role.plain
            if solid and blocks.scales(self.glyphs, self.color) is blocks.BLOCKS:
                line.append(self.glyphs.full * 2, style=style).append(f" {role.word}")
            else:
                mark = "" if self.color and not solid else role.mark.strip()
                line.append(f"{mark} {role.word}" if mark else role.word, style=style)
        return line

    # -- arrangements ---------------------------------------------------------------------------------------------
    def _drawings(self, picture: Picture) -> Iterator[Drawing]:
        """The whole picture at every scale, the largest first."""
        if picture.solid:
            for scale in blocks.scales(self.glyphs, self.color):
                columns, rows = scale.extent(len(picture.cells), len(picture.cells[0]))
                yield Drawing(
                    columns, rows, partial(blocks.draw, picture.cells, scale, self.glyphs, self.color, picture.labels)
                )
            return
        for candidates in (True, False) if self.candidates else (False,):
            for size in GRID_SIZES:
                grid = draw_grid(picture, size, self.glyphs, self.color, candidates, self.shades)
                yield Drawing(max((line.cell_len for line in grid), default=0), len(grid), partial(list, grid))

    def _part(self, width: int, height: int) -> list[Text]:
        """As much of a solid picture as fits, where the changes are, and the text beside it or below."""
        picture = (self.frame.picture, *self.frame.zoom_levels)[-1]
        cells = picture.cells
        scale, below = blocks.scales(self.glyphs, self.color)[-1], self._below(width)
        if height < TALL:
            below = below[:1]
        elif not self.frame.status:  # otherwise the legend is already among these lines
            below += self._legend_lines(width)

        def shown(columns: int, lines: int) -> tuple[int, int]:
            """The number of columns, and of cells, of the picture that fit into these columns and lines of text."""
            wide = min(columns // scale.wide, len(cells[0]))
            return wide, wide * min(lines * scale.per_line, len(cells))

        columns, lines = width - GAP - self._side() - 3, height - 1  # 3: large mazes take "118 of at most 256" steps
        side, whole = shown(columns, lines), shown(width, height - 1 - len(below))
        # The text goes below a picture that is as wide as the window: then it need be scrolled in one direction only.
        is_cut = side[0] < whole[0] == len(cells[0])
        beside = lines >= STATS and side[1] >= whole[1] and not is_cut
        if not beside:
            columns, lines = width, lines - len(below)
        rows, across = self._viewport.follow(picture, lines * scale.per_line, columns // scale.wide)
        part = [row[slice(*across)] for row in cells[slice(*rows)]]
        offset = rows[0], across[0]
        drawn = blocks.draw(part, scale, self.glyphs, self.color, picture.labels, offset)
        title = self._title_of_part(picture, rows, across, width)
        if not beside:
            return [title, *drawn, *below]
        columns, _ = scale.extent(1, len(part[0]))
        return [title, *self._beside(drawn, columns, width - columns - GAP, height - 1)]

    def _title_of_part(self, picture: Picture, rows: Span, columns: Span, width: int) -> Text:
        """The title with the rows and columns that are shown, counted from 1."""
        cells = picture.cells
        parts = [
            f"{name} {span[0] + 1}-{span[1]} of {size}"
            for name, span, size in (("rows", rows, len(cells)), ("columns", columns, len(cells[0])))
            if span[1] - span[0] < size
        ]
        where = self._encodable(", ".join(parts))
        heading = caption.shorten(self.frame.heading, max(width - len(where) - GAP, 0))
        line = styled(self._encodable(heading), "bold")
        return line.append(" " * GAP if line.plain else "").append(where, style="dim")

    def _beside(self, grid: list[Text], columns: int, text_width: int, height: int) -> list[Text]:
        """Text to the right of the grid, each part at its fixed place; a low grid gets blank lines below."""
        status = self.frame.status
        least = 2 + len(status.stats) + 1 + len(self._legend_lines(text_width)) if status else STATS
        left = [line.copy() for line in grid]
        left += [Text(no_wrap=True, end="") for _ in range(min(least, height) - len(grid))]
        for line, text in zip(left, self._side_text(text_width, len(left)), strict=False):
            line.pad_right(columns - line.cell_len + GAP)
            line.append_text(text)
        return left

    def _side_text(self, text_width: int, rows: int) -> list[Text]:
        f = self.frame
        legend = self._legend_lines(text_width)
        lines = [self._stat_line(stat) for stat in f.stats()]
        verdict = Text()
        if f.status:
            lines.insert(0, styled(self._encodable(f.state), self._verdict_style() if f.done else "bold"))
        else:
            lines[-1] = self._labelled("time", Text(self._time_text(text_width - LABEL)))
            verdict = styled(self._encodable(f.verdict(brief=True)), self._verdict_style())
        lines.insert(1, self._labelled(f.meter[0], self._bar(text_width)))
        # In a low grid (4x4) history and legend are left out first.
        if rows >= len(lines) + len(legend) + 4:
            history = self._history(text_width - LABEL)
            if not f.status or (history and not f.done):
                lines.insert(3, self._labelled("", styled(history, "dim")))
            lines += [Text(), verdict]
            return [*lines, *[Text()] * (rows - len(lines) - len(legend)), *legend]
        if f.done and not f.status:
            lines[0] = verdict
        return [*lines, Text(), *legend] if rows > len(lines) + 1 else lines

    def _below(self, width: int) -> list[Text]:
        f, dot = self.frame, self.glyphs.dot
        name, share = f.meter
        state = caption.joined([f.state, f"{name} {caption.percent(share)}"], dot)
        first = styled(self._encodable(state), self._verdict_style() if f.done else "")
        if f.status:
            rest = caption.wrapped(f.details(), width, dot)
            return [first, *(styled(self._encodable(line)) for line in rest), *self._legend_lines(width)]
        rules = caption.joined((f"rules {f.rules_text}", caption.duration(f.seconds)), dot)
        return [first, styled(self._encodable(rules)), styled(self._encodable(f.run_text))]

    # -- parts ----------------------------------------------------------------------------------------------------
    def _labelled(self, name: str, value: Text) -> Text:
        return Text.assemble((f"{name:<{LABEL}}", "dim"), value, no_wrap=True, end="")

    def _stat_line(self, stat: Stat) -> Text:
        style = "" if stat.good is None or not self.color else "green" if stat.good else "red"
        return self._labelled(stat.name, styled(self._encodable(stat.value), style))

    def _side(self) -> int:
        """Columns of the text beside a picture: that of a StatusText is never shortened."""
        status = self.frame.status
        if status is None:
            return SIDE
        return max([SIDE, len(status.state), *(LABEL + len(stat.value) for stat in status.stats)])

    def _bar(self, text_width: int) -> Text:
        share = self.frame.meter[1]
        number = f"{caption.percent(share):>6}"
        length = min(BAR, text_width - LABEL - len(number))
        if length < 4:
            return Text(number.strip())
        full = round(share * length)
        bar = (self.glyphs.full * full, "green" if self.color else "")
        return Text.assemble(bar, (self.glyphs.empty * (length - full), "dim"), number)

    def _history(self, text_width: int) -> str:
        """Broken rules or unsure cells of the latest steps as a row of bars; "" if bars cannot be drawn."""
        # The question itself is omitted: it breaks no rules.
        remaining = [frame.remaining for frame in self.frames[: self.index + 1] if frame.step]
        heights, most = self.glyphs.spark, max(remaining, default=0)
        if not heights or not most:
            return ""
        return "".join(heights[round(n / most * (len(heights) - 1))] for n in remaining[-max(min(text_width, 28), 1) :])

    def _time_text(self, text_width: int) -> str:
        now = self.frame.seconds
        before = self.frames[self.index - 1] if self.index else None
        text = f"{caption.duration(now)}, step {caption.duration(now - (before.seconds if before else 0))}"
        is_step = before is not None and before.step and now >= before.seconds
        return text if is_step and len(text) <= text_width else caption.duration(now)

    def _verdict_style(self) -> str:
        color = {"good": " green", "bad": " red"}.get(self.frame.outcome, "")
        return f"bold{color}" if self.color else "bold"

    def _legend_names(self) -> list[str]:
        """Roles for the legend: with a word, and with a colour or, without colours, a mark."""
        table = role_table(self.frame.picture)
        names = legend_roles(self.roles, table)
        return [name for name in names if (table[name].color if self.color else table[name].mark.strip())]

    def _legend_lines(self, text_width: int) -> list[Text]:
        """The legend, broken so that no line is wider than `text_width` columns."""
        lines: list[list[str]] = [[]]
        for name in self._legend_names():
            if lines[-1] and self.legend([*lines[-1], name]).cell_len > text_width:
                lines.append([])
            lines[-1].append(name)
        return [self.legend(names) for names in lines if names]

    def _encodable(self, text: str) -> str:
        return encodable(text, self.encoding)
