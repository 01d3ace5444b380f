"""Reads ARC tasks from files, folders and stdin, whatever collection they come in.

A file is known by its look, never by its name:

- a task: an object with "train" and "test"; it is called by the file's name without .json
- tasks: an object of tasks by their names. Where their tests have no outputs, Kaggle's *_solutions.json beside a
  *_challenges.json is looked up: names, and for each a list of grids
- a folder: its .json files in the order of their names; solutions and submissions among them are passed over

What is no task becomes a BadPuzzle and the reading goes on behind it. Raised is only that a named file cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from trmsolve.errors import InputError
from trmsolve.sources import name_of
from trmsolve.tasks.arc.document import Document, as_object, load
from trmsolve.tasks.arc.grids import ArcTask
from trmsolve.tasks.arc.parse import Refused, kind, task
from trmsolve.tasks.base import BadPuzzle
from trmsolve.tasks.text import shorten

EXPECTED = 'expected a task, an object with "train" and "test", or tasks by their names'

Record = ArcTask | BadPuzzle


def read(paths: Iterable[str | Path], solutions: str | Path | None = None, strict: bool = True) -> Iterator[Record]:
    """The tasks of files, folders and stdin (`-`) in order. No two have the same name.

    solutions: a file of answers for tasks whose tests have no outputs, instead of the one beside each challenges file.
    A damaged one is reported, and its undamaged part is used. Raises InputError for a named file or folder that is
    missing, not readable, empty, or no text; unless `strict`, it is a bad record and the others go on.
    """
    names = list(paths)
    reader = _Reader({_partner(Path(path)) for path in names}, beside=solutions is None)
    if solutions is not None:
        yield from reader.answers(solutions, load(solutions))
    for path in names:
        try:
            if _is_folder(path):
                yield from reader.folder(Path(path))
            else:
                yield from reader.file(path, load(path))
        except InputError as error:
            if strict:
                raise
            yield _unreadable(error)


def look(document: Document) -> str:
    """What a file holds by its look: "task", "tasks", "solutions", "submission", or "" for none of them."""
    members = dict(document.members)
    values = list(members.values())
    if any(key in members and not isinstance(members[key], dict) for key in ("train", "test")):
        return "task"
    if any(isinstance(value, dict) for value in values):
        return "tasks"
    if values and all(isinstance(value, list) for value in values):
        first = next((value[0] for value in values if value), None)
        return "submission" if isinstance(first, dict) else "solutions"
    return ""


class _Reader:
    """What is known between two files: which names are taken, and the answers that were found."""

    def __init__(self, partners: set[Path | None], beside: bool) -> None:
        self.partners = partners  # solutions files that go with a challenges file that was named
        self.beside = beside  # whether they are looked up
        self.taken: dict[str, str] = {}  # the source of each task so far
        self.solutions: dict[str, Any] = {}

    def folder(self, path: Path) -> Iterator[Record]:
        files = json_files(path)
        partners = {_partner(file) for file in files} if self.beside else set()
        for file in files:
            if file in partners:  # read, and complained about, with its challenges
                continue
            document = _loaded(file)
            yield from [document] if isinstance(document, BadPuzzle) else self.file(file, document, named=False)

    def file(self, path: str | Path, document: Document, named: bool = True) -> Iterator[Record]:
        """The tasks of one file. `named`: by the user, so it should hold tasks."""
        source, found = name_of(path), look(document)
        if found == "task":
            if document.fault is None:
                name = "stdin" if source == "stdin" else Path(path).stem
                yield self._task(name, source, as_object(document.members))
        elif found == "tasks":
            partner = _partner(Path(path)) if self.beside else None
            if partner is not None and partner.is_file():
                answers = _loaded(partner)
                yield from [answers] if isinstance(answers, BadPuzzle) else self.answers(partner, answers)
            for name, value in document.members:
                yield self._task(name, f"{source}:{shorten(name)}", value)
        elif found and not document.fault:
            if named and Path(path) not in self.partners:
                hint = "; name the challenges file, and the solutions beside it are found" * (found == "solutions")
                yield BadPuzzle(source, f"holds {_SAID[found]}, {EXPECTED}{hint}")
        elif not document.fault:
            said = ", ".join(f'"{shorten(name, 20)}": {kind(value)}' for name, value in document.members[:3])
            yield BadPuzzle(source, f"holds no task; {EXPECTED}", said)
        yield from _faults(source, document)

    def answers(self, path: str | Path, document: Document) -> Iterator[BadPuzzle]:
        """Keeps the answers of a solutions file. What is wrong with one of them is said of its task."""
        source = name_of(path)
        if look(document) == "solutions":
            self.solutions |= dict(document.members)
        elif document.fault is None:
            yield BadPuzzle(source, "holds no solutions; expected names, each with a list of grids")
        yield from _faults(source, document)

    def _task(self, name: str, source: str, value: Any) -> Record:
        try:
            found = task(name, source, value, self.solutions.get(name))
        except Refused as refused:
            return BadPuzzle(source, str(refused))
        if name in self.taken:
            return BadPuzzle(source, f"a task of this name was read before, from {self.taken[name]}; that one is kept")
        self.taken[name] = source
        return found


def _loaded(path: Path) -> Document | BadPuzzle:
    """The document of a file that nobody named, so that it spoils only itself."""
    try:
        return load(path)
    except InputError as error:
        return _unreadable(error)


def _unreadable(error: InputError) -> BadPuzzle:
    message = error.message.removeprefix(f"{error.source}: ")
    return BadPuzzle(error.source, f"{message}; {error.hint}" if error.hint else message)


_SAID = {"solutions": "solutions", "submission": "a submission"}


def _faults(source: str, document: Document) -> Iterator[BadPuzzle]:
    if (fault := document.fault) is not None:
        lost = "; the tasks before it were read" if look(document) == "tasks" else ""
        yield BadPuzzle(f"{source}:{fault.line}", f"{fault.message}; {EXPECTED}{lost}", fault.text)


def _is_folder(path: str | Path) -> bool:
    try:
        return str(path) != "-" and Path(path).is_dir()
    except OSError:  # a name too long, a folder that we may not look into: opening it says so
        return False


def _partner(path: Path) -> Path | None:
    """Where Kaggle's solutions of a challenges file are; None for files that are called otherwise."""
    if not path.stem.endswith("challenges"):
        return None
    return path.with_name(path.stem.removesuffix("challenges") + "solutions" + path.suffix)


def json_files(folder: Path) -> list[Path]:
    """Its .json files by name, hidden ones left out. Raises InputError when it cannot be listed or has none."""
    try:
        files = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() == ".json" and not path.name.startswith(".") and path.is_file()
        ]
    except OSError as error:
        raise InputError(str(folder), f"cannot be listed: {error.strerror or error}") from error
    if not files:
        raise InputError(str(folder), "a folder without .json files", "name a folder of tasks, or a file")
    return sorted(files, key=lambda path: path.name)
