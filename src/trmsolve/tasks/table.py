"""Tables of puzzles: CSV, TSV or semicolons, with a header that names the columns or without one.

Known headers: `source,question,answer,rating` (Sudoku-Extreme), `quizzes,solutions`, `id,puzzle,solution,...` and
their like. Without a header a row is known by holding whole puzzles as fields: the first is the question.
"""

from __future__ import annotations

import csv
from typing import NamedTuple

from trmsolve.tasks.sudoku.rules import SIDE
from trmsolve.tasks.sudoku.symbols import value

QUESTION = (
    "question",
    "puzzle",
    "quiz",
    "quizzes",
    "sudoku",
    "questions",
    "puzzles",
    "sudokus",
    "unsolved",
    "grid",
    "board",
)
ANSWER = ("answer", "solution", "solutions", "answers", "solved")
DELIMITERS = ",\t;"


class Table(NamedTuple):
    """Which field is which. answer: -1 when there is none. columns: how many the header names."""

    delimiter: str
    question: int
    answer: int
    columns: int


def header(text: str) -> Table | None:
    """The table that this line is the header of, or None when it is no header."""
    if len(text) > 10_000 or not any(name in text.lower() for name in QUESTION):  # nearly every line
        return None
    for delimiter in DELIMITERS:
        names = [name.strip().lower() for name in fields(text, delimiter)]
        question = next((names.index(name) for name in QUESTION if name in names), None)
        if question is not None:
            answer = next((names.index(name) for name in ANSWER if name in names), -1)
            return Table(delimiter, question, answer, len(names))
    return None


def bare_row(text: str) -> tuple[str, str] | None:
    """Question and answer ("" if none) of a row without a header, or None when the line is no such row."""
    if text.lstrip().startswith(("#", ";")):
        return None
    for delimiter in DELIMITERS:
        if delimiter in text:
            filled = [field for field in map(str.strip, fields(text, delimiter)) if field]
            whole = [field for field in filled if _is_puzzle(field)]
            if whole and len(filled) > 1:
                return whole[0], next((field for field in whole[1:] if len(field) == len(whole[0])), "")
    return None


def fields(text: str, delimiter: str) -> list[str]:
    """The fields of one row, quotes removed; a row that the csv module refuses is one field."""
    if '"' not in text:
        return text.split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:
        return [text]


def _is_puzzle(field: str) -> bool:
    return len(field) in SIDE and all(value(mark) is not None for mark in field)
