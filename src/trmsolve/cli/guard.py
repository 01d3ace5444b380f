"""From exceptions to messages and exit codes: 0 all solved, 1 something not solved, 2 bad input or error, 124, 130."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

import typer

from trmsolve.errors import TrmsolveError

SOLVED, UNSOLVED, BAD, OUT_OF_TIME, INTERRUPTED = 0, 1, 2, 124, 130

Command = TypeVar("Command", bound=Callable[..., Any])


def guarded(command: Command) -> Command:
    """The command, ending in an exit code whatever happens in it. It returns its own code, or None for 0."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        raise typer.Exit(_code(command, args, kwargs))

    return run  # type: ignore[return-value]


def _code(command: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    debug = bool(os.environ.get("TRMSOLVE_DEBUG"))
    try:
        code = command(*args, **kwargs) or SOLVED
        sys.stdout.flush()
        return code
    except typer.Exit as done:
        return done.exit_code
    except BrokenPipeError:
        # The reader has what it wanted (| head -1). Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SOLVED
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except TrmsolveError as error:
        if debug:
            traceback.print_exc()
        say(f"error: {error}")
        return BAD
    except Exception as error:
        if debug:
            traceback.print_exc()
        say(f"internal error: {type(error).__name__}: {error}\n  TRMSOLVE_DEBUG=1 shows where; please report it")
        return BAD


def say(text: str) -> None:
    """One message to stderr, whatever its encoding."""
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), file=sys.stderr, flush=True)
