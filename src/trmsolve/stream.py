"""Streams of items: read ahead on a thread, and distributed among the processes of torchrun.

Outputs are returned in the order of the items. The main process reads the items in windows and broadcasts each window.
Process r computes its items r, r + world_size, ..., and the outputs are gathered.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

from trmsolve.distributed import PeerLost, ProcessGroup
from trmsolve.errors import DeadlineExceeded

Item = TypeVar("Item")
Output = TypeVar("Output")
Function = Callable[[Iterator[Item], "float | None"], Iterable[Output]]

PEER_DELAY = 2.0  # seconds beyond the deadline for the other processes to send their outputs


class Window(NamedTuple, Generic[Item]):
    """A broadcast of the main process: the next items, and the seconds left to compute them."""

    items: list[Item]
    seconds_left: float | None


class Share(NamedTuple, Generic[Output]):
    """The outputs of a process for its items of a window; fewer than items if time ran out."""

    outputs: list[Output]
    expired: bool


def sharded_map(
    group: ProcessGroup,
    function: Function[Item, Output],
    items: Iterable[Item],
    window: int = 64,
    deadline: float | None = None,
    as_available: bool = False,
) -> Iterator[Output]:
    """Yield one output per item, in the items' order, computed by all processes; only the main process gets them.

    Call it in every process. In all but the main process it yields nothing, and returns when the main process has no
    more items, has left the loop, or has reached the deadline.

    function: maps an iterator of items and a deadline to one output per item, in order; it may raise DeadlineExceeded.
    items: read by the main process only. window: items per process and broadcast. deadline: a time.monotonic() of the
    main process. as_available: a window has the items read so far, at least one, so that slow input does not delay
    outputs. Raises DeadlineExceeded after the outputs before the first missing one, and PeerLost.
    """
    if group.world_size == 1:
        yield from function(iter(items), deadline)
        return
    try:
        if group.is_main:
            size = window * group.world_size
            windows = _available(items, size, deadline) if as_available else _full(items, size)
            yield from _lead(group, function, windows, deadline)
        else:
            _follow(group, function)
    except (DeadlineExceeded, GeneratorExit):  # all processes have left the loop
        raise
    except BaseException as error:
        group.abandon(error)
        raise


def _lead(
    group: ProcessGroup,
    function: Function[Item, Output],
    windows: Generator[list[Item], None, None],
    deadline: float | None,
) -> Iterator[Output]:
    """The main process's loop."""
    last_wait = None if deadline is None else deadline + PEER_DELAY
    try:
        with closing(windows):
            for batch in windows:
                seconds_left = None if deadline is None else max(0.0, deadline - time.monotonic())
                group.broadcast(Window(batch, seconds_left), last_wait)
                share = _compute(function, batch[:: group.world_size], deadline)
                shares = group.gather(share, last_wait)
                assert shares is not None  # in the main process
                outputs = [iter(share.outputs) for share in shares]
                for k in range(len(batch)):
                    try:
                        output = next(outputs[k % group.world_size])
                    except StopIteration:
                        raise DeadlineExceeded(len(batch) - k) from None
                    yield output
                if any(share.expired for share in shares):
                    raise DeadlineExceeded
    except (DeadlineExceeded, GeneratorExit):
        with suppress(PeerLost):
            group.broadcast(None, time.monotonic() + PEER_DELAY)
        raise
    group.broadcast(None, last_wait)


def _follow(group: ProcessGroup, function: Function[Item, Output]) -> None:
    """The loop of the other processes."""
    while (window := group.broadcast(None)) is not None:
        deadline = None if window.seconds_left is None else time.monotonic() + window.seconds_left
        share = _compute(function, window.items[group.rank :: group.world_size], deadline)
        group.gather(share)


def _compute(function: Function[Item, Output], items: list[Item], deadline: float | None) -> Share[Output]:
    outputs: list[Output] = []
    try:
        outputs.extend(function(iter(items), deadline))  # keeps the outputs before an exception
    except DeadlineExceeded:
        return Share(outputs, True)
    return Share(outputs, False)


def _full(items: Iterable[Item], size: int) -> Generator[list[Item], None, None]:
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch


def _available(items: Iterable[Item], size: int, deadline: float | None) -> Generator[list[Item], None, None]:
    """Lists of 1 to `size` items, as many as are ready. Raises what reading raises, and DeadlineExceeded."""
    with Prefetcher(items) as source:
        while (item := source.next(True, deadline)) is not None:
            batch = [item]
            while len(batch) < size and (item := source.next(False)) is not None:
                batch.append(item)
            yield batch


# -- reading ahead --------------------------------------------------------------------------------------------------
PREFETCH = 256  # records read ahead of their use

_END = object()


class Prefetcher:
    """Context manager around an iterable, read by a thread: slow input does not delay outputs that are ready."""

    def __init__(self, items: Iterable[Any], depth: int = PREFETCH) -> None:
        self._items = items
        self._error: BaseException | None = None  # what the iterable has raised
        self._all_read = False
        self._queue: queue.Queue[Any] = queue.Queue(depth)
        self._closed = threading.Event()

    @property
    def ended(self) -> bool:
        """Whether all items have been returned, without an exception."""
        return self._all_read and self._error is None

    def __enter__(self) -> Prefetcher:
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()

    def _read(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    return
        except BaseException as error:
            self._error = error
        self._put(_END)

    def _put(self, item: Any) -> bool:
        """Wait for space in the queue; False once the prefetcher is closed."""
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def next(self, wait: bool, deadline: float | None = None) -> Any | None:
        """Return the next item, or None if none is ready (with wait=False) or the input has `ended`.

        With `wait`, raises what the iterable has raised, after all items before, and DeadlineExceeded when `deadline`
        (time.monotonic()) passes while waiting.
        """
        if not self._all_read:
            try:
                item = self._queue.get(wait, None if deadline is None else max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                if wait:
                    raise DeadlineExceeded from None
                return None
            if item is not _END:
                return item
            self._all_read = True
        if wait and self._error is not None:
            raise self._error
        return None
