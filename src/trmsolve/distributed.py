"""Groups of processes that torchrun starts on one or more machines, by torch.distributed:

    torchrun --nproc-per-node 2 -m trmsolve -- train --task sudoku ...
    torchrun --nproc-per-node 2 -m trmsolve -- sudoku big.csv --format jsonl

(The -- is needed because torchrun would interpret --run as its own option.)

In training each process computes a part of every batch, and gradients are summed by one all_reduce of a flat tensor.
DistributedDataParallel is not used: it averages over processes, which is wrong if they have unequal numbers of tokens;
here losses are normalised by the whole batch first. stream.py distributes the items of a stream.

A single process is a group of one, for which the methods do nothing. torch is imported when a group is joined.
Processes on CPUs (gloo) are tested; the path for GPUs (NCCL) has never run.
"""

from __future__ import annotations

import os
import queue
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from trmsolve.errors import TrmsolveError

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from typing_extensions import Self

# Long, because the main process may evaluate for hours. The watchdog detects processes that have failed.
COLLECTIVE_TIMEOUT = timedelta(days=1)
RESUME_HINT = "run the same command again: it resumes from the last save"

POLL = 0.1  # seconds between checks of signals, the deadline and the other processes
HEARTBEAT = 1.0  # seconds between heartbeats
SILENCE = 15.0  # seconds without a heartbeat after which a process counts as failed
GRACE = 5.0  # seconds for a process to end by itself
ERROR_CODE = 2


@dataclass(frozen=True)
class DistInfo:
    """Rank and number of processes, over all machines and on this one."""

    rank: int
    world_size: int
    local_rank: int
    local_world_size: int

    @property
    def is_main(self) -> bool:
        """Whether this process reads, writes and prints."""
        return self.rank == 0


