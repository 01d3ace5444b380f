"""A frame: the state of a solve at one step, which is the only input of all views.

The command line turns the solver's events into frames; the terminal, SVG, GIF and HTML views draw them. A frame also
provides the text next to its picture, so that all views have the same text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from trmsolve.render.caption import count, duration, joined, percent, printable, shorten, wrapped
from trmsolve.tasks.base import Picture


class Stat(NamedTuple):
    """One named value of a frame."""

    name: str  # at most seven letters
    value: str
    good: bool | None = None  # colour: True for good, False for bad, None for neutral


@dataclass(frozen=True, slots=True)
class StatusText:
    """The text of a frame of test-time training, which does not count broken rules."""

    state: str  # the phase of the solve; in the last frame, how it ended
    meter: tuple[str, float]  # name of the bar, at most seven letters, and its value, 0 .. 1
    stats: tuple[Stat, ...]  # everything else, the most important first
    unsure: int = 0  # cells; drawn over the steps as a row of bars


@dataclass(frozen=True, slots=True)
class Frame:
    """The grid after one step, with its figures."""

    picture: Picture
    task: str
    source: str  # "file:line" of the puzzle
    step: int  # k, from 1 within a run; 0: the question before any step
    max_steps: int
    run: int = 0  # 0: the first run, i: the i-th restart
    halt_probability: float = 0.0  # of the halting head: "the whole answer is correct"
    violations: int = 0  # broken rules
    assumption: str = ""  # the assumptions of this run, for example "assuming r3c5=7"
    seconds: float = 0.0  # since the solve began
    solved: bool | None = False  # the answer passes the rules; None: unknown
    done: bool = False  # the last frame of this puzzle
    status: StatusText | None = None  # None: text made from the figures above
    zoom_levels: tuple[Picture, ...] = ()  # the picture with less and less context, for small windows

    def count(self, role: str) -> int:
        """Number of cells with this role."""
        return sum(cell.role == role for row in self.picture.cells for cell in row)

    @property
    def roles(self) -> set[str]:
        """The roles that occur in the picture (for legends)."""
        return {cell.role for row in self.picture.cells for cell in row}

    @property
    def heading(self) -> str:
        """The task and the source of the puzzle."""
        return " ".join(printable(part) for part in (self.task, self.source) if part)

    @property
    def state(self) -> str:
        """The outcome of the solve or, before its end, its progress."""
        return self.verdict() or (printable(self.status.state) if self.status else f"step {self._step_text}")

    def verdict(self, brief: bool = False) -> str:
        """The outcome of the solve, "" before its end. brief: without the figures in stats()."""
        if not self.done:
            return ""
        if self.status:
            return printable(self.status.state)
        if not self.solved:
            broken = count(self.violations, "rule")
            return "not solved" if brief or not self.violations else f"not solved: {broken} broken"
        return f"solved at step {self.step}" + (f" of restart {self.run}" if self.run and not brief else "")

    @property
    def outcome(self) -> str:
        """The value "good" or "bad"; "" before the end and if the outcome is unknown."""
        return "" if not self.done or self.solved is None else "good" if self.solved else "bad"

    @property
    def meter(self) -> tuple[str, float]:
        """The name of the bar, and its value, 0 .. 1."""
        name, share = self.status.meter if self.status else ("halting", self.halt_probability)
        return name, min(max(share, 0.0), 1.0)

    def stats(self) -> list[Stat]:
        """Named values, for a column beside the picture."""
        if self.status:
            return [Stat(name, printable(value), good) for name, value, good in self.status.stats]
        return [
            Stat("step", self._step_text),
            Stat("rules", self.rules_text, not self.violations),
            Stat("run", self._run_text),
            Stat("guess", printable(self.assumption) or "none"),
            Stat("time", duration(self.seconds)),
        ]

    def details(self) -> list[str]:
        """Everything except the state and the meter, in parts."""
        if self.status:
            return [f"{name} {value}" for name, value, _ in self.stats()]
        broken = f"{count(self.violations, 'rule')} broken" if self.violations else "no rule broken"
        return ["all rules hold" if self.solved and not self.violations else broken, self.run_text, self.stats()[-1][1]]

    def paragraph(self, length: int) -> list[str]:
        """The details in lines of at most `length` characters; without a StatusText in one line, shortened."""
        if self.status is None:
            return [shorten(joined(self.details()), length)]
        return wrapped(self.details(), length)

    def sentence(self) -> str:
        """Everything on one line, for summaries and screen readers."""
        name, share = self.meter
        meter = f"{name if self.status else 'halting probability'} {percent(share)}"
        return joined([self.state, meter, *self.details()])

    @property
    def remaining(self) -> int:
        """Broken rules or unsure cells: the height of this step's bar in the history."""
        return self.status.unsure if self.status else self.violations

    @property
    def history_title(self) -> str:
        """The title of the history of `remaining`."""
        return "Unsure cells at each step" if self.status else "Rules broken at each step"

    @property
    def rules_text(self) -> str:
        """The number of broken rules in words."""
        if self.violations == 0:
            return "all hold" if self.solved else "none broken"
        return f"{self.violations} still broken"

    @property
    def run_text(self) -> str:
        """The run and its assumption."""
        return f"{self._run_text}, {printable(self.assumption)}" if self.assumption else self._run_text

    @property
    def _run_text(self) -> str:
        return f"restart {self.run}" if self.run else "first run"

    @property
    def _step_text(self) -> str:
        return f"{self.step} of at most {self.max_steps}"
