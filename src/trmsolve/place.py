"""Where this process stands among those that torchrun started; nowhere, when it is one by itself.

Torch is not needed to know: https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A process among others: its number from 0, of how many, on all machines and on this one."""

    rank: int
    size: int
    local_rank: int
    local_size: int

    @property
    def first(self) -> bool:
        """Whether it is the one that reads, writes and speaks."""
        return self.rank == 0


def place() -> Place | None:
    """This process's place; None when there are no others."""
    try:
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    except (KeyError, ValueError):
        return None
    if size < 2 or "MASTER_ADDR" not in os.environ:
        return None
    local = (int(os.environ.get(name, default)) for name, default in (("LOCAL_RANK", 0), ("LOCAL_WORLD_SIZE", 1)))
    return Place(rank, size, *local)
