"""The command line. `main` is the console script; it imports the commands (commands.py) only when it runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

__all__ = ["app", "main"]


def __getattr__(name: str) -> Any:
    """Import the typer application on first use."""
    if name != "app":
        raise AttributeError(f"module 'trmsolve.cli' has no attribute '{name}'")
    from importlib import import_module

    return import_module("trmsolve.cli.commands").app


def main() -> None:
    """The console script: an interrupt or a full disk ends it with a message, also while commands are imported."""
    # A stream is None when the caller closed it. Answers into a closed stdout must fail; messages may be lost.
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - as long as the process
    if sys.argv[1:2] in (["--show-completion"], ["--install-completion"]) and len(sys.argv) == 3:
        # Typer detects the shell from the parent processes; the shell that the user names takes precedence.
        os.environ["_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"] = "1"
    code: Any = 0
    try:
        from trmsolve.cli.commands import app
        from trmsolve.cli.run import INTERRUPTED, TERMINATED

        try:
            app()
        except SystemExit as done:
            code = done.code
        sys.stdout.flush()
        # After a signal the process must end at once: shutting Python down takes seconds on a busy machine.
        if isinstance(code, int) and (code in (INTERRUPTED, TERMINATED) or _is_one_of_several()):
            sys.stderr.flush()
            _exit(code)
    except KeyboardInterrupt:
        _exit(130, "interrupted")
    except BrokenPipeError:  # the reader has what it needs (| head -1)
        _exit(0)
    except OSError as error:  # the help or the version into a full disk
        _exit(2, f"error: cannot write the answers: {error.strerror or error}")
    sys.exit(code)


def _is_one_of_several() -> bool:
    """Whether torchrun has started this process.

    Then Python must not be shut down: what torch keeps for the thread of collectives is freed at that thread's end,
    which may come later, and aborts the process ("terminate called without an active exception").
    """
    from trmsolve.distributed import get_dist_info

    return get_dist_info() is not None


def _exit(code: int, text: str = "") -> None:
    """Print a message and exit without flushing the streams, which could raise the same error again."""
    try:
        os.write(2, f"{text}\n".encode() if text else b"")
    finally:
        os._exit(code)
