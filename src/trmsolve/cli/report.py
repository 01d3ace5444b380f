"""Results as text and JSON, one record per puzzle or few-shot task, in the order of the input; and their summary."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.text import Text

from trmsolve.cli.complete import JSON_STYLES
from trmsolve.cli.output import JsonRecords, emit, encoded_for, join_columns
from trmsolve.cli.run import ERROR, SOLVED, UNSOLVED
from trmsolve.inference.few_shot import FewShotResult, RankedAnswer
from trmsolve.inference.options import Result
from trmsolve.render import blocks
from trmsolve.render.caption import count, duration, percent
from trmsolve.render.console import console_for, encodable, glyphs_for, has_color, is_terminal
from trmsolve.tasks.base import InvalidPuzzle, Puzzle, Task
from trmsolve.tasks.few_shot import FewShotTask, solves
from trmsolve.text_io import printable

if TYPE_CHECKING:
    from trmsolve.api import Model

MAX_LINES = 64  # lines of a failed grid that a message shows
ATTEMPT_GAP = 3  # columns between two attempts


class Report:
    """Writes results in one style; without one, in the style of the input, or as grids on a terminal.

    color: of grids on a terminal. model_fields: of JSON records; None until a model is loaded.
    """

    def __init__(self, task: Task, style: str | None, stream: TextIO, color: str = "auto") -> None:
        self.task, self.stream = task, stream
        self.model_fields: dict[str, str | None] = dict.fromkeys(("checkpoint", "checkpoint_sha256", "device"))
        self.style = "grid" if style is None and stream.isatty() else style
        self.records = JsonRecords(stream, style)
        self.console = console_for(stream, color) if is_terminal(stream) else None
        self.input_style = ""  # of the last puzzle
        self.needs_header, self.num_grids = True, 0
        self.num_records, self.is_numbered = 0, False  # is_numbered: grids on a terminal have their number above them
        self.deferred: list[Result] = []  # invalid records before the first valid puzzle, which decides the style

    def describe_model(self, model: Model) -> None:
        """Set the fields of JSON records that describe the model."""
        checkpoint, device = model.checkpoint, str(model.device_spec.device)
        self.model_fields = {"checkpoint": checkpoint.name, "checkpoint_sha256": checkpoint.sha256, "device": device}

    def add(self, result: Result | FewShotResult) -> None:
        """Write one result."""
        self.num_records += 1
        if self.style in JSON_STYLES:
            record = self._task_record(result) if isinstance(result, FewShotResult) else self._record(result)
            self.records.add(record)
        elif isinstance(result, FewShotResult):
            self._write_attempts(result)
        else:
            self._write_answer(result)

    # -- JSON -----------------------------------------------------------------------------------------------------
    def _record(self, result: Result) -> dict[str, Any]:
        """The JSON record of a puzzle: one flat object."""
        puzzle = result.puzzle
        answer = result.prediction.answer if result.answered and result.prediction is not None else None
        note = "" if isinstance(puzzle, InvalidPuzzle) else self.task.ambiguity_reason(puzzle.question)
        uniqueness: dict[str, Any] = {}
        if result.unique is not None:  # with --check-unique
            second = result.second_solution
            line = None if second is None else self.task.format_line(second.answer)
            uniqueness = {"unique": result.unique, "second_solution": line}
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
            **({} if answer is None else self.task.json_fields(answer)),
            **({"note": note} if note else {}),
            **self.model_fields,
            "error": result.error or failure_reason(self.task, result) or None,
            **uniqueness,
        }

    def _task_record(self, result: FewShotResult) -> dict[str, Any]:
        """The JSON record of a few-shot task; each of its `tests` holds one attempt or two, the better first."""
        return {
            "task": self.task.name,
            "source": result.task.source,
            "name": getattr(result.task, "name", None),
            "tests": [
                {
                    "attempts": [answer.grid.tolist() for answer in answers[:2]],
                    "votes": [answer.votes for answer in answers[:2]],
                    "confidence": [round(answer.confidence, 4) for answer in answers[:2]],
                }
                for answers in result.ranked
            ],
            "solved": result.solved,
            "verified": result.solved,  # only known answers can verify
            "demonstrations_reproduced": None if result.error else round(result.reproduced, 4),
            "left_out": None if result.holdout_accuracy is None else round(result.holdout_accuracy, 4),
            "steps": result.steps,
            "votes": result.num_augmentations,
            "seconds": round(result.seconds, 4),
            "memory_bytes": result.memory or None,
            **self.model_fields,
            "error": result.error or None,
        }

    # -- puzzles as text ------------------------------------------------------------------------------------------
    def _write_answer(self, result: Result) -> None:
        puzzle = result.puzzle
        style = self.style or (self.input_style if isinstance(puzzle, InvalidPuzzle) else puzzle.style)
        if not style:
            self.deferred.append(result)
            return
        self.input_style = style
        deferred, self.deferred = self.deferred, []
        for record in (*deferred, result):
            emit(self.stream, self._answer_text(record, style))

    def _answer_text(self, result: Result, style: str) -> str:
        if style == "csv":
            header = f"{self.task.csv_header}\n" if self.needs_header else ""
            self.needs_header = False
            return f"{header}{self._csv_row(result)}\n"
        if not result.answered:
            return "\n" if style == "line" else ""  # answers and questions stay side by side (paste)
        separator = "\n" if style == "grid" and self.num_grids else ""
        self.num_grids += 1
        text = encoded_for(self.stream, lambda ascii_only: self._answer(result, style, ascii_only))
        if self.console is not None and style == "grid":
            assert result.prediction is not None and isinstance(result.puzzle, Puzzle)
            from trmsolve.render.terminal import colored_answer

            text = colored_answer(text, self.task.picture(result.puzzle.question, result.prediction), self.console)
            if self.is_numbered:
                title = printable(f"{self.num_records}: {result.puzzle.source.replace('stdin:', 'line ')}")
                text = f"{encodable(title, self.console.encoding)}\n{text}"
        return f"{separator}{text}\n"

    def _answer(self, result: Result, style: str, ascii_only: bool = False) -> str:
        assert result.prediction is not None and isinstance(result.puzzle, Puzzle)
        return self.task.write(result.puzzle, result.prediction.answer, style, ascii_only)

    def _csv_row(self, result: Result) -> str:
        if isinstance(result.puzzle, InvalidPuzzle):
            return ","
        if result.answered:
            return self._answer(result, style="csv")
        return f"{self.task.format_line(result.puzzle.question)},"

    # -- attempts at few-shot tasks as text -----------------------------------------------------------------------
    def _write_attempts(self, result: FewShotResult) -> None:
        """Two attempts at each test: drawn beside each other on a terminal, else below each other as rows of digits."""
        for number, answers in enumerate(result.ranked, 1):
            title = f"{printable(getattr(result.task, 'name', ''))}, test {number}"
            captions = [
                (
                    f"attempt {i}",
                    f"{answer.votes} of {result.num_augmentations} votes{'' if answer.votes else ' (consensus)'}",
                    f"confidence {percent(answer.confidence)}",
                )
                for i, answer in enumerate(answers[:2], 1)
            ]
            if self.num_grids:
                emit(self.stream, "\n")
            self.num_grids += 1
            if self.console is not None:
                self.console.print(Text(encodable(title, self.console.encoding), style="bold"), soft_wrap=True)
                for line in self._draw_attempts(self.console, answers, captions):
                    self.console.print(line, soft_wrap=True)
            else:
                for caption, answer in zip(captions, answers, strict=False):
                    text = f"{title}, {', '.join(caption)}\n{self.task.format_grid(answer.grid, 'grid')}\n"
                    separator = "\n" if answer is not answers[0] else ""
                    emit(self.stream, separator + encodable(text, getattr(self.stream, "encoding", None) or "utf-8"))

    def _draw_attempts(
        self, console: Console, answers: Sequence[RankedAnswer], captions: Sequence[Sequence[str]]
    ) -> list[Text]:
        """Both attempts beside each other, as large as the window allows; below each other where it is too narrow."""
        glyphs, color = glyphs_for(console), has_color(console)
        cells = [self.task.picture(answer.grid, None).cells for answer in answers[:2]]

        def columns(scale: blocks.Scale) -> list[list[Text]]:
            """For each attempt its lines: the caption, then the grid."""
            lines = [
                [*map(Text, caption), *blocks.draw_solid(grid, scale, glyphs, color)]
                for caption, grid in zip(captions, cells, strict=True)
            ]
            lines[0][0].stylize("bold")
            return lines

        for arrange in (lambda columns: join_columns(columns, ATTEMPT_GAP), _below):
            for scale in blocks.scales(glyphs, color):
                lines = arrange(columns(scale))
                if max(line.cell_len for line in lines) <= console.width:
                    return lines
        return lines


def _below(columns: Sequence[Sequence[Text]]) -> list[Text]:
    """One column below the other, a blank line between them."""
    return [line for column in columns for line in (*column, Text())][:-1]


# -- messages and the summary -------------------------------------------------------------------------------------
def failure_reason(task: Task, result: Result) -> str:
    """Why a valid puzzle has no answer; "" if it has one, or if no reason is known."""
    if result.verified or isinstance(result.puzzle, InvalidPuzzle):
        return ""
    if result.reason:
        return result.reason
    question = result.puzzle.question
    return task.infeasible_reason(question) if result.prediction is None else task.ambiguity_reason(question)


def message(task: Task, result: Result | FewShotResult, check_unique: bool = False) -> str:
    """The message about a result for stderr: "" for a solved puzzle, unless its uniqueness was checked."""
    if isinstance(result, FewShotResult):
        return f"{result.task.source}: {result.error}" if result.error else _outcome(result)
    puzzle = result.puzzle
    name = puzzle.source or "puzzle"
    if isinstance(puzzle, InvalidPuzzle) or result.error:
        return f"{puzzle.source}: {result.error}"
    if result.verified:
        unknown = "it is unknown whether there are other solutions: the search ended before a proof"
        return f"{name}: {result.uniqueness or unknown}" if check_unique else ""
    if result.reason:
        return f"{name}: {result.reason}"
    if result.unchecked:
        status = "not checked: the task has no rules" if result.answered else "no answer accepted by the halting head"
        return f"{name}: {status} (halting probability {percent(result.halt_prob)}, {count(result.steps, 'step')})"
    halted = "; the halting head accepted it" if result.halted else ""
    lines = [f"{name}: not solved after {count(result.steps, 'step')} and {count(result.restarts, 'restart')}{halted}"]
    if reason := failure_reason(task, result):
        lines.append(reason)
    if result.prediction is not None:
        violations = task.check(puzzle.question, result.prediction.answer)
        lines.append(f"the best grid breaks {count(len(violations), 'rule')} and is not an answer:")
        text = task.write(puzzle, result.prediction.answer, "grid", ascii_only=True)
        if text.count("\n") >= MAX_LINES:
            text = "(too large to show here; draw it with --svg FILE)"
        lines += [text, *(f"  {violation.message}" for violation in violations[:5])]
        if len(violations) > 5:
            lines.append(f"  and {len(violations) - 5} more")
    return "\n".join(lines)


def _outcome(result: FewShotResult) -> str:
    """How a few-shot task ended. Without answers, only the demonstrations can be checked."""
    task = result.task
    assert isinstance(task, FewShotTask)
    cost = [count(result.steps, "step"), duration(result.seconds)]
    cost += [f"peak memory {result.memory / 1e6:,.0f} MB"] if result.memory else []
    if task.answers is None:
        share = f"the demonstrations are reproduced under {percent(result.reproduced)} of their augmentations"
        verdict = (
            f"answered; {share}" if result.fits else f"answered, but {share}: probably wrong; try a longer --budget"
        )
    else:
        tests = list(zip(result.attempts, task.answers, strict=True))
        correct = [
            next((k for k in (1, 2) if solves(attempts[k - 1 : k], answer)), 0) for attempts, answer in tests
        ]  # for each test the number of the correct attempt, 0 if none is
        if all(correct):
            with_attempts = [f"test {i} with attempt {k}" for i, k in enumerate(correct, 1)]
            verdict = f"solved: {', '.join(with_attempts)}" if len(tests) > 1 else f"solved with attempt {correct[0]}"
        else:
            solved_tests = sum(map(bool, correct))
            verdict = "not solved" + f": {solved_tests} of {len(tests)} tests solved" * (len(tests) > 1)
    return f"{task.name}: {verdict} ({', '.join(cost)})"


class Summary:
    """Counts of the results of a command, and its exit code.

    A few-shot task whose answers are unknown counts by whether its demonstrations are reproduced.
    """

    def __init__(self, few_shot: bool = False) -> None:
        self.few_shot = few_shot
        self.records = self.solved = self.single_pass = self.invalid = self.unknown = self.reproduced = 0
        self.answered, self.has_rules = 0, True  # has_rules: answers can be checked
        self.unfinished = 0  # of the records those that were still being solved when the time was up
        self.expected: int | None = None  # records of the whole input, where this is known
        self.started = time.monotonic()

    def add(self, result: Result | FewShotResult) -> None:
        """Count one result."""
        self.records += 1
        if result.error:
            self.invalid += 1
        elif isinstance(result, FewShotResult):
            self.solved += result.solved is True
            self.unknown += result.solved is None
            self.reproduced += result.solved is None and result.fits
        else:
            self.solved += result.verified
            self.single_pass += result.verified and result.single_pass
            self.answered += result.answered
            self.has_rules &= not result.unchecked

    @property
    def exit_code(self) -> int:
        """0 all solved, 1 some not, 2 some invalid or none at all."""
        if self.invalid or not self.records:
            return ERROR
        return SOLVED if self.solved + self.reproduced == self.records else UNSOLVED

    def stopped(self, cause: str) -> str:
        """The summary of a run that was stopped."""
        name = "task" if self.few_shot else "puzzle"
        if not self.records:
            return f"{cause}: no {name} was finished"
        progress = f" after {self.records} of {count(self.expected, name)}" if self.expected else ""
        return f"{cause}{progress}: {self}"

    def __str__(self) -> str:
        seconds = max(time.monotonic() - self.started, 1e-9)
        if not self.few_shot:
            invalid = f", {self.invalid} not readable" if self.invalid else ""
            invalid += f", {self.unfinished} not finished" if self.unfinished else ""
            if not self.has_rules:
                return f"{self.answered} of {self.records} answered, not checked{invalid}; {seconds:.1f} s"
            return (
                f"{self.solved} of {self.records} solved and verified ({self.single_pass} without restarts){invalid}; "
                f"{seconds:.1f} s, {(self.records - self.unfinished) / seconds:.1f} puzzles/s"
            )
        scored = self.records - self.unknown - self.invalid
        parts = []
        if self.invalid:
            parts.append(f"{self.records - self.invalid} of {count(self.records, 'task')} answered")
        if scored:
            parts.append(f"{self.solved} of {count(scored, 'task')} solved (pass@2)")
        if self.unknown:
            unknown = count(self.unknown, "task")
            parts.append(f"{self.reproduced} of {unknown} without answers reproduced their demonstrations")
        if self.invalid:
            parts.append(f"{self.invalid} failed or not readable")
        return f"{', '.join(parts)}; {duration(seconds)}"
