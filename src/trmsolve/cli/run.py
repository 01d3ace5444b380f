"""Run a command: turn exceptions and signals into messages and exit codes, and share work among processes."""

from __future__ import annotations

import inspect
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from typing import Any

import typer

from trmsolve.cli.options import parameters
from trmsolve.distributed import ProcessGroup, get_dist_info
from trmsolve.errors import DeadlineExceeded, TrmsolveError
from trmsolve.tasks import line_in_task_file, task_files
from trmsolve.text_io import printable, shell_quote
from trmsolve.threads import num_cores

SOLVED, UNSOLVED, ERROR, TIMED_OUT, INTERRUPTED, TERMINATED = 0, 1, 2, 124, 130, 143  # 128 + signal, as shells count
REPORT_DELAY = 10.0  # seconds; torchrun kills all processes once one ends, so the main one must report first
status_prefix = ""  # clears the line of progress (output.status_line) before a message
MAX_LINE = 4000  # characters of a line of a message


class Terminated(BaseException):
    """SIGTERM or SIGHUP has arrived. A BaseException, so that terminals, files and JSON arrays are closed."""


def command(*groups: type, distributed: bool = False) -> Callable[[Callable[..., int | None]], Callable[..., None]]:
    """Decorator: make a command of a function. It always ends with an exit code: what the function returns, None for 0.

    groups: dataclasses of options (options.py). The function takes an instance of each and, if it has a parameter of
    that name, the context. Under torchrun all processes run a `distributed` command, the main one any other.
    """

    def decorate(function: Callable[..., int | None]) -> Callable[..., None]:
        def run(context: typer.Context, **values: Any) -> None:
            instances = [group(**{field.name: values[field.name] for field in fields(group)}) for group in groups]
            named = {"context": context} if "context" in inspect.signature(function).parameters else {}
            info = get_dist_info()
            if info is not None and not distributed:
                if not info.is_main:
                    raise typer.Exit(SOLVED)
                echo_err(f"this command uses one process; {info.world_size - 1} of {info.world_size} stay idle")
            signals = {getattr(signal, name): _terminate for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)}
            with handling(signals):
                raise typer.Exit(_exit_code(lambda: function(*instances, **named)))

        context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        options = [context, *parameters(groups)]
        run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
        run.__annotations__ = {option.name: option.annotation for option in options}
        run.__doc__ = function.__doc__
        return run

    return decorate


@contextmanager
def handling(handlers: dict[signal.Signals, Callable[..., None]]) -> Iterator[None]:
    """Install signal handlers inside the block. Does nothing outside the main thread, where Python allows none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def alarm(deadline: float | None) -> Iterator[None]:
    """Raise DeadlineExceeded in the main thread at a time.monotonic(), for blocks that do not look at the clock.

    Building a model, mostly. Without effect on Windows, which has no interval timer.
    """
    if (
        deadline is None
        or not hasattr(signal, "setitimer")
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return

    def expire(*_: Any) -> None:
        raise DeadlineExceeded

    with handling({signal.SIGALRM: expire}):
        signal.setitimer(signal.ITIMER_REAL, max(deadline - time.monotonic(), 1e-3))
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def _terminate(*_: Any) -> None:
    raise Terminated


def _exit_code(function: Callable[[], int | None]) -> int:
    try:
        code = function() or SOLVED
        sys.stdout.flush()
        return code
    except typer.Exit as done:
        return done.exit_code
    except BrokenPipeError:  # the reader has what it needs (| head -1)
        _abandon_stdout()
        return SOLVED
    except KeyboardInterrupt:
        echo_err("interrupted")
        return INTERRUPTED
    except Terminated:
        echo_err("terminated")
        return TERMINATED
    except (Exception, SystemExit) as error:  # SystemExit: of a task file
        if _is_reported_elsewhere(error):
            with suppress(Terminated, KeyboardInterrupt):
                time.sleep(REPORT_DELAY)
            return ERROR
        if os.environ.get("TRMSOLVE_DEBUG"):
            traceback.print_exc()
        echo_err(_message(error))
        if isinstance(error, OSError):
            _abandon_stdout()
        return ERROR


def _is_reported_elsewhere(error: BaseException) -> bool:
    """Whether this error occurs in all processes of torchrun, and another one of this machine reports it."""
    info = get_dist_info()
    if info is None or info.local_rank == 0 or not isinstance(error, TrmsolveError):
        return False
    from trmsolve.distributed import is_collective

    return is_collective(error)


def _message(error: BaseException) -> str:
    if isinstance(error, TrmsolveError):
        return f"error: {error}"
    if place := line_in_task_file(error):
        return f"error: {place}: {type(error).__name__}: {error}\n  correct the task file"
    if isinstance(error, OSError) and error.filename is None:  # a full disk behind stdout
        return f"error: cannot write the answers: {error.strerror or error}"
    kind, advice = f"{type(error).__name__}: {error}", "please report it, with the output of TRMSOLVE_DEBUG=1"
    if files := task_files():  # what its methods return is not checked everywhere
        check = f"check the task file: trmsolve check-task {shell_quote(files[-1])}"
        return f"error: {kind}\n  {check}; if it passes, {advice}"
    return f"internal error: {kind}\n  {advice}"


def _abandon_stdout() -> None:
    """Redirect stdout to the null device: flushing it at exit would raise the same error again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def echo_err(text: str) -> None:
    """Print a message to stderr, whatever its encoding, without failing when stderr is closed.

    Messages quote file names, headers and input, so each line goes through text_io.printable.
    """
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    visible = "\n".join(printable(line, MAX_LINE) for line in text.replace("\t", "    ").split("\n"))
    with suppress(OSError, ValueError):
        print(status_prefix + visible.encode(encoding, "replace").decode(encoding), file=sys.stderr, flush=True)


@contextmanager
def logged_to(write: Callable[[str], None], level: int) -> Iterator[None]:
    """Pass the library's log records of at least this level to a function, inside the block."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            write(record.getMessage())

    log, handler = logging.getLogger("trmsolve"), Handler(level)
    before = log.level, log.propagate
    log.addHandler(handler)
    log.propagate = False
    log.setLevel(level)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = before[1]
        log.setLevel(before[0])


# -- several processes (torchrun): the main one reads and writes, all compute ----------------------------------------
@contextmanager
def process_group() -> Iterator[ProcessGroup | None]:
    """The group of torchrun's processes; None for a single process."""
    info = get_dist_info()
    if info is None:
        yield None
        return
    if "OMP_NUM_THREADS" not in os.environ:  # torchrun sets 1 by itself
        import torch

        torch.set_num_threads(max(1, num_cores() // info.local_world_size))
    with ProcessGroup.joined() as group:
        yield group


def require_single_process(what: str) -> None:
    """Raise TrmsolveError under torchrun."""
    if get_dist_info() is not None:
        raise TrmsolveError(f"{what} needs a single process", "leave out torchrun")
