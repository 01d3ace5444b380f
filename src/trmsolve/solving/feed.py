"""The input as a background thread reads it, so that a slow writer at the other end of a pipe holds up no answer."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable
from typing import Any

_END = object()


class OutOfTime(Exception):
    """The deadline has passed; results so far have been delivered."""


class Feed:
    """Records of an iterable, a few ahead of their use. An exception of the iterable is raised by next()."""

    AHEAD = 256

    def __init__(self, records: Iterable[Any]) -> None:
        self._records = records
        self._queue: queue.Queue[Any] = queue.Queue(self.AHEAD)
        self._closed = threading.Event()
        self.ended = False

    def __enter__(self) -> Feed:
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
        while not self._closed.is_set():
            try:
                self._queue.put(record, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def next(self, wait: bool, deadline: float | None = None) -> Any | None:
        """The next record; None when there is none now (`wait` False) or none any more (`ended`).

        Raises OutOfTime when the wait lasts until `deadline` (time.monotonic()).
        """
        if self.ended:
            return None
        try:
            timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
            record = self._queue.get(wait, timeout)
        except queue.Empty:
            if wait:
                raise OutOfTime from None
            return None
        if record is _END:
            self.ended = True
            return None
        if isinstance(record, BaseException):
            self.ended = True
            raise record
        return record
