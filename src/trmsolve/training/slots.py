"""The puzzles in training at one time. Each keeps its states y and z from one supervision step to the next (deep
supervision) and gives its slot to the next draw when it halts or has had N_sup steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trmsolve.model.layout import pack
from trmsolve.model.trm import TRM, Step
from trmsolve.tasks.base import Sample


class Slots:
    """A batch of `size` puzzles, filled from `draw(index)` with index 0, 1, 2, ..."""

    def __init__(
        self,
        draw: Callable[[int], Sample],
        model: TRM,
        size: int,
        seed: int,
        explore: float,
        dtype: torch.dtype,
        multiple: int = 1,
    ) -> None:
        self.draw, self.model, self.seed, self.explore, self.dtype = draw, model, seed, explore, dtype
        self.multiple, self.device = multiple, model.y_init.device
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
        samples, device = self.samples, self.device
        tokens, layout = pack([s.encoded for s in samples], self.multiple)
        self.tokens, self.layout = tokens.to(device), layout.to(device)
        self.lengths = layout.lengths.tolist()
        self.target = torch.from_numpy(np.concatenate([s.target for s in samples])).to(device)
        self.weight = torch.from_numpy(np.concatenate([_weights(s) for s in samples])).to(device)
        self.accepted = torch.from_numpy(np.concatenate([_accepted(s) for s in samples])).to(device)
        self.solvable = torch.tensor([s.solvable for s in samples], device=device)
        self.slot_of_choice = torch.repeat_interleave(torch.tensor([s.encoded.choices for s in samples])).to(device)

    @property
    def last(self) -> Tensor:
        """bool (slots,): those that take their last step now."""
        return torch.from_numpy(self.age + 1 >= self.model.config.N_sup).to(self.device)

    def advance(self, step: Step, bar: Tensor | float = 0.0) -> Tensor:
        """Keep the new states, replace the puzzles that are done. Returns bool (slots,), those that were done.

        bar: what the halting logit must exceed; in HRM the value of going on, float32 (slots,).
        """
        self.age += 1
        ends = (step.halt > bar) | ((step.solvable < 0) & ~self.solvable)
        done = (self.age >= self.model.config.N_sup) | (ends.cpu().numpy() & (self.age >= self.least))
        real = sum(self.lengths)
        ys, zs = (list(states.detach()[:real].split(self.lengths)) for states in (step.y, step.z))
        for slot in np.flatnonzero(done):
            self._admit(int(slot))
            ys[slot], zs[slot] = self.model.start(len(self.samples[slot].encoded.x), self.dtype)
        if done.any():
            self._pack()
        self.y, self.z = (self._filled(torch.cat(states)) for states in (ys, zs))
        return torch.from_numpy(done)

    def _filled(self, states: Tensor) -> Tensor:
        """With rows for the tokens that belong to no puzzle."""
        return F.pad(states, (0, 0, 0, len(self.tokens) - len(states)))

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
            self.y, self.z = tensors["y"].to(self.device), tensors["z"].to(self.device)


def _weights(sample: Sample) -> np.ndarray:
    """float32 (U,): of each choice in the loss. A misled puzzle has no right answer: only the heads learn from it."""
    if not sample.solvable:
        return np.zeros(sample.encoded.choices, np.float32)
    return np.ones(sample.encoded.choices, np.float32) if sample.weight is None else sample.weight


def _accepted(sample: Sample) -> np.ndarray:
    """bool (O,): options that leave the answer right."""
    if sample.accepted is not None:
        return sample.accepted
    accepted = np.zeros(len(sample.encoded.meanings), bool)
    accepted[sample.encoded.first + sample.target] = True
    return accepted