def get_dist_info() -> DistInfo | None:
    """The rank of this process from torchrun's environment variables; None for a single process.

    https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables
    """
    try:
        rank, world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    except (KeyError, ValueError):
        return None
    if world_size < 2 or "MASTER_ADDR" not in os.environ:
        return None
    local_rank, local_world_size = int(os.environ.get("LOCAL_RANK", 0)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    return DistInfo(rank, world_size, local_rank, local_world_size)


def local_device(request: str, shared: bool = False) -> str:
    """`--device` for this process: each process uses its own GPU. Raises TrmsolveError if there are too few.

    shared: several processes may use one GPU.
    """
    info = get_dist_info()
    if info is None:
        return request
    import torch

    if re.fullmatch(r"cuda:\d+", request) and info.local_world_size > 1 and not shared:
        raise TrmsolveError(f"--device {request}: several processes cannot share a GPU", "use --device cuda")
    if request not in ("auto", "cuda") or not torch.cuda.is_available():
        return request
    count = torch.cuda.device_count()
    if count < info.local_world_size and not shared:
        raise TrmsolveError(f"{info.local_world_size} processes, but {count} GPU(s)", f"use --nproc-per-node {count}")
    return f"cuda:{info.local_rank % count}"


class CollectiveError(TrmsolveError):
    """An error that occurs in all processes of a group, so that one of them reports it."""


class PeerLost(CollectiveError):
    """Another process of the group has failed, so this one cannot continue."""


def is_collective(error: TrmsolveError) -> bool:
    """Whether the error occurs in all processes; true for every error before the group is joined."""
    import torch.distributed as dist

    return isinstance(error, CollectiveError) or not dist.is_initialized()


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of a run. Rank 0 is the main process, which reads, prints and writes."""

    rank: int = 0
    world_size: int = 1
    watchdog: Watchdog | None = None
    thread: CollectiveThread | None = None

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def all_reduce(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes, in one message. All of one dtype, on one device."""
        if self.world_size == 1 or not tensors:
            return
        import torch
        import torch.distributed as dist

        flat = torch.cat([t.reshape(-1) for t in tensors])
        with self._collective():
            dist.all_reduce(flat)
        parts = flat.split([t.numel() for t in tensors])
        torch._foreach_copy_(list(tensors), [part.view_as(t) for part, t in zip(parts, tensors, strict=True)])

    def broadcast(self, value: Any, deadline: float | None = None) -> Any:
        """The main process's value, in every process. Tensors in it must be on the CPU.

        deadline: time.monotonic() after which PeerLost is raised.
        """
        if self.world_size == 1:
            return value
        import torch.distributed as dist

        objects = [value if self.is_main else None]
        self._run(lambda: dist.broadcast_object_list(objects), deadline)
        return objects[0]

    def gather(self, value: Any, deadline: float | None = None) -> list[Any] | None:
        """Every process's value by rank in the main process, None elsewhere. Tensors in it must be on the CPU.

        deadline: time.monotonic() after which PeerLost is raised.
        """
        if self.world_size == 1:
            return [value]
        import torch.distributed as dist

        objects: list[Any] | None = [None] * self.world_size if self.is_main else None
        self._run(lambda: dist.gather_object(value, objects), deadline)
        return objects

    def assert_equal(self, **values: Any) -> None:
        """Raise TrmsolveError where a value differs from the main process's: `data`, `config`, ..."""
        for name, expected in self.broadcast(values).items():
            if expected != values[name]:
                raise TrmsolveError(
                    f"process {self.rank} has another {name} than process 0",
                    "start all processes with the same command, files and version of trmsolve",
                )

    @property
    def failure_reason(self) -> str:
        """Which process of the group has failed and why; "" while all run."""
        return "" if self.watchdog is None else self.watchdog.reason

    def abandon(self, error: BaseException) -> None:
        """Announce that this process leaves the group because of an error: the others end by PeerLost."""
        if self.watchdog is not None:
            self.watchdog.fail("" if isinstance(error, PeerLost) else _one_line(error))

    def _run(self, collective: Callable[[], object], deadline: float | None) -> None:
        """Run a collective so that signals, the deadline and the failure of another process end the wait for it."""
        assert self.thread is not None
        self.thread.start_call(collective)
        while not self.thread.wait(POLL):
            if self.failure_reason:
                raise PeerLost(self.failure_reason, RESUME_HINT)
            if deadline is not None and time.monotonic() >= deadline:
                raise PeerLost("another process did not respond in time", "increase --timeout")
        with self._collective():
            self.thread.raise_error()

    @contextmanager
    def _collective(self) -> Iterator[None]:
        """Turn the backend's errors into PeerLost."""
        try:
            yield
        except RuntimeError as error:  # gloo quotes its socket; NCCL's errors are RuntimeErrors too
            assert self.watchdog is not None
            reason = self.watchdog.failure(wait=2.0) or f"process {self.rank} has lost the connection to another one"
            raise PeerLost(reason, RESUME_HINT) from error

    @classmethod
    @contextmanager
    def joined(cls, device: torch.device | None = None) -> Iterator[Self]:
        """The group of this process under torchrun; a group of one without torchrun.

        The block ends when all processes have reached its end. If one fails, the others raise PeerLost within seconds,
        or the watchdog ends them if they wait elsewhere.
        """
        info = get_dist_info()
        if info is None:
            yield cls()
            return
        import torch.distributed as dist

        if not dist.is_available():
            raise TrmsolveError("this torch does not support torch.distributed", "start trmsolve without torchrun")
        kind = "cpu" if device is None else device.type
        if kind not in ("cpu", "cuda"):
            raise TrmsolveError(f"several processes cannot run on {kind}", "use --device cpu or cuda")
        if device is not None and kind == "cuda":
            import torch

            torch.cuda.set_device(device)
        # Messages between hosts go through gloo in any case: they must not wait for the GPU's queue.
        try:
            dist.init_process_group("cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo", timeout=COLLECTIVE_TIMEOUT)
            watchdog = Watchdog(info.rank, info.world_size)
        except (RuntimeError, ValueError, OSError) as error:
            raise TrmsolveError(f"process {info.rank} cannot join the others: {_one_line(error)}") from error
        watchdog.start()
        thread = CollectiveThread()
        group = cls(info.rank, info.world_size, watchdog, thread)
        try:
            yield group
            if watchdog.reason:  # a reported failure: the other processes do not reach this point
                return
            group.broadcast(None)  # no process leaves before the main process has reached this point
            group.gather(None)
        except BaseException as error:
            group.abandon(error)
            raise  # without destroying the group, which would wait for the others
        watchdog.stop()
        thread.stop()
        dist.destroy_process_group()


class CollectiveThread:
    """Runs one collective at a time on a daemon thread.

    A thread that waits inside gloo does not handle signals. So the main thread waits elsewhere, and leaves this thread
    behind if a collective never ends.
    """

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._done = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="collectives", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread. One that still runs while Python shuts down may abort the process."""
        self._calls.put(None)
        self._thread.join()

    def start_call(self, call: Callable[[], object]) -> None:
        """Begin a call, after the one before has ended."""
        self._done.clear()
        self._calls.put(call)

    def wait(self, seconds: float) -> bool:
        """Wait for the end of the call; whether it has ended."""
        return self._done.wait(seconds)

    def raise_error(self) -> None:
        """Raise what the call raised."""
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            self._error = None
            try:
                call()
            except BaseException as error:
                self._error = error
            self._done.set()


class Watchdog(threading.Thread):
    """A thread that ends this process if another one of the group has failed or sends no heartbeat.

    A process that waits inside a GPU or network library does not handle signals, and may wait forever. So this thread
    writes a heartbeat every second to torchrun's store, and reads that of one peer.
    """

    def __init__(self, rank: int, world_size: int) -> None:
        import torch.distributed as dist

        super().__init__(name="watchdog", daemon=True)
        self.rank, self.world_size = rank, world_size
        run = os.environ.get("TORCHELASTIC_RUN_ID", ""), os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        # A separate connection: a waiting store connection blocks all its other users.
        store = dist.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
        self._store = dist.PrefixStore("/".join(("trmsolve", *run)), store)
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self.reason = ""  # of the first failure in the group, once this process has seen it

    def run(self) -> None:
        peer = (self.rank + 1) % self.world_size
        last_heartbeat, since, count = "", time.monotonic(), 0
        while not self._stopped.wait(HEARTBEAT):
            count += 1
            try:
                heartbeat = self._exchange(count, peer)
            except RuntimeError:
                self._exit("the process with torchrun's store has ended")
                return
            if heartbeat != last_heartbeat:
                last_heartbeat, since = heartbeat, time.monotonic()
            elif time.monotonic() - since > SILENCE:
                self._announce(f"no heartbeat of process {peer} for {SILENCE:.0f} seconds")
            if self.failure():
                self._exit(self.reason)
                return

    def failure(self, wait: float = 0.0) -> str:
        """Which process has announced a failure and why, waiting up to `wait` seconds for it; "" otherwise."""
        until = time.monotonic() + wait
        while True:
            with suppress(RuntimeError), self._lock:
                if self._store.check(["failed"]):
                    self.reason = self._store.get("failed").decode()
                    return self.reason
            if time.monotonic() >= until:
                return ""
            time.sleep(0.1)

    def fail(self, reason: str) -> None:
        """Announce that this process ends, and why; the first announcement counts. "" announces nothing."""
        if reason:
            self._announce(f"process {self.rank} has failed: {reason}")

    def stop(self) -> None:
        """End the thread: the run is over."""
        self._stopped.set()
        self.join()

    def _announce(self, message: str) -> None:
        self.reason = self.reason or message
        with suppress(RuntimeError), self._lock:
            self._store.compare_set("failed", "", message)

    def _exchange(self, count: int, peer: int) -> str:
        with self._lock:
            self._store.set(f"alive/{self.rank}", str(count))
            key = f"alive/{peer}"
            return self._store.get(key).decode() if self._store.check([key]) else ""

    def _exit(self, reason: str) -> None:
        if not self._stopped.wait(GRACE):
            with suppress(OSError, ValueError):
                print(f"error: {reason}\n  {RESUME_HINT}", file=sys.stderr, flush=True)
            os._exit(ERROR_CODE)


def _one_line(error: BaseException) -> str:
    kind = "" if isinstance(error, TrmsolveError) else type(error).__name__
    text = getattr(error, "message", "") or " ".join(str(error).split())[:200]
    return ": ".join(part for part in (kind, text) if part)
