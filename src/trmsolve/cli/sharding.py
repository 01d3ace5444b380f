"""Solving and evaluating with several processes: the main process reads and writes, all of them compute."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from trmsolve.distributed import ProcessGroup, get_dist_info
from trmsolve.errors import TrmsolveError
from trmsolve.sharding import sharded_map


@contextmanager
def process_group() -> Iterator[ProcessGroup | None]:
    """The group of torchrun's processes; None for a single process."""
    info = get_dist_info()
    if info is None:
        yield None
        return
    if "OMP_NUM_THREADS" not in os.environ:  # torchrun sets 1 by itself
        import torch

        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        torch.set_num_threads(max(1, cores // info.local_world_size))
    with ProcessGroup.joined() as group:
        yield group


def shard(
    group: ProcessGroup,
    function: Callable[[Iterator[Any], float | None], Iterable[Any]],
    items: Iterable[Any],
    deadline: float | None = None,
    window: int = 64,
    as_available: bool = False,
) -> Iterator[Any]:
    """sharded_map over the main process's items. In the other processes it yields nothing."""
    yield from sharded_map(group, function, items if group.is_main else (), window, deadline, as_available)


def own_device(device: str) -> str:
    """--device for this process: with several CUDA devices each process has its own."""
    info = get_dist_info()
    if info is None or device not in ("auto", "cuda"):
        return device
    import torch

    return f"cuda:{info.local_rank % torch.cuda.device_count()}" if torch.cuda.is_available() else device


def require_single_process(what: str) -> None:
    """Raise TrmsolveError under torchrun."""
    if get_dist_info() is not None:
        raise TrmsolveError(f"{what} needs a single process", "leave out torchrun")
