"""Several processes that work on one stream: torchrun --nproc-per-node N -m trmsolve sudoku FILE.

Process 0 deals item k to process k mod N, and puts what comes back in order again; it has a worker like everyone else.
Nobody waits for anybody but through that order, and nobody runs ahead of it without limit.

torch.distributed brings the processes together, and no more: what travels then are Python objects at moments of their
own, where collectives would make all wait for the slowest, and whoever waits inside of one hears no signal. So each
has a socket to process 0 (multiprocessing.connection), which also tells at once when the other end has died.
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from multiprocessing import AuthenticationError, Pipe
from multiprocessing.connection import Client, Connection, Listener, wait
from typing import Any, Protocol

from trmsolve.device import work_on
from trmsolve.errors import TrmsolveError
from trmsolve.place import Place
from trmsolve.solving.feed import OutOfTime

KEY = "trmsolve/crew"
PATIENCE = 60.0  # seconds that a step which is under way may take to end


class Job(Protocol):
    """What is done with the items of a stream. It travels to every process, so it has to be picklable."""

    ahead: int  # items that a process may have which are not delivered yet

    def __call__(self, models: Sequence[Any], items: Iterator[Any]) -> Iterator[Any]:
        """One output for each item, in order; and None wherever it can be stopped."""


class Sign(Enum):
    """What is sent beside jobs and their items."""

    END = "no more items of this job"
    OVER = "no more jobs, and an end of this one"


@dataclass(frozen=True)
class Ready:
    """A worker has loaded its models: the sha256 of each."""

    digests: tuple[str, ...]


@dataclass(frozen=True)
class Failed:
    """A worker cannot go on."""

    message: str
    hint: str


class Worker:
    """The end that works: jobs and items in, outputs back."""

    def __init__(self, link: Connection) -> None:
        self.link, self.over, self.lost = link, threading.Event(), False
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._receive, daemon=True).start()

    def run(self, load: Callable[[], Sequence[Any]]) -> bool:
        """Work until it is over; whether all went well, apart from what the other end has been told of."""
        try:
            models = load()
            for model in models:
                work_on(model.choice.device)
            self.link.send(Ready(tuple(model.checkpoint.sha256 for model in models)))
            while not self.over.is_set() and (job := self._inbox.get()) is not Sign.OVER:
                self._do(job, models)
        except Exception as error:
            if self.over.is_set():
                return not self.lost
            if os.environ.get("TRMSOLVE_DEBUG"):
                traceback.print_exc()
            with suppress(OSError):
                self.link.send(_failure(error))
            self.over.wait(PATIENCE)  # process 0 says it; torchrun would end it as soon as this process has ended
            return False
        finally:
            if self.over.is_set():  # elsewhere _receive still listens, until the process ends
                self.link.close()
        return not self.lost

    def _do(self, job: Job, models: Sequence[Any]) -> None:
        for output in job(models, self._items()):
            if self.over.is_set():
                return
            if output is not None:
                self.link.send(output)

    def _items(self) -> Iterator[Any]:
        while not isinstance(item := self._inbox.get(), Sign):
            yield item

    def _receive(self) -> None:
        message = None
        try:
            while message is not Sign.OVER:
                self._inbox.put(message := self.link.recv())
        except (EOFError, OSError):
            self.lost = True
        self.over.set()
        for _ in range(2):  # for the items of a job, and for the next job
            self._inbox.put(Sign.OVER)


class Crew:
    """Process 0's end: `map` is what it is there for. Entered, it waits for the others; left, it lets them go."""

    def __init__(self, where: Place) -> None:
        self.where, self.links, self._over = where, [], False
        self._locks = [threading.Lock() for _ in range(where.size)]
        self._own: Connection | None = None  # the worker's end of the first link, until it has begun
        self._working: threading.Thread | None = None  # it, since

    def __enter__(self) -> Crew:
        ours, self._own = Pipe()
        self.links = [ours, *_gathered(self.where)]
        return self

    def __exit__(self, *_: object) -> None:
        for link, lock in zip(self.links, self._locks, strict=True):
            with lock, suppress(OSError):
                self._over = True
                link.send(Sign.OVER)
        if self._own is not None:  # never started
            self._own.close()
        # Everything is read that is still sent: a connection that is closed before may take back what it has brought.
        open_links, end = list(self.links), time.monotonic() + PATIENCE
        while open_links and (left := end - time.monotonic()) > 0:
            for link in wait(open_links, left):
                try:
                    link.recv()
                except (EOFError, OSError):
                    open_links.remove(link)
        for link in self.links:
            link.close()
        if self._working is not None:  # Python must not end while a thread may be inside of torch
            self._working.join(PATIENCE)

    def start(self, models: Sequence[Any], deadline: float | None = None) -> None:
        """Begin to work with these models. Raises TrmsolveError when another process has other ones, or none."""
        worker, self._own = Worker(self._own), None
        self._working = threading.Thread(target=worker.run, args=(lambda: models,), daemon=True)
        self._working.start()
        digests: dict[int, tuple[str, ...]] = {}
        while len(digests) < len(self.links):
            digests |= {rank: ready.digests for rank, ready in self._heard(deadline)}
        for rank, theirs in sorted(digests.items()):
            for model, digest in zip(models, theirs, strict=True):
                if model.checkpoint.sha256 != digest:
                    raise TrmsolveError(
                        f"process {rank} of {self.where.size} has another file for {model.checkpoint.name}: "
                        f"{digest[:12]}, here {model.checkpoint.sha256[:12]}",
                        "let all machines see the same file, and nobody replace it",
                    )

    def map(self, job: Job, items: Iterable[Any], deadline: float | None = None) -> Iterator[Any]:
        """What the job makes of each item, in the items' order, each as soon as it is known.

        Items are taken on a thread of their own, at most `job.ahead` for each process before the first of them is done.
        Raises what taking an item raises; TrmsolveError when a process fails; OutOfTime at `deadline`
        (time.monotonic()).
        """
        size, delivered = len(self.links), 0
        known: list[deque[Any]] = [deque() for _ in self.links]
        with _Dealer(self, job, items) as dealer:
            while not dealer.all_done(delivered):
                while known[delivered % size]:
                    output = known[delivered % size].popleft()
                    delivered += 1
                    dealer.room.release()
                    yield output
                if dealer.all_done(delivered):
                    return
                for rank, output in self._heard(deadline, dealer.bell):
                    known[rank].append(output)

    def tell(self, rank: int, message: Any) -> bool:
        """Send something to a worker; False when it is over or nobody is there any more, of which _heard() tells."""
        with self._locks[rank]:
            if self._over:
                return False
            try:
                self.links[rank].send(message)
            except OSError:
                return False
            return True

    def _heard(self, deadline: float | None, bell: Connection | None = None) -> list[tuple[int, Any]]:
        """What workers have to say, after a wait; nothing, when the bell has rung."""
        ready = []
        while not ready:
            left = 1.0 if deadline is None else deadline - time.monotonic()
            ready = wait([*self.links, *([bell] if bell else [])], max(0.0, min(1.0, left)))  # Windows hears Ctrl-C
            if not ready and deadline is not None and time.monotonic() >= deadline:
                raise OutOfTime
        heard = []
        for link in ready:
            if link is bell:
                bell.recv()
                continue
            rank = self.links.index(link)
            try:
                message = link.recv()
            except (EOFError, OSError):
                raise TrmsolveError(
                    f"process {rank} of {self.where.size} is gone before its work was done",
                    "it was killed, or says itself what happened",
                ) from None
            if isinstance(message, Failed):
                raise TrmsolveError(f"process {rank} of {self.where.size}: {message.message}", message.hint)
            heard.append((rank, message))
        return heard


