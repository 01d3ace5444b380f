"""One screen of a tour: a title, paragraphs and drawings."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.text import Text

from trmsolve.render.frame import Frame
from trmsolve.render.panel import PuzzlePanel
from trmsolve.tasks.base import Prediction, Task

INDENT, GAP = "  ", 4  # before drawings, and between two of them


@dataclass(frozen=True)
class Page:
    """One screen of the tour: a title, and paragraphs or drawings."""

    title: str
    parts: tuple[str | list[Text], ...]

    def lines(self, number: int, width: int) -> list[Text]:
        """The page in at most `width` columns, as far as its drawings allow."""
        lines = [Text(f"{number}. {self.title}", "bold")]
        for part in self.parts:
            paragraph = [Text(line) for line in textwrap.wrap(part, width)] if isinstance(part, str) else part
            lines += [Text(), *paragraph]
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
    return [
        Text(INDENT).append_text(line) for line in (panel.whole() if prediction is not None else panel.whole()[:-1])
    ]
