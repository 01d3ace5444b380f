"""A JSON text as the members of its outermost object, each with what went before it kept when one is damaged.

Python's own parser does the work, told to survive what people and accidents put into files: numbers of a million
digits, lists nested a million deep, the same name twice. What is read before the damage is returned with it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trmsolve.sources import read_text
from trmsolve.tasks.text import shorten

LIMIT = 1 << 25  # bytes of a file; the largest collections of tasks have a fifth of it
MOST = 100_000  # members; no collection has as many tasks
DIGITS = 12  # of a number that are looked at: colours have one

_blank = re.compile(r"[ \t\n\r]*").match


class Repeated(dict[str, Any]):
    """An object in which `name` stood more than once; it holds the last one."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """Where a text stops being JSON."""

    line: int  # counted from 1
    message: str  # with the column
    text: str  # what stands there


@dataclass(frozen=True, slots=True)
class Document:
    """The members of the outermost object in order, a name as often as it occurs, up to the fault if there is one."""

    members: list[tuple[str, Any]]
    fault: Fault | None = None


def load(path: str | Path) -> Document:
    """A file's document, or that of stdin for `-`. Raises InputError for what is no text, and for more than LIMIT."""
    return parse(read_text(path, LIMIT))


def as_object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """The members as one object, a Repeated if need be."""
    found = dict(members)
    if len(found) < len(members):
        seen: set[str] = set()
        found = Repeated(found)
        found.name = next(name for name, _ in members if name in seen or seen.add(name))
    return found


def parse(text: str) -> Document:
    """The members of the object that the text is. Nothing is raised: a text that is no object has a fault."""
    members: list[tuple[str, Any]] = []
    try:
        _parse(text, members)
    except json.JSONDecodeError as error:
        return Document(members, _fault(text, error.pos, f"malformed JSON: {error.msg[0].lower()}{error.msg[1:]}"))
    except _Unusable as error:
        return Document(members, _fault(text, error.at, str(error)))
    return Document(members)


class _Unusable(Exception):
    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


def _parse(text: str, members: list[tuple[str, Any]]) -> None:
    at = _skip(text, 0)
    if text[at : at + 1] in ("[", '"'):
        raise _Unusable("a list or a text, expected an object", at)
    at = _expect(text, at, "{")
    while not (text.startswith("}", at) and not members):
        if not text.startswith('"', at):
            raise json.JSONDecodeError("expected a name in double quotes", text, at)
        if len(members) == MOST:
            raise _Unusable(f"more than {MOST:,} members", at)
        name, at = _value(text, at)
        at = _expect(text, _skip(text, at), ":")
        value, at = _value(text, at)
        members.append((name, value))
        at = _skip(text, at)
        if text.startswith("}", at):
            break
        at = _expect(text, at, ",")
    at = _skip(text, at + 1)
    if at < len(text):
        raise json.JSONDecodeError("expected nothing behind the last brace", text, at)


def _expect(text: str, at: int, mark: str) -> int:
    """The place behind the mark and the blanks that follow it."""
    if not text.startswith(mark, at):
        raise json.JSONDecodeError(f"expected {mark}", text, at)
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    return _blank(text, at).end()


def _value(text: str, at: int) -> tuple[Any, int]:
    try:
        return _decoder.raw_decode(text, at)
    except RecursionError:
        raise _Unusable("nested too deeply to be a task", at) from None


# Python refuses, or takes for ever over, integers of thousands of digits: the first few say enough.
_decoder = json.JSONDecoder(
    object_pairs_hook=as_object,
    parse_int=lambda digits: int(digits[:DIGITS]),
    parse_float=lambda digits: float(digits[:DIGITS].rstrip("eE+-.") or "nan"),
)


def _fault(text: str, at: int, message: str) -> Fault:
    line, start = text.count("\n", 0, at) + 1, text.rfind("\n", 0, at) + 1
    return Fault(line, f"column {at - start + 1}: {message}", shorten(text[at : at + 100], 40))
