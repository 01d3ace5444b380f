"""Whether the other processes of a run are alive.

A process that waits for another inside a GPU's or a network's library hears no signal and may wait for ever; so a
thread beside it tells the others every second that it is there, looks whether one of them has failed or fallen silent,
and then ends the process, if it does not end by itself.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress

import torch.distributed as dist

EVERY = 1.0  # seconds between two signs of life
SILENT = 15.0  # seconds without one after which a process counts as gone
GRACE = 5.0  # seconds that a process has to end by itself
CODE = 2  # the exit code then: an error


class Pulse(threading.Thread):
    """The thread of process `rank` of `size`. It needs the store that torchrun's environment names."""

    def __init__(self, rank: int, size: int) -> None:
        super().__init__(name="pulse", daemon=True)
        self.rank, self.size = rank, size
        run = os.environ.get("TORCHELASTIC_RUN_ID", ""), os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        # A connection of its own: one that is waiting keeps all others waiting.
        store = dist.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
        self._store = dist.PrefixStore("/".join(("trmsolve", *run)), store)
        self._over = threading.Event()
        self._access = threading.Lock()

    def run(self) -> None:
        neighbour = (self.rank + 1) % self.size  # everyone is watched by one other
        heard, since, beat = "", time.monotonic(), 0
        while not self._over.wait(EVERY):
            beat += 1
            try:
                said = self._beat(beat, neighbour)
            except RuntimeError:
                self._end("the process that keeps the others together is gone")
                return
            if said != heard:
                heard, since = said, time.monotonic()
            elif time.monotonic() - since > SILENT:
                self.fail(f"nothing was heard of process {neighbour} for {SILENT:.0f} seconds", of="")
            if reason := self.failure():
                self._end(reason)
                return

    def failure(self, wait: float = 0.0) -> str:
        """What went wrong in which process, once one has said so, waiting that many seconds for it; "" otherwise."""
        until = time.monotonic() + wait
        while True:
            with suppress(RuntimeError), self._access:
                if self._store.check(["failed"]):
                    return self._store.get("failed").decode()
            if time.monotonic() >= until:
                return ""
            time.sleep(0.1)

    def fail(self, reason: str, of: str | None = None) -> None:
        """Tell the others that this process ends, and why; the first to say so is heard. "" says nothing."""
        if reason:
            of = f"process {self.rank} has failed: " if of is None else of
            with suppress(RuntimeError), self._access:
                self._store.compare_set("failed", "", of + reason)

    def stop(self) -> None:
        """End the thread: the run is over."""
        self._over.set()
        self.join()

    def _beat(self, beat: int, neighbour: int) -> str:
        """Give a sign of life and return the neighbour's latest."""
        with self._access:
            self._store.set(f"alive/{self.rank}", str(beat))
            key = f"alive/{neighbour}"
            return self._store.get(key).decode() if self._store.check([key]) else ""

    def _end(self, reason: str) -> None:
        if not self._over.wait(GRACE):
            with suppress(OSError, ValueError):
                print(f"error: {reason}\n  the same command goes on from the last save", file=sys.stderr, flush=True)
            os._exit(CODE)
