"""A page of the tour (explain.py): its title, paragraphs and drawings, in the columns of a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import partial

import numpy as np
from rich.console import Console
from rich.text import Text

from trmsolve.cli.output import join_columns
from trmsolve.render.frame import Frame
from trmsolve.render.panel import PuzzlePanel
from trmsolve.tasks.base import Prediction, Task

INDENT, GAP = "  ", 4  # columns before drawings, and between two of them


class Page:
    """One screen of the tour: a title, and paragraphs or drawings."""

    def __init__(self, title: str, *parts: str | list[Text]) -> None:
        self.title, self.parts = title, parts

    def lines(self, number: int, width: int) -> list[Text]:
        """The page in at most `width` columns, as far as its drawings allow."""
        lines = [Text(line, "bold") for line in textwrap.wrap(f"{number}. {self.title}", width)]
        for part in self.parts:
            paragraph = [Text(line) for line in textwrap.wrap(part, width)] if isinstance(part, str) else part
            lines += [Text(), *paragraph]
        return lines


def two_columns(console: Console, rows: Sequence[tuple[str, str]]) -> list[Text]:
    """Two columns, or in a narrow window the second one below the first."""
    left = max(len(text) for text, _ in rows)
    if all(len(INDENT) + left + GAP + len(text) <= console.width for _, text in rows):
        return [Text(f"{INDENT}{first:<{left + GAP}}{second}") for first, second in rows]
    wrapped = partial(textwrap.wrap, width=console.width, subsequent_indent=2 * INDENT)
    parts = [(first, INDENT) for first, _ in rows], [(second, 2 * INDENT) for _, second in rows]
    return [
        Text(line)
        for row in zip(*parts, strict=True)
        for text, indent in row
        for line in wrapped(text, initial_indent=indent)
    ]


def side_by_side(console: Console, drawings: Sequence[list[Text]]) -> list[Text]:
    """Drawings from left to right; in a narrow window below each other."""
    lines = join_columns(drawings, GAP)
    if max(line.cell_len for line in lines) > console.width:
        return [line for drawing in drawings for line in (*drawing, Text())][:-1]
    return lines


def drawing(
    task: Task,
    console: Console,
    question: np.ndarray,
    prediction: Prediction | None = None,
    previous: Prediction | None = None,
) -> list[Text]:
    """A grid, with its legend where it is an answer."""
    panel = PuzzlePanel(console)
    panel.add(Frame(task.picture(question, prediction, previous), task.name, ""))
    lines = panel.whole(console.width - len(INDENT))
    return [Text(INDENT).append_text(line) for line in (lines if prediction is not None else lines[:-1])]
