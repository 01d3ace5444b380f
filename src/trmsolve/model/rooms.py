"""Sizes of a batch that recur: what is recorded once for a shape, a CUDA graph, can be replayed for every batch in it.

A room is at least as large as the batch in it; what is left over belongs to nothing and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from trmsolve.tasks.base import Encoded, Neighbours, Places, Units


class Room(NamedTuple):
    """The sizes of a packed batch (layout.py)."""

    puzzles: int  # B
    tokens: int  # L
    units: int  # of each kind, where tokens are tied by units; 0 elsewhere
    entries: int  # how many rows all groups of the ties sum; 0 where there are no groups
    choices: int  # U
    options: int  # C, of a choice at most

    def holds(self, other: Room) -> bool:
        """Whether a batch of these sizes fits."""
        return all(mine >= its for mine, its in zip(self, other, strict=True))

    def up(self, units: int) -> int:
        """Units of each kind, for so many that are needed."""
        return self.units


def needed(batch: Sequence[Encoded]) -> Room:
    """The smallest room for a batch, of any ties but a Scene's."""
    kind = type(batch[0].ties)
    tokens, choices = sum(len(e.x) for e in batch), sum(e.choices for e in batch)
    units, entries = _TIES[kind]([e.ties for e in batch], tokens)
    spare = kind is not Places  # the last token, unit and puzzle take what the kernels of others sum beyond the end
    options = max((int(e.size.max(initial=1)) for e in batch), default=1)
    return Room(len(batch) + spare, tokens + spare, units, entries, choices, options)


def comfortable(batch: Sequence[Encoded]) -> Room:
    """A room with some to spare, so that the next batches fit as well: at most a quarter of any size is left over."""
    exact = needed(batch)
    puzzles, tokens, *others = map(step_up, exact)
    if (ties := batch[0].ties) and isinstance(ties, Places):
        tokens = puzzles * ties.length
    units, entries, choices, options = others
    if isinstance(ties, Units):
        entries = len(ties.of_token) * tokens
    elif isinstance(ties, Neighbours):
        entries = 5 * tokens
    return Room(puzzles, tokens, units, entries, choices, options if options > 16 else exact.options)


def step_up(number: int) -> int:
    """The next of 1, 2, ..., 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, ...: four to an octave."""
    shift = max(0, (number - 1).bit_length() - 3)
    return -(-number >> shift) << shift if number > 0 else 0


def _units(ties: Sequence[Units], tokens: int) -> tuple[int, int]:
    return 1 + sum(t.number for t in ties), len(ties[0].of_token) * tokens


def _neighbours(ties: Sequence[Neighbours], tokens: int) -> tuple[int, int]:
    return 0, tokens + sum(int(np.count_nonzero(t.of_token >= 0)) for t in ties)


def _places(ties: Sequence[Places], tokens: int) -> tuple[int, int]:
    return 0, 0


_TIES = {Units: _units, Neighbours: _neighbours, Places: _places}
