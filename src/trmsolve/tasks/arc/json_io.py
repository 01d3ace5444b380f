"""Read files as JSON values, and write answers as text.

    file --load--> Document(value) --find_tasks, task_from_json (schema.py)--> FewShotTask

A document is a whole file, one line of JSON Lines, a text in another form (text_formats.py), or the arrays of an .npz
or .npy (arrays.py). The part of a document before an error is used. Sizes and nesting are checked before memory is
allocated.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trmsolve.containers import GZIP, NUMPY, load_arrays
from trmsolve.tasks.arc.arrays import EXPECTED, value_from_arrays
from trmsolve.tasks.arc.text_formats import prompt_value, yaml_value
from trmsolve.tasks.few_shot import Attempts, Grid
from trmsolve.tasks.reading.collectors import num_cells
from trmsolve.tasks.reading.program import parse as parse_program
from trmsolve.text_io import read_text, shorten

ZIP = b"PK"  # first bytes of any archive, also of an empty one
MAX_BYTES = 1 << 25  # of a text; five times the largest collection of tasks
MAX_LISTS = 2_000_000  # of a text, where an object counts as four lists: about 250 MB of memory
MAX_DEPTH = 32  # of lists and objects in damaged texts
MAX_LINES = 100_000  # of JSON Lines; more than any collection has
MAX_PYTHON = 1 << 22  # characters of a value that Python printed
SMALLEST = 8  # values of a task that Python printed
MAX_DIGITS = 1000  # of a number; Python is very slow for longer ones, or rejects them


class LongNumber(str):
    """What stands for a number of more than MAX_DIGITS digits: a description of it."""


class RepeatedKeys(dict[str, Any]):
    """An object in which a key occurs more than once: the last value of each key; `pairs` has all."""

    pairs: list[tuple[str, Any]]

    @property
    def repeated(self) -> str:
        """A key that occurs more than once."""
        counts = Counter(key for key, _ in self.pairs)
        return next(key for key in self if counts[key] > 1)


@dataclass(frozen=True, slots=True)
class Fault:
    """The position and kind of an error in a JSON text."""

    line: int  # from 1
    message: str  # with the column
    text: str  # the text at this place, shortened


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON value. With a fault: the members of the outermost object or list that are complete before it."""

    value: Any
    fault: Fault | None = None
    line: int = 1  # at which it starts
    container: str = "JSON"  # name of the file format, for messages


def load(path: str | Path) -> list[Document]:
    """A file's documents, or those of stdin for `-`, at least one.

    Raises InputError for a file that is missing, not readable, empty, too large, neither text nor arrays, or damaged
    as an archive.
    """
    start = b""
    try:
        if str(path) != "-" and Path(path).is_file():  # a pipe can be read only once
            with Path(path).open("rb") as file:
                start = file.read(6)
    except (OSError, ValueError):
        pass  # read_text reports it
    if start.startswith((ZIP, NUMPY)):
        container = "NumPy .npz" if start.startswith(ZIP) else "NumPy .npy"
        arrays = load_arrays(Path(path), str(path), EXPECTED)
        return [Document(value_from_arrays(arrays, str(path)), container=container)]
    documents = parse_lines(read_text(path, MAX_BYTES))
    if not start.startswith(GZIP):
        return documents
    return [replace(document, container=f"{document.container}, gzip") for document in documents]


def parse_lines(text: str) -> list[Document]:
    """One document, or one for each line if the first line is a document and others follow it (JSON Lines)."""
    is_bracket = text.lstrip()[:1] in ("{", "[") or len(text) > MAX_PYTHON
    if not is_bracket and (document := _of_text("YAML", yaml_value, text)):
        return [document]
    documents = _parse_json(_within(text))
    if not is_bracket and documents[0].fault and (document := _of_text("prompt", prompt_value, text)):
        return [document]
    return documents


def _of_text(container: str, read_value: Callable[[str], Any], text: str) -> Document | None:
    with suppress(ValueError):
        value = read_value(text)
        if isinstance(value, dict | list) and num_cells(value) > SMALLEST:
            return Document(value, container=container)
    return None


def _parse_json(text: str) -> list[Document]:
    if "'" in text and '"' not in text and (value := _of_python(text)) is not None:
        return [Document(value, container="Python")]
    first, _, rest = text.lstrip(" \t\r\n").partition("\n")
    if not rest.strip() or first[:1] not in ("{", "[") or _too_many_lists(text) or parse(first).fault is not None:
        return [parse(text)]
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    documents = [parse(line, number) for number, line in lines[:MAX_LINES]]
    if len(lines) > MAX_LINES:
        number = lines[MAX_LINES][0]
        documents.append(Document(None, Fault(number, f"more than {MAX_LINES:,} lines; split the file", ""), number))
    return [replace(document, container="JSON Lines") for document in documents]


