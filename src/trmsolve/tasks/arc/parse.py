"""JSON values as grids and tasks. What cannot be one is refused in a sentence that says where and what was expected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from trmsolve.tasks.arc.document import Repeated
from trmsolve.tasks.arc.grids import COLOURS, LARGEST, ArcTask, Grid, Pair
from trmsolve.tasks.text import describe, shorten

MOST_PAIRS = 10_000  # of a task, ten times what RE-ARC generates
SIDES = f"1 to {LARGEST}"


class Refused(Exception):
    """Why a value is not what it should be."""


def task(name: str, source: str, value: Any, solution: Any = None) -> ArcTask:
    """A task from `{"train": [{"input": grid, "output": grid}, ...], "test": [{"input": grid}, ...]}`.

    Tests may have an output, all of them or none. solution: what a solutions file says of the task, a grid for each
    test, looked at only where the tests have no outputs; None: nothing. Raises Refused.
    """
    _check_name(name)
    _object(value, "", ("train", "test"))
    demonstrations = tuple(
        Pair(grid(pair["input"], f"{where}, input"), grid(pair["output"], f"{where}, output"))
        for where, pair in _pairs(value["train"], "train", ("input", "output"), "demonstration")
    )
    tests, outputs = [], []
    for where, pair in _pairs(value["test"], "test", ("input",), "test input"):
        tests.append(grid(pair["input"], f"{where}, input"))
        if "output" in pair:
            outputs.append(grid(pair["output"], f"{where}, output"))
    if outputs and len(outputs) < len(tests):
        missing = next(i for i, pair in enumerate(value["test"], 1) if "output" not in pair)
        raise Refused(f"test pair {missing} has no output, others have; expected outputs for all tests or for none")
    if not outputs and solution is not None:
        outputs = grids(solution, "solution", len(tests))
    return ArcTask(name, source, demonstrations, tuple(tests), tuple(outputs) if outputs else None)


def grids(value: Any, where: str, number: int) -> list[Grid]:
    """So many grids from a list of them. Raises Refused."""
    _list(value, where, "a list of grids")
    if len(value) != number:
        raise Refused(f"{where}: {len(value)} grids, expected {number}: one for each test input")
    return [grid(each, f"{where} {i}") for i, each in enumerate(value, 1)]


def grid(value: Any, where: str) -> Grid:
    """A grid, uint8 (height, width), from a list of rows. Raises Refused, naming `where` the value stood."""
    _list(value, where, "a list of rows")
    _check_side(len(value), where, "rows")
    for r, row in enumerate(value, 1):
        _list(row, f"{where}, row {r}", "a list of colours")
        _check_side(len(row), f"{where}, row {r}", "cells")
        if len(row) != len(value[0]):
            cells = f"{len(row)} cell{'s' * (len(row) != 1)}"
            raise Refused(f"{where}: row {r} has {cells}, row 1 has {len(value[0])}; expected rows alike")
        for c, colour in enumerate(row, 1):
            # bool is an int to Python, and true is no colour
            if type(colour) is not int or not 0 <= colour < COLOURS:
                raise Refused(f"{where}, row {r}, column {c}: {kind(colour)}, expected a colour, 0 to {COLOURS - 1}")
    return np.array(value, np.uint8)


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
    """The pairs of a part, train or test, each with what messages call it."""
    _list(value, part, "a list of pairs")
    if not value:
        raise Refused(f"{part} is empty, so there is no {what}; expected one pair or more")
    if len(value) > MOST_PAIRS:
        raise Refused(f"{part}: {len(value):,} pairs, expected {MOST_PAIRS:,} at most")
    for i, pair in enumerate(value, 1):
        _object(pair, f"{part} pair {i}", keys)
        yield f"{part} pair {i}", pair


def _check_name(name: str) -> None:
    if not name:
        raise Refused("has an empty name; expected a name to answer it under")
    strange = next((mark for mark in name if not mark.isprintable()), "")
    if strange:
        raise Refused(f"its name holds {describe(strange)}; expected characters that can be printed")


def _check_side(number: int, where: str, what: str) -> None:
    if not 1 <= number <= LARGEST:
        raise Refused(f"{where}: {'no' if not number else f'{number:,}'} {what}, expected {SIDES}")


def _list(value: Any, where: str, what: str) -> None:
    if not isinstance(value, list):
        raise Refused(f"{where}: {kind(value)}, expected {what}")


def _object(value: Any, where: str, keys: Sequence[str]) -> None:
    before = f"{where}: " if where else ""
    named = " and ".join(f'"{key}"' for key in keys)
    if not isinstance(value, dict):
        raise Refused(f"{before}{kind(value)}, expected an object with {named}")
    if isinstance(value, Repeated):
        raise Refused(f'{before}"{shorten(value.name, 20)}" occurs twice')
    for key in keys:
        if key not in value:
            raise Refused(f'{before}no "{key}"; expected an object with {named}')
