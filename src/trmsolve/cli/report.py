"""Results as text: grids, lines, CSV, JSON. One record per puzzle, in the order of the input."""

from __future__ import annotations

from typing import Any, TextIO

from trmsolve.cli.guard import say
from trmsolve.cli.output import JSON_STYLES, Records, emit, fitting
from trmsolve.solving.options import Result
from trmsolve.tasks.base import BadPuzzle, Task


class Report:
    """Writes results in one style; without one, in the shape of the input, or as grids on a terminal."""

    def __init__(self, task: Task, style: str | None, stream: TextIO) -> None:
        self.task, self.stream = task, stream
        self.about: dict[str, str | None] = dict.fromkeys(("checkpoint", "checkpoint_sha256", "device"))
        self.style = "grid" if style is None and stream.isatty() else style
        self.records = Records(stream, style) if style in JSON_STYLES else None
        self.shape = ""  # of the last puzzle
        self.header_due, self.grids = True, 0
        self.owed: list[Result] = []  # records without a puzzle, before the first puzzle shows the input's shape

    def add(self, result: Result) -> None:
        """One more result."""
        if self.records is not None:
            self.records.add(self._record(result))
            return
        bad = isinstance(result.puzzle, BadPuzzle)
        style = self.style or (self.shape if bad else result.puzzle.style)
        if not style:
            self.owed.append(result)
            return
        self.shape = style
        owed, self.owed = self.owed, []
        for record in (*owed, result):
            emit(self.stream, self._text(record, style))

    def close(self) -> None:
        """No more results."""
        if self.records is not None:
            self.records.close()

    def _text(self, result: Result, style: str) -> str:
        if style == "csv":
            header = f"{self.task.csv_header}\n" if self.header_due else ""
            self.header_due = False
            return f"{header}{self._csv(result)}\n"
        if not result.verified:
            return "\n" if style == "line" else ""  # answers and questions stay side by side (paste)
        before = "\n" if style == "grid" and self.grids else ""
        self.grids += 1
        drawn = fitting(self.stream, lambda ascii_only: self._answer(result, style, ascii_only))
        return f"{before}{drawn}\n"

    def _answer(self, result: Result, style: str, ascii_only: bool = False) -> str:
        return self.task.write(result.puzzle, result.guess.answer, style, ascii_only)

    def _csv(self, result: Result) -> str:
        if isinstance(result.puzzle, BadPuzzle):
            return ","
        if result.verified:
            return self._answer(result, style="csv")
        return f"{self.task.line(result.puzzle.question)},"

    def _record(self, result: Result) -> dict[str, Any]:
        """The JSON record of a result (design: one flat object per puzzle)."""
        bad = isinstance(result.puzzle, BadPuzzle)
        return {
            "task": self.task.name,
            "source": result.puzzle.source,
            "puzzle": result.puzzle.text if bad else self.task.line(result.puzzle.question),
            "answer": self.task.line(result.guess.answer) if result.verified else None,
            "solved": result.verified,
            "verified": result.verified,
            "steps": result.steps,
            "restarts": result.restarts,
            "halt_probability": round(result.halt_probability, 6),
            "seconds": round(result.seconds, 4),
            **(self.task.details(result.guess.answer) if result.verified else {}),
            **self.about,
            "error": result.error or None,
        }


TALLEST = 64  # lines of a failed grid that still help whoever reads the message


def complain(task: Task, result: Result) -> None:
    """Say on stderr why a record has no answer: what is wrong with it, or the best grid and the rules it breaks."""
    if result.error:
        say(f"{result.puzzle.source}: {result.error}")
        return
    halted = "; the halting head took it for solved" if result.halted else ""
    lines = [
        f"{result.puzzle.source or 'puzzle'}: not solved after {result.steps} steps "
        f"and {result.restarts} restarts{halted}"
    ]
    if result.guess is None:
        lines.append(task.refusal(result.puzzle.question))
    else:
        broken = task.check(result.puzzle.question, result.guess.answer)
        lines.append(f"the best grid breaks {len(broken)} rule{'s' * (len(broken) != 1)}; it is no answer:")
        text = task.write(result.puzzle, result.guess.answer, "grid", ascii_only=True)
        if text.count("\n") >= TALLEST:
            text = "(a grid of that size is not shown here; --svg FILE draws it)"
        lines += [text, *(f"  {violation.message}" for violation in broken[:5])]
        if len(broken) > 5:
            lines.append(f"  and {len(broken) - 5} more")
    say("\n".join(lines))