def _within(text: str) -> str:
    """The JSON of a mail that quotes it, of a fence of markdown, or of a program that sets a name to it.

    Lines keep their numbers.
    """
    if text.lstrip()[:1] in ("{", "["):
        return text
    lines = text.split("\n")
    if all(line.startswith(">") for line in lines if line.strip()):
        return "\n".join(re.sub(r"^(> ?)+", "", line) for line in lines)
    start = _begin.search(text)
    end = max(text.rfind("}"), text.rfind("]")) + 1
    return "\n" * text.count("\n", 0, start.start(1)) + text[start.start(1) : end] if start and end else text


def _of_python(text: str) -> Any:
    """The value that Python prints so, {'train': [...]}; None for others."""
    try:
        (value,) = parse_program(text) if len(text) < MAX_PYTHON else [None]
    except ValueError:
        return None
    return _numbers(value) if isinstance(value, dict | list) and num_cells(value) > SMALLEST else None


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numbers(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_numbers(part) for part in value]
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 4 else value


def parse(text: str, line: int = 1) -> Document:
    """Parse a JSON text. An invalid text gives a document with a fault. line: number of the text's first line."""
    if _too_many_lists(text):
        return Document(None, Fault(line, f"more than {MAX_LISTS:,} lists; split it into several files", ""), line)
    try:
        return Document(_decoder.decode(text), line=line)
    except json.JSONDecodeError as error:
        is_comma = "trailing comma" in error.msg  # in Python 3.13 the comma's position, before it that of what follows
        position, message = error.pos + is_comma, f"malformed JSON: {error.msg[:1].lower()}{error.msg[1:]}"
    except RecursionError:
        position, message = len(text), ""
    end, closing, too_deep = _last_member(text, position)
    if too_deep is not None:
        position, message = too_deep, "nested too deeply to be a task"
    column = position - text.rfind("\n", 0, position)
    number = line + text.count("\n", 0, position)
    fault = Fault(number, f"column {column}: {message}", shorten(text[position : position + 100], 40))
    return Document(_decoder.decode(text[:end] + closing) if closing else None, fault, line)


def _too_many_lists(text: str) -> bool:
    return text.count("[") + 4 * text.count("{") > MAX_LISTS


def _last_member(text: str, end: int) -> tuple[int, str, int | None]:
    """The end of the last complete member of the outermost object or list before position `end`.

    Returns that position, the closing bracket ("" if no member is complete), and the position at which brackets are
    nested deeper than MAX_DEPTH (None: nowhere).
    """
    depth, position, last, closing = 0, 0, 0, ""
    while (mark := _structure.search(text, position, end)) is not None:
        position = mark.end()
        if mark[0] == '"':
            try:
                _, position = _decoder.raw_decode(text, mark.start())
            except json.JSONDecodeError:
                break
        elif mark[0] in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                return last, closing if last else "", mark.start()
            if depth == 1:
                closing = "]" if mark[0] == "[" else "}"
        elif mark[0] in "]}":
            depth -= 1
            if depth <= 0:  # the value is complete, and something follows it
                return position - 1, closing, None
        elif depth == 1:
            last = mark.start()
    return last, closing if last else "", None


_begin = re.compile(r"^\s*(?:[\w.$ :]+=\s*)?([{\[])", re.MULTILINE)
_structure = re.compile(r'["\[\]{},]')


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        result = RepeatedKeys(result)
        result.pairs = pairs
    return result


_decoder = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=lambda text: int(text) if len(text) <= MAX_DIGITS else LongNumber(f"{len(text.lstrip('-')):,} digits"),
    parse_float=lambda text: float(text) if len(text) <= MAX_DIGITS else LongNumber(f"{len(text):,} characters"),
)

# -- answers as text ------------------------------------------------------------------------------------------------

ATTEMPTS = ("attempt_1", "attempt_2")
PLACEHOLDER = np.zeros((2, 2), np.uint8)  # an attempt where there is none, as in the competition's sample submission


def format_grid(grid: Grid) -> str:
    """A grid as rows of digits, without a trailing newline."""
    return "\n".join("".join(map(str, row)) for row in grid.tolist())


def submission(answers: Mapping[str, Attempts]) -> str:
    """The two best attempts at each test of each task, in the format of Kaggle's competitions, one task per line.

    A single attempt is repeated; without attempts PLACEHOLDER is used, so that the file is always complete.
    """
    tasks = [f"{json.dumps(name)}:{_compact([_best_two(test) for test in tests])}" for name, tests in answers.items()]
    return "{" + ",\n".join(tasks) + "}\n"


_compact = json.JSONEncoder(separators=(",", ":")).encode


def _best_two(attempts: Sequence[Grid]) -> dict[str, list[list[int]]]:
    first, second = (*attempts[:2], *attempts[:1], PLACEHOLDER, PLACEHOLDER)[:2]
    return {ATTEMPTS[0]: first.tolist(), ATTEMPTS[1]: second.tolist()}
