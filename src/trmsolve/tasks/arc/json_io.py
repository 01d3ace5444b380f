"""ARC's JSON: damaged texts as far as they can be read, values as grids and tasks, and submissions.

Python's own parser reads one member of the outermost object or list after the other, so that what comes before some
damage is kept. It is set up to survive numbers of a million digits, lists nested a million deep, and repeated names.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trmsolve.errors import InputError
from trmsolve.tasks.arc.grids import COLORS, MAX_READABLE_SIDE
from trmsolve.tasks.few_shot import Attempts, FewShotTask, Grid, Pair
from trmsolve.tasks.text import describe, shorten
from trmsolve.text_io import read_text, source_name

MAX_BYTES = 1 << 25  # of a file; the largest collections of tasks have a fifth of it
MAX_MEMBERS = 100_000  # of the outermost object or list; no collection has as many tasks
MAX_PAIRS = 10_000  # of a task, ten times what RE-ARC generates
MAX_DIGITS = 12  # of a number that are parsed: colours have one
SIDES = f"1 to {MAX_READABLE_SIDE}"

# -- texts as documents ---------------------------------------------------------------------------------------------


class RepeatedKeys(dict[str, Any]):
    """An object in which the name `repeated` occurs more than once; it holds the last value."""

    repeated: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """Where a text stops being JSON."""

    line: int  # from 1
    message: str  # with the column
    text: str  # the text at this place, shortened


@dataclass(frozen=True, slots=True)
class Document:
    """The members of an outermost object, or list, in order, up to the fault if there is one.

    Names may recur. In a list all names are "".
    """

    members: list[tuple[str, Any]]
    fault: Fault | None = None
    is_list: bool = False


def load(path: str | Path) -> list[tuple[int, Document]]:
    """A file's documents, or those of stdin for `-`, each with the line at which it starts, from 1.

    One document, or in JSON Lines one for each line. Raises InputError for binary data and more than MAX_BYTES.
    """
    text = _read(path)
    head, newline, rest = text.lstrip(" \t\r\n").partition("\n")
    if not (newline and rest.lstrip()[:1] == "{" and head[:1] == "{") or parse(head).fault:
        return [(1, parse(text))]
    documents = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            document = parse(line)
            fault = document.fault
            documents.append((number, replace(document, fault=fault and replace(fault, line=number))))
    return documents


def _read(path: str | Path) -> str:
    """The text of a file, or of a .gz that is one."""
    with suppress(OSError, ValueError), Path(path).open("rb") as file:  # read_text reports these
        if file.read(2) == b"\x1f\x8b":
            file.seek(0)
            try:
                data = gzip.GzipFile(fileobj=file).read(MAX_BYTES + 1)
            except (OSError, EOFError, zlib.error) as error:
                raise InputError(source_name(path), f"cannot be decompressed: {error}") from error
            if len(data) > MAX_BYTES:
                raise InputError(source_name(path), f"more than {MAX_BYTES:,} bytes", "split it into several files")
            return data.decode("utf-8", errors="replace")
    return read_text(path, MAX_BYTES)


def as_object(members: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The members as one object, as RepeatedKeys if a name recurs."""
    members = list(members)
    result = dict(members)
    if len(result) < len(members):
        result = RepeatedKeys(result)
        counts = Counter(name for name, _ in members)
        result.repeated = next(name for name, count in counts.items() if count > 1)
    return result


def parse(text: str) -> Document:
    """A text that is one object or list. Nothing is raised: anything else has a fault."""
    members: list[tuple[str, Any]] = []
    start = _skip(text, 0)
    is_list = text.startswith("[", start)
    fault = None
    try:
        _parse(text, start, members)
    except json.JSONDecodeError as error:
        fault = _fault(text, error.pos, f"malformed JSON: {error.msg[0].lower()}{error.msg[1:]}")
    return Document(members, fault, is_list)


