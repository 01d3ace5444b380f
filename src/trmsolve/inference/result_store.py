"""Store results on disk as they are computed, so that a run over many tasks, which may take hours, can be resumed.

The file is JSON Lines: one line per result, written before the next task begins. Each line names the checkpoint and the
options of its result, so that a file can have results of several. An incomplete line, from a killed process, a full
disk or a power cut, is ignored, and its task is run again.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from trmsolve.errors import TrmsolveError
from trmsolve.inference.few_shot import AdaptOptions, FewShotResult, RankedAnswer
from trmsolve.tasks.base import InvalidPuzzle
from trmsolve.tasks.few_shot import FewShotTask

HEAD = b'{"kept":"trmsolve arc 1",'  # the beginning of every line, by which an incomplete one is recognised
HINT = "name a file that --resume created, or a new file"
FIELDS = {  # numbers in a line -> fields of a FewShotResult
    "views": "num_augmentations",
    "reproduced": "reproduced",
    "left_out": "holdout_accuracy",
    "steps": "steps",
    "seconds": "seconds",
    "memory": "memory",
}


class ResultStore:
    """The results in a file that belong to one checkpoint and one set of options."""

    def __init__(self, path: Path, checkpoint_sha256: str, options: AdaptOptions) -> None:
        """Read the file; create an empty one if there is none.

        num_damaged: number of incomplete lines. Raises TrmsolveError if the file has other content than results, or
        cannot be read and written.
        """
        self.path = path
        self.made_by = {"checkpoint_sha256": checkpoint_sha256, "options": options.to_dict()}
        self.num_damaged = 0
        self._results: dict[str, dict[str, Any]] = {}  # fields of a FewShotResult by task digest
        data = _open(path)
        for number, line in enumerate(data.removesuffix(b"\n").split(b"\n") if data else (), 1):
            self._read(line, f"{path}:{number}")

    def find(self, task: FewShotTask) -> FewShotResult | None:
        """The result of a task with these demonstrations and tests, or None.

        The result refers to `task` itself, whose answers may have become known since.
        """
        fields = self._results.get(task_digest(task))
        return None if fields is None else FewShotResult(task, **fields)

    def add(self, result: FewShotResult) -> None:
        """Store a result; it is on disk when this returns. Errors are not stored, so that their tasks are run again.

        Raises TrmsolveError if it cannot be written.
        """
        if result.error or isinstance(result.task, InvalidPuzzle):
            return
        digest = task_digest(result.task)
        record = {
            "task": digest,
            "name": result.task.name,
            "made_by": self.made_by,
            "ranked": [
                [{"grid": answer.grid, "votes": answer.votes, "confidence": answer.confidence} for answer in answers]
                for answers in result.ranked
            ],
            **{key: getattr(result, field) for key, field in FIELDS.items()},
        }
        text = json.dumps(record, separators=(",", ":"), default=lambda value: value.tolist())  # of numpy
        line = HEAD + text[1:].encode() + b"\n"
        try:
            with self.path.open("a+b", buffering=0) as file:
                if file.seek(0, os.SEEK_END):
                    file.seek(-1, os.SEEK_END)
                    line = line if file.read(1) == b"\n" else b"\n" + line
                file.write(line)  # one write, so that two processes may share a file
                os.fsync(file.fileno())
        except OSError as error:
            raise TrmsolveError(f"{self.path}: cannot store a result: {error.strerror or error}") from error
        self._results[digest] = {"ranked": result.ranked} | {f: getattr(result, f) for f in FIELDS.values()}

    def _read(self, line: bytes, location: str) -> None:
        """Read one line, or count it as damaged. Raises TrmsolveError if it was not written by a ResultStore."""
        text = line.strip(b"\0")  # a file system may leave zeros where a write was lost
        if not line or not (text.startswith(HEAD) or HEAD.startswith(text)):
            raise TrmsolveError(f"{location}: not a stored result", HINT)
        try:
            values = json.loads(text)
            digest, made_by = str(values["task"]), values["made_by"]
            ranked = tuple(tuple(map(_answer, answers)) for answers in values["ranked"])
            numbers = {field: _number(values[key], optional=key == "left_out") for key, field in FIELDS.items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
            self.num_damaged += 1
            return
        if made_by == self.made_by:
            self._results[digest] = {"ranked": ranked} | numbers


def task_digest(task: FewShotTask) -> str:
    """The sha256 of a task's demonstrations and test inputs. Answers are excluded: results do not depend on them."""
    demonstrations = [(pair.input.tolist(), pair.output.tolist()) for pair in task.demonstrations]
    return hashlib.sha256(json.dumps([demonstrations, [test.tolist() for test in task.tests]]).encode()).hexdigest()


def _answer(value: dict[str, Any]) -> RankedAnswer:
    grid = np.array(value["grid"])  # ValueError if the rows differ in length
    if grid.ndim != 2 or not grid.size or grid.dtype.kind not in "iu" or not 0 <= grid.min() <= grid.max() <= 255:
        raise ValueError("not a grid")
    return RankedAnswer(grid.astype(np.uint8), _number(value["votes"]), _number(value["confidence"]))


def _number(value: Any, optional: bool = False) -> Any:
    if optional and value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(value)
    return value


def _open(path: Path) -> bytes:
    """The file's content. The file is opened for writing too, so that an error is raised now and not hours later."""
    try:
        if path.exists() and not path.is_file():
            raise TrmsolveError(f"{path}: not a regular file", HINT)
        with path.open("a+b") as file:
            file.seek(0)
            return file.read()
    except FileNotFoundError as error:
        raise TrmsolveError(f"{path}: the folder {path.parent} does not exist", "create the folder first") from error
    except OSError as error:
        raise TrmsolveError(f"{path}: cannot store results: {error.strerror or error}") from error
