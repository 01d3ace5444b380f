"""Results as text: grids, lines, CSV, JSON. One record per puzzle, flushed as soon as it is known."""

from __future__ import annotations

import json
import sys
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

from trmsolve.cli.guard import say
from trmsolve.errors import TrmsolveError
from trmsolve.files import check_writable, write_atomically
from trmsolve.solving.options import Result
from trmsolve.tasks.base import BadPuzzle, Puzzle, Task


class Report:
    """Writes results in one format to stdout, or to a file that appears when all is done."""

    def __init__(self, task: Task, style: str | None, output: Path | None, force: bool, about: dict[str, str]) -> None:
        known = (*task.styles, "json", "jsonl")
        if style is not None and style not in known:
            raise TrmsolveError(f"unknown format '{style}'", f"known: {', '.join(known)}")
        if output is not None:
            check_writable(output, force)
        self.task, self.style, self.output, self.force, self.about = task, style, output, force, about
        self.stream: TextIO = StringIO() if output is not None else sys.stdout
        self.written = 0
        self.started = False

    def add(self, result: Result) -> None:
        """One more result."""
        style = self.style or self._style_of(result)
        if style == "json":
            self._emit(("[\n" if not self.written else ",\n") + json.dumps(self.record(result), indent=2), end="")
        elif style == "jsonl":
            self._emit(json.dumps(self.record(result)))
        elif style == "csv":
            header = getattr(self.task, "csv_header", "")
            self._emit(self._csv(result) if self.started else f"{header}\n{self._csv(result)}")
            self.started = True
        elif result.solved:
            text = self.task.write(result.puzzle, result.guess.answer, style)
            self._emit(self._drawable(result, style, text), blank_before=style == "grid" and self.written > 0)
        elif style == "line":
            self._emit("")  # keeps answers and questions side by side (paste)
        self.written += 1

    def _style_of(self, result: Result) -> str:
        if self.stream.isatty():
            return "grid"
        return (result.puzzle.style if isinstance(result.puzzle, Puzzle) else "line") or "line"

    def _csv(self, result: Result) -> str:
        if isinstance(result.puzzle, BadPuzzle):
            return ","
        if result.solved:
            return self.task.write(result.puzzle, result.guess.answer, "csv")
        return f"{self.task.line(result.puzzle.question)},"

    def _drawable(self, result: Result, style: str, text: str) -> str:
        """The text, or its ASCII form where the stream cannot take box drawing (cp1252 pipes)."""
        try:
            text.encode(getattr(self.stream, "encoding", None) or "utf-8")
        except UnicodeEncodeError:
            return self.task.write(result.puzzle, result.guess.answer, style, ascii_only=True)
        return text

    def _emit(self, text: str, end: str = "\n", blank_before: bool = False) -> None:
        print(("\n" if blank_before else "") + text, end=end, file=self.stream, flush=True)

    def close(self) -> None:
        """Finish the text; write the file."""
        if self.style == "json":
            self._emit("\n]" if self.written else "[]")
        if self.output is not None:
            write_atomically(self.output, self.stream.getvalue(), self.force)  # type: ignore[attr-defined]

    def record(self, result: Result) -> dict[str, Any]:
        """The JSON record of a result (design: one flat object per puzzle)."""
        bad = isinstance(result.puzzle, BadPuzzle)
        return {
            "task": self.task.name,
            "source": result.puzzle.source,
            "puzzle": result.puzzle.text if bad else self.task.line(result.puzzle.question),
            "answer": self.task.line(result.guess.answer) if result.solved else None,
            "solved": result.solved,
            "verified": result.verified,
            "steps": result.steps,
            "restarts": result.restarts,
            "halt_probability": round(result.halt_probability, 6),
            "seconds": round(result.seconds, 4),
            **self.about,
            "error": result.error or None,
        }


def complain(task: Task, result: Result) -> None:
    """Say on stderr why a record has no answer: what is wrong with it, or the best grid and the rules it breaks."""
    if result.error:
        say(f"{result.puzzle.source}: {result.error}")
        return
    lines = [
        f"{result.puzzle.source or 'puzzle'}: not solved after {result.steps} steps and {result.restarts} restarts"
    ]
    if result.guess is None:
        lines.append("the givens leave some cell or unit without a digit: there is no solution")
    else:
        broken = task.check(result.puzzle.question, result.guess.answer)
        lines.append(f"the best grid breaks {len(broken)} rules; it is no answer:")
        text = task.write(result.puzzle, result.guess.answer, "grid", ascii_only=True)
        lines += [text, *(f"  {violation.message}" for violation in broken[:5])]
        if len(broken) > 5:
            lines.append(f"  and {len(broken) - 5} more")
    say("\n".join(lines))
