"""Read records on a background thread, so that slow input does not delay answers that are ready."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable
from typing import Any

from trmsolve.errors import DeadlineExceeded

PREFETCH = 256  # records read ahead of their use

_END = object()


class Prefetcher:
    """Context manager around an iterable, read by a thread. next() raises what the iterable raises."""

    def __init__(self, records: Iterable[Any]) -> None:
        self._records = records
        self._queue: queue.Queue[Any] = queue.Queue(PREFETCH)
        self._closed = threading.Event()
        self.ended = False

    def __enter__(self) -> Prefetcher:
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()

    def _read(self) -> None:
        last: Any = _END
        try:
            for record in self._records:
                if not self._put(record):
                    return
        except BaseException as error:
            last = error
        self._put(last)

    def _put(self, record: Any) -> bool:
        """Wait for space in the queue; False once the prefetcher is closed."""
        while not self._closed.is_set():
            try:
                self._queue.put(record, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def next(self, wait: bool, deadline: float | None = None) -> Any | None:
        """Return the next record, or None if none is ready (with wait=False) or the input has `ended`.

        Raises DeadlineExceeded when `deadline` (time.monotonic()) passes while waiting.
        """
        if self.ended:
            return None
        try:
            timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
            record = self._queue.get(wait, timeout)
        except queue.Empty:
            if wait:
                raise DeadlineExceeded from None
            return None
        if record is _END:
            self.ended = True
            return None
        if isinstance(record, BaseException):
            self.ended = True
            raise record
        return record
