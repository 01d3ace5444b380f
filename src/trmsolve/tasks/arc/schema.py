"""Find tasks in JSON values, with their names, and check them.

ARC's own form is {"train": [{"input": grid, "output": grid}, ...], "test": [{"input": grid}, ...]}. Collections name
the parts otherwise (the tables below), wrap tasks in objects and lists, or keep a list of pairs, whose last one is the
test. A grid is a list of rows of colours, a text of digits, or an array.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from trmsolve.tasks.arc.arrays import parts_by_name
from trmsolve.tasks.arc.grids import COLORS, MAX_READABLE_SIDE
from trmsolve.tasks.arc.json_io import ATTEMPTS, LongNumber, RepeatedKeys, parse
from trmsolve.tasks.few_shot import FewShotTask, Grid, Pair
from trmsolve.text_io import character_name, shorten

MAX_PAIRS = 10_000  # of a task, ten times what RE-ARC generates
MAX_PARTS = 40  # keys of a task or pair whose parts are named in another spelling
MAX_WRAPPERS = 6  # objects and lists around a task
# Keys of the parts of a task; the first of each is ARC's own. They are compared by _plain.
TRAIN_KEYS = ("train", "training", "fewshots", "demonstrations", "demos", "support", "examples")
QUESTION_KEYS = ("question", "query")  # also of a single input grid
TEST_KEYS = ("test", "tests", "testing", *QUESTION_KEYS, "queries")
INPUT_KEYS, OUTPUT_KEYS = ("input", "in", "x"), ("output", "out", "y")
ANSWER_KEYS = ("answer", "answers", "solution", "solutions")  # beside the parts of a task, or of a collection
NAME_KEYS = ("id", "task_id", "uid", "puzzle_id", "name")
WRAPPER_KEYS = ("challenge", "task", "puzzle", "problem", "row", "data")  # of an object around one task
OTHER_KEYS = {"version", "description", "source", "author", "license", "url", "split", "count", "metadata"}
OTHER_KEYS |= {*NAME_KEYS, *ANSWER_KEYS}  # of a collection, and no tasks


class MalformedTask(Exception):
    """A value is not as expected. The message has its path, what was found, and what was expected."""


# -- finding tasks --------------------------------------------------------------------------------------------------


def first_key(value: Any, keys: Iterable[str]) -> str:
    """An object's key for the first of `keys` that it has, in any spelling; "" if it has none or is not an object."""
    if not isinstance(value, dict):
        return ""
    if key := next((key for key in keys if key in value), ""):
        return key
    spelled = {_plain(key): key for key in value if len(key) < 30} if len(value) <= MAX_PARTS else {}
    return next((spelled[key] for key in keys if key in spelled), "")


def _plain(key: str) -> str:
    """A key in lower case, without punctuation and without what it contains: train_pairs, trainPairs, Train: train."""
    return re.sub("(?<=.)(pairs?|examples?|grids?|set|data|cases?|samples?)$", "", re.sub("[^a-z]", "", key.lower()))


def is_pair(value: Any) -> bool:
    """Whether a value looks like a pair of grids, well-formed or not."""
    return bool(first_key(value, INPUT_KEYS) and first_key(value, OUTPUT_KEYS))


def is_task(value: Any) -> bool:
    """Whether a value looks like a task, well-formed or not."""
    return any(map(is_pair, value)) if isinstance(value, list) else _has_parts(unwrapped(value))


def _has_parts(value: Any) -> bool:
    keys = first_key(value, TRAIN_KEYS), first_key(value, TEST_KEYS)
    return not is_answer_record(value) and any(key and _is_part(value[key]) for key in keys)


def _is_part(value: Any) -> bool:
    """Whether a value is a part of a task, well-formed or not, rather than of a collection of tasks."""
    if isinstance(value, list):
        return not any(first_key(inner, TRAIN_KEYS) and not is_pair(inner) for inner in value)
    return bool(first_key(value, INPUT_KEYS)) or _is_json_text(value)


def unwrapped(value: Any) -> Any:
    """The task in an object around it, {"challenge": task, "solution": grids}, with the solution; else the value.

    {"train_inputs": grids, "train_outputs": grids, "test_inputs": grids} becomes a task too.
    """
    if not isinstance(value, dict) or _has_parts(value):
        return value
    if parts := parts_by_name({key: grids for key, grids in value.items() if key not in NAME_KEYS}, _depth):
        return parts
    keys = [key for key, part in value.items() if _has_parts(part)]
    if len(keys) != 1 or keys[0] not in WRAPPER_KEYS:
        return value
    return value[keys[0]] | {answer: value[answer] for answer in ANSWER_KEYS if answer in value}