class _Dealer:
    """The thread that takes the items and deals them out."""

    def __init__(self, crew: Crew, job: Job, items: Iterable[Any]) -> None:
        self.crew, self.job, self.items = crew, job, items
        self.room = threading.Semaphore(job.ahead * len(crew.links))
        self.bell, self._rope = Pipe(duplex=False)
        self._closed = False
        self._end: int | BaseException | None = None  # the number of items, or why there are no more

    def __enter__(self) -> _Dealer:
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self.room.release()
        self.bell.close()

    def all_done(self, delivered: int) -> bool:
        """Whether so many outputs are all there will be. Raises what taking the items has raised."""
        if isinstance(self._end, BaseException):
            raise self._end
        return delivered == self._end

    def _run(self) -> None:
        try:
            self._end = self._deal()
        except BaseException as error:
            self._end = error
        with suppress(OSError):
            self._rope.send(None)

    def _deal(self) -> int:
        number, size = 0, len(self.crew.links)
        for rank in range(size):
            self.crew.tell(rank, self.job)
        for item in self.items:
            self.room.acquire()
            if self._closed or not self.crew.tell(number % size, item):
                break
            number += 1
        for rank in range(size):
            self.crew.tell(rank, Sign.END)
        return number


def serve(where: Place, load: Callable[[], Sequence[Any]]) -> bool:
    """Work for process 0 until it says that it is over. False when it could not be done; process 0 says why.

    load: the models, as process 0 has them. Raises TrmsolveError when process 0 is gone.
    """
    worker = Worker(_linked(where))
    well = worker.run(load)
    if worker.lost:
        raise TrmsolveError(f"process {where.rank} of {where.size}: process 0 is gone before the work was done")
    return well


def _failure(error: Exception) -> Failed:
    if isinstance(error, TrmsolveError):
        return Failed(error.message, error.hint)
    return Failed(f"internal error: {type(error).__name__}: {error}", "TRMSOLVE_DEBUG=1 shows where; please report it")


# -- how they meet ------------------------------------------------------------------------------------------------


def _store(where: Place) -> Any:
    """The common notice board."""
    from torch.distributed.rendezvous import rendezvous

    return next(rendezvous("env://", where.rank, where.size))[0]


def _gathered(where: Place) -> list[Connection]:
    """Links to the processes from 1 on."""
    together = where.local_size == where.size  # on one machine nobody else can even knock
    secret = secrets.token_bytes(32)
    links: dict[int, Connection] = {}
    with Listener(("127.0.0.1" if together else "", 0), "AF_INET", where.size, authkey=secret) as listener:
        host = "127.0.0.1" if together else os.environ["MASTER_ADDR"]
        store = _store(where)
        store.set(KEY, json.dumps([host, listener.address[1], secret.hex()]))
        while len(links) < where.size - 1:
            try:
                link = listener.accept()
                links[link.recv()] = link
            except (AuthenticationError, EOFError, OSError):  # somebody else
                continue
        store.set(f"{KEY}/met", "")
    return [links[rank] for rank in range(1, where.size)]


def _linked(where: Place) -> Connection:
    """The link to process 0."""
    store = _store(where)
    while not store.check([KEY]):  # a wait inside the store would hear no signal
        time.sleep(0.02)
    host, port, secret = json.loads(store.get(KEY))
    link = Client((host, port), "AF_INET", authkey=bytes.fromhex(secret))
    link.send(where.rank)
    return link
