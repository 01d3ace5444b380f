"""Results as text: grids, lines, CSV, JSON. One record per puzzle, in the order of the input."""

from __future__ import annotations

import time
from typing import Any, TextIO

from trmsolve.cli.output import JSON_STYLES, JsonRecords, emit, encoded_for
from trmsolve.cli.run import ERROR, SOLVED, UNSOLVED, echo_err
from trmsolve.inference.options import Result
from trmsolve.tasks.base import InvalidPuzzle, Task

MAX_LINES = 64  # lines of a failed grid that a message shows


class Report:
    """Writes results in one style; without one, in the shape of the input, or as grids on a terminal."""

    def __init__(self, task: Task, style: str | None, stream: TextIO) -> None:
        self.task, self.stream = task, stream
        self.model_fields: dict[str, str | None] = dict.fromkeys(("checkpoint", "checkpoint_sha256", "device"))
        self.style = "grid" if style is None and stream.isatty() else style
        self.records = JsonRecords(stream, style) if style is not None and style in JSON_STYLES else None
        self.input_style = ""  # of the last puzzle
        self.needs_header, self.num_grids = True, 0
        self.deferred: list[Result] = []  # invalid records before the first puzzle shows the input's shape

    def add(self, result: Result) -> None:
        """Write one result."""
        if self.records is not None:
            self.records.add(self._record(result))
            return
        puzzle = result.puzzle
        style = self.style or (self.input_style if isinstance(puzzle, InvalidPuzzle) else puzzle.style)
        if not style:
            self.deferred.append(result)
            return
        self.input_style = style
        deferred, self.deferred = self.deferred, []
        for record in (*deferred, result):
            emit(self.stream, self._text(record, style))

    def close(self) -> None:
        """End the output."""
        if self.records is not None:
            self.records.close()

    def _text(self, result: Result, style: str) -> str:
        if style == "csv":
            header = f"{self.task.csv_header}\n" if self.needs_header else ""
            self.needs_header = False
            return f"{header}{self._csv(result)}\n"
        if not result.answered:
            return "\n" if style == "line" else ""  # answers and questions stay side by side (paste)
        before = "\n" if style == "grid" and self.num_grids else ""
        self.num_grids += 1
        text = encoded_for(self.stream, lambda ascii_only: self._answer(result, style, ascii_only))
        return f"{before}{text}\n"

    def _answer(self, result: Result, style: str, ascii_only: bool = False) -> str:
        assert result.prediction is not None and not isinstance(result.puzzle, InvalidPuzzle)
        return self.task.write(result.puzzle, result.prediction.answer, style, ascii_only)

    def _csv(self, result: Result) -> str:
        if isinstance(result.puzzle, InvalidPuzzle):
            return ","
        if result.answered:
            return self._answer(result, style="csv")
        return f"{self.task.format_line(result.puzzle.question)},"

    def _record(self, result: Result) -> dict[str, Any]:
        """The JSON record of a result: one flat object per puzzle."""
        puzzle = result.puzzle
        is_invalid = isinstance(puzzle, InvalidPuzzle)
        answer = result.prediction.answer if result.answered and result.prediction is not None else None
        return {
            "task": self.task.name,
            "source": puzzle.source,
            "puzzle": puzzle.text if isinstance(puzzle, InvalidPuzzle) else self.task.format_line(puzzle.question),
            "answer": None if answer is None else self.task.format_line(answer),
            "solved": result.verified,
            "verified": result.verified,
            **({"checked": False} if result.unchecked else {}),
            "steps": result.steps,
            "restarts": result.restarts,
            "halt_probability": round(result.halt_prob, 6),
            "seconds": round(result.seconds, 4),
            **({} if answer is None or is_invalid else self.task.json_fields(answer)),
            **self.model_fields,
            "error": result.error or result.reason or None,
        }


class Summary:
    """Counts of the results of a command, and the exit code they add up to."""

    def __init__(self) -> None:
        self.puzzles = self.solved = self.single_pass = self.invalid = self.answered = 0
        self.has_rules = True
        self.started = time.monotonic()

    def add(self, result: Result) -> None:
        """Count one result."""
        self.puzzles += 1
        self.solved += result.verified
        self.single_pass += result.verified and result.single_pass
        self.invalid += bool(result.error)
        self.answered += result.answered
        self.has_rules &= not result.unchecked

    @property
    def exit_code(self) -> int:
        """0 all solved, 1 some not, 2 some invalid or none at all."""
        if self.invalid or not self.puzzles:
            return ERROR
        return SOLVED if self.solved == self.puzzles else UNSOLVED

    def __str__(self) -> str:
        seconds = max(time.monotonic() - self.started, 1e-9)
        invalid = f", {self.invalid} not readable" if self.invalid else ""
        if not self.has_rules:
            return f"{self.answered} of {self.puzzles} answered, not checked{invalid}; {seconds:.1f} s"
        return (
            f"{self.solved} of {self.puzzles} solved and verified ({self.single_pass} without restarts){invalid}; "
            f"{seconds:.1f} s, {self.puzzles / seconds:.1f} puzzles/s"
        )


def report_failure(task: Task, result: Result) -> None:
    """Explain on stderr why a record has no answer: what is wrong with it, or the best grid and the rules it breaks."""
    puzzle = result.puzzle
    if isinstance(puzzle, InvalidPuzzle) or result.error:
        echo_err(f"{puzzle.source}: {result.error}")
        return
    name = puzzle.source or "puzzle"
    if result.reason:
        echo_err(f"{name}: {result.reason}")
        return
    if result.unchecked:
        trust = "not checked: the task has no rules" if result.answered else "no answer that the halting head accepts"
        echo_err(f"{name}: {trust} (halting head {result.halt_prob:.0%}, {result.steps} steps)")
        return
    halted = "; the halting head accepted it" if result.halted else ""
    lines = [f"{name}: not solved after {result.steps} steps and {result.restarts} restarts{halted}"]
    if result.prediction is None:
        lines.append(task.infeasible_reason(puzzle.question))
    else:
        violations = task.check(puzzle.question, result.prediction.answer)
        lines.append(f"the best grid breaks {len(violations)} rule{'s' * (len(violations) != 1)}; it is no answer:")
        text = task.write(puzzle, result.prediction.answer, "grid", ascii_only=True)
        if text.count("\n") >= MAX_LINES:
            text = "(a grid of that size is not shown here; --svg FILE draws it)"
        lines += [text, *(f"  {violation.message}" for violation in violations[:5])]
        if len(violations) > 5:
            lines.append(f"  and {len(violations) - 5} more")
    echo_err("\n".join(lines))
