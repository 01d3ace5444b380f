"""Lines for people: on stdout whatever its encoding, and one on stderr that is written anew as things go on."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from trmsolve.cli.output import emit
from trmsolve.view.console import encodable, is_terminal

CLEAR = "\r\x1b[K"


def put(text: str) -> None:
    """To stdout, at once, and whatever file names its encoding lacks."""
    emit(sys.stdout, encodable(text, getattr(sys.stdout, "encoding", None) or "utf-8") + "\n")


@contextmanager
def passing(wanted: bool = True) -> Iterator[Callable[[str], None]]:
    """A function that shows a line on stderr in place of the last one, "" for none; it is gone at the end.

    Nothing is shown unless it is `wanted` and stderr is a terminal.
    """
    visible = wanted and is_terminal(sys.stderr)

    def show(text: str) -> None:
        if visible:
            fitting = encodable(text, sys.stderr.encoding or "utf-8")[1 - shutil.get_terminal_size().columns :]
            print(f"{CLEAR}{fitting}", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        show("")
