"""Results of ARC tasks on stdout: two attempts at each test, as grids or as JSON records; and submissions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from rich.text import Text

from trmsolve.cli.output import JSON_STYLES, JsonRecords, emit
from trmsolve.inference.few_shot import FewShotResult, RankedAnswer
from trmsolve.render import blocks
from trmsolve.render.caption import percent
from trmsolve.render.console import console_for, encodable, glyphs_for, has_color, is_terminal
from trmsolve.tasks.arc.json_io import format_grid, submission
from trmsolve.tasks.arc.picture import grid_picture
from trmsolve.tasks.base import InvalidPuzzle
from trmsolve.tasks.few_shot import Attempts, FewShotTask
from trmsolve.text_io import atomic_write

GAP = 3  # columns between two attempts


class Report:
    """Writes results in one style. Only on a terminal are grids drawn, in colour or with frames."""

    def __init__(self, style: str | None, stream: TextIO, color: str) -> None:
        self.stream = stream
        self.model_fields: dict[str, str | None] = dict.fromkeys(("checkpoint", "checkpoint_sha256", "device"))
        self.records = JsonRecords(_Rows(stream), style) if style in JSON_STYLES else None  # type: ignore[arg-type]
        self.console = console_for(stream, color) if is_terminal(stream) else None
        self.before = ""  # what parts a test from the one before

    def add(self, result: FewShotResult) -> None:
        """One more result. Those without an answer are told of in JSON alone."""
        if self.records is not None:
            self.records.add(self._record(result))
            return
        for number, votes in enumerate(result.ranked, 1):
            title = f"{result.task.name}, test {number}"
            emit(self.stream, self.before)
            if self.console is None:
                text = "\n".join(_plain(title, votes, result.num_augmentations))
                emit(self.stream, encodable(text, getattr(self.stream, "encoding", None) or "utf-8"))
            else:
                for line in self._drawn(title, votes, result.num_augmentations):
                    self.console.print(line, soft_wrap=True)
            self.before = "\n"

    def close(self) -> None:
        """No more results."""
        if self.records is not None:
            self.records.close()

    def _record(self, result: FewShotResult) -> dict[str, Any]:
        """The JSON record of a task: one flat object, whose `tests` hold one attempt or two each, the better first."""
        bad, failed = isinstance(result.task, InvalidPuzzle), bool(result.error)
        return {
            "task": "arc",
            "source": result.task.source,
            "name": None if bad else result.task.name,
            "tests": [
                {
                    "attempts": [vote.grid.tolist() for vote in votes[:2]],
                    "votes": [vote.votes for vote in votes[:2]],
                    "confidence": [round(vote.confidence, 4) for vote in votes[:2]],
                }
                for votes in result.ranked
            ],
            "solved": result.solved,
            "verified": result.solved,  # nothing but the answers can tell
            "demonstrations_reproduced": None if failed else round(result.reproduced, 4),
            "left_out": None if result.holdout_accuracy is None else round(result.holdout_accuracy, 4),
            "steps": result.steps,
            "votes": result.num_augmentations,
            "seconds": round(result.seconds, 4),
            "memory_bytes": result.memory or None,
            **self.model_fields,
            "error": result.error or None,
        }

    def _drawn(self, title: str, votes: Sequence[RankedAnswer], views: int) -> Iterator[Text]:
        """Both attempts beside each other, as large as the window allows; below each other where it is too narrow."""
        console = self.console
        glyphs, colour = glyphs_for(console), has_color(console)
        pictures = [grid_picture(vote.grid).cells for vote in votes[:2]]
        captions = [[Text(line) for line in lines] for lines in _captions(votes, views)]
        captions[0][0].stylize("bold")

        def parts(scale: blocks.Scale) -> list[list[Text]]:
            return [
                [*words, *blocks.draw(cells, scale, glyphs, colour)]
                for words, cells in zip(captions, pictures, strict=True)
            ]

        yield Text(encodable(title, console.encoding), style="bold")
        for arranged in (_beside, _below):
            for scale in blocks.scales(glyphs, colour):
                lines = arranged(parts(scale))
                if max(line.cell_len for line in lines) <= console.width:
                    yield from lines
                    return
        yield from lines


def _beside(parts: Sequence[Sequence[Text]]) -> list[Text]:
    """Columns of lines from left to right, their tops level."""
    lines = [Text(no_wrap=True) for _ in range(max(map(len, parts)))]
    at = 0
    for part in parts:
        for line, piece in zip(lines, part, strict=False):
            line.pad_right(at - line.cell_len)
            line.append_text(piece)
        at = max(line.cell_len for line in lines) + GAP
    return lines


def _below(parts: Sequence[Sequence[Text]]) -> list[Text]:
    """One part below the other, a blank line between them."""
    return [line for part in parts for line in (*part, Text())][:-1]


def _plain(title: str, votes: Sequence[RankedAnswer], views: int) -> Iterator[str]:
    """Both attempts below each other, each as rows of digits under a line that says what it is."""
    for words, vote in zip(_captions(votes, views), votes, strict=False):
        yield f"{title}, {', '.join(words)}"
        yield format_grid(vote.grid)
        yield ""


def _captions(votes: Sequence[RankedAnswer], views: int) -> list[tuple[str, str, str]]:
    """What is said of each of two attempts, in three lines. What all views draw together may be what no view draws."""
    return [
        (
            f"attempt {i}",
            f"{vote.votes} of {views} votes{'' if vote.votes else ' (consensus)'}",
            f"confidence {percent(vote.confidence)}",
        )
        for i, vote in enumerate(votes[:2], 1)
    ]


class _Rows:
    """A stream on which the rows of indented JSON's grids stay rows: nobody reads a grid with a line for each cell."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.flush = stream, stream.flush

    def write(self, text: str) -> int:
        return self.stream.write(_row.sub(lambda row: f"[{', '.join(_number.findall(row[0]))}]", text))


_number = re.compile(r"[\d.]+")
_row = re.compile(r"\[\s+[\d.]+(?:,\s+[\d.]+)*\s+\]")  # within a text, JSON has no line breaks


class Submission:
    """A file in Kaggle's shape. It is complete at any time: what is not answered yet, holds what stands for nothing."""

    def __init__(self, path: Path, force: bool, tasks: Iterable[FewShotTask]) -> None:
        self.path, self.force = path, force
        self.attempts: dict[str, Attempts] = {task.name: [()] * len(task.tests) for task in tasks}
        self.answered: set[str] = set()
        self._due = False

    def add(self, result: FewShotResult, at_once: bool) -> None:
        """One more answer. Writes the file, unless the next result comes without delay (not `at_once`)."""
        if result.error or isinstance(result.task, InvalidPuzzle):
            return
        self.attempts[result.task.name] = result.attempts
        self.answered.add(result.task.name)
        self._due = True
        if at_once:
            self.write()

    def write(self) -> None:
        """The file as it should be by now. Raises TrmsolveError when it cannot be written."""
        if self._due:
            atomic_write(self.path, submission(self.attempts), self.force)
            self.force, self._due = True, False  # from now on the file is ours

    def __str__(self) -> str:
        return f"{self.path}: {len(self.answered)} of {len(self.attempts)} tasks answered"
