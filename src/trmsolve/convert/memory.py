"""Whether something fits into memory, asked before it is read."""

from __future__ import annotations

import os
from pathlib import Path

from trmsolve.errors import TrmsolveError


def require(size: int, what: str, hint: str) -> None:
    """Raises TrmsolveError when `what` needs more bytes than are left; where that is not known, it passes."""
    left = available()
    if left is not None and size > left:
        raise TrmsolveError(f"{what} needs {size / 1e6:,.1f} MB of memory, {left / 1e6:,.1f} are free", hint)


def available() -> int | None:
    """Bytes of memory and swap that are left; what the machine has in all where it says no more than that (macOS)."""
    try:
        rows = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
        told = {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows}
        left = told["MemAvailable"] + told["SwapFree"]
    except (OSError, KeyError, ValueError, IndexError):
        try:
            left = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (AttributeError, OSError, ValueError):  # Windows
            return None
    try:  # a container may be given less than the machine has
        return min(left, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):
        return left