def holds_tasks(value: Any, depth: int = 0) -> bool:
    """Whether a value is a task, or has one within at most MAX_WRAPPERS objects and lists."""
    if depth > MAX_WRAPPERS or not isinstance(value, (dict, list)):
        return False
    parts = value if isinstance(value, list) else value.values()
    return is_task(value) or any(holds_tasks(part, depth + 1) for part in parts)


def find_tasks(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The names and values of all tasks in a value, in order. name: for a value that is a single task.

    Malformed tasks are included: if one member of an object or list is a task, the others are expected to be.
    """
    if is_task(value):
        yield name, value
        return
    parts: Iterable[tuple[str, Any]] = ()
    if isinstance(value, list):
        parts = [(name_in(part) or f"{name}-{number}", part) for number, part in enumerate(value, 1)]
    elif isinstance(value, dict):
        parts = value.pairs if isinstance(value, RepeatedKeys) else value.items()
    are_tasks = any(is_task(part) for _, part in parts)
    for key, part in parts:
        if isinstance(part, list) and is_task(part) and re.match("(?i)train|test", key):  # no task, but a part of one
            yield key, {key: part}
        elif holds_tasks(part):
            yield from find_tasks(part, key)
        elif are_tasks and key not in OTHER_KEYS:
            yield key, part


def name_in(value: Any) -> str:
    """The name that a task, or an object around it, states itself; "" if there is none."""
    for part in (value, unwrapped(value)):
        names = [part[key] for key in NAME_KEYS if key in part] if isinstance(part, dict) else []
        if name := next((str(name) for name in names if type(name) in (str, int) and str(name)), ""):
            return name
    return ""


def num_tests(value: Any) -> int:
    """The number of tests of a malformed task, as far as it can be determined; at least 1."""
    task = unwrapped(value)
    try:
        return min(max(1, len(_pairs(task[first_key(task, TEST_KEYS)], ""))), MAX_PAIRS)
    except (MalformedTask, TypeError, KeyError):
        return 1


# -- answers --------------------------------------------------------------------------------------------------------


def is_answer_record(value: Any) -> bool:
    """Whether a value is a record that `trmsolve arc --json` wrote."""
    return isinstance(value, dict) and value.get("task") == "arc" and "tests" in value


def content_type(value: Any) -> str:
    """The content of a value without tasks: "solutions", "a submission", "answers of trmsolve arc", or "" for other."""
    parts = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    if is_answer_record(value) or any(map(is_answer_record, parts)):
        return "answers of trmsolve arc"
    if any(isinstance(part, list) and part and first_key(part[0], ATTEMPTS) for part in parts):
        return "a submission"
    name, grids = next(iter(find_solutions(value, "").items()), ("", None))
    are_objects = isinstance(grids, list) and any(first_key(part, OUTPUT_KEYS) for part in grids)
    return "solutions" if are_objects or _depth(grids) > (1 if name else 2) else ""


def find_solutions(value: Any, name: str) -> dict[str, Any]:
    """The solutions by task name in a file's value; {} for none. name: of the task, if the value is its grids.

    Formats: {name: grids}, [{"id": name, "solution": grids}], or next to tasks.
    """
    if isinstance(value, list):
        keys = [(name_in(part), first_key(part, (*ANSWER_KEYS, *OUTPUT_KEYS))) for part in value]
        if value and all(label and key for label, key in keys):
            return {label: part[key] for (label, key), part in zip(keys, value, strict=True)}
        return {name: value} if _depth(value) in (2, 3) else {}
    if isinstance(value, dict) and all(isinstance(part, list) for part in value.values()) and not holds_tasks(value):
        return dict(value)
    return solutions_beside(value)


def solutions_beside(value: Any, depth: int = 0) -> dict[str, Any]:
    """The solutions by task name that are next to tasks: {"challenges": tasks, "solutions": {name: grids}}."""
    solutions: dict[str, Any] = {}
    if isinstance(value, dict) and depth <= MAX_WRAPPERS and not is_task(value):
        for key, part in value.items():
            if isinstance(part, dict):
                are_solutions = key.lower().endswith(ANSWER_KEYS) and not holds_tasks(part)
                solutions |= part if are_solutions else solutions_beside(part, depth + 1)
    return solutions


def grids_from_json(value: Any, where: str, number: int) -> list[Grid]:
    """`number` grids from a list of grids or of {"output": grid}, or from a single grid. Raises MalformedTask."""
    if number == 1 and (_depth(value) == 2 or isinstance(value, dict)):
        value = [value]
    _check_list(value, where, "a list of grids")
    if len(value) != number:
        raise MalformedTask(f"{where}: found {len(value)} grids, expected {number}, one for each test input")
    outputs = (part[key] if (key := first_key(part, OUTPUT_KEYS)) else part for part in value)
    return [grid_from_json(output, f"{where}[{i}]") for i, output in enumerate(outputs)]


# -- tasks ----------------------------------------------------------------------------------------------------------

Located = tuple[str, Any]  # a value that should be a pair, and its path, for messages


def task_from_json(name: str, source: str, value: Any) -> FewShotTask:
    """A task from a value that find_tasks found. Raises MalformedTask.

    A test's output that is absent, null or empty is unknown; then so are the task's answers. Answers that are malformed
    are left out with a warning.
    """
    if not name:
        raise MalformedTask("its name is empty, expected a name to answer it under")
    if unprintable := next((mark for mark in name if not mark.isprintable()), ""):
        raise MalformedTask(f"its name holds {character_name(unprintable)}, expected characters that can be printed")
    train, test, answers = _parts(value)
    demonstrations = tuple(Pair(_grid_in(pair, INPUT_KEYS), _grid_in(pair, OUTPUT_KEYS)) for pair in train)
    task = FewShotTask(name, source, demonstrations, tuple(_grid_in(pair, INPUT_KEYS) for pair in test))
    outputs = [pair for pair in test if not _is_unknown(pair[1].get(first_key(pair[1], OUTPUT_KEYS)))]
    if outputs or not answers or _is_unknown(answers[1]):
        return with_answers(task, lambda: [_grid_in(pair, OUTPUT_KEYS) for pair in outputs])
    path, grids = answers
    return with_answers(task, lambda: grids_from_json(grids, path, len(test)))


def with_answers(task: FewShotTask, read_answers: Callable[[], list[Grid]]) -> FewShotTask:
    """The task with the answers that read_answers gives, if complete; with a warning where it raises MalformedTask."""
    try:
        answers = read_answers()
    except MalformedTask as error:
        return replace(task, warnings=(*task.warnings, f"{error}; the task is answered without it"))
    return replace(task, answers=tuple(answers)) if len(answers) == len(task.tests) else task


def _parts(value: Any) -> tuple[list[Located], list[Located], Located | None]:
    """The demonstrations, the tests, and the answers where they are beside the tests."""
    task = {"": value} if isinstance(value, list) else unwrapped(value)
    _check_keys(task, "", ())
    train, test = first_key(task, TRAIN_KEYS), first_key(task, TEST_KEYS)
    if "" in task or (train == "examples" and not test):
        pairs = _pairs(task[train], train)
        if len(pairs) < 2:
            raise MalformedTask("found 1 pair, expected demonstrations and, as the last pair, a test")
        return pairs[:-1], pairs[-1:], None
    for part, key in (("train", train), ("test", test)):
        if not key:
            raise MalformedTask(f'found no "{part}", expected an object with "train" and "test"')
    answer = first_key(task, ANSWER_KEYS)
    return _pairs(task[train], train), _pairs(task[test], test), (answer, task[answer]) if answer else None


def _pairs(value: Any, path: str) -> list[Located]:
    """The pairs of a part: of a list, of one pair, of {"input": grids, "output": grids}, or of a question's grid."""
    value = _from_text(value)
    if isinstance(value, dict) and _depth(value.get(first_key(value, INPUT_KEYS))) > 2:
        _check_keys(value, path, ())
        columns = {key: list(value[key]) for key in (*INPUT_KEYS, *OUTPUT_KEYS) if _depth(value.get(key)) > 2}
        if len({len(column) for column in columns.values()}) > 1:
            sizes = " and ".join(f"{len(column)} of {key}" for key, column in columns.items())
            raise MalformedTask(f"{path}: found {sizes}, expected as many inputs as outputs")
        value = [dict(zip(columns, grids, strict=True)) for grids in zip(*columns.values(), strict=True)]
    if isinstance(value, dict):
        return [(path, value)]
    if path in QUESTION_KEYS and _depth(value) == 2 and not any(isinstance(part, dict) for part in value):
        return [(path, {"input": value})]
    _check_list(value, path, "a list of pairs")
    if not 1 <= len(value) <= MAX_PAIRS:
        raise MalformedTask(f"{path}: found {_count(len(value), 'pair')}, expected 1 to {MAX_PAIRS:,}")
    pairs = [_from_text(pair) for pair in value]
    return [
        (
            f"{path}[{i}]",
            dict(zip(("input", "output"), pair, strict=False)) if _depth(pair) == 3 and len(pair) < 3 else pair,
        )
        for i, pair in enumerate(pairs)
    ]


def _from_text(value: Any) -> Any:
    """The JSON value that a text holds; anything else as it is."""
    document = parse(value) if _is_json_text(value) else None
    return value if document is None or document.fault else document.value


def _is_json_text(value: Any) -> bool:
    return isinstance(value, str) and value.lstrip()[:1] in ("[", "{")


def _grid_in(pair: Located, keys: Sequence[str]) -> Grid:
    """The grid that a pair has under one of the keys, cut to its `input_size` or `input_shape` if it states one."""
    path, value = pair
    _check_keys(value, path, keys)
    key = first_key(value, keys)
    path = f"{path}.{key}".lstrip(".")
    grid = grid_from_json(value[key], path)
    size = value.get(f"{key}_size", value.get(f"{key}_shape"))
    if isinstance(size, list) and len(size) == 2:
        if any(type(side) is not int or not 1 <= side <= limit for side, limit in zip(size, grid.shape, strict=True)):
            height, width = grid.shape
            raise MalformedTask(f"{path}: found {height}x{width} cells, expected the size stated, {size}")
        grid = grid[: size[0], : size[1]]
    return grid


def _is_unknown(grid: Any) -> bool:
    return not isinstance(grid, np.ndarray) and grid in (None, [], [[]], "")


def _depth(value: Any, limit: int = 4) -> int:
    """The nesting depth of lists, judged by first members, at most `limit`: 1 for a row, 2 for a grid, 3 for grids.

    A text counts as the row or grid in it; a single digit counts as a cell.
    """
    if isinstance(value, list) and limit:
        return 1 + _depth(value[0], limit - 1) if value else 1
    if isinstance(value, str):
        return (len(value) > 1) + bool(_row_end.search(value))
    return value.ndim if isinstance(value, np.ndarray) else 0


# -- grids ----------------------------------------------------------------------------------------------------------

_COLORS = frozenset(range(COLORS))  # 1.0 is among them
_row_end = re.compile(r"\r?\n|\|")
_row_of_digits = re.compile(r"[0-9]+|[0-9](?: [0-9])+|[0-9](?:, ?[0-9])+")


def grid_from_json(value: Any, path: str) -> Grid:
    """A grid, uint8 (height, width), from a list of rows of colours, or from an array. Raises MalformedTask.

    A row may also be a text of digits, apart or not, and a grid a text of such rows.
    """
    if isinstance(value, np.ndarray):
        for side, what in zip(value.shape, ("row", "cell"), strict=False):
            _check_side(side, path, what)
        value = value.tolist()
    value = _from_text(value)
    rows = _row_end.split(value.strip()) if isinstance(value, str) and value.strip() else value
    _check_list(rows, path, "a list of rows")
    _check_side(len(rows), path, "row")
    cells: list[list[Any]] = []
    for r, row in enumerate(rows, 1):
        if isinstance(row, str) and _row_of_digits.fullmatch(row.strip()):
            row = [int(digit) for digit in row if digit.isdigit()]
        where = f"{path} row {r}"
        _check_list(row, where, "a list of colours")
        _check_side(len(row), where, "cell")
        if cells and len(row) != len(cells[0]):
            raise MalformedTask(f"{where}: found {_count(len(row), 'cell')}, expected {len(cells[0])} as in row 1")
        for c, color in enumerate(row, 1):
            # the type is compared because bool is a subclass of int; NaN is not in _COLORS
            if type(color) not in (int, float) or color not in _COLORS:
                expected = f"expected a colour from 0 to {COLORS - 1}"
                raise MalformedTask(f"{where} column {c}: found {kind(color)}, {expected}")
        cells.append(row)
    return np.array(cells, np.uint8)


def kind(value: Any) -> str:
    """A description of a JSON value for messages: a short value itself, else its type."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, LongNumber):
        return f"a number of {value}"
    if isinstance(value, (int, float)):
        return shorten(str(value), 20)
    if isinstance(value, str):
        return f"the text '{shorten(value, 20)}'"
    if not value:
        return "an empty list" if isinstance(value, list) else "an empty object"
    return "a list" if isinstance(value, list) else "an object"


def _check_side(number: int, path: str, what: str) -> None:
    if not 1 <= number <= MAX_READABLE_SIDE:
        raise MalformedTask(f"{path}: found {_count(number, what)}, expected 1 to {MAX_READABLE_SIDE}")


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'s' * (number != 1)}"


def _check_list(value: Any, path: str, what: str) -> None:
    if not isinstance(value, list):
        raise MalformedTask(f"{path}: found {kind(value)}, expected {what}".removeprefix(": "))


def _check_keys(value: Any, path: str, keys: Sequence[str]) -> None:
    """Raise MalformedTask unless a value is an object without repeated keys that has one of `keys`, if any."""
    prefix = f"{path}: " if path else ""
    expected = 'expected an object with "input" and "output"' if path else 'expected an object with "train" and "test"'
    if not isinstance(value, dict):
        raise MalformedTask(f"{prefix}found {kind(value)}, {expected}")
    if isinstance(value, RepeatedKeys):
        raise MalformedTask(f'{prefix}found "{shorten(value.repeated, 20)}" twice, expected each key once')
    if keys and not first_key(value, keys):
        raise MalformedTask(f'{prefix}found no "{keys[0]}", {expected}')
