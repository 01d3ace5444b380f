"""Samples drawn in a background thread before they are needed.

A sample depends on its index alone, so drawing it early changes nothing but the time it takes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from trmsolve.tasks.base import Sample

PREFETCH = 64  # samples kept ready at most


class SamplePrefetcher:
    """`draw`, with the next samples ready. Outside of a `running` block, and for other indices, it is `draw` itself."""

    def __init__(self, draw: Callable[[int], Sample], depth: int = PREFETCH) -> None:
        self._draw, self._depth = draw, depth
        self._ready: deque[Future[Sample]] = deque()
        self._next_index: int | None = None  # of the first in `_ready`; None while no thread runs
        self._executor: ThreadPoolExecutor | None = None
        self._draw_lock = threading.Lock()  # tasks need not be thread-safe: one draw at a time

    def __call__(self, index: int) -> Sample:
        """Sample number `index`. Errors of its draw are raised here."""
        if index != self._next_index or self._executor is None:
            return self._draw_locked(index)
        self._next_index = index + 1
        self._ready.append(self._executor.submit(self._draw_locked, index + self._depth))
        return self._ready.popleft().result()

    @contextmanager
    def running(self, index: int) -> Iterator[None]:
        """A thread draws samples from `index` on, in order, until the block ends."""
        with ThreadPoolExecutor(1, "samples") as self._executor:
            self._next_index = index
            self._ready.extend(self._executor.submit(self._draw_locked, index + k) for k in range(self._depth))
            try:
                yield
            finally:
                self._next_index = None
                self._ready.clear()
                self._executor.shutdown(cancel_futures=True)

    def _draw_locked(self, index: int) -> Sample:
        with self._draw_lock:
            return self._draw(index)
