"""Results kept on disk as they come, so that a run over many tasks, which may take hours, goes on where it ended.

The file is JSON Lines: a line for each result, appended and on the disk before the next task begins. Each says what it
was made from, so that one file may hold the results of several checkpoints and options.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trmsolve.adapting.options import AdaptOptions, TaskResult, Vote
from trmsolve.errors import TrmsolveError
from trmsolve.tasks.arc.grids import ArcTask
from trmsolve.tasks.arc.parse import Refused, grid
from trmsolve.tasks.base import BadPuzzle

HEAD = '{"kept":"trmsolve arc 1",'  # how every line begins; a line broken off is known by it
MEASURES = ("views", "reproduced", "left_out", "steps", "seconds", "memory")  # fields of a TaskResult that are numbers

HINT = "expected a file of results that trmsolve keeps, or the name of a new one"


class Kept:
    """The results in a file that were made with one checkpoint and one set of options; it may hold others, too."""

    def __init__(self, path: Path, checkpoint_sha256: str, options: AdaptOptions) -> None:
        """Reads the file; makes an empty one where there is none.

        A last line that was broken off, the process having been killed in the middle, is passed over. Raises
        TrmsolveError when the file holds anything else than results, or cannot be read and written.
        """
        self.path, self.made_by = path, _made_by(checkpoint_sha256, options)
        self._results: dict[str, dict[str, Any]] = {}  # by digest, all of a TaskResult but its task
        data = _opened(path)
        whole, end, self._torn = data.rpartition(b"\n")
        self._end = len(whole + end)  # of what is whole, in bytes
        if not self._torn.startswith(HEAD.encode()[: len(self._torn)]):
            raise TrmsolveError(f"{path}: its last line is no kept result", HINT)
        for number, line in enumerate(whole.split(b"\n") if end else (), 1):
            try:
                self._read(line)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError, Refused) as error:
                raise TrmsolveError(f"{path}:{number}: no kept result", HINT) from error

    def find(self, task: ArcTask) -> TaskResult | None:
        """What became of a task with these demonstrations and tests, if that is known; None otherwise.

        The result holds the task as it is given, whose answers may have become known in the meantime.
        """
        found = self._results.get(digest(task))
        return None if found is None else TaskResult(task, **found)

    def add(self, result: TaskResult) -> None:
        """Keep a result: it is on the disk when this returns. Errors are not kept, so that they are tried again.

        Raises TrmsolveError when it cannot be written.
        """
        if result.error or isinstance(result.task, BadPuzzle):
            return
        name = digest(result.task)
        values = {"ranked": result.ranked} | {key: getattr(result, key) for key in MEASURES}
        record = {"task": name, "name": result.task.name, "made_by": self.made_by} | values
        line = HEAD + json.dumps(record, separators=(",", ":"), default=_plain)[1:] + "\n"
        try:
            if self._torn and self.path.stat().st_size == self._end + len(self._torn):  # nobody else has gone on since
                os.truncate(self.path, self._end)
            with self.path.open("ab", buffering=0) as file:  # one write, so that two processes may share a file
                file.write(line.encode())
                os.fsync(file.fileno())
        except OSError as error:
            raise TrmsolveError(f"{self.path}: cannot keep a result: {error.strerror or error}") from error
        self._torn = b""
        self._results[name] = values

    def _read(self, line: bytes) -> None:
        text = line.decode()
        if not text.startswith(HEAD):
            raise ValueError(text)
        values = json.loads(text)
        name = str(values["task"])
        if values["made_by"] != self.made_by:
            return
        ranked = tuple(tuple(map(_vote, votes)) for votes in values["ranked"])
        numbers = {key: values[key] for key in MEASURES}
        if not all(_number(value) or (value is None and key == "left_out") for key, value in numbers.items()):
            raise ValueError(numbers)
        self._results[name] = {"ranked": ranked} | numbers


def digest(task: ArcTask) -> str:
    """The sha256 of a task's demonstrations and test inputs: what an answer may depend on. Never of the answers."""
    demonstrations = [(pair.input.tolist(), pair.output.tolist()) for pair in task.demonstrations]
    return hashlib.sha256(json.dumps([demonstrations, [test.tolist() for test in task.tests]]).encode()).hexdigest()


def _made_by(checkpoint_sha256: str, options: AdaptOptions) -> dict[str, Any]:
    return {"checkpoint_sha256": checkpoint_sha256, "options": asdict(options)}


def _plain(value: Any) -> Any:
    """What JSON does not know: votes, grids, and whatever numbers of numpy a result holds."""
    if isinstance(value, Vote):
        return {"grid": value.grid, "votes": value.votes, "confidence": value.confidence}
    return value.tolist()


def _vote(value: dict[str, Any]) -> Vote:
    votes, confidence = value["votes"], value["confidence"]
    if not (_number(votes) and _number(confidence)):
        raise ValueError(value)
    return Vote(grid(value["grid"], "grid"), votes, confidence)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _opened(path: Path) -> bytes:
    """All that is in the file. It is opened for writing, too, so that hours later nothing is found to be amiss."""
    try:
        if path.exists() and not path.is_file():
            raise TrmsolveError(f"{path}: not a file that results could be kept in", HINT)
        with path.open("a+b") as file:
            file.seek(0)
            return file.read()
    except FileNotFoundError as error:
        raise TrmsolveError(f"{path}: there is no folder {path.parent}", "create the folder first") from error
    except OSError as error:
        raise TrmsolveError(f"{path}: results cannot be kept there: {error.strerror or error}") from error
