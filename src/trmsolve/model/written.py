"""Whether layers compute their formulas as they are written, also where they know a quicker way to the same.

What is faster is measured against that (benchmark/published.py); nothing else asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_asked = False


def asked() -> bool:
    """Whether the formulas as they stand are asked for."""
    return _asked


@contextmanager
def as_written() -> Iterator[None]:
    """For the length of a block, in every thread."""
    global _asked
    before, _asked = _asked, True
    try:
        yield
    finally:
        _asked = before
