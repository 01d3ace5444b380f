"""ARC's answers as text: grids as rows of digits, and submissions in the shape that Kaggle's competitions take."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from trmsolve.errors import InputError
from trmsolve.sources import name_of
from trmsolve.tasks.arc.document import load
from trmsolve.tasks.arc.grids import Grid
from trmsolve.tasks.arc.parse import Refused, grid, kind
from trmsolve.tasks.text import shorten

ATTEMPTS = ("attempt_1", "attempt_2")
NOTHING = np.zeros((2, 2), np.uint8)  # an attempt where there is none: what the competition's sample submission holds

Attempts = Sequence[Sequence[Grid]]  # of one task: for each test its grids, the best first


def draw(grid: Grid) -> str:
    """A grid as rows of digits, without a trailing newline."""
    return "\n".join("".join(map(str, row)) for row in grid.tolist())


def submission(answers: Mapping[str, Attempts]) -> str:
    """The two best attempts at each test of each task, as JSON text, a task on a line.

    A test with one attempt has it twice; one with none has NOTHING, so that the file is complete in any case.
    """
    tasks = [f"{json.dumps(name)}:{_compact([_two(test) for test in tests])}" for name, tests in answers.items()]
    return "{" + ",\n".join(tasks) + "}\n"


def read_submission(path: str | Path) -> dict[str, list[list[Grid]]]:
    """The attempts of a submission by task: for each test two grids. Raises InputError for anything else."""
    source, document = name_of(path), load(path)
    if document.fault is not None:
        raise InputError(f"{source}:{document.fault.line}", document.fault.message)
    found: dict[str, list[list[Grid]]] = {}
    for name, tests in document.members:
        where = f"{source}:{shorten(name)}"
        if name in found:
            raise InputError(where, "occurs twice")
        try:
            found[name] = _tests(tests)
        except Refused as refused:
            raise InputError(where, str(refused)) from refused
    return found


_compact = json.JSONEncoder(separators=(",", ":")).encode


def _two(attempts: Sequence[Grid]) -> dict[str, list[list[int]]]:
    first, second = (*attempts[:2], *attempts[:1], NOTHING, NOTHING)[:2]
    return {ATTEMPTS[0]: first.tolist(), ATTEMPTS[1]: second.tolist()}


def _tests(value: object) -> list[list[Grid]]:
    if not isinstance(value, list) or not value:
        raise Refused(f"{kind(value)}, expected a list with an object for each test input")
    found = []
    for i, attempts in enumerate(value, 1):
        if not isinstance(attempts, dict) or not attempts.keys() >= set(ATTEMPTS):
            raise Refused(f'test {i}: expected an object with "{ATTEMPTS[0]}" and "{ATTEMPTS[1]}"')
        found.append([grid(attempts[name], f"test {i}, {name}") for name in ATTEMPTS])
    return found
