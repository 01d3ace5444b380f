"""Errors for users. The command line prints each as one message, never as a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


class TrmsolveError(Exception):
    """An error that the user can correct: a missing checkpoint, a wrong flag, an invalid file. Exit code 2.

    message: what is wrong, and where. hint: the next command or what was expected, or "".
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class InputError(TrmsolveError):
    """Input that cannot be read as a puzzle. source: "file:line". Other puzzles are still solved."""

    def __init__(self, source: str, message: str, hint: str = "") -> None:
        super().__init__(f"{source}: {message}" if source else message, hint)
        self.source = source


class DeadlineExceeded(TimeoutError):
    """The deadline has passed; finished results were delivered. in_progress: puzzles read but not finished."""

    def __init__(self, in_progress: int = 0) -> None:
        super().__init__(f"deadline exceeded with {in_progress} puzzles in progress")
        self.in_progress = in_progress


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """The hint for an unknown name: the most similar known name, if any, and all known names."""
    near = difflib.get_close_matches(name, names, 1)
    mean = f"did you mean '{near[0]}'? " if near else ""
    return f"{mean}known: {', '.join(names)}"
