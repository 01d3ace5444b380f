"""Tasks from files, folders and stdin, in the formats of the public collections.

A file's format is recognised by its content, not by its name. The file is decoded (json_io.load), its tasks are found
and checked (schema.py), and solutions are added:

- a single task in a file is named after the file, a task of a collection by its key or id
- pairs without test: the last pair is the test
- tests without outputs: the solutions next to the tasks, or in a file next to theirs (Kaggle's *_challenges.json and
  *_solutions.json, or folders of these names)
- a folder: its JSON files and those of its folders, by name; solutions, submissions and files without grids are skipped

Anything else becomes an InvalidPuzzle, or an InvalidTask if it has a name and tests, and reading continues. Only a file
that was named explicitly and cannot be read raises an exception.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from trmsolve.errors import InputError
from trmsolve.tasks.arc.json_io import Document, load
from trmsolve.tasks.arc.schema import (
    MalformedTask,
    content_type,
    find_solutions,
    find_tasks,
    grids_from_json,
    holds_tasks,
    is_task,
    kind,
    name_in,
    num_tests,
    solutions_beside,
    task_from_json,
    with_answers,
)
from trmsolve.tasks.base import InvalidPuzzle
from trmsolve.tasks.few_shot import Attempts, FewShotTask, Grid, InvalidTask
from trmsolve.text_io import shorten, source_name

EXPECTED = 'expected a task, an object with "train" and "test", or tasks by their names'
EXTENSIONS = tuple(f".{name}{packed}" for name in ("json", "jsonl", "ndjson", "yaml", "yml") for packed in ("", ".gz"))
MAX_DEPTH = 6  # of folders in folders

Record = FewShotTask | InvalidPuzzle


@dataclass(frozen=True)
class FileContent:
    """The tasks and errors of one file."""

    source: str
    format: str  # "tasks by name (JSON, gzip)", ...
    records: list[Record] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """JSON values: source, format, tasks (sizes as "3x4" or "3x4 -> 6x8"), and errors."""
        tasks = [record for record in self.records if isinstance(record, FewShotTask)]
        errors = [record for record in self.records if isinstance(record, InvalidPuzzle)]
        return {
            "source": self.source,
            "format": self.format,
            "tasks": [
                {
                    "name": task.name,
                    "source": task.source,
                    "demonstrations": [f"{_size(pair.input)} -> {_size(pair.output)}" for pair in task.demonstrations],
                    "tests": [_size(grid) for grid in task.tests],
                    "answers": None if task.answers is None else [_size(grid) for grid in task.answers],
                    "warnings": list(task.warnings),
                }
                for task in tasks
            ],
            "errors": [
                {"name": getattr(error, "name", None), "source": error.source, "error": error.message}
                for error in errors
            ],
        }


def _size(grid: Grid) -> str:
    return f"{grid.shape[0]}x{grid.shape[1]}"


def read(paths: Iterable[str | Path], solutions: str | Path | None = None, strict: bool = True) -> Iterator[Record]:
    """The tasks of files, folders and stdin (`-`) in order. No two have the same name.

    solutions: a file of answers for tasks whose tests have no outputs, used in place of those beside the tasks. An
    answer that does not fit its task is a warning of the task, and otherwise ignored. Raises InputError for a named
    file or folder that is missing, not readable, empty, or neither text nor arrays; unless `strict`, it is an invalid
    record and reading continues.
    """
    for content in read_contents(paths, solutions, strict):
        yield from content.records


def read_contents(
    paths: Iterable[str | Path], solutions: str | Path | None = None, strict: bool = True
) -> Iterator[FileContent]:
    """The content of each file that read() reads, in order, including files without tasks. Arguments as in read().

    Raises InputError as read() does.
    """
    names = list(paths)
    reader = _Reader(None if solutions is not None else {_solutions_path(name) for name in names})
    if solutions is not None:
        yield FileContent(source_name(solutions), "solutions", list(reader.add_solutions(solutions)))
    for name in names:
        is_folder = _is_folder(name)
        try:
            files = json_files(Path(name)) if is_folder else [name]
            if is_folder and reader.partners is not None:
                reader.partners |= {_solutions_path(file) for file in files}
            for file in files:
                yield reader.file(file, is_named=not is_folder)
        except InputError as error:
            if strict:
                raise
            yield _unreadable(error)


def read_documents(documents: list[Document], source: str) -> Iterator[Record]:
    """The tasks of parsed documents. source: the name of their file."""
    yield from _Reader(None).content("-" if source == "stdin" else source, documents).records


class _Reader:
    """State across files: the names of tasks, and the solutions so far."""

    def __init__(self, partners: set[Path | None] | None) -> None:
        self.partners = partners  # files of solutions, read together with their tasks; None: do not look for any
        self.sources: dict[str, str] = {}  # by task name
        self.solutions: dict[str, Any] = {}  # by task name

    def file(self, path: str | Path, is_named: bool = True) -> FileContent:
        """The content of one file. is_named: the user named it, so InputError is raised if it cannot be read."""
        if self.partners and Path(path) in self.partners:
            return FileContent(source_name(path), "solutions")
        try:
            documents = load(path)
        except InputError as error:
            if is_named:
                raise
            return _unreadable(error)
        problems: list[Record] = []
        partner = None if self.partners is None else _solutions_path(path)
        if partner is not None:
            try:
                problems = list(self.add_solutions(partner))
            except InputError as error:
                problems = _unreadable(error).records
        content = self.content(path, documents, is_named)
        return replace(content, records=problems + content.records)

    def add_solutions(self, path: str | Path) -> Iterator[Record]:
        """Add the answers of a solutions file; yields its errors. Raises InputError as load does."""
        source = source_name(path)
        for document in load(path):
            solutions = find_solutions(document.value, _stem(path))
            self.solutions |= solutions
            if document.fault is not None:
                yield InvalidPuzzle(f"{source}:{document.fault.line}", document.fault.message, document.fault.text)
            elif not solutions:
                yield InvalidPuzzle(source, "holds no solutions, expected names, each with a list of grids")

    def content(self, path: str | Path, documents: list[Document], is_named: bool = True) -> FileContent:
        """The tasks of a file's documents."""
        source, stem = source_name(path), _stem(path)
        records: list[Record] = []
        for document in documents:
            if document.container.startswith("JSON Lines"):
                name = name_in(document.value) or f"{stem}-{document.line}"
                records += self._document(document, f"{source}:{document.line}", source, name, is_named)
            else:  # a single task is named after the file
                name = name_in(document.value) if source == "stdin" else ""
                records += self._document(document, source, source, name or stem, is_named)
        formats = dict.fromkeys(_format(document.value) for document in documents)
        return FileContent(source, f"{', '.join(formats)} ({documents[0].container})", records)

    def _document(self, document: Document, source: str, file: str, name: str, is_named: bool) -> Iterator[Record]:
        value, fault = document.value, document.fault
        place = "" if fault is None else f"{file}:{fault.line}"
        if fault is not None and is_task(value):  # a task with an error in one of its parts
            yield InvalidTask(place, f"{fault.message}, {EXPECTED}", fault.text, name, num_tests(value))
            return
        self.solutions |= solutions_beside(value)
        for key, task in find_tasks(value, name):
            yield self._task(key, source if is_task(value) else f"{source}:{shorten(key)}", task)
        if fault is not None:
            kept = "; the tasks before it were read" if holds_tasks(value) else ""
            yield InvalidPuzzle(place, f"{fault.message}, {EXPECTED}{kept}", fault.text)
        elif not holds_tasks(value) and (is_named or (not content_type(value) and _has_grids(value))):
            yield InvalidPuzzle(source, f"holds {content_type(value) or 'no task'}, {EXPECTED}", _shown(value))

    def _task(self, name: str, source: str, value: Any) -> Record:
        """The task with its solution."""
        try:
            task = task_from_json(name, source, value)
        except MalformedTask as error:
            return InvalidTask(source, str(error), name=name, num_tests=num_tests(value))
        if name in self.sources:
            first = self.sources[name]
            return InvalidPuzzle(source, f"a task of this name was already read from {first}; this one is ignored")
        self.sources[name] = source
        if task.answers is None and name in self.solutions:
            grids = self.solutions[name]
            return with_answers(task, lambda: grids_from_json(grids, "solution", len(task.tests)))
        return task


