"""A row of a table without a header: known by holding whole puzzles as fields, of which the first is the question."""

from __future__ import annotations

from trmsolve.tasks.sudoku.rules import SIDE
from trmsolve.tasks.sudoku.symbols import value
from trmsolve.tasks.table import DELIMITERS, fields


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


def _is_puzzle(field: str) -> bool:
    return len(field) in SIDE and all(value(mark) is not None for mark in field)
