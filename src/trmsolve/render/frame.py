"""One moment of a solve, ready to be drawn: the only thing the views know.

The command line turns the solver's steps into frames; the terminal, SVG, GIF and HTML views turn frames into pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from trmsolve.tasks.base import Picture


class Fact(NamedTuple):
    """One thing to know about a frame: a name of at most seven letters, and what is to be said under it."""

    name: str
    value: str
    good: bool | None = None  # good news, bad news, or neither


@dataclass(frozen=True, slots=True)
class Words:
    """What is said of a frame that is no step towards a grid without broken rules."""

    state: str  # where in the solve we are; of the last frame, how it ended
    meter: tuple[str, float]  # what the bar measures, at most seven letters, and how full it is, 0 .. 1
    facts: tuple[Fact, ...]  # everything else, the weightiest first
    unsure: int = 0  # cells; their number over the steps is drawn as a row of bars


@dataclass(frozen=True, slots=True)
class Frame:
    """The grid after one step and what is known about it."""

    picture: Picture
    task: str
    source: str  # "file:line" of the puzzle
    step: int  # k, counted from 1 within a run; 0 = the question before any step
    max_steps: int
    run: int = 0  # 0 = plain recursion, i = i-th restart
    halt_probability: float = 0.0  # the halting head: "the whole answer is right"
    violations: int = 0  # rules still broken
    open_guess: str = ""  # what this run takes as given without proof, e.g. "assuming r3c5=7"
    seconds: float = 0.0  # since the solve began
    solved: bool | None = False  # the answer passes the rules; None: nobody can tell
    done: bool = False  # the last frame of this puzzle
    words: Words | None = None  # None: what the numbers above say
    closer: tuple[Picture, ...] = ()  # the same with ever less around it, for windows that the picture does not fit

    def count(self, role: str) -> int:
        """How many cells of the picture have this role."""
        return sum(cell.role == role for row in self.picture.cells for cell in row)

    @property
    def roles(self) -> set[str]:
        """The roles that occur in the picture (for legends)."""
        return {cell.role for row in self.picture.cells for cell in row}
