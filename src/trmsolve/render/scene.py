"""One puzzle's drawing in a terminal: grid, facts and legend, arranged to fit the window they are drawn in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.text import Text

from trmsolve.render import blocks, caption
from trmsolve.render.console import encodable, glyphs_for, has_color
from trmsolve.render.frame import Fact, Frame
from trmsolve.render.grid import SIZES, crop, draw, styled
from trmsolve.render.theme import in_legend_order, looks
from trmsolve.render.window import Span, Window
from trmsolve.tasks.base import Picture

Drawing = tuple[int, int, Callable[[], list[Text]]]  # columns, lines, and how to get them

GAP = 2  # between the grid and the words beside it
LABEL = 8  # "halting "
SIDE = LABEL + 15  # columns that the words need at least: "7 of at most 64"
BAR = 10
FACTS = 6  # lines that the words need at least, beside a grid
ROOMY = 15  # lines of a window from which on all words stand below a part of a picture, not only the state
PAGE = 80  # columns that a picture in a log should keep to where it can


class Scene:
    """One puzzle's drawing: the newest frame, and what was left to do on the way there. Fits itself to the window."""

    def __init__(self, console: Console) -> None:
        self.glyphs, self.colour, self.encoding = glyphs_for(console), has_color(console), console.encoding
        self.frame: Frame | None = None
        self.left: list[int] = []  # what was left to do, per step
        self.roles: set[str] = set()  # seen so far: a legend that only grows does not jump
        self._window = Window()
        self._last: tuple[float, float] = (0.0, 0.0)  # seconds of the two newest frames

    def add(self, frame: Frame) -> None:
        self.frame = frame
        if frame.step:  # the bare question breaks no rule, which would look like a perfect start
            self.left.append(caption.left(frame))
        ended = frame.done and frame.words  # without the map of a refinement there is nothing to explain
        self.roles = frame.roles if ended else self.roles | frame.roles
        self._last = (self._last[1], frame.seconds)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # One row stays free for the cursor when the drawing ends: the final frame must not scroll itself away.
        for i, line in enumerate(self.lines(options.max_width, console.size.height - 1)):
            if i:
                yield Segment.line()
            yield from line.render(console)

    def lines(self, width: int, height: int) -> list[Text]:
        """The whole drawing in at most so many columns and rows: the roomiest arrangement that fits."""
        title, side, below = self.title(), self._side(), self._below(width)
        for picture in (self.frame.picture, *self.frame.closer):
            for columns, rows, drawn in self._drawings(picture):
                if columns + GAP + side <= width and rows + 1 <= height:
                    return self._fit([title, *self._beside(drawn(), columns, width - columns - GAP, height - 1)], width)
                if columns <= width and rows + 1 + len(below) <= height:
                    return self._fit([title, *drawn(), *below], width)
        # Nothing fits. The state matters most, then the title, then as much of the grid as there is room for.
        room = height - 2
        if room < 2:
            return self._fit(below[:1], width)
        if self.frame.picture.solid:
            return self._fit(self._part(width, height), width)
        grid = crop(draw(self.frame.picture, SIZES[-1], self.glyphs, self.colour), width, room, self.glyphs)
        return self._fit([title, *grid, *below[:1]], width)

    def whole(self) -> list[Text]:
        """The grid at its roomiest with its legend, for output that no window limits."""
        drawings = list(self._drawings(self.frame.picture))
        sensible = (drawing for drawing in drawings if drawing[0] <= PAGE)
        _, _, drawn = next(sensible, drawings[-1]) if self.frame.picture.solid else drawings[0]
        return [*drawn(), self.legend()]

    def title(self) -> Text:
        return styled(self._say(caption.heading(self.frame)), "bold")

    def summary(self) -> Text:
        """The frame on one line, in columns, so that a log of them reads as a table."""
        f = self.frame
        if f.words:
            name, share = caption.meter(f)
            parts = [caption.state(f), f"{name} {caption.percent(share)}", *caption.details(f)]
            return styled(self._say(caption.joined(parts, self.glyphs.dot)))
        text = (
            f"step {f.step:3d}/{f.max_steps:<3d} halt {f.halt_probability:6.1%}  broken {f.violations:3d}"
            f"  changed {f.count('changed'):3d}  unsure {f.count('unsure'):3d}  {caption.duration(f.seconds):>7}"
        )
        if f.run or f.open_guess:
            text += f"  {caption.run(f)}"
        if f.done:
            text += f"  {caption.verdict(f)}"
        return styled(self._say(text))

    def legend(self, names: list[str] | None = None) -> Text:
        """The roles seen so far, each word in its own look."""
        line = Text(no_wrap=True, end="")
        table = looks(self.frame.picture)
        for name in names if names is not None else self._legend_names():
            role = table[name]
            if line.plain:
                line.append("  ")
            style = role.colour if self.colour else role.plain
            if self._blocks:
                line.append(self.glyphs.full * 2, style=style).append(f" {role.word}")
                continue
            mark = "" if self.colour and not self.frame.picture.solid else role.mark.strip()
            line.append(f"{mark} {role.word}" if mark else role.word, style=style)
        return line

    # -- arrangements -------------------------------------------------------------------------------------------
    def _drawings(self, picture: Picture) -> Iterator[Drawing]:
        """The whole picture in every size there is, the roomiest first."""
        if not picture.solid:
            for size in SIZES:
                grid = draw(picture, size, self.glyphs, self.colour)
                yield max((line.cell_len for line in grid), default=0), len(grid), lambda grid=grid: grid
            return
        for scale in blocks.scales(self.glyphs, self.colour):  # not drawn before it is known to fit: these are large
            yield (
                *scale.extent(len(picture.cells), len(picture.cells[0])),
                lambda scale=scale: blocks.draw(picture.cells, scale, self.glyphs, self.colour),
            )

    def _part(self, width: int, height: int) -> list[Text]:
        """As much of a solid picture as there is room for, where the changes are, and the facts beside it or below."""
        picture = (self.frame.picture, *self.frame.closer)[-1]
        scale, below = blocks.scales(self.glyphs, self.colour)[-1], self._below(width)
        if height < ROOMY:
            below = below[:1]
        elif not self.frame.words:  # whose legend is there already
            below += self._legend_lines(width)

        def seen(columns: int, lines: int) -> int:
            """How many cells so much room shows."""
            return min(columns // scale.wide, len(picture.cells[0])) * min(lines * scale.per_line, len(picture.cells))

        columns, lines = width - GAP - self._side() - 3, height - 1  # "118 of at most 256": large mazes take many steps
        beside = lines >= FACTS and seen(columns, lines) >= seen(width, lines - len(below))
        if not beside:
            columns, lines = width, lines - len(below)
        rows, across = self._window.follow(picture, lines * scale.per_line, columns // scale.wide)
        cells = [row[slice(*across)] for row in picture.cells[slice(*rows)]]
        part = blocks.draw(cells, scale, self.glyphs, self.colour)
        title = self._title_of_part(picture, rows, across, width)
        if not beside:
            return [title, *part, *below]
        columns, _ = scale.extent(1, len(cells[0]))
        return [title, *self._beside(part, columns, width - columns - GAP, height - 1)]

    def _title_of_part(self, picture: Picture, rows: Span, columns: Span, width: int) -> Text:
        """The title, and which rows and columns are shown; those count from 1."""
        cells = picture.cells
        said = [
            f"{name} {span[0] + 1}-{span[1]} of {whole}"
            for name, span, whole in (("rows", rows, len(cells)), ("columns", columns, len(cells[0])))
            if span[1] - span[0] < whole
        ]
        where = self._say(", ".join(said))
        line = styled(self._say(caption.shorten(caption.heading(self.frame), max(width - len(where) - GAP, 0))), "bold")
        return line.append(" " * GAP if line.plain else "").append(where, style="dim")

    def _beside(self, grid: list[Text], columns: int, room: int, height: int) -> list[Text]:
        """Words to the right of the grid, each at its fixed place; a very low grid does not cut them short."""
        left = [line.copy() for line in grid]
        needed = 2 + len(words.facts) + 1 + len(self._legend_lines(room)) if (words := self.frame.words) else FACTS
        left += [Text(no_wrap=True, end="") for _ in range(min(needed, height) - len(grid))]
        right = self._words(room, len(left))
        for line, words in zip(left, right, strict=False):
            line.pad_right(columns - line.cell_len + GAP)
            line.append_text(words)
        return left

    def _words(self, room: int, rows: int) -> Iterator[Text]:
        f = self.frame
        legend = self._legend_lines(room)
        facts = [self._named(fact) for fact in caption.facts(f)]
        if f.words:
            facts.insert(0, styled(self._say(caption.state(f)), self._verdict_style() if f.done else "bold"))
            verdict = Text()
        else:
            facts[-1] = self._fact("time", Text(self._time(room - LABEL)))
            verdict = self._verdict()
        facts.insert(1, self._fact(caption.meter(f)[0], self._bar(room)))
        spark = self._spark(room - LABEL)
        # In a low grid (4x4) the extras go first: they explain, the facts report.
        if rows >= len(facts) + 1 + 1 + len(legend) + 2:
            if not f.words or (spark and not f.done):
                facts.insert(3, self._fact("", styled(spark, "dim")))
            yield from [*facts, Text(), verdict]
            yield from [Text()] * (rows - len(facts) - 2 - len(legend))
            yield from legend
        else:
            if f.done and not f.words:
                facts[0] = verdict
            yield from facts
            if rows > len(facts) + 1:
                yield Text()
                yield from legend

    def _below(self, width: int) -> list[Text]:
        f, dot = self.frame, self.glyphs.dot
        name, share = caption.meter(f)
        state = caption.joined([caption.state(f), f"{name} {caption.percent(share)}"], dot)
        first = styled(self._say(state), self._verdict_style() if f.done else "")
        if f.words:
            rest = caption.wrapped(caption.details(f), width, dot)
            return [first, *(styled(self._say(line)) for line in rest), *self._legend_lines(width)]
        rules = caption.joined((f"rules {caption.rules(f)}", caption.duration(f.seconds)), dot)
        return [first, styled(self._say(rules)), styled(self._say(caption.run(f)))]

    def _fit(self, lines: list[Text], width: int) -> list[Text]:
        """No line wider than the window: a wrapped line would make Rich miscount and smear the redraw."""
        for line in lines:
            if line.cell_len > width:
                line.truncate(max(width - 1, 0))
                line.append(self.glyphs.more, style="dim")
        return lines

    @property
    def _blocks(self) -> bool:
        """Whether cells are blocks of colour here, which words cannot be."""
        return self.frame.picture.solid and blocks.scales(self.glyphs, self.colour) is blocks.BLOCKS

    # -- parts --------------------------------------------------------------------------------------------------
    def _fact(self, name: str, value: Text) -> Text:
        return Text.assemble((f"{name:<{LABEL}}", "dim"), value, no_wrap=True, end="")

    def _named(self, fact: Fact) -> Text:
        style = "" if fact.good is None or not self.colour else "green" if fact.good else "red"
        return self._fact(fact.name, styled(self._say(fact.value), style))

    def _side(self) -> int:
        """Columns that the words beside a picture need: a puzzle's can be cut short, these cannot."""
        words = self.frame.words
        return max([SIDE, len(words.state), *(LABEL + len(fact.value) for fact in words.facts)]) if words else SIDE

    def _bar(self, room: int) -> Text:
        _, p = caption.meter(self.frame)
        number = f"{caption.percent(p):>6}"
        length = min(BAR, room - LABEL - len(number))
        if length < 4:
            return Text(number.strip())
        full = round(p * length)
        return Text.assemble(
            (self.glyphs.full * full, "green" if self.colour else ""),
            (self.glyphs.empty * (length - full), "dim"),
            number,
        )

    def _spark(self, room: int) -> str:
        """What was left to do at the latest steps as a row of bars; nothing where none can be drawn."""
        values, heights = self.left[-max(min(room, 28), 1) :], self.glyphs.spark
        most = max(self.left, default=0)
        if not heights or not most:
            return ""
        return "".join(heights[min(round(v / most * (len(heights) - 1)), len(heights) - 1)] for v in values)

    def _time(self, room: int) -> str:
        before, now = self._last
        total = caption.duration(self.frame.seconds)
        latency = f"{total}, step {caption.duration(now - before)}"
        return latency if len(self.left) > 1 and now >= before and len(latency) <= room else total

    def _verdict(self) -> Text:
        return styled(self._say(caption.verdict(self.frame, brief=True)), self._verdict_style())

    def _verdict_style(self) -> str:
        colour = {"good": "green", "bad": "red"}.get(caption.tone(self.frame), "")
        return f"bold {colour}".strip() if self.colour else "bold"

    def _legend_names(self) -> list[str]:
        """Those that need explaining: with a word, and, where marks must do, with a mark."""
        table = looks(self.frame.picture)
        names = in_legend_order(self.roles, table)
        return [name for name in names if (table[name].colour if self.colour else table[name].mark.strip())]

    def _legend_lines(self, room: int) -> list[Text]:
        """The legend, broken so that no line is wider than the room."""
        lines: list[list[str]] = [[]]
        for name in self._legend_names():
            if lines[-1] and self.legend([*lines[-1], name]).cell_len > room:
                lines.append([])
            lines[-1].append(name)
        return [self.legend(names) for names in lines if names]

    def _say(self, text: str) -> str:
        return encodable(text, self.encoding)
