"""The tasks by name. A task's module is imported only when it is asked for."""

from __future__ import annotations

import difflib
from importlib import import_module

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.base import Task

NAMES = ("sudoku", "maze")


def get(name: str) -> Task:
    """The task of that name. Raises TrmsolveError, with the nearest name, when there is none."""
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, 1)
        raise TrmsolveError(
            f"unknown task '{name}'", f"did you mean '{near[0]}'?" if near else f"known: {', '.join(NAMES)}"
        )
    return import_module(f"trmsolve.tasks.{name}").TASK
