"""The failures a user can meet. The command line turns each into one clear message, never a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


class TrmsolveError(Exception):
    """Something the user can mend: a missing checkpoint, a wrong flag, an unusable file. Exit code 2.

    `message` says what and where; `hint` is the next command or what was expected, or "".
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class InputError(TrmsolveError):
    """Input that cannot be read as a puzzle. `source` is "file:line". Other puzzles are still solved."""

    def __init__(self, source: str, message: str, hint: str = "") -> None:
        super().__init__(f"{source}: {message}" if source else message, hint)
        self.source = source


class DeadlineExceeded(TimeoutError):
    """The deadline has passed; finished results were delivered. in_progress: puzzles read but not finished."""

    def __init__(self, in_progress: int = 0) -> None:
        super().__init__(f"deadline exceeded with {in_progress} puzzles in progress")
        self.in_progress = in_progress


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """The hint for a name that is not known: the one it was likely meant to be, if any, and all there are."""
    near = difflib.get_close_matches(name, known, 1)
    mean = f"did you mean '{near[0]}'? " if near else ""
    return f"{mean}known: {', '.join(known)}"
