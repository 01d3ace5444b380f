"""The slots of a run, divided among processes, and in each process into micro-batches whose gradients are summed.

Each part has consecutive slots. Samples are assigned to slots from the reports of all processes, so the assignment does
not depend on the number of processes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trmsolve.distributed import CollectiveError, ProcessGroup
from trmsolve.model.packing import PAD_MULTIPLE
from trmsolve.model.trm import TRM
from trmsolve.tasks.base import Sample
from trmsolve.training.carry import Carry, SlotSchedule
from trmsolve.training.config import TrainConfig
from trmsolve.training.losses import LossNormalizer
from trmsolve.training.metrics import SUMS, StepMetrics

PREFETCH = 64  # samples drawn in advance


class MicroBatches:
    """All slots of a run; this process holds the puzzles of its own slots. A StepBatch (train_step.py)."""

    def __init__(
        self, draw: Callable[[int], Sample], model: TRM, config: TrainConfig, dtype: torch.dtype, group: ProcessGroup
    ) -> None:
        number = group.world_size * config.grad_accum_steps
        if config.batch_size < number:
            parts = f"{group.world_size} processes" if config.grad_accum_steps == 1 else f"{number} micro-batches"
            raise CollectiveError(
                f"a batch of {config.batch_size} puzzles cannot be divided among {parts}",
                f"use --batch-size {number} or more, the total of all processes and micro-batches",
            )
        bounds = [config.batch_size * i // number for i in range(number + 1)]
        own = range(group.rank * config.grad_accum_steps, (group.rank + 1) * config.grad_accum_steps)
        self.group, self.device = group, model.y_init.device
        self.schedule = SlotSchedule(
            config.batch_size, model.config.N_sup, config.seed, config.halt_exploration_prob, config.bptt_steps
        )
        self.own = range(bounds[own.start], bounds[own.stop])
        self.micro_batches = [
            Carry(draw, model, self.schedule, range(bounds[i], bounds[i + 1]), dtype, PAD_MULTIPLE) for i in own
        ]
        self._share_weights()

    def _share_weights(self) -> None:
        """Start to exchange the weights and the table rows of this process's puzzles."""
        values = torch.zeros(1 + len(self.schedule), dtype=torch.float64)
        values[0] = sum(carry.total_weight for carry in self.micro_batches)
        ids = np.concatenate([carry.puzzle_ids for carry in self.micro_batches])
        values[1:][self.own.start : self.own.stop] = torch.from_numpy(ids)
        self._shared = self.group.all_reduce_async(values)

    def _weight_and_ids(self) -> Tensor:
        """The weight of the whole batch's choices, then the table row of each slot."""
        values = self._shared()  # the first call after a change waits for the other processes
        self._shared = lambda: values
        return values

    def normalizer(self) -> LossNormalizer:
        """Divisors of the whole batch's losses."""
        weight = self._weight_and_ids()[0].float().to(self.device, non_blocking=True)
        return LossNormalizer(weight, len(self.schedule))

    def puzzle_ids(self) -> Tensor:
        """int64 (slots,) on the CPU."""
        return self._weight_and_ids()[1:].long()

    def scatter_rows(self, rows: Tensor) -> Tensor:
        """(own slots, D) -> (slots, D), with zeros in other slots, so that a sum over processes gives all rows."""
        all_rows = rows.new_zeros(len(self.schedule), *rows.shape[1:])  # (slots, D)
        all_rows[self.own.start : self.own.stop] = rows
        return all_rows

    def all_reduce(self, tensors: Sequence[Tensor]) -> None:
        """Sum over the processes, in place."""
        self.group.all_reduce(tensors)

    def report(self, reports: list[Tensor], clock: float, stop: bool) -> Callable[[], StepMetrics]:
        """Start to exchange the reports of all micro-batches. Returns a function that waits for the sums.

        clock: seconds, of the main process. On a GPU the transfer overlaps with the computation queued before the call.
        """
        sums = torch.cat([report[: len(SUMS)] for report in reports]).view(len(reports), -1).sum(0)
        own = _host_copy(torch.cat([sums, *(report[len(SUMS) :] for report in reports)]))

        def begin() -> Callable[[], Tensor]:
            values = torch.zeros(len(SUMS) + 2 + len(self.schedule), dtype=torch.float64)
            report = own().double()
            values[: len(SUMS)] = report[: len(SUMS)]
            values[len(SUMS)] = clock if self.group.is_main else 0.0
            values[len(SUMS) + 1] = stop
            values[len(SUMS) + 2 :][self.own.start : self.own.stop] = report[len(SUMS) :]
            return self.group.all_reduce_async(values)

        pending = None if sums.is_cuda else begin()

        def wait() -> StepMetrics:
            values = (pending or begin())().numpy()
            named = dict(zip((*SUMS, "clock", "stop"), values.tolist(), strict=False))
            return StepMetrics(named, values[len(SUMS) + 2 :].astype(np.int64))

        return wait

    def refill(self, done: np.ndarray) -> None:
        """Draw new puzzles for the slots that are done, bool (slots,)."""
        for carry in self.micro_batches:
            carry.refill(done)
        if done.any():
            self._share_weights()

    # -- the state ----------------------------------------------------------------------------------------------
    def state(self) -> tuple[dict[str, Tensor], dict[str, int]]:
        """Tensors and values that restore the batch exactly in any number of processes. y and z: main process only."""
        schedule = self.schedule
        tensors = {"slots": torch.from_numpy(np.stack([schedule.index, schedule.age, schedule.min_age]))}
        own = [tuple(torch.cat(states).cpu() for states in carry.states()) for carry in self.micro_batches]
        if (by_rank := self.group.gather(own)) is not None:
            ys, zs = zip(*(states for part in by_rank for states in part), strict=True)
            tensors |= {"y": torch.cat(ys), "z": torch.cat(zs)}
        return tensors, {"next_index": schedule.next_index}

    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """The inverse of state(): the samples are drawn again from their indices.

        If the data have changed, all slots get new samples, from the run's position on. Raises KeyError or ValueError
        for an invalid state.
        """
        schedule = self.schedule
        slots, next_index, y, z = tensors["slots"], numbers["next_index"], tensors["y"], tensors["z"]
        if slots.shape != (3, len(schedule)) or slots.dtype != torch.int64 or (slots < 0).any():
            raise ValueError("its slots are damaged")
        if type(next_index) is not int or next_index <= int(slots[0].max()):
            raise ValueError(f"its next sample is {next_index!r}")
        if y.shape != z.shape or y.shape[1:] != self.micro_batches[0].y.shape[1:] or not y.is_floating_point():
            raise ValueError("its states y and z are damaged")
        schedule.index, schedule.age, schedule.min_age = slots.numpy().copy()
        schedule.next_index = next_index
        for carry in self.micro_batches:
            carry.reset()
        lengths = self._lengths()
        if len(y) == sum(lengths):
            starts = np.concatenate([[0], np.cumsum(lengths)])
            for carry in self.micro_batches:
                rows = slice(int(starts[carry.own.start]), int(starts[carry.own.stop]))
                carry.restore(y[rows], z[rows])
        else:
            schedule.fill(range(len(schedule)))
            for carry in self.micro_batches:
                carry.reset()
        self._share_weights()

    def _lengths(self) -> np.ndarray:
        """int64 (slots,): tokens of every puzzle of the batch."""
        own = torch.tensor([n for carry in self.micro_batches for n in carry.lengths])
        return self.group.all_reduce_async(self.scatter_rows(own))().numpy()


class SamplePrefetcher:
    """`draw` with a thread that prepares the next samples. Outside a `running` block, or out of order, it calls `draw`.

    A sample depends on its index only, so preparing it early does not change the result.
    """

    def __init__(self, draw: Callable[[int], Sample], depth: int = PREFETCH) -> None:
        self._draw, self._depth = draw, depth
        self._ready: deque[Future[Sample]] = deque()
        self._next_index: int | None = None  # of the first in `_ready`; None while no thread runs
        self._executor: ThreadPoolExecutor | None = None
        self._draw_lock = threading.Lock()  # tasks need not be thread-safe: one draw at a time

    def __call__(self, index: int) -> Sample:
        """Sample number `index`. Raises whatever `draw` raises."""
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


def _host_copy(values: Tensor) -> Callable[[], Tensor]:
    """Start a copy to the CPU; the returned function waits for it."""
    if not values.is_cuda:
        on_cpu = values.cpu()
        return lambda: on_cpu
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    host.copy_(values, non_blocking=True)
    copied = torch.cuda.Event()
    copied.record(torch.cuda.current_stream(values.device))

    def wait() -> Tensor:
        copied.synchronize()
        return host

    return wait
