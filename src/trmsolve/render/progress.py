"""The progress of training: a panel that stays in place on a terminal, a line every few seconds anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from rich import box
from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from trmsolve.render.caption import duration, printable
from trmsolve.render.console import console_for, encodable, glyphs_for, has_color, is_live, start_live

LINE_SECONDS = 10.0  # between two plain lines
REDRAW_SECONDS = 0.1
RECENT = 20  # updates over which the speed, and from it the time left, is measured
WIDTH = 84  # most columns of the panel

# name in the metrics -> label and format, in the order shown; other metrics are not shown
METRICS = {
    "loss": ("loss", "{:.4f}"),
    "cell_accuracy": ("cells right", "{:.2%}"),
    "exact_accuracy": ("grids right", "{:.2%}"),
    "step": ("optimizer steps", "{:,.0f}"),
    "puzzles_per_second": ("puzzles/s", "{:,.0f}"),
    "lr": ("learning rate", "{:.2e}"),
}


class Progress:
    """Shows the metrics of a training run as they arrive.

        with Progress(total_minutes=30, terminal=True, stream=sys.stderr) as progress:
            progress.update({"step": 10, "seconds": 4.2, "loss": 1.3, ...})

    `seconds` is the training time so far, including earlier parts of a resumed run. Progress is measured by
    `total_minutes` if given, else by `total_steps`. Any metric may be missing.
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
        self._has_panel = terminal and is_live(self.console)
        self._live: Live | None = None
        self._shown_at: float | None = None
        self._pending = False  # metrics came after the last plain line

    def __enter__(self) -> Progress:
        if self._has_panel:
            self._live = start_live(self, self.console)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the last state on the screen and restore the cursor."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()
        if self._pending:
            self._print_line()

    # -- events ---------------------------------------------------------------------------------------------------
    def update(self, metrics: Mapping[str, Any]) -> None:
        """Set new metrics; they are shown at most once per interval."""
        self.metrics.update(metrics)
        self._recent = [*self._recent[-RECENT:], (self._seconds, self.share or 0.0)]
        self._pending = not self._has_panel
        now = time.monotonic()
        if self._has_panel:
            self._refresh(now)
        elif self._shown_at is None or now - self._shown_at >= LINE_SECONDS:
            self._print_line()
            self._shown_at = now

    def evaluated(self, metrics: Mapping[str, Any]) -> None:
        """The result of an evaluation on held-out puzzles."""
        labels = {name: METRICS[name][0] if name in METRICS else name.replace("_", " ") for name in metrics}
        parts = [f"{labels[name]} {_number(name, value)}" for name, value in metrics.items()]
        self.evaluation = f"at step {self.metrics.get('step', 0):,}: " + ", ".join(parts)
        self._event("evaluated", self.evaluation)

    def saved(self, path: object, step: int) -> None:
        """The state after this optimizer step was written."""
        self.saved_line = f"{path} at step {step:,}"
        self._event("saved", self.saved_line)

    def message(self, text: str) -> None:
        """A sentence that stays on the screen, above the panel."""
        self._print(text)

    # -- text -----------------------------------------------------------------------------------------------------
    @property
    def share(self) -> float | None:
        """The finished share of the run, 0 to 1; None if the run has no limit."""
        if self.total_seconds:
            return min(self._seconds / self.total_seconds, 1.0)
        if self.total_steps:
            return min(self.metrics.get("step", 0) / self.total_steps, 1.0)
        return None

    @property
    def left(self) -> float | None:
        """Seconds left, from the speed of the latest updates; None if unknown."""
        share = self.share
        if share is None:
            return None
        if self.total_seconds:
            return self.total_seconds * (1 - share)
        (t0, s0), (t1, s1) = (self._recent or [(0.0, 0.0)])[0], (self._recent or [(0.0, 0.0)])[-1]
        return (1 - share) * (t1 - t0) / (s1 - s0) if s1 > s0 and t1 > t0 else None

    def line(self) -> str:
        """The newest metrics on one line."""
        return "  ".join([self._clock(), *(f"{label} {value}" for label, value in self._values())])

    def __rich__(self) -> RenderableType:
        width = min(self.console.width, WIDTH)
        plain = glyphs_for(self.console).spark == ""
        values, per_row = self._values(), 2 if self.console.width >= 64 else 1
        table = Table.grid(padding=(0, 2))
        for start in range(0, len(values), per_row):
            pairs = values[start : start + per_row]
            table.add_row(
                *(
                    text
                    for label, value in pairs
                    for text in (Text(f"{label:<15}", "dim"), Text(f"{value:<14}", "bold"))
                )
            )
        lines: list[RenderableType] = [self._bar(width - 11), Text(self._clock()), Text(), table]
        for name, value in (("evaluated", self.evaluation), ("saved", self.saved_line)):
            line = Text.assemble((f"{name:<11}", "dim"), self._encodable(value or "not yet"))
            line.no_wrap, line.overflow = True, "crop" if plain else "ellipsis"
            lines.append(line)
        if self.console.height < len(lines) + table.row_count + 2:
            return Group(self._bar(width - 11), Text(self._encodable(self.line()), no_wrap=True, overflow="crop"))
        frame = box.ASCII if plain else box.ROUNDED
        return Panel(Group(*lines), title="training", title_align="left", box=frame, width=width, padding=(0, 1))

    def _bar(self, length: int) -> Text:
        share, glyphs = self.share, glyphs_for(self.console)
        if share is None or length < 8:
            return Text("no end set: Ctrl-C saves and stops" if share is None else f"{share:.1%}", style="dim")
        full = round(share * length)
        bar = (glyphs.full * full, "green" if has_color(self.console) else "")
        return Text.assemble(bar, (glyphs.empty * (length - full), "dim"), f"{share:7.1%}")

    def _clock(self) -> str:
        text = duration(self._seconds)
        if self.total_seconds:
            text += f" of {duration(self.total_seconds)}"
        elif self.total_steps:
            text += f", step {self.metrics.get('step', 0):,} of {self.total_steps:,}"
        return f"{text}, {duration(self.left)} left" if self.left is not None else text

    def _values(self) -> list[tuple[str, str]]:
        return [
            (label, template.format(self.metrics[name]))
            for name, (label, template) in METRICS.items()
            if self.metrics.get(name) is not None
        ]

    @property
    def _seconds(self) -> float:
        return float(self.metrics.get("seconds", 0.0))

    def _event(self, name: str, text: str) -> None:
        if self._has_panel:
            self._refresh(time.monotonic(), at_once=True)
        else:
            self._print(f"{name} {text}")

    def _refresh(self, now: float, at_once: bool = False) -> None:
        if self._live is not None and (at_once or self._shown_at is None or now - self._shown_at >= REDRAW_SECONDS):
            self._live.refresh()
            self._shown_at = now

    def _print_line(self) -> None:
        self._print(self.line())
        self._pending = False

    def _print(self, text: str) -> None:
        self.console.print(Text(self._encodable(text)), soft_wrap=True)

    def _encodable(self, text: str) -> str:
        return encodable(printable(text), self.console.encoding)


def _number(name: str, value: Any) -> str:
    """A value of an evaluation in its metric's format; a share as a percentage, other values as they are."""
    if name in METRICS and isinstance(value, int | float):
        return METRICS[name][1].format(value)
    if isinstance(value, float):
        return f"{value:.2%}" if 0 <= value <= 1 else f"{value:.4g}"
    return str(value)
