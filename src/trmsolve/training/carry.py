"""The carry of deep supervision: the puzzles in training, with their states y and z between supervision steps.

A puzzle leaves its slot when it halts or after N_sup steps, and the next sample takes the slot. The schedule, which
assigns samples to slots, is equal in every process; each process holds the puzzles of its own slots only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._pytree import tree_map

from trmsolve.device import to_device
from trmsolve.model.packing import PackedBatch, pack
from trmsolve.model.trm import TRM
from trmsolve.tasks.base import Sample


class SlotSchedule:
    """For every slot of the whole batch, int64 (slots,): sample index, age in steps, and minimum age before halting."""

    def __init__(
        self, num_slots: int, n_sup: int, seed: int, halt_exploration_prob: float, bptt_steps: int = 1
    ) -> None:
        self.n_sup, self.seed, self.bptt_steps = n_sup, seed, bptt_steps
        self.halt_exploration_prob = halt_exploration_prob
        self.next_index = 0
        self.index, self.age, self.min_age = (np.zeros(num_slots, np.int64) for _ in range(3))
        self.fill(range(num_slots))

    def __len__(self) -> int:
        return len(self.index)

    def fill(self, slots: Iterable[int]) -> None:
        """Assign the next samples to these slots, in order. min_age depends on the sample's index and the seed only."""
        for slot in slots:
            index, self.next_index = self.next_index, self.next_index + 1
            rng = np.random.default_rng([self.seed, index, 1])
            explores = rng.random() < self.halt_exploration_prob and self.n_sup > 1
            self.index[slot], self.age[slot] = index, 0
            self.min_age[slot] = rng.integers(2, self.n_sup + 1) if explores else 0

    def advance(self, halted: np.ndarray) -> np.ndarray:
        """Advance all slots by bptt_steps steps and refill those that are done. Returns bool (slots,), the refilled.

        halted: bool (slots,), puzzles that the halting head ends.
        """
        self.age += self.bptt_steps
        done = (self.age >= self.n_sup) | (halted & (self.age >= self.min_age))
        self.fill(np.flatnonzero(done))
        return done

    @property
    def is_last(self) -> np.ndarray:
        """bool (slots,): puzzles whose next steps are their last."""
        return self.age + self.bptt_steps >= self.n_sup


class Labels(NamedTuple):
    """Labels of B puzzles with U choices among O options."""

    batch: PackedBatch
    target: Tensor  # int64 (U,) index of the correct option within its choice
    weight: Tensor  # float32 (U,) loss weight of each choice
    accepted: Tensor  # bool (O,) options that count as correct
    solvable: Tensor  # bool (B,)
    slot_of_choice: Tensor  # int64 (U,)
    is_last: Tensor  # bool (B,) puzzles whose next step is their last


class LossNormalizer(NamedTuple):
    """Divisors of the losses, so that the losses of all micro-batches add up to the loss of the batch."""

    weight: Tensor  # float32 (), total weight of the choices of the whole batch
    num_slots: int  # of the whole batch