def empty_answers(records: Iterable[Record]) -> dict[str, Attempts]:
    """For a submission: an entry without attempts for each test of each task, malformed tasks included."""
    answers: dict[str, Attempts] = {}
    for record in records:
        if isinstance(record, FewShotTask):
            answers[record.name] = [()] * len(record.tests)
        elif isinstance(record, InvalidTask):
            answers.setdefault(record.name, [()] * record.num_tests)
    return answers


def _format(value: Any) -> str:
    """The kind of content of a document."""
    if is_task(value):
        return "pairs, the last one as test" if isinstance(value, list) else "one task"
    if holds_tasks(value):
        return "list of tasks" if isinstance(value, list) else "tasks by name"
    return content_type(value) or "no task"


def _shown(value: Any) -> str:
    """The beginning of a value without tasks, for messages."""
    if isinstance(value, dict):
        return ", ".join(f'"{shorten(key, 20)}": {kind(part)}' for key, part in list(value.items())[:3])
    return ", ".join(map(kind, value[:3])) if isinstance(value, list) else kind(value)


def _has_grids(value: Any) -> bool:
    """Whether a value contains a list of numbers at any depth."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(isinstance(part, list) and part and type(part[0]) in (int, float) for part in parts) or any(
        map(_has_grids, parts)
    )


def _unreadable(error: InputError) -> FileContent:
    message = error.message.removeprefix(f"{error.source}: ")
    record = InvalidPuzzle(error.source, f"{message}; {error.hint}" if error.hint else message)
    return FileContent(error.source, "not readable", [record])


def _stem(path: str | Path) -> str:
    """A file's name without its extensions."""
    name = Path("stdin" if str(path) == "-" else path)
    return name.with_suffix("").stem if name.suffix.lower() == ".gz" else name.stem


