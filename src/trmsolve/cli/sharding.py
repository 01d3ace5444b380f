"""Commands whose work torchrun shares out among processes: process 0 is the command, the others work for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from trmsolve.cli.guard import BAD, INTERRUPTED, SOLVED, TERMINATED, Terminated
from trmsolve.errors import TrmsolveError
from trmsolve.place import Place, place

if TYPE_CHECKING:
    from trmsolve.solving.crew import Crew

ELSEWHERE = "run it in one process: leave out torchrun"


@contextmanager
def crew() -> Iterator[Crew | None]:
    """The crew of process 0; None where there is no other process."""
    where = place()
    if where is None:
        yield None
        return
    from trmsolve.solving.crew import Crew

    _share_cores(where)
    with Crew(where) as found:
        yield found


def serves() -> bool:
    """Whether this process is one of those that only work."""
    where = place()
    return where is not None and not where.first


def serve(load: Callable[[], Sequence[Any]]) -> int:
    """Work for process 0 with these models; returns the exit code. Only process 0 speaks of signals."""
    from trmsolve.solving import crew

    where = place()
    _share_cores(where)
    try:
        return SOLVED if crew.serve(where, load) else BAD
    except KeyboardInterrupt:
        return INTERRUPTED
    except Terminated:
        return TERMINATED


def own(device: str) -> str:
    """--device as this process understands it: of several CUDA devices each process has its own."""
    where = place()
    if where is None or device not in ("auto", "cuda"):
        return device
    import torch

    return f"cuda:{where.local_rank % torch.cuda.device_count()}" if torch.cuda.is_available() else device


def alone(what: str) -> None:
    """Raises TrmsolveError where there are other processes: this is not shared out."""
    if place() is not None:
        raise TrmsolveError(f"{what} works in one process alone", ELSEWHERE)


def _share_cores(where: Place) -> None:
    """Processes with as many threads as there are cores would wait for each other. torchrun says 1 by itself."""
    if "OMP_NUM_THREADS" not in os.environ:
        import torch

        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        torch.set_num_threads(max(1, cores // where.local_size))
