"""The puzzles in training at one time. Each keeps its states y and z from one supervision step to the next (deep
supervision) and gives its slot to the next draw when it halts or has had N_sup steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from trmsolve.model.layout import pack
from trmsolve.model.trm import TRM, Step
from trmsolve.tasks.base import Sample


class Slots:
    """A batch of `size` puzzles, filled from `draw(index)` with index 0, 1, 2, ..."""

    def __init__(
        self, draw: Callable[[int], Sample], model: TRM, size: int, seed: int, explore: float, dtype: torch.dtype
    ) -> None:
        self.draw, self.model, self.seed, self.explore, self.dtype = draw, model, seed, explore, dtype
        self.next_index = 0
        self.index, self.age, self.least = (np.zeros(size, np.int64) for _ in range(3))
        self.samples: list[Sample] = [None] * size  # type: ignore[list-item]
        self._admit_all()

    def _admit(self, slot: int) -> None:
        """The next draw takes the slot. Its minimum of steps is part of the draw, so that nothing else is random."""
        index, self.next_index = self.next_index, self.next_index + 1
        rng = np.random.default_rng([self.seed, index, 1])
        n_sup = self.model.config.N_sup
        self.samples[slot], self.index[slot], self.age[slot] = self.draw(index), index, 0
        self.least[slot] = rng.integers(2, n_sup + 1) if rng.random() < self.explore and n_sup > 1 else 0

    def _admit_all(self) -> None:
        for slot in range(len(self.samples)):
            self._admit(slot)
        self._pack()
        self.y, self.z = self.model.start(len(self.tokens), self.dtype)

    def _pack(self) -> None:
        self.tokens, self.layout = pack([s.encoded for s in self.samples])
        self.target = torch.from_numpy(np.concatenate([s.target for s in self.samples]))
        self.solvable = torch.tensor([s.solvable for s in self.samples])

    @property
    def choice_slot(self) -> Tensor:
        """int64 (U,): the slot that each choice belongs to."""
        return torch.repeat_interleave(torch.tensor([s.encoded.n_units for s in self.samples]))

    def advance(self, step: Step) -> Tensor:
        """Keep the new states, replace the puzzles that are done. Returns bool (slots,), those that were done."""
        self.age += 1
        halt, hopeless = (step.halt > 0).numpy(), (step.solvable < 0).numpy() & ~self.solvable.numpy()
        done = (self.age >= self.model.config.N_sup) | ((halt | hopeless) & (self.age >= self.least))
        lengths = self.layout.lengths.tolist()
        ys, zs = list(step.y.detach().split(lengths)), list(step.z.detach().split(lengths))
        for slot in np.flatnonzero(done):
            self._admit(int(slot))
            ys[slot], zs[slot] = self.model.start(len(self.samples[slot].encoded.x), self.dtype)
        if done.any():
            self._pack()
        self.y, self.z = torch.cat(ys), torch.cat(zs)
        return torch.from_numpy(done)

    def state(self) -> tuple[dict[str, Tensor], dict[str, int]]:
        """What restores the slots exactly."""
        numbers = np.stack([self.index, self.age, self.least])
        return {"y": self.y, "z": self.z, "slots": torch.from_numpy(numbers)}, {"next_index": self.next_index}

    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, int]) -> None:
        """The inverse of state(): the samples are drawn again from their indices.

        When the data have changed since, the slots start afresh, at the position that the run had reached.
        """
        self.index, self.age, self.least = tensors["slots"].numpy().copy()
        self.next_index = numbers["next_index"]
        self.samples = [self.draw(int(i)) for i in self.index]
        self._pack()
        if len(self.tokens) != len(tensors["y"]) or len(self.samples) != len(self.age):
            self._admit_all()
        else:
            self.y, self.z = tensors["y"], tensors["z"]
