"""The progress of training: a panel that stays in place on a terminal, a line every few seconds anywhere else."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from trmsolve.render.caption import duration, shorten_start, wrapped
from trmsolve.render.console import UNICODE, encodable, glyphs_for, is_live
from trmsolve.text_io import printable
from trmsolve.training.config import TrainConfig
from trmsolve.training.metrics import FORMATS, describe_metric

LINE_SECONDS = 10.0  # between two plain lines
REFRESHES = 4  # of the panel per second
RECENT_STEPS = 30  # over which the speed is measured
WIDTH = 88
NARROW = 60  # columns below which the panel is plain lines
LABEL = 15  # columns of the name of a row
MARGIN = 4  # columns kept free: a terminal writes ^C there, and must not wrap it into the next line
HEAD = ("step", "seconds")  # of every line of metrics
CURVE_POINTS = 2048  # of a curve, before neighbours are averaged
ASCII_LEVELS = "_.-=+*%#"


class Curve:
    """A measure over the whole run, in bounded memory: once full, each two neighbours become their mean."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self._stride, self._pending = 1, 0.0  # measurements per value; sum of those that make no whole value yet
        self._num_pending = 0

    def add(self, value: float) -> None:
        """Add the newest measurement."""
        self._pending, self._num_pending = self._pending + value, self._num_pending + 1
        if self._num_pending < self._stride:
            return
        self.values.append(self._pending / self._num_pending)
        self._pending, self._num_pending = 0.0, 0
        if len(self.values) >= CURVE_POINTS:
            self.values = [(a + b) / 2 for a, b in zip(self.values[::2], self.values[1::2], strict=True)]
            self._stride *= 2


def sparkline(values: Sequence[float], width: int, levels: str = UNICODE.spark) -> str:
    """Values as at most `width` characters, each the mean of its part, from the lowest level to the highest."""
    width = min(width, len(values))
    bounds = [len(values) * k // width for k in range(width + 1)] if width > 0 else []
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(bounds)]
    low, high = min(means, default=0.0), max(means, default=0.0)
    scale = (len(levels) - 1) / (high - low) if high > low else 0.0
    return "".join(levels[round((mean - low) * scale)] for mean in means)


