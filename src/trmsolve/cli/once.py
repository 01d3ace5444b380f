"""What is wrong for all processes of torchrun's alike is said by one of them."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from trmsolve.cli.guard import BAD, Terminated
from trmsolve.errors import TrmsolveError
from trmsolve.place import place

PATIENCE = 10.0  # seconds: torchrun ends all as soon as one has ended, and the speaker shall come to speak


def said_once(command: Callable[..., int]) -> Callable[..., int]:
    """The same command of a team (training/distributed.py), whose errors one process of a machine says for all."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> int:
        try:
            return command(*args, **kwargs)
        except TrmsolveError as error:
            where = place()
            if where is None or where.local_rank == 0:
                raise
            from trmsolve.training.distributed import everyones

            if not everyones(error):
                raise
            with suppress(Terminated, KeyboardInterrupt):
                time.sleep(PATIENCE)
            return BAD

    return run
