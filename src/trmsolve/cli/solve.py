"""What every solving command does, whatever its task."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trmsolve.cli import sharding
from trmsolve.cli.guard import BAD, OUT_OF_TIME, SOLVED, UNSOLVED, say, speak_up
from trmsolve.cli.inputs import Record, at_hand, peek, piped, records, timely
from trmsolve.cli.output import about, check_style, destination
from trmsolve.cli.pictures import PictureFiles, frames, show
from trmsolve.cli.report import Report, complain
from trmsolve.errors import TrmsolveError
from trmsolve.solving.feed import OutOfTime
from trmsolve.solving.jobs import Solving
from trmsolve.solving.options import Result, SolveOptions
from trmsolve.tasks import get
from trmsolve.tasks.base import BadPuzzle, Puzzle, Task

if TYPE_CHECKING:
    import typer

    from trmsolve.api import Model
    from trmsolve.solving.crew import Crew


@dataclass(frozen=True)
class Asked:
    """The command's arguments."""

    files: list[str]
    checkpoint: str | None
    settings: dict[str, Any]
    style: str | None
    show_steps: bool | None
    pace: float
    svg: Path | None
    gif: Path | None
    html: Path | None
    output: Path | None
    force: bool
    timeout: float | None
    limit: int | None
    device: str
    dtype: str
    color: str
    quiet: bool
    verbose: bool


def solve(name: str, asked: Asked, context: typer.Context) -> int:
    """Solve the puzzles of the files, or of stdin; returns the exit code."""
    if sharding.serves():
        return sharding.serve(lambda: [_load(name, asked)])
    with sharding.crew() as crew:
        return _solve(name, asked, context, crew)


def _solve(name: str, asked: Asked, context: typer.Context, crew: Crew | None) -> int:
    files = asked.files or (["-"] if piped() else [])
    if not files:
        say(context.get_help())
        return BAD
    task = get(name)
    check_style(asked.style, task.styles)
    pictures = PictureFiles(asked.svg, asked.gif, asked.html, asked.force)
    pictures.check()
    deadline = None if asked.timeout is None else time.monotonic() + asked.timeout
    tally = Tally()
    with destination(asked.output, asked.force) as stream:
        report = Report(task, asked.style, stream)
        try:
            for result in _results(task, asked, files, pictures, deadline, report, crew):
                tally.add(result)
                report.add(result)
                if not result.verified and (result.error or not asked.quiet):
                    complain(task, result)
        except OutOfTime:
            say(f"out of time after {asked.timeout:g} s: {tally}")
            return OUT_OF_TIME
        finally:
            report.close()
    if tally.puzzles != 1 and not asked.quiet:
        say(str(tally))
    return tally.code


def _results(
    task: Task,
    asked: Asked,
    files: list[str],
    pictures: PictureFiles,
    deadline: float | None,
    report: Report,
    crew: Crew | None,
) -> Iterator[Result]:
    """What becomes of each record, in order; shown on the way where that is asked for."""
    source, ready = records(task, files, asked.limit), at_hand(files)
    watched = bool(pictures or asked.show_steps)
    if watched:
        sharding.alone("watching a puzzle, on the screen or in a picture,")
    if watched and not ready:
        source = timely(source, deadline)
    if pictures or ready:  # elsewhere, looking ahead means waiting
        first, source = peek(source)
        single = len(first) == 1
        if single and isinstance(first[0], BadPuzzle):  # needs no model
            yield Result(first[0], error=first[0].message)
            return
        if pictures and not single:
            raise TrmsolveError(
                "a picture shows one puzzle, and the input holds more", "add --limit 1, or name one file"
            )
        live = single and asked.show_steps is None and not asked.quiet and _on_terminal()
        watched = watched or (live and crew is None)
    model = _load(task.name, asked)
    report.about = about(model)
    if asked.verbose:
        speak_up(model)
    if crew is not None:
        crew.start([model], deadline)
        yield from crew.map(Solving(SolveOptions(**asked.settings)), source, deadline)
    elif watched:
        yield from _watched(model, source, asked, pictures, deadline)
    else:
        yield from model.solve(source, deadline=deadline, **asked.settings)


def _load(task: str, asked: Asked) -> Model:
    from trmsolve.api import load

    return load(asked.checkpoint, task=task, device=sharding.own(asked.device), dtype=asked.dtype)


def _watched(
    model: Model, source: Iterator[Record], asked: Asked, pictures: PictureFiles, deadline: float | None
) -> Iterator[Result]:
    """One puzzle after the other, each step shown."""
    visible = asked.show_steps is not False and not (asked.quiet and asked.show_steps is None)
    visible = visible and (asked.show_steps is True or _on_terminal())
    for record in source:
        if not isinstance(record, Puzzle):
            yield Result(record, error=record.message)
            continue
        events = model.watch(record, deadline=deadline, **asked.settings)
        drawn = frames(model.task, events, record, _steps(model, record, asked))
        seen, result = show(drawn, asked.color, asked.pace, visible, keep=bool(pictures))
        if pictures:
            pictures.write(seen)
        yield result


def _steps(model: Model, puzzle: Puzzle, asked: Asked) -> int:
    return asked.settings["max_steps"] or model.task.max_steps(puzzle.question)


def _on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


class Tally:
    """How the records of a run ended."""

    def __init__(self) -> None:
        self.puzzles = self.solved = self.plain = self.bad = 0
        self.started = time.monotonic()

    def add(self, result: Result) -> None:
        """One more result."""
        self.puzzles += 1
        self.solved += result.verified
        self.plain += result.verified and result.plain
        self.bad += bool(result.error)

    @property
    def code(self) -> int:
        """The exit code they add up to."""
        if self.bad or not self.puzzles:
            return BAD
        return SOLVED if self.solved == self.puzzles else UNSOLVED

    def __str__(self) -> str:
        seconds = max(time.monotonic() - self.started, 1e-9)
        bad = f", {self.bad} not readable" if self.bad else ""
        return (
            f"{self.solved} of {self.puzzles} solved and verified ({self.plain} without restarts){bad}; "
            f"{seconds:.1f} s, {self.puzzles / seconds:.1f} puzzles/s"
        )