class TrainPanel:
    """Shows a run. The reporter of Trainer.run, whose on_step is `step`; a context manager around the whole command.

    began: time.monotonic() at which the command was started. quiet: messages only. silent: not even those.
    """

    def __init__(self, console: Console, began: float, *, quiet: bool = False, silent: bool = False) -> None:
        self.console, self.began, self.quiet, self.silent = console, began, quiet, silent
        self.title, self.phase = "training", "loading"
        self.evaluates = True
        self.config = TrainConfig()
        self.model_config: Any = None
        self.previous_seconds = 0.0  # of former sessions of the run
        self.metrics: dict[str, Any] = {}  # of the newest line of metrics.jsonl
        self.current_step = 0
        self.loss, self.exact = Curve(), Curve()
        self.finished = False
        self.saved_at = self.measured = ""
        self.evaluation: list[str] = []
        self._recent: deque[tuple[float, int]] = deque(maxlen=RECENT_STEPS + 1)  # (monotonic seconds, step)
        self._live: Live | None = None
        self._last_line = -LINE_SECONDS
        self._glyphs = glyphs_for(console)
        self._levels = self._glyphs.spark or ASCII_LEVELS

    def __enter__(self) -> TrainPanel:
        return self

    def start(self) -> None:
        """Show the panel, on a terminal."""
        if self._live is not None or self.quiet or self.silent:
            return
        if is_live(self.console):
            self._live = Live(
                console=self.console,
                get_renderable=self.render,
                refresh_per_second=REFRESHES,
                redirect_stdout=False,
                redirect_stderr=False,
                transient=True,  # until the run has begun: an error leaves no panel behind
            )
            self._live.start(refresh=True)

    def __exit__(self, *_: object) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    # -- what happens -------------------------------------------------------------------------------------------
    def begin(
        self,
        title: str,
        config: TrainConfig,
        model_config: Any,
        seconds: float,
        log: Iterable[Any],
        evaluates: bool = True,
    ) -> None:
        """The run begins, or resumes after this many seconds.

        log: its metrics so far. evaluates: whether it has held-out puzzles.
        """
        self.evaluates = evaluates
        self.title, self.config, self.model_config, self.previous_seconds = title, config, model_config, seconds
        for record in log:
            if isinstance(record.get("loss"), float) and isinstance(record.get("exact_accuracy"), float):
                self.loss.add(record["loss"])
                self.exact.add(record["exact_accuracy"])
        if self._live is None:
            self._print_progress(title)
        else:
            self._live.transient = False

    def set_phase(self, phase: str) -> None:
        """loading, compiling, training, evaluating, measuring, stopping or the outcome of the run."""
        if phase != self.phase and self._live is None and phase in ("compiling", "evaluating", "measuring"):
            self._print_progress(phase)
        self.phase, self.measured = phase, ""

    def step(self, step: int, loss: float) -> None:
        """An optimizer step is over."""
        if self.phase != "stopping":
            self.set_phase("training")
        self.current_step = step
        self._recent.append((time.monotonic(), step))
        if loss == loss:
            self.loss.add(loss)
        if self._live is None and time.monotonic() - self._last_line >= LINE_SECONDS:
            self._last_line = time.monotonic()
            self._print_progress(self.line())

    def update(self, metrics: dict[str, Any]) -> None:
        """A line of metrics was written."""
        self.metrics = metrics
        self.exact.add(metrics["exact_accuracy"])

    def measuring(self, num_done: int, total: int) -> None:
        """The progress of an evaluation, in puzzles."""
        self.measured = f"{num_done} of {total} puzzles"

    def evaluated(self, result: dict[str, Any]) -> None:
        """The result of an evaluation on held-out puzzles."""
        measures = {name: describe_metric(name, value) for name, value in result.items() if name not in HEAD}
        exact = [text for name, text in measures.items() if name.startswith("exact")][-1:]
        self.evaluation = [*exact, f"at step {result['step']:,}", measures.get("puzzles", "")]
        if self.phase != "stopping":
            self.set_phase("training")
        if self._live is None:
            self._print_progress(f"evaluated at step {result['step']:,}: {', '.join(measures.values())}")

    def saved(self, path: Any, step: int) -> None:
        """The state after this optimizer step was written."""
        self.saved_at = f"{path} at step {step:,}"
        if self._live is None:
            self._print_progress(f"saved {self.saved_at}")

    def message(self, text: str) -> None:
        """Print a sentence that stays on the screen, above the panel."""
        if not self.silent:
            self.console.print(Text(self._safe(text, limit=2000)), soft_wrap=True)

    def stopping(self, text: str) -> None:
        """A signal has arrived; text: what happens next."""
        self.set_phase("stopping")
        self.message(text)

    def finish(self, outcome: str) -> None:
        """The run has ended."""
        self.set_phase(outcome)
        self.finished = outcome == "finished"

    # -- how it is shown ----------------------------------------------------------------------------------------
    @property
    def seconds(self) -> float:
        """Wall time of the run until now, former sessions included."""
        return self.previous_seconds + time.monotonic() - self.began

    @property
    def share(self) -> float | None:
        """The share of the run that is done, 0 to 1; None when it has no end."""
        if self.finished:
            return 1.0
        shares = [self.current_step / self.config.steps] if self.config.steps else []
        shares += [self.seconds / (60 * self.config.minutes)] if self.config.minutes else []
        return min(1.0, max(shares)) if shares else None

    @property
    def steps_per_second(self) -> float | None:
        """Of the latest steps, with all that is done between them."""
        if len(self._recent) < 2:
            return None
        (t0, first), (t1, last) = self._recent[0], self._recent[-1]
        return (last - first) / (t1 - t0) if t1 > t0 else None

    @property
    def seconds_left(self) -> float | None:
        """An estimate of the time until the last step; None where there is no end, or no step yet."""
        if self.model_config is None or self.finished:
            return None
        rate = self.steps_per_second
        left = self.config.seconds_left(self.model_config, self.current_step, self.seconds, rate and 1 / rate)
        since_step = time.monotonic() - self._recent[-1][0] if self._recent and not self.config.minutes else 0.0
        return None if left is None else max(0.0, left - since_step)

    def line(self) -> str:
        """The state of the run on one line."""
        return ", ".join(self._parts())

    def _parts(self) -> list[str]:
        clock, *left = self._clock()
        parts = [f"{self.phase} {clock}", *left, f"step {self.current_step:,}"]
        if self.loss.values:
            parts.append(f"loss {self.loss.values[-1]:.4f}")
        parts += [describe_metric(name, self.metrics[name]) for name in ("exact_accuracy",) if name in self.metrics]
        return [*parts, *self._speed(), *(f"learning rate {rate}" for rate in self._learning_rate())]

    def _clock(self) -> list[str]:
        text = duration(self.seconds)
        if self.config.minutes and self.model_config is not None:
            text += f" of {duration(60 * self.config.minutes)}"
        left = self.seconds_left
        return [text] if left is None else [text, f"{duration(left)} left"]

    def _speed(self) -> list[str]:
        rate = self.steps_per_second
        speed = [] if rate is None else [f"{FORMATS['steps_per_second'][1].format(rate)} steps/s"]
        if puzzles := self.metrics.get("puzzles_per_second"):  # 0 until the first puzzle leaves training
            speed.append(f"{FORMATS['puzzles_per_second'][1].format(puzzles)} puzzles/s")
        return speed

    def _learning_rate(self) -> list[str]:
        if not self.current_step:
            return []
        rate = self.config.lr * self.config.rate(self.current_step, self.seconds)
        return [FORMATS["lr"][1].format(rate)]

    def render(self) -> RenderableType:
        """The panel."""
        width = max(min(self.console.width - MARGIN, WIDTH), 1)
        inner = width - 4
        steps = f"{self.current_step:,}" + (f" of {self.config.steps:,}" if self.config.steps else "")
        curve_width = max(0, inner - 27)
        activity = [self.measured] if self.measured else ["once about a minute"] * (self.phase == "compiling")
        rows = [
            (self.phase, [*self._clock(), *activity]),
            ("step", [steps, *self._speed()]),
            *(
                (name, [f"{form.format(curve.values[-1]):<9} {sparkline(curve.values, curve_width, self._levels)}"])
                for name, form, curve in (("loss", "{:.4f}", self.loss), ("exact", "{:.1%}", self.exact))
                if curve.values
            ),
            ("learning rate", self._learning_rate() or ["no step yet"]),
            *([("evaluated", self.evaluation or ["not yet"])] if self.evaluates else []),
            ("saved", [self.saved_at or "not yet"]),
        ]
        if self.console.height < len(rows) + 4 or width < NARROW:
            lines = wrapped(self._parts(), width, self._glyphs.dot)[: max(self.console.height - 3, 1)]
            return Group(self._bar(width), *(Text(self._safe(line), no_wrap=True) for line in lines))
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True, min_width=LABEL - 2)
        table.add_column(no_wrap=True, overflow="crop")
        for name, parts in rows:
            while len(parts) > 1 and len(", ".join(parts)) > inner - LABEL:
                parts = parts[:-1]  # a narrow window shows whole parts
            text = shorten_start(", ".join(parts), max(inner - LABEL, 1))
            table.add_row(name, Text(self._safe(text), no_wrap=True, overflow="crop"))
        border = box.ASCII if self._levels == ASCII_LEVELS else box.ROUNDED
        title = Text(self._safe(self.title))
        return Panel(Group(self._bar(inner), table), title=title, title_align="left", box=border, width=width)

    def _bar(self, width: int) -> Text:
        share = self.share
        if share is None and self.model_config is None:
            return Text("starting", style="dim")
        if share is None:
            return Text("no end set: Ctrl-C saves and stops", style="dim")
        length = max(1, width - 8)
        full = int(share * length)
        percent = f"{int(1000 * share) / 10:6.1f} %"  # rounded down: 100 % means the end
        bar, rest = self._glyphs.full * full, self._glyphs.empty * (length - full)
        return Text.assemble((bar, "green"), (rest, "dim"), percent)

    def _print_progress(self, text: str) -> None:
        if not self.quiet:
            self.message(text)

    def _safe(self, text: str, limit: int = 500) -> str:
        lines = (printable(line, limit) for line in text.split("\n"))
        return encodable("\n".join(lines), self.console.encoding or "ascii")
