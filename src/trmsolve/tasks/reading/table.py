"""Tables of puzzles, whatever the task: CSV, TSV or semicolons, with a header that names the columns.

Known headers: `source,question,answer,rating` (Sudoku-Extreme, Maze-Hard), `quizzes,solutions`, `id,puzzle,solution`,
`puzzle_id,initial_board,solution`, and their like. The names also serve objects of JSON and YAML.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from typing import NamedTuple

_NAMES = "question puzzle quiz quizze sudoku maze unsolved grid board problem input initial given clue start"
QUESTION = tuple(_NAMES.split())  # the first that is there
ANSWER = ("answer", "solution", "solved", "output", "target")
OTHER = (
    "id",
    "name",
    "source",
    "rating",
    "level",
    "difficulty",
    "number",
    "no",
    "size",
    "type",
    "hash",
    "cell",
    "path",
)
DELIMITERS = ",\t;"
MAX_FIELD_LINES = 600  # of one quoted field


class Table(NamedTuple):
    """Which field is which. answer: -1 when there is none. columns: how many the header names."""

    delimiter: str
    question: int
    answer: int
    columns: int


def header(text: str) -> Table | None:
    """The table that this line is the header of, or None when it is no header."""
    if len(text) > 10_000 or not any(map(text.lower().__contains__, QUESTION)):  # nearly every line
        return None
    for delimiter in DELIMITERS:
        names = fields(text, delimiter)
        if not all(re.fullmatch(r"[\w .()-]{0,40}", name.strip()) for name in names):
            continue
        question, answer = columns(names)
        if len(set(names)) < sum(map(bool, names)):
            continue  # wall,wall,start
        if len(names) > 1 and not any(names[1:]):
            continue  # a title above a sheet
        if question >= 0 and (len(names) > 1 or names[0].strip().lower().rstrip("s") in QUESTION):
            return Table(delimiter, question, answer, len(names))
    return None


def columns(names: Sequence[str]) -> tuple[int, int]:
    """The index of the question and of the answer among names of columns or keys; -1 for none."""
    words = [[word.rstrip("s") for word in re.split(r"[\W_]+", name.strip().lower())] for name in names]
    answers = [index for index, some in enumerate(words) if set(some) & set(ANSWER) and not set(some) & set(OTHER)]
    questions = [
        (len(some), min(QUESTION.index(word) for word in some if word in QUESTION), index)
        for index, some in enumerate(words)
        if set(some) & set(QUESTION) and not set(some) & set(OTHER) and index not in answers
    ]
    exact = [index for index in answers if len(words[index]) == 1]
    return min(questions)[2] if questions else -1, [*exact, *answers, -1][0]


def fields(text: str, delimiter: str) -> list[str]:
    """The fields of one row, quotes removed; a row that the csv module refuses is one field."""
    if '"' not in text:
        return text.split(delimiter)
    try:
        return next(csv.reader(text.splitlines(keepends=True), delimiter=delimiter), [])
    except csv.Error:
        return [text]


def is_open(text: str) -> bool:
    """Whether a quoted field continues in the next line."""
    return text.count('"') % 2 == 1