def _parse(text: str, at: int, members: list[tuple[str, Any]]) -> None:
    """Append the members of the object or list at this position."""
    if text.startswith('"', at):
        raise json.JSONDecodeError("a text, expected an object", text, at)
    is_list = text.startswith("[", at)
    at = _skip(text, at + 1) if is_list else _expect(text, at, "{")
    end = "]" if is_list else "}"
    while not (text.startswith(end, at) and not members):
        if not is_list and not text.startswith('"', at):
            raise json.JSONDecodeError("expected a name in double quotes", text, at)
        if len(members) == MAX_MEMBERS:
            raise json.JSONDecodeError(f"more than {MAX_MEMBERS:,} members", text, at)
        name = ""
        if not is_list:
            name, at = _value(text, at)
            at = _expect(text, _skip(text, at), ":")
        value, at = _value(text, at)
        members.append((name, value))
        at = _skip(text, at)
        if text.startswith(end, at):
            break
        at = _expect(text, at, ",")
    at = _skip(text, at + 1)
    if at < len(text):
        raise json.JSONDecodeError(f"expected nothing after the last {'bracket' if is_list else 'brace'}", text, at)


def _expect(text: str, at: int, mark: str) -> int:
    """The position after the mark and the blanks that follow it."""
    if not text.startswith(mark, at):
        raise json.JSONDecodeError(f"expected {mark}", text, at)
    return _skip(text, at + 1)


_blanks = re.compile(r"[ \t\n\r]*").match


def _skip(text: str, at: int) -> int:
    match = _blanks(text, at)
    return match.end() if match else at


def _value(text: str, at: int) -> tuple[Any, int]:
    try:
        return _decoder.raw_decode(text, at)
    except RecursionError:
        raise json.JSONDecodeError("nested too deeply to be a task", text, at) from None


# Python refuses integers of thousands of digits, or takes very long over them: the first few digits are enough.
_decoder = json.JSONDecoder(
    object_pairs_hook=as_object,
    parse_int=lambda digits: int(digits[:MAX_DIGITS]),
    parse_float=lambda digits: float(digits[:MAX_DIGITS].rstrip("eE+-.") or "nan"),
)


def _fault(text: str, at: int, message: str) -> Fault:
    line, start = text.count("\n", 0, at) + 1, text.rfind("\n", 0, at) + 1
    return Fault(line, f"column {at - start + 1}: {message}", shorten(text[at : at + 100], 40))


# -- values as tasks ------------------------------------------------------------------------------------------------

# Names that collections give to the parts of a task; the first of each is ARC's own.
TRAIN_KEYS = ("train", "fewshots", "examples")
TEST_KEYS = ("test", "question")
NAME_KEYS = ("id", "name", "task_id", "uid")


class Malformed(Exception):
    """Why a value is not the expected one; where in it, and what was expected."""


def is_task(value: Any) -> bool:
    """Whether a value looks like a task, well-formed or not: it has a part that is no collection of tasks by name."""
    if not isinstance(value, dict):
        return False
    test = next((value[key] for key in TEST_KEYS if key in value), None)
    return ("input" in test if isinstance(test, dict) else test is not None) or any(
        key in value and not isinstance(value[key], dict) for key in TRAIN_KEYS
    )


def is_pair(value: Any) -> bool:
    """Whether a value looks like a pair of grids, well-formed or not."""
    return isinstance(value, dict) and "input" in value and "output" in value


def name_in(value: Any) -> str:
    """The name that a task states itself, "" if it has none."""
    names = (value.get(key) for key in NAME_KEYS) if isinstance(value, dict) else ()
    return next((str(name) for name in names if isinstance(name, str | int) and str(name)), "")


def num_tests(value: Any) -> int:
    """How many tests a malformed task seems to have, at least 1."""
    tests = next((value[key] for key in TEST_KEYS if key in value), None) if isinstance(value, dict) else None
    return min(max(1, len(tests)), MAX_PAIRS) if isinstance(tests, list) else 1


