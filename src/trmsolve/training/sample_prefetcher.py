"""Samples drawn in a background thread before they are needed.

A sample depends on its index alone, so drawing it early changes nothing but the time it takes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from trmsolve.tasks.base import Sample

DEPTH = 64  # samples kept ready at most


class SamplePrefetcher:
    """`draw`, with the next samples ready. Between `running` blocks, and for other indices, it is `draw` itself."""

    def __init__(self, draw: Callable[[int], Sample], depth: int = DEPTH) -> None:
        self._draw, self.depth = draw, depth
        self._ready: deque[Sample | Exception] = deque()
        self._next: int | None = None  # the index of the first in `_ready`; None while no thread runs
        self._changed = threading.Condition()
        self._draw_lock = threading.Lock()  # tasks need not know of threads: one draw at a time

    def __call__(self, index: int) -> Sample:
        """Sample number `index`. What drawing it raises is raised here."""
        if index != self._next:
            return self._draw_locked(index)
        with self._changed:
            self._changed.wait_for(lambda: self._ready)
            sample = self._ready.popleft()
            # A thread that met an error has ended with it.
            self._next = None if isinstance(sample, Exception) else index + 1
            self._changed.notify_all()
        if isinstance(sample, Exception):
            raise sample
        return sample

    @contextmanager
    def running(self, index: int) -> Iterator[None]:
        """A thread makes samples from `index` on, in order, until the block ends."""
        with self._changed:
            self._next = index
        thread = threading.Thread(target=self._make, args=(index,), name="samples", daemon=True)
        thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._next = None
                self._ready.clear()
                self._changed.notify_all()
            thread.join()

    def _make(self, index: int) -> None:
        failed = False
        while not failed:
            try:
                sample: Sample | Exception = self._draw_locked(index)
            except Exception as error:
                sample, failed = error, True  # raised by __call__
            with self._changed:
                self._changed.wait_for(lambda: self._next is None or len(self._ready) < self.depth)
                if self._next is None:
                    return
                self._ready.append(sample)
                self._changed.notify_all()
            index += 1

    def _draw_locked(self, index: int) -> Sample:
        with self._draw_lock:
            return self._draw(index)
