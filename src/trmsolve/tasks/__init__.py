"""The registry of tasks: bundled ones, those of installed packages (entry points `trmsolve.tasks`), and task files.

A task's module defines TASK and is imported when its name is first used. A task file is code: it runs only when the
user names it, never because a checkpoint or a data file does.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trmsolve.errors import TrmsolveError, did_you_mean

if TYPE_CHECKING:  # late, so that the names of tasks are listed without numpy
    from importlib.metadata import EntryPoint

    from trmsolve.tasks.base import Task

BUNDLED = ("sudoku", "maze", "arc", "grid")
GROUP = "trmsolve.tasks"
CORE = ("read", "format_grid", "format_line", "encode", "decode", "check")
ITEMS = {"styles": str, "kinds": str, "size": int}  # of the attributes that are tuples

_registered: dict[str, Task] = {}
_files: dict[str, str] = {}  # the file that each task was loaded from, as the user named it


def register(task: Task) -> Task:
    """Register a task by its name. Raises TrmsolveError for an object that lacks a part of the core."""
    from trmsolve.tasks.base import Task
    from trmsolve.tasks.constraints import ConstraintPuzzle
    from trmsolve.tasks.groups import locating_errors

    name = getattr(task, "name", None)
    if isinstance(task, Task) and name is not None and not (isinstance(name, str) and name.isidentifier()):
        expected = "set it to letters, digits and _, beginning with a letter"
        raise TrmsolveError(f"{type(task).__name__}: {name!r} is not the name of a task", expected)
    if not isinstance(task, Task) or not isinstance(name, str):
        raise TrmsolveError(f"{task!r} is not a task", "subclass ConstraintPuzzle or Task, and set its name")
    missing = [method for method in CORE if getattr(type(task), method) is getattr(Task, method)]
    if isinstance(task, ConstraintPuzzle):
        base = ConstraintPuzzle
        missing += [
            member
            for member in ("symbols", "kinds", "constraints")
            if getattr(type(task), member) is getattr(base, member)
        ]
    with locating_errors(task):
        _check_attributes(task, name)
    if missing:
        raise TrmsolveError(f"task '{name}' lacks: {', '.join(missing)}", "see docs/own-puzzles.md")
    _registered[name] = task
    return task


def _check_attributes(task: Task, name: str) -> None:
    """Raise TrmsolveError for an attribute of another type than in the base class, or symbols that cannot be read."""
    from trmsolve.tasks.base import Task
    from trmsolve.tasks.constraints import ConstraintPuzzle

    for base in (Task, ConstraintPuzzle) if isinstance(task, ConstraintPuzzle) else (Task,):
        for attribute, default in vars(base).items():
            if attribute.startswith("_") or not isinstance(default, str | bool | float | tuple):
                continue
            value: Any = getattr(task, attribute)
            valid = isinstance(value, float | int if isinstance(default, float) else type(default))
            if valid and attribute in ITEMS:
                valid = all(isinstance(item, ITEMS[attribute]) for item in value)
            if not valid or (attribute == "size" and not (len(value) == 2 and min(value) > 0)):
                examples = {"kinds": 'a tuple, such as ("line",)', "symbols": 'a text, such as ".123456789"'}
                example = examples.get(attribute, f"for example {default!r}")
                raise TrmsolveError(f"task '{name}': {attribute} is {value!r}", f"expected {example}")
    if not isinstance(task, ConstraintPuzzle) or type(task).symbols is ConstraintPuzzle.symbols:
        return
    problem = next((f"has {symbol!r} twice" for symbol in task.symbols if task.symbols.count(symbol) > 1), "")
    problem = problem or next((f"has {symbol!r}" for symbol in task.symbols if symbol.isspace() or symbol in "/,"), "")
    if problem or len(task.symbols) < 2:
        expected = "each index its own character: a blank, then the values; no space, / or comma"
        raise TrmsolveError(f"task '{name}': symbols {problem or f'is {task.symbols!r}'}", f"give {expected}")


def line_in_task_file(error: BaseException) -> str:
    """FILE:LINE of the innermost line of a task file that an error passed through; "" if it passed through none."""
    files = {Path(file).absolute(): file for file in _files.values()}
    frames = [(Path(frame.filename).absolute(), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    return next((f"{files[file]}:{line}" for file, line in reversed(frames) if file in files), "")


def resolve_task(spec: str) -> Task:
    """The task with this name, or defined by this Python file.

    Call it with input of the user only: a checkpoint or a data file must never choose a file to run.
    """
    return load_task_file(spec) if spec.endswith(".py") else get(spec)


def origin(name: str) -> str:
    """The value of --task for a task: its file, or its name."""
    return _files.get(name, name)


def task_files() -> tuple[str, ...]:
    """The task files that were loaded, as the user named them."""
    return tuple(_files.values())


def names() -> tuple[str, ...]:
    """The names of all tasks that get() can return."""
    return tuple(dict.fromkeys((*BUNDLED, *_plugins(), *_registered)))


def get(name: str) -> Task:
    """The task of that name. Raises TrmsolveError, with the nearest name, when there is none."""
    if name in _registered:
        return _registered[name]
    if name in BUNDLED:
        return register(import_module(f"trmsolve.tasks.{name}").TASK)
    if name in _plugins():
        return register(_plugins()[name].load())
    raise TrmsolveError(
        f"unknown task '{name}'", f"{did_you_mean(name, names())}; or name a Python file that defines it"
    )


@cache
def _plugins() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=GROUP)}


def _print_to_stderr(*values: object, **options: Any) -> None:
    """The print() of task files: standard output is for puzzles and answers only."""
    print(*values, **{"file": sys.stderr, **options})


def load_task_file(path: str | Path) -> Task:
    """Run a Python file and register its task: an object TASK, or its only subclass of Task.

    Raises TrmsolveError with file, line and reason when the file does not run or defines no task.
    """
    from trmsolve.tasks.base import Task

    path = Path(path)
    spec = importlib.util.spec_from_file_location(f"trmsolve_task_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise TrmsolveError(f"{path}: no such task file", "name a Python file that defines a task")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    module.__dict__["print"] = _print_to_stderr
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = getattr(error, "lineno", None) or (lines[-1] if lines else None)
        location = f"{path}:{line}" if line else str(path)
        raise TrmsolveError(f"{location}: {type(error).__name__}: {error}", "correct the task file") from error
    task = getattr(module, "TASK", None)
    if task is None:
        classes = [
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, Task) and value.__module__ == spec.name
        ]
        if len(classes) != 1:
            raise TrmsolveError(f"{path}: {len(classes)} tasks are defined", "define TASK, or one subclass of Task")
        task = classes[0]()
    name = getattr(task, "name", None)
    if isinstance(name, str) and name in BUNDLED:  # its checkpoints would be read as those of the bundled task
        raise TrmsolveError(f"{path}: the name '{name}' is that of a bundled task", "set another name")
    register(task)
    _files[task.name] = str(path)
    return task