class Carry:
    """Puzzles and states of the consecutive slots `own` of a schedule. draw: returns the sample with an index."""

    def __init__(
        self,
        draw: Callable[[int], Sample],
        model: TRM,
        schedule: SlotSchedule,
        own: range,
        dtype: torch.dtype,
        multiple: int = 1,
    ) -> None:
        self.draw, self.model, self.schedule, self.own, self.dtype = draw, model, schedule, own, dtype
        self.multiple, self.device = multiple, model.y_init.device
        self.reset()

    @property
    def _own_slots(self) -> slice:
        return slice(self.own.start, self.own.stop)

    def reset(self) -> None:
        """Draw the puzzles of the schedule again, with initial states."""
        self.samples = [self.draw(int(index)) for index in self.schedule.index[self._own_slots]]
        self._pack()
        self.y, self.z = self.model.init_state(len(self.tokens), self.dtype)

    def _pack(self) -> None:
        samples = self.samples
        self.tokens, self.batch = self._to_device(pack([s.encoded for s in samples], self.multiple))
        self.lengths = [len(s.encoded.x) for s in samples]
        weights = [_weight(s) for s in samples]
        self.total_weight = float(np.sum([weight.sum(dtype=np.float64) for weight in weights]))  # of all choices
        self.target = self._to_device(np.concatenate([s.target for s in samples]))
        self.weight = self._to_device(np.concatenate(weights))
        self.accepted = self._to_device(np.concatenate([_accepted(s) for s in samples]))
        self.solvable = self._to_device(np.array([s.solvable for s in samples]))
        slot_of_choice = np.repeat(np.arange(len(samples)), [s.encoded.num_choices for s in samples])
        self.slot_of_choice = self._to_device(slot_of_choice)

    def _to_device(self, values: Any) -> Any:
        """Nested arrays and tensors, on the device; does not wait for a GPU."""

        def move(value: Any) -> Any:
            if not isinstance(value, Tensor | np.ndarray):
                return value
            return to_device(torch.as_tensor(value), self.device)

        return tree_map(move, values)

    @property
    def puzzle_ids(self) -> np.ndarray:
        """int64 (slots,): each puzzle's row of the puzzle table; 0 without a table."""
        first = torch.tensor([int(s.encoded.x[0]) for s in self.samples])
        has_table = self.model.embed.puzzle_table is not None
        return (self.model.embed.puzzle_ids(first) if has_table else torch.zeros_like(first)).numpy()

    @property
    def labels(self) -> Labels:
        """The labels of the current puzzles."""
        is_last = self._to_device(self.schedule.is_last[self._own_slots])
        return Labels(self.batch, self.target, self.weight, self.accepted, self.solvable, self.slot_of_choice, is_last)

    def keep(self, y: Tensor, z: Tensor) -> None:
        """Continue from these states, detached (truncated backpropagation through time)."""
        self.y, self.z = y.detach(), z.detach()

    def refill(self, done: np.ndarray) -> None:
        """Draw new puzzles for the slots that the schedule refilled. done: bool (slots,), of the whole batch."""
        fresh = np.flatnonzero(done[self._own_slots])
        if not len(fresh):
            return
        ys, zs = self.states()
        for slot in fresh.tolist():
            self.samples[slot] = self.draw(int(self.schedule.index[self.own[slot]]))
            ys[slot], zs[slot] = self.model.init_state(len(self.samples[slot].encoded.x), self.dtype)
        self._pack()
        self.restore(torch.cat(ys), torch.cat(zs))

    def states(self) -> tuple[list[Tensor], list[Tensor]]:
        """y and z of each puzzle, (tokens, D) each."""
        num_tokens = sum(self.lengths)  # without padding
        ys, zs = (list(states[:num_tokens].split(self.lengths)) for states in (self.y, self.z))
        return ys, zs

    def restore(self, y: Tensor, z: Tensor) -> None:
        """Continue from these states, (tokens, D) of all puzzles, in any dtype."""
        y, z = (states.to(self.device, self.dtype) for states in (y, z))
        padding = (0, 0, 0, len(self.tokens) - len(y))
        self.y, self.z = F.pad(y, padding), F.pad(z, padding)


def _weight(sample: Sample) -> np.ndarray:
    """float32 (U,): loss weights of choices; 0 for an unsolvable puzzle, from which only the heads learn."""
    if not sample.solvable:
        return np.zeros(sample.encoded.num_choices, np.float32)
    return np.ones(sample.encoded.num_choices, np.float32) if sample.weight is None else sample.weight


def _accepted(sample: Sample) -> np.ndarray:
    """bool (O,): options that count as correct."""
    if sample.accepted is not None:
        return sample.accepted
    accepted = np.zeros(len(sample.encoded.meanings), bool)
    accepted[sample.encoded.first + sample.target] = True
    return accepted
