"""Tables of puzzles, whatever the task: CSV, TSV or semicolons, with a header that names the columns.

Known headers: `source,question,answer,rating` (Sudoku-Extreme, Maze-Hard), `quizzes,solutions`,
`id,puzzle,solution,...` and their like.
"""

from __future__ import annotations

import csv
from typing import NamedTuple

QUESTION = (
    "question",
    "puzzle",
    "quiz",
    "quizzes",
    "sudoku",
    "questions",
    "puzzles",
    "sudokus",
    "maze",
    "mazes",
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


def fields(text: str, delimiter: str) -> list[str]:
    """The fields of one row, quotes removed; a row that the csv module refuses is one field."""
    if '"' not in text:
        return text.split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:
        return [text]