def _solutions_path(path: str | Path) -> Path | None:
    """The file of solutions for a file of challenges, beside it or in the folder of solutions; None if there is none.

    It is found by "solution" in place of "challenge" in the name of the file or of its folder.
    """
    path = Path(path)
    names = path.name.replace("challenge", "solution"), path.parent.name.replace("challenge", "solution")
    if names == (path.name, path.parent.name):
        return None
    partner = path.with_name(names[0]) if names[0] != path.name else path.parent.with_name(names[1]) / path.name
    others = partner.with_name(f"{partner.name}.gz"), partner.with_name(re.sub(r"\.gz$", "", partner.name))
    with suppress(OSError, ValueError):
        return next((file for file in (partner, *others) if file.is_file()), None)
    return None


def _is_folder(path: str | Path) -> bool:
    with suppress(OSError, ValueError):  # a name too long, a folder without permission: opening it reports this
        return str(path) != "-" and Path(path).is_dir()
    return False


def json_files(folder: Path) -> list[Path]:
    """The files of tasks in a folder, then in its folders, by name; hidden ones are skipped.

    Raises InputError if it cannot be listed or has none.
    """
    files: list[Path] = []
    try:
        for root, folders, names in os.walk(folder, onerror=_raise):
            depth = len(Path(root).relative_to(folder).parts)
            folders[:] = sorted(name for name in folders if not name.startswith(".")) if depth < MAX_DEPTH else []
            names = [name for name in names if name.lower().endswith(EXTENSIONS) and not name.startswith(".")]
            files += [path for name in sorted(names) if (path := Path(root, name)).is_file()]
    except OSError as error:
        raise InputError(str(folder), f"cannot be listed: {error.strerror or error}") from error
    if not files:
        raise InputError(str(folder), "a folder without .json or .yaml files", "name a folder of tasks, or a file")
    return files


def _raise(error: OSError) -> None:
    raise error
