"""Tasks as texts other than JSON: YAML, and prompts with labelled grids, as the JSON values that schema.py reads.

A prompt is any text in which each grid follows the word Input or Output, or stands beside an arrow:

    Example 1:            the words train, example and demonstration begin demonstrations, and test begins tests;
    Input:                a test may lack its output
    1 2
    3 0
    Output: [[2, 1], [0, 3]]

What a reader cannot account for is an error (ValueError), never left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import yaml  # type: ignore[import-untyped,unused-ignore]

MAX_DEPTH = 16  # of lists and objects in YAML
MAX_NODES = 500_000  # values in YAML, references expanded
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # the loader in C is ten times as fast


def yaml_value(text: str) -> Any:
    """The value of a YAML text; a list for several documents. All scalars but digits and null stay texts.

    Raises ValueError for other text, repeated keys, deep nesting and too many values.
    """
    depth, budget = 0, count()
    try:
        for event in yaml.parse(text, _LOADER):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:  # before the nodes, whose composition is recursive
                raise ValueError("nested too deeply")
        documents = [_of_node(node, 0, budget) for node in yaml.compose_all(text, _LOADER)]
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    return documents[0] if len(documents) == 1 else documents


def _of_node(node: Any, depth: int, budget: Iterator[int]) -> Any:
    if next(budget) > MAX_NODES or depth > MAX_DEPTH:  # references that multiply, or contain themselves
        raise ValueError("too many values")
    if isinstance(node, yaml.SequenceNode):
        return [_of_node(part, depth + 1, budget) for part in node.value]
    if isinstance(node, yaml.MappingNode):
        values = {str(key.value): _of_node(part, depth + 1, budget) for key, part in node.value}
        if len(values) < len(node.value):
            raise ValueError("a repeated key")
        return values
    if node.style in ("'", '"'):
        return node.value
    if node.value in ("", "~", "null", "None"):
        return None
    return int(node.value) if re.fullmatch("[0-9]", node.value) else node.value


# -- prompts ----------------------------------------------------------------------------------------------------------

_ROW = r"[0-9](?:[ \t,|]*[0-9])*"
_GRID = re.compile(
    r"\[\s*\[[\d\s,]+\](?:\s*,?\s*\[[\d\s,]+\])*\s*,?\s*\]"  # of a program
    rf"|^[ \t|]*{_ROW}[ \t,|]*$(?:\n[ \t|]*{_ROW}[ \t,|]*$)*",  # rows of digits
    re.MULTILINE,
)
_LABEL = re.compile(r"(?i)(?<![a-z])(inputs?|outputs?)(?![a-z])")
_SECTION = re.compile(r"(?i)(?<![a-z])(test|train|example|demonstration)")
_ARROW = re.compile(r"\s*(->|=>|→|⇒)\s*")
# What may stand between a label and its grid: "Grid 1 (3x3):". A digit behind the colon may be part of the grid.
_BEHIND_LABEL = re.compile(
    r"(?i)([ _*]*(grid|matrix|array))?[ _#*(]*\d{0,3}[ )*]*(\(?\d+ ?[x×] ?\d+\)?)?[^\w]*(text|json|python)?\s*"
)


def prompt_value(text: str) -> dict[str, Any]:
    """The task in a prompt. Raises ValueError for a text in which the part of a grid is not clear."""
    if "{" in text:
        raise ValueError("objects of JSON, which may hold several tasks")
    grids = list(_GRID.finditer(text))
    pairs: list[dict[str, Any]] = []
    num_demonstrations = -1  # pairs before the tests; -1 while there is no test
    end, in_test = 0, False
    for number, grid in enumerate(grids):
        before = text[end : grid.start()]
        followed = text[grid.end() : grids[number + 1].start() if number + 1 < len(grids) else len(text)]
        kind, about = _label(before, followed)
        if sections := _SECTION.findall(before if number else before[-200:]):
            in_test = sections[-1].lower() == "test"
        if kind == "input":
            if pairs and "output" not in pairs[-1] and num_demonstrations < 0:
                raise ValueError("a demonstration without an output")
            if in_test and num_demonstrations < 0:
                num_demonstrations = len(pairs)
            if not in_test and num_demonstrations >= 0:
                raise ValueError("a demonstration behind a test")
            pairs.append({})
        elif not pairs or "output" in pairs[-1]:
            raise ValueError("an output without an input")
        pairs[-1][kind] = _rows(grid[0])
        if any(_may_be_row(line) for line in about.split("\n")):
            raise ValueError("a row that belongs to no grid")
        end = grid.end()
    if any(_may_be_row(line) for line in text[end:].split("\n")):
        raise ValueError("a row that belongs to no grid")
    if num_demonstrations < 0 and pairs and "output" not in pairs[-1]:
        num_demonstrations = len(pairs) - 1
    if num_demonstrations < 1:
        raise ValueError("no demonstrations, or no test")
    return {"train": pairs[:num_demonstrations], "test": pairs[num_demonstrations:]}


def _label(before: str, behind: str) -> tuple[str, str]:
    """Whether a grid is an "input" or an "output", and the text before its label."""
    if _ARROW.fullmatch(before):
        return "output", ""
    labels = list(_LABEL.finditer(before))
    if labels and _BEHIND_LABEL.fullmatch(before[labels[-1].end() :]):
        return labels[-1][1].lower().removesuffix("s"), before[: labels[-1].start()]
    if not labels and _ARROW.match(behind):
        return "input", before
    raise ValueError("a grid without the word Input or Output")


def _may_be_row(line: str) -> bool:
    """Whether half of what a line has are digits, so that it may be a row of a grid that was not understood."""
    marks = [mark for mark in line if not mark.isspace()]
    return 2 * sum(mark.isdigit() for mark in marks) >= max(1, len(marks))


def _rows(text: str) -> list[list[int]]:
    """The rows of a matched grid; numbers of several digits are kept, and refused later."""
    if text.startswith("["):
        rows = re.findall(r"\[([\d\s,]+)\]", text)
        return [[int(number[:9]) for number in re.findall(r"\d+", row)] for row in rows]
    lines = [line.strip(" \t,|") for line in text.split("\n")]
    are_apart = any(re.search(r"[ \t,|]", line) for line in lines)
    return [[int(n[:9]) for n in (re.findall(r"\d+", line) if are_apart else line)] for line in lines]