def task_from_json(name: str, source: str, value: Any) -> FewShotTask:
    """A task from `{"train": [{"input": grid, "output": grid}, ...], "test": [{"input": grid}, ...]}`.

    Other forms: `fewshots` with `question` and `answer`; `examples` alone, a list of pairs, where the last one is the
    test. An output of a test that is absent, null or empty is unknown; then so are the task's answers. Raises
    Malformed.
    """
    _check_name(name)
    train, test = _parts(value)
    demonstrations = tuple(
        Pair(grid_from_json(pair["input"], f"{where}, input"), grid_from_json(pair["output"], f"{where}, output"))
        for where, pair in _pairs(train, "train", ("input", "output"), "demonstration")
    )
    tests, answers = [], []
    for where, pair in _pairs(test, "test", ("input",), "test input"):
        tests.append(grid_from_json(pair["input"], f"{where}, input"))
        if pair.get("output") not in (None, [], [[]]):
            answers.append(grid_from_json(pair["output"], f"{where}, output"))
    complete = len(answers) == len(tests)
    return FewShotTask(name, source, demonstrations, tuple(tests), tuple(answers) if complete else None)


def _parts(value: Any) -> tuple[Any, Any]:
    """The JSON of demonstrations and tests."""
    if isinstance(value, list):  # of pairs
        value = {"examples": value}
    has_tests = isinstance(value, dict) and any(key in value for key in TEST_KEYS)
    if isinstance(value, dict) and "examples" in value and not has_tests:
        pairs = [_as_pair(pair) for pair in value["examples"]] if isinstance(value["examples"], list) else []
        if len(pairs) < 2:
            raise Malformed("fewer than two pairs; expected demonstrations and, as the last pair, a test")
        return pairs[:-1], pairs[-1:]
    names = {key: key for key in ("train", "test")}
    if isinstance(value, dict):
        for part, keys in (("train", TRAIN_KEYS), ("test", TEST_KEYS)):
            names[part] = next((key for key in keys if key in value), part)
    _check_object(value, "", tuple(names.values()))
    train, test = value[names["train"]], value[names["test"]]
    if isinstance(train, list):
        train = [_as_pair(pair) for pair in train]
    if names["test"] == "question" and isinstance(test, list):
        test = {"input": test}
    if isinstance(test, dict):  # a single one
        test = [{"output": value.get("answer")} | test]
    return train, test


def _as_pair(value: Any) -> Any:
    """[input, output] as an object; anything else as it is."""
    if isinstance(value, list) and len(value) == 2 and _depth(value) == 3:
        return {"input": value[0], "output": value[1]}
    return value


def _depth(value: Any) -> int:
    depth = 0
    while isinstance(value, list) and depth < 4:
        value, depth = value[0] if value else None, depth + 1
    return depth


def grids_from_json(value: Any, where: str, number: int) -> list[Grid]:
    """This many grids from a list of them; of one, the grid alone will do. Raises Malformed."""
    _check_list(value, where, "a list of grids")
    if number == 1 and _depth(value) == 2:
        value = [value]
    if len(value) != number:
        raise Malformed(f"{where}: {len(value)} grids, expected {number}: one for each test input")
    return [grid_from_json(each, f"{where} {i}") for i, each in enumerate(value, 1)]


def grid_from_json(value: Any, where: str) -> Grid:
    """A grid, uint8 (height, width), from a list of rows of colours. Raises Malformed, naming `where`.

    A row may also be a text of digits, and a grid a text of such rows.
    """
    rows = value.split("\n") if isinstance(value, str) and re.fullmatch(r"[0-9\n]+", value) else value
    _check_list(rows, where, "a list of rows")
    _check_side(len(rows), where, "rows")
    cells: list[list[Any]] = []
    for r, row in enumerate(rows, 1):
        if isinstance(row, str) and re.fullmatch(r"[0-9]+", row):
            row = [int(digit) for digit in row]
        _check_list(row, f"{where}, row {r}", "a list of colours")
        _check_side(len(row), f"{where}, row {r}", "cells")
        if cells and len(row) != len(cells[0]):
            length = f"{len(row)} cell{'s' * (len(row) != 1)}"
            raise Malformed(f"{where}: row {r} has {length}, row 1 has {len(cells[0])}; expected rows alike")
        for c, color in enumerate(row, 1):
            # bool is an int to Python, and true is no colour; NaN fails both comparisons
            if type(color) not in (int, float) or color not in _COLORS:
                raise Malformed(f"{where}, row {r}, column {c}: {kind(color)}, expected a colour, 0 to {COLORS - 1}")
        cells.append(row)
    return np.array(cells, np.uint8)


