"""How training is going: a panel that stays in place on a terminal, a line every few seconds anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TextIO

from rich import box
from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from trmsolve.render.caption import duration, printable
from trmsolve.render.console import console_for, encodable, glyphs_for, has_color, is_live

LINE_SECONDS = 10.0  # between two plain lines
REDRAW_SECONDS = 0.1
RECENT = 20  # updates over which the speed, and from it the time left, is measured

# name in the metrics -> words and format, in the order shown; names not listed here are not shown
METRICS = {
    "loss": ("loss", "{:.4f}"),
    "cell_accuracy": ("cells right", "{:.2%}"),
    "exact_accuracy": ("grids right", "{:.2%}"),
    "step": ("optimizer steps", "{:,.0f}"),
    "puzzles_per_second": ("puzzles/s", "{:,.0f}"),
    "lr": ("learning rate", "{:.2e}"),
}


class Progress:
    """Shows the metrics of a training run as they come.

        with Progress(total_minutes=30, terminal=True, stream=sys.stderr) as progress:
            progress.update({"step": 10, "seconds": 4.2, "loss": 1.3, ...})

    `seconds` is the training time so far, earlier parts of a resumed run included; with `total_minutes` it measures
    how far the run is, otherwise `step` does against `total_steps`. Any metric may be missing.
    """

    def __init__(
        self,
        total_minutes: float | None = None,
        total_steps: int | None = None,
        terminal: bool = True,
        stream: TextIO | None = None,
        color: str = "auto",
    ) -> None:
        self.console = console_for(stream if stream is not None else sys.stderr, color)
        self.total_seconds = None if total_minutes is None else 60 * total_minutes
        self.total_steps = total_steps
        self.metrics: dict[str, Any] = {}
        self.evaluation = self.saved_line = ""
        self._recent: list[tuple[float, float]] = []  # (seconds, share done)
        self._panel = terminal and is_live(self.console)
        self._live: Live | None = None
        self._shown_at: float | None = None
        self._unsaid = False  # metrics came since the last plain line

    def __enter__(self) -> Progress:
        if self._panel:
            self._live = Live(
                self, console=self.console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
            )
            try:
                self._live.start(refresh=True)
            except BaseException:
                self.close()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the last state on the screen and give the cursor back."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()
        if self._unsaid:
            self._say_line()

    # -- what happens -------------------------------------------------------------------------------------------
    def update(self, metrics: Mapping[str, Any]) -> None:
        """The newest metrics; shown when the last ones have stood long enough."""
        self.metrics.update(metrics)
        self._recent = [*self._recent[-RECENT:], (self._seconds, self.share or 0.0)]
        self._unsaid = not self._panel
        now = time.monotonic()
        if self._panel:
            self._refresh(now)
        elif self._shown_at is None or now - self._shown_at >= LINE_SECONDS:
            self._say_line()
            self._shown_at = now

    def evaluated(self, metrics: Mapping[str, Any]) -> None:
        """The result of an evaluation on held-out puzzles."""
        words = {name: METRICS[name][0] if name in METRICS else name.replace("_", " ") for name in metrics}
        parts = [f"{words[name]} {_number(name, value)}" for name, value in metrics.items()]
        self.evaluation = f"at step {self.metrics.get('step', 0):,}: " + ", ".join(parts)
        self._event("evaluated", self.evaluation)

    def saved(self, path: object, step: int) -> None:
        """The state after this optimizer step was written."""
        self.saved_line = f"{path} at step {step:,}"
        self._event("saved", self.saved_line)

    def message(self, text: str) -> None:
        """A sentence that stays on the screen, above the panel."""
        self._say(text)

    # -- how it is said -----------------------------------------------------------------------------------------
    @property
    def share(self) -> float | None:
        """How much of the run is done, 0 to 1; None when it has no end."""
        if self.total_seconds:
            return min(self._seconds / self.total_seconds, 1.0)
        if self.total_steps:
            return min(self.metrics.get("step", 0) / self.total_steps, 1.0)
        return None

    @property
    def left(self) -> float | None:
        """Seconds to go, from the speed of the latest updates."""
        share = self.share
        if share is None:
            return None
        if self.total_seconds:
            return self.total_seconds * (1 - share)
        (t0, s0), (t1, s1) = (self._recent or [(0.0, 0.0)])[0], (self._recent or [(0.0, 0.0)])[-1]
        return (1 - share) * (t1 - t0) / (s1 - s0) if s1 > s0 and t1 > t0 else None

    def line(self) -> str:
        """The newest metrics on one line."""
        parts = [self._clock(), *(f"{words} {value}" for words, value in self._values())]
        return "  ".join(parts)

    def __rich__(self) -> RenderableType:
        plain = glyphs_for(self.console).spark == ""
        table = Table.grid(padding=(0, 2))
        values = self._values()
        two = self.console.width >= 64
        for row in range(0, len(values), 2 if two else 1):
            cells: list[Text] = []
            for words, value in values[row : row + (2 if two else 1)]:
                cells += [Text(f"{words:<15}", style="dim"), Text(f"{value:<14}", style="bold")]
            table.add_row(*cells)
        lines = [self._bar(), Text(self._clock()), Text(), table]
        for name, text in (("evaluated", self.evaluation), ("saved", self.saved_line)):
            said = Text.assemble((f"{name:<11}", "dim"), self._safe(text or "not yet"))
            said.no_wrap, said.overflow = True, "crop" if plain else "ellipsis"
            lines.append(said)
        frame = Panel(
            Group(*lines),
            title="training",
            title_align="left",
            box=box.ASCII if plain else box.ROUNDED,
            width=min(self.console.width, 84),
            padding=(0, 1),
        )
        short = self.console.height < len(lines) + table.row_count + 2
        return Group(self._bar(), Text(self._safe(self.line()), no_wrap=True, overflow="crop")) if short else frame

    def _bar(self) -> Text:
        share, glyphs = self.share, glyphs_for(self.console)
        length = min(self.console.width, 84) - 4 - 7
        if share is None or length < 8:
            return Text("no end set: Ctrl-C saves and stops" if share is None else f"{share:.1%}", style="dim")
        full = round(share * length)
        return Text.assemble(
            (glyphs.full * full, "green" if has_color(self.console) else ""),
            (glyphs.empty * (length - full), "dim"),
            f"{share:7.1%}",
        )

    def _clock(self) -> str:
        text = duration(self._seconds)
        if self.total_seconds:
            text += f" of {duration(self.total_seconds)}"
        elif self.total_steps:
            text += f", step {self.metrics.get('step', 0):,} of {self.total_steps:,}"
        return f"{text}, {duration(self.left)} left" if self.left is not None else text

    def _values(self) -> list[tuple[str, str]]:
        return [
            (words, shape.format(self.metrics[name]))
            for name, (words, shape) in METRICS.items()
            if self.metrics.get(name) is not None
        ]

    @property
    def _seconds(self) -> float:
        return float(self.metrics.get("seconds", 0.0))

    def _event(self, name: str, text: str) -> None:
        if self._panel:
            self._refresh(time.monotonic(), at_once=True)
        else:
            self._say(f"{name} {text}")

    def _refresh(self, now: float, at_once: bool = False) -> None:
        if self._live is not None and (at_once or self._shown_at is None or now - self._shown_at >= REDRAW_SECONDS):
            self._live.refresh()
            self._shown_at = now

    def _say_line(self) -> None:
        self._say(self.line())
        self._unsaid = False

    def _say(self, text: str) -> None:
        self.console.print(Text(self._safe(text)), soft_wrap=True)

    def _safe(self, text: str) -> str:
        return encodable(printable(text), self.console.encoding)


def _number(name: str, value: Any) -> str:
    """A value of an evaluation: shares as percentages, the rest as it is."""
    if name in METRICS and isinstance(value, int | float):
        return METRICS[name][1].format(value)
    if isinstance(value, float):
        return f"{value:.2%}" if 0 <= value <= 1 else f"{value:.4g}"
    return str(value)
