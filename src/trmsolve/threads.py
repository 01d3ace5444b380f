"""Choose the number of CPU threads of torch by repeated measurements, because machines are rarely idle.

OpenMP's threads synchronise at a barrier after every operation, and spin while they wait. If one of them has no core,
because another process uses it, all wait, hundreds of times in a supervision step: 10 to 50 times slower. Therefore:

- `ThreadTuner` compares the rates of different numbers of threads during inference. On an idle machine all cores are
  fastest, next to a busy process fewer are. The number of threads does not change results.
- `wait_passively` lets threads sleep instead of spin. It is for training, whose number of threads is constant so that a
  run is reproducible bit for bit. It costs about a tenth on an idle machine, and must be called before torch is loaded.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

# A measurement takes this many steps and seconds, or fewer steps that together are long: beside a busy process one step
# with all threads can take longer than the rest of a short stream.
BLOCK_STEPS, BLOCK_SECONDS, LONG_BLOCK = 4, 0.05, 0.1
BETTER = 1.1  # another number of threads must be faster by this factor
DROP = 0.6  # a rate below this share of the best one starts a comparison at once
FIRST_INTERVAL, LONGEST_INTERVAL = 1.0, 30.0  # seconds between comparisons; it doubles while nothing changes


def num_cores() -> int:
    """The number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def wait_passively() -> None:
    """Let OpenMP's threads sleep at barriers (libgomp, libomp), unless environment variables configure waiting.

    Has no effect once torch is loaded.
    """
    if "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ or "torch" in sys.modules:
        return
    os.environ["GOMP_SPINCOUNT"] = "0"
    os.environ.setdefault("KMP_BLOCKTIME", "0")


def candidates(most: int) -> list[int]:
    """Numbers of threads worth comparing, ascending: all, one less, and halves. 8 -> [1, 2, 4, 7, 8]."""
    numbers = {most, max(1, most - 1)}
    while most > 1:
        numbers.add(most := most // 2)
    return sorted(numbers)


class ThreadTuner:
    """Sets torch's number of threads for each step, and compares numbers of threads from time to time.

    most: maximum threads. set_threads, clock: torch.set_num_threads and time.perf_counter, or replacements in tests.
    """

    def __init__(
        self,
        most: int,
        set_threads: Callable[[int], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.most, self.threads = most, most  # threads: the number in use between comparisons
        self.rates: dict[int, float] = {}  # work per second at each number of threads, as last measured
        self._candidates = candidates(most)
        self._set_threads, self._clock = set_threads, clock
        self._trial: int | None = None  # the number that is being compared with `threads`
        self._upwards = False
        self._interval, self._compared_at, self._best = FIRST_INTERVAL, -FIRST_INTERVAL, 0.0
        self._warm = False
        self._begin_block()

    @contextmanager
    def step(self, work: float) -> Iterator[None]:
        """Time one step, the body of the block; work: its tokens. The number of threads is restored afterwards."""
        if self.most == 1:
            yield
            return
        self._set_threads(self._trial or self.threads)
        started = self._clock()
        try:
            yield
        finally:
            self._set_threads(self.most)
        self._observe(work, self._clock() - started)

    def describe(self) -> str:
        """For `doctor` and -v: the number of threads in use, and why."""
        if self.most == 1:
            reason = "set by OMP_NUM_THREADS" if "OMP_NUM_THREADS" in os.environ else "torch uses one core"
            return f"1 thread: {reason}"
        if not self.rates:
            return f"{self.threads} of {self.most} threads: no other number measured yet"
        rates = ", ".join(f"{rate:,.0f} tokens/s with {number}" for number, rate in sorted(self.rates.items()))
        return f"{self.threads} of {self.most} threads, chosen by measurement: {rates}"

    def _begin_block(self) -> None:
        self._steps, self._work, self._seconds = 0, 0.0, 0.0

    def _observe(self, work: float, seconds: float) -> None:
        if not self._warm:  # the first step loads libraries
            self._warm = True
            return
        self._steps, self._work, self._seconds = self._steps + 1, self._work + work, self._seconds + seconds
        if self._seconds < (BLOCK_SECONDS if self._steps >= BLOCK_STEPS else LONG_BLOCK):
            return
        rate = self._work / self._seconds
        self._begin_block()
        if self._trial is not None:
            self._compare(rate)
            return
        self.rates[self.threads], self._best = rate, max(self._best, rate)
        waited = self._clock() - self._compared_at
        if waited >= self._interval or (rate < DROP * self._best and waited >= FIRST_INTERVAL / 4):
            self._trial = self._neighbour()

    def _neighbour(self) -> int:
        """The next larger or smaller number of threads, in turns."""
        index = self._candidates.index(self.threads)
        self._upwards = not self._upwards
        if index in (0, len(self._candidates) - 1):
            self._upwards = index == 0
        return self._candidates[index + (1 if self._upwards else -1)]

    def _compare(self, rate: float) -> None:
        trial, self._trial = self._trial, None
        assert trial is not None
        self.rates[trial] = rate
        if rate > BETTER * self.rates[self.threads]:
            self.threads, self._interval = trial, FIRST_INTERVAL
        else:
            self._interval = min(2 * self._interval, LONGEST_INTERVAL)
        self._best, self._compared_at = self.rates[self.threads], self._clock()


@cache
def tuner() -> ThreadTuner:
    """The tuner of this process, shared by all models on its CPU."""
    import torch

    return ThreadTuner(torch.get_num_threads(), torch.set_num_threads)
