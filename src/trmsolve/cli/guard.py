"""From exceptions to messages and exit codes: 0 all solved, 1 something not solved, 2 bad input or error, ..."""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from trmsolve.errors import TrmsolveError
from trmsolve.place import place

if TYPE_CHECKING:
    from trmsolve.api import Model

SOLVED, UNSOLVED, BAD, OUT_OF_TIME, INTERRUPTED = 0, 1, 2, 124, 130

TERMINATED = 143  # 128 + SIGTERM, as the shell counts

Command = TypeVar("Command", bound=Callable[..., Any])


class Terminated(BaseException):
    """SIGTERM has come: whoever holds a terminal, a file or an array ends it well on the way out."""


def guarded(command: Command) -> Command:
    """The command, ending in an exit code whatever happens in it. It returns its own code, or None for 0.

    Of several processes of torchrun's only the first runs it; see `shared`.
    """

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        if (where := place()) is not None and command not in _shared:
            if not where.first:
                raise typer.Exit(SOLVED)
            say(f"one process does this; {where.size - 1} of {where.size} have nothing to do")
        with handling({signal.SIGTERM: _terminate}), _quiet_again():
            raise typer.Exit(_code(command, args, kwargs))

    return run  # type: ignore[return-value]


def shared(command: Command) -> Command:
    """The same command, which takes part in what torchrun shares out. It stands below @guarded."""
    _shared.add(command)
    return command


_shared: set[Callable[..., Any]] = set()


@contextmanager
def handling(handlers: dict[signal.Signals, Callable[..., None]]) -> Iterator[None]:
    """Signal handlers for the length of a block; none in a thread, where Python allows none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminate(*_: Any) -> None:
    raise Terminated


def _code(command: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    try:
        code = command(*args, **kwargs) or SOLVED
        sys.stdout.flush()
        return code
    except typer.Exit as done:
        return done.exit_code
    except BrokenPipeError:  # the reader has what it wanted (| head -1)
        _abandon_stdout()
        return SOLVED
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except Terminated:
        say("terminated")
        return TERMINATED
    except Exception as error:
        if os.environ.get("TRMSOLVE_DEBUG"):
            traceback.print_exc()
        say(_message(error))
        if isinstance(error, OSError):
            _abandon_stdout()
        return BAD


def _message(error: Exception) -> str:
    if isinstance(error, TrmsolveError):
        return f"error: {error}"
    if isinstance(error, OSError) and error.filename is None:  # a full disk behind stdout
        return f"error: cannot write the answers: {error.strerror or error}"
    return f"internal error: {type(error).__name__}: {error}\n  TRMSOLVE_DEBUG=1 shows where; please report it"


def _abandon_stdout() -> None:
    """Let nobody flush what nobody takes: Python would complain again when it does at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str) -> None:
    """One message to stderr, whatever its encoding, and even if nobody listens."""
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    with suppress(OSError):
        print(text.encode(encoding, "replace").decode(encoding), file=sys.stderr, flush=True)


def speak_up(model: Model) -> None:
    """Say what was loaded where. Until the command ends the library also tells how steps are taken, and why so."""
    import logging

    say(f"device: {model.choice}\ncheckpoint: {model.checkpoint.path} ({model.checkpoint.sha256[:12]})")

    class Aloud(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(record.getMessage())

    log = logging.getLogger("trmsolve")
    log.handlers, log.propagate = [Aloud()], False
    log.setLevel(logging.INFO)


@contextmanager
def _quiet_again() -> Iterator[None]:
    """What speak_up() has begun ends with the command: another may follow in the same process."""
    try:
        yield
    finally:
        if (logging := sys.modules.get("logging")) is not None:
            log = logging.getLogger("trmsolve")
            log.handlers, log.propagate = [], True
            log.setLevel(logging.NOTSET)
