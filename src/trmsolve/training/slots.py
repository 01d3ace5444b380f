"""The puzzles in training at one time. Each keeps its states y and z from one supervision step to the next (deep
supervision) and gives its slot to the next draw when it halts or has had N_sup steps.

Who holds which draw stands in a book, which is the same in every process of a run; the puzzles themselves are held by
those who train on them (batch.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._pytree import tree_map

from trmsolve.device import sent
from trmsolve.model.layout import Layout, pack
from trmsolve.model.trm import TRM, Step
from trmsolve.tasks.base import Places, Sample


class Book:
    """Of every slot of the whole batch, all int64 (slots,): its draw, its age in steps, and how old it must become."""

    def __init__(self, size: int, n_sup: int, seed: int, explore: float, window: int = 1) -> None:
        self.n_sup, self.seed, self.explore, self.window = n_sup, seed, explore, window
        self.next_index = 0
        self.index, self.age, self.least = (np.zeros(size, np.int64) for _ in range(3))
        self.fill(range(size))

    def fill(self, slots: Iterable[int]) -> None:
        """The next draws take these slots, in order. The least age is part of the draw, so nothing else is random."""
        for slot in slots:
            index, self.next_index = self.next_index, self.next_index + 1
            rng = np.random.default_rng([self.seed, index, 1])
            self.index[slot], self.age[slot] = index, 0
            self.least[slot] = rng.integers(2, self.n_sup + 1) if rng.random() < self.explore and self.n_sup > 1 else 0

    def advance(self, ends: np.ndarray) -> np.ndarray:
        """A window of steps is over: the slots that are done take the next draws. Returns bool (slots,), these slots.

        ends: bool (slots,), whose puzzle the heads would let go.
        """
        self.age += self.window
        done = (self.age >= self.n_sup) | (ends & (self.age >= self.least))
        self.fill(np.flatnonzero(done))
        return done

    @property
    def last(self) -> np.ndarray:
        """bool (slots,): those that take their last steps now."""
        return self.age + self.window >= self.n_sup


class Labels(NamedTuple):
    """What is known of the right answers to B puzzles with U choices among O options."""

    layout: Layout
    target: Tensor  # int64 (U,) rank of the right option among those of its choice
    weight: Tensor  # float32 (U,) of each choice in the loss
    accepted: Tensor  # bool (O,) options that leave the answer right
    solvable: Tensor  # bool (B,)
    slot_of_choice: Tensor  # int64 (U,)
    last: Tensor  # bool (B,) puzzles that take their last step now


class Slots:
    """The puzzles and states of consecutive slots, filled with what the book says from `draw(index)`."""

    def __init__(
        self,
        draw: Callable[[int], Sample],
        model: TRM,
        book: Book,
        own: range,
        dtype: torch.dtype,
        multiple: int = 1,
    ) -> None:
        self.draw, self.model, self.book, self.own, self.dtype = draw, model, book, own, dtype
        self.multiple, self.device = multiple, model.y_init.device
        self.begin()

    @property
    def _mine(self) -> slice:
        return slice(self.own.start, self.own.stop)

    def begin(self) -> None:
        """Every puzzle of the book from its start."""
        self.samples = [self.draw(int(index)) for index in self.book.index[self._mine]]
        self._pack()
        self.y, self.z = self.model.start(len(self.tokens), self.dtype)

    def _pack(self) -> None:
        samples = self.samples
        self.tokens, self.layout = self._sent(pack([s.encoded for s in samples], self.multiple))
        self.lengths = [len(s.encoded.x) for s in samples]
        self._uniform = all(_alike(samples[0], s) for s in samples)
        self._weighs = np.array([_weights(s).sum(dtype=np.float64) for s in samples])
        self.target = self._sent(np.concatenate([s.target for s in samples]))
        self.weight = self._sent(np.concatenate([_weights(s) for s in samples]))
        self.accepted = self._sent(np.concatenate([_accepted(s) for s in samples]))
        self.solvable = self._sent(np.array([s.solvable for s in samples]))
        self.slot_of_choice = self._sent(np.repeat(np.arange(len(samples)), [s.encoded.choices for s in samples]))

    def _exchange(self, fresh: np.ndarray) -> None:
        """What _pack() does, and fresh states, for these slots alone: their new puzzles are alike to all others."""
        samples, slots = [self.samples[slot] for slot in fresh], self._sent(fresh)
        self._weighs[fresh] = [_weights(s).sum(dtype=np.float64) for s in samples]
        for rows, parts in (
            (self.tokens, [s.encoded.x for s in samples]),
            (self.target, [s.target for s in samples]),
            (self.weight, [_weights(s) for s in samples]),
            (self.accepted, [_accepted(s) for s in samples]),
        ):
            rows.view(len(self.samples), -1)[slots] = self._sent(np.stack(parts))
        self.solvable[slots] = self._sent(np.array([s.solvable for s in samples]))
        for states, start in zip((self.y, self.z), self.model.start(1, self.dtype), strict=True):
            states.view(len(self.samples), -1, states.shape[1])[slots] = start

    def _sent(self, values: Any) -> Any:
        """Arrays and tensors, however nested, on the device; a GPU goes on meanwhile with what it is doing."""

        def there(value: Any) -> Any:
            if not isinstance(value, Tensor | np.ndarray):
                return value
            return sent(torch.as_tensor(value), self.device)

        return tree_map(there, values)

    @property
    def names(self) -> np.ndarray:
        """int64 (slots,): the row of the table that each puzzle names; 0 where there is no table."""
        first = torch.tensor([int(s.encoded.x[0]) for s in self.samples])
        table = self.model.embed.puzzles is not None
        return (self.model.embed.named_by(first) if table else torch.zeros_like(first)).numpy()

    @property
    def weighs(self) -> float:
        """What all choices weigh together."""
        return float(self._weighs.sum())

    @property
    def labels(self) -> Labels:
        """What the losses compare with."""
        last = self._sent(self.book.last[self._mine])
        return Labels(self.layout, self.target, self.weight, self.accepted, self.solvable, self.slot_of_choice, last)

    def advance(self, step: Step, bar: Tensor | float = 0.0) -> Tensor:
        """The next step of a batch that is held here as a whole. Returns bool (slots,), those that were done."""
        self.keep(step.y, step.z)
        done = self.book.advance(ends(step, self.solvable, bar).cpu().numpy())
        self.refill(done)
        return torch.from_numpy(done)

    def keep(self, y: Tensor, z: Tensor) -> None:
        """Go on from these states."""
        self.y, self.z = y.detach(), z.detach()

    def refill(self, done: np.ndarray) -> None:
        """Take in the book's new draws. done: bool, of all slots of the book, those that have one."""
        fresh = np.flatnonzero(done[self._mine])
        if not len(fresh):
            return
        other = self.samples[0]
        for slot in fresh.tolist():
            self.samples[slot] = self.draw(int(self.book.index[self.own[slot]]))
        if self._uniform and all(_alike(other, self.samples[slot]) for slot in fresh):
            self._exchange(fresh)
            return
        ys, zs = self.states()
        for slot in fresh.tolist():
            ys[slot], zs[slot] = self.model.start(len(self.samples[slot].encoded.x), self.dtype)
        self._pack()
        self.resume(torch.cat(ys), torch.cat(zs))

    def states(self) -> tuple[list[Tensor], list[Tensor]]:
        """y and z of each puzzle, (tokens, D) each."""
        real = sum(self.lengths)
        ys, zs = (list(states[:real].split(self.lengths)) for states in (self.y, self.z))
        return ys, zs

    def resume(self, y: Tensor, z: Tensor) -> None:
        """Go on from the states of all puzzles, one after the other; those of a saved run may have another dtype."""
        self.y, self.z = (self._filled(states.to(self.device, self.dtype)) for states in (y, z))

    def _filled(self, states: Tensor) -> Tensor:
        """With rows for the tokens that belong to no puzzle."""
        return F.pad(states, (0, 0, 0, len(self.tokens) - len(states)))


def ends(step: Step, solvable: Tensor, bar: Tensor | float) -> Tensor:
    """bool (B,): the puzzles that the heads let go, as right, or as what cannot be solved.

    bar: what the halting logit must exceed; in HRM the value of going on, float32 (B,).
    """
    return (step.halt > bar) | ((step.solvable < 0) & ~solvable)


def _alike(one: Sample, other: Sample) -> bool:
    """Whether two puzzles of places differ in nothing but what stands there and is asked for."""
    a, b = one.encoded, other.encoded
    return (
        isinstance(a.ties, Places)
        and a.ties == b.ties
        and len(a.meanings) == len(b.meanings)
        and np.array_equal(a.first, b.first)
        and np.array_equal(a.size, b.size)
    )


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
