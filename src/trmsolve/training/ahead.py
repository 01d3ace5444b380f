"""Samples made on another thread before they are asked for.

A sample depends on its index alone, so that who makes it, and when, changes nothing but the time it takes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from trmsolve.tasks.base import Sample

DEPTH = 64  # samples that lie ready at most


class Ahead:
    """`draw`, with the next samples ready. Between `running` blocks, and for other indices, it is `draw` itself."""

    def __init__(self, draw: Callable[[int], Sample], depth: int = DEPTH) -> None:
        self._draw, self.depth = draw, depth
        self._ready: deque[Sample | Exception] = deque()
        self._next: int | None = None  # the index of the first in `_ready`; None while no thread runs
        self._change = threading.Condition()
        self._drawing = threading.Lock()  # tasks need not know of threads: one draw at a time

    def __call__(self, index: int) -> Sample:
        """Sample number `index`. What drawing it raises is raised here."""
        if index != self._next:
            return self._drawn(index)
        with self._change:
            self._change.wait_for(lambda: self._ready)
            made = self._ready.popleft()
            # A thread that met an error has ended with it.
            self._next = None if isinstance(made, Exception) else index + 1
            self._change.notify_all()
        if isinstance(made, Exception):
            raise made
        return made

    @contextmanager
    def running(self, index: int) -> Iterator[None]:
        """A thread makes samples from `index` on, in order, until the block ends."""
        with self._change:
            self._next = index
        thread = threading.Thread(target=self._make, args=(index,), name="samples ahead", daemon=True)
        thread.start()
        try:
            yield
        finally:
            with self._change:
                self._next = None
                self._ready.clear()
                self._change.notify_all()
            thread.join()

    def _make(self, index: int) -> None:
        failed = False
        while not failed:
            try:
                made: Sample | Exception = self._drawn(index)
            except Exception as error:
                made, failed = error, True  # raised in whoever asks for it
            with self._change:
                self._change.wait_for(lambda: self._next is None or len(self._ready) < self.depth)
                if self._next is None:
                    return
                self._ready.append(made)
                self._change.notify_all()
            index += 1

    def _drawn(self, index: int) -> Sample:
        with self._drawing:
            return self._draw(index)
