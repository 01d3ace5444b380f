"""The puzzles of a training step: a carry, divided among processes and into micro-batches whose gradients are summed.

Each part has consecutive slots. Samples are assigned to slots from the reports of all processes, so the assignment does
not depend on the number of processes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trmsolve.distributed import CollectiveError, ProcessGroup
from trmsolve.model.packing import PAD_MULTIPLE
from trmsolve.model.trm import TRM
from trmsolve.stream import Prefetcher
from trmsolve.tasks.base import Sample
from trmsolve.training.carry import Carry, LossNormalizer, SlotSchedule
from trmsolve.training.config import TrainConfig
from trmsolve.training.metrics import SUMS, StepMetrics

PREFETCH = 64  # samples drawn in advance


class Batch:
    """All slots of a run; this process holds the puzzles of its own slots."""

    def __init__(
        self,
        draw: Callable[[int], Sample],
        model: TRM,
        config: TrainConfig,
        dtype: torch.dtype,
        group: ProcessGroup | None = None,
    ) -> None:
        self.group = group = group or ProcessGroup()
        number = group.world_size * config.grad_accum_steps
        if config.batch_size < number:
            parts = f"{group.world_size} processes" if config.grad_accum_steps == 1 else f"{number} micro-batches"
            raise CollectiveError(
                f"a batch of {config.batch_size} puzzles cannot be divided among {parts}",
                f"use --batch-size {number} or more, the total of all processes and micro-batches",
            )
        bounds = [config.batch_size * i // number for i in range(number + 1)]
        own = range(group.rank * config.grad_accum_steps, (group.rank + 1) * config.grad_accum_steps)
        self.device = model.y_init.device
        self.schedule = SlotSchedule(
            config.batch_size, model.config.N_sup, config.seed, config.halt_exploration_prob, config.bptt_steps
        )
        self.own = slice(bounds[own.start], bounds[own.stop])
        self.micro_batches = [
            Carry(draw, model, self.schedule, range(bounds[i], bounds[i + 1]), dtype, PAD_MULTIPLE) for i in own
        ]
        self._share_weights()

    def _share_weights(self) -> None:
        """The weight of the whole batch's choices, and the row of the puzzle table that each of its slots uses."""
        values = torch.zeros(1 + len(self.schedule), dtype=torch.float64)
        values[0] = sum(carry.total_weight for carry in self.micro_batches)
        values[1:][self.own] = torch.from_numpy(np.concatenate([carry.puzzle_ids for carry in self.micro_batches]))
        self.group.all_reduce([values])
        weight = values[0].float().to(self.device, non_blocking=True)
        self.normalizer = LossNormalizer(weight, len(self.schedule))
        self.puzzle_ids = values[1:].long()  # int64 (slots,) on the CPU

    def scatter_rows(self, rows: Tensor) -> Tensor:
        """(own slots, D) -> (slots, D), with zeros in other slots, so that a sum over processes gives all rows."""
        all_rows = rows.new_zeros(len(self.schedule), *rows.shape[1:])  # (slots, D)
        all_rows[self.own] = rows
        return all_rows

    def metrics(self, reports: Sequence[Tensor], clock: float = 0.0, stop: bool = False) -> StepMetrics:
        """The reports of all micro-batches of all processes. clock: seconds, of the main process."""
        sums = torch.stack([report[: len(SUMS)] for report in reports]).sum(0)
        report = torch.cat([sums, *(report[len(SUMS) :] for report in reports)]).cpu().double()
        values = torch.zeros(len(SUMS) + 2 + len(self.schedule), dtype=torch.float64)
        values[: len(SUMS)] = report[: len(SUMS)]
        values[len(SUMS)] = clock if self.group.is_main else 0.0
        values[len(SUMS) + 1] = stop
        values[len(SUMS) + 2 :][self.own] = report[len(SUMS) :]
        self.group.all_reduce([values])
        named = dict(zip((*SUMS, "clock", "stop"), values.tolist(), strict=False))
        return StepMetrics(named, values[len(SUMS) + 2 :].numpy().astype(np.int64))

    def advance(self, metrics: StepMetrics) -> np.ndarray:
        """Replace the puzzles that have halted or had N_sup steps. Returns bool (slots,), the replaced."""
        done = self.schedule.advance(metrics.halted)
        for carry in self.micro_batches:
            carry.refill(done)
        if done.any():
            self._share_weights()
        return done

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
        lengths = self.scatter_rows(torch.tensor([n for carry in self.micro_batches for n in carry.lengths]))
        self.group.all_reduce([lengths])
        return lengths.numpy()


class SamplePrefetcher:
    """`draw` with a thread that prepares the next samples. Outside a `running` block, or out of order, it calls `draw`.

    A sample depends on its index only, so preparing it early does not change the result.
    """

    def __init__(self, draw: Callable[[int], Sample], depth: int = PREFETCH) -> None:
        self._draw, self._depth = draw, depth
        self._lock = threading.Lock()  # tasks need not be thread-safe
        self._ahead: Prefetcher | None = None
        self._next_index = 0  # of the next sample of `_ahead`

    def __call__(self, index: int) -> Sample:
        """Sample number `index`. Raises whatever `draw` raises."""
        if self._ahead is None or index != self._next_index:
            with self._lock:
                return self._draw(index)
        self._next_index += 1
        sample: Any = self._ahead.next(wait=True)
        return sample

    @contextmanager
    def running(self, index: int) -> Iterator[None]:
        """A thread draws samples from `index` on, in order, until the block ends."""

        def samples() -> Iterator[Sample]:
            for number in count(index):
                with self._lock:
                    sample = self._draw(number)
                yield sample

        self._next_index = index
        with Prefetcher(samples(), self._depth) as self._ahead:
            try:
                yield
            finally:
                self._ahead = None