_COLORS = frozenset(range(COLORS))  # 1.0 is among them


def kind(value: Any) -> str:
    """A JSON value for a message: short ones as they are, others by what they are."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return f"the text '{shorten(value, 20)}'"
    if not value:
        return "an empty list" if isinstance(value, list) else "an empty object"
    return "a list" if isinstance(value, list) else "an object"


def _pairs(value: Any, part: str, keys: Sequence[str], what: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The pairs of a part, train or test, each with its name for messages."""
    _check_list(value, part, "a list of pairs")
    if not value:
        raise Malformed(f"{part} is empty, so there is no {what}; expected one pair or more")
    if len(value) > MAX_PAIRS:
        raise Malformed(f"{part}: {len(value):,} pairs, expected {MAX_PAIRS:,} at most")
    for i, pair in enumerate(value, 1):
        _check_object(pair, f"{part} pair {i}", keys)
        yield f"{part} pair {i}", pair


def _check_name(name: str) -> None:
    if not name:
        raise Malformed("has an empty name; expected a name to answer it under")
    unprintable = next((mark for mark in name if not mark.isprintable()), "")
    if unprintable:
        raise Malformed(f"its name holds {describe(unprintable)}; expected characters that can be printed")


def _check_side(number: int, where: str, what: str) -> None:
    if not 1 <= number <= MAX_READABLE_SIDE:
        raise Malformed(f"{where}: {'no' if not number else f'{number:,}'} {what}, expected {SIDES}")


def _check_list(value: Any, where: str, what: str) -> None:
    if not isinstance(value, list):
        raise Malformed(f"{where}: {kind(value)}, expected {what}")


def _check_object(value: Any, where: str, keys: Sequence[str]) -> None:
    prefix = f"{where}: " if where else ""
    named = " and ".join(f'"{key}"' for key in keys)
    if not isinstance(value, dict):
        raise Malformed(f"{prefix}{kind(value)}, expected an object with {named}")
    if isinstance(value, RepeatedKeys):
        raise Malformed(f'{prefix}"{shorten(value.repeated, 20)}" occurs twice')
    for key in keys:
        if key not in value:
            raise Malformed(f'{prefix}no "{key}"; expected an object with {named}')


# -- answers as text ------------------------------------------------------------------------------------------------

ATTEMPTS = ("attempt_1", "attempt_2")
PLACEHOLDER = np.zeros((2, 2), np.uint8)  # an attempt where there is none, as in the competition's sample submission


def format_grid(grid: Grid) -> str:
    """A grid as rows of digits, without a trailing newline."""
    return "\n".join("".join(map(str, row)) for row in grid.tolist())


def submission(answers: Mapping[str, Attempts]) -> str:
    """The two best attempts at each test of each task, in the format of Kaggle's competitions, a task on a line.

    A test with one attempt has it twice; one without any has PLACEHOLDER, so that the file is always complete.
    """
    tasks = [f"{json.dumps(name)}:{_compact([_best_two(test) for test in tests])}" for name, tests in answers.items()]
    return "{" + ",\n".join(tasks) + "}\n"


_compact = json.JSONEncoder(separators=(",", ":")).encode


def _best_two(attempts: Sequence[Grid]) -> dict[str, list[list[int]]]:
    first, second = (*attempts[:2], *attempts[:1], PLACEHOLDER, PLACEHOLDER)[:2]
    return {ATTEMPTS[0]: first.tolist(), ATTEMPTS[1]: second.tolist()}
