"""The tasks by name. A task's module is imported only when it is asked for."""

from __future__ import annotations

from importlib import import_module

from trmsolve.errors import TrmsolveError, nearest
from trmsolve.tasks.base import Task

NAMES = ("sudoku", "maze", "arc")


def get(name: str) -> Task:
    """The task of that name. Raises TrmsolveError, with the nearest name, when there is none."""
    if name not in NAMES:
        raise TrmsolveError(f"unknown task '{name}'", nearest(name, NAMES))
    return import_module(f"trmsolve.tasks.{name}").TASK
