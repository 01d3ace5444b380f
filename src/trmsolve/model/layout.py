"""Many puzzles as one batch: their tokens one after the other, without padding, whatever their sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trmsolve.model.pool import Groups
from trmsolve.tasks.base import Encoded


class Layout(NamedTuple):
    """The ragged structure of a batch of B puzzles with L tokens and U units of each kind in all."""

    units: Groups  # L tokens -> K * U units, kind by kind
    puzzles: Groups  # L tokens -> B puzzles
    lengths: Tensor  # int64 (B,) tokens of each puzzle

    def to(self, device: torch.device | str) -> Layout:
        """The same on another device."""
        return Layout(self.units.to(device), self.puzzles.to(device), self.lengths.to(device))


def pack(batch: Sequence[Encoded]) -> tuple[Tensor, Layout]:
    """x, int64 (L,), and the layout of a batch."""
    kinds = len(batch[0].units)
    lengths = np.array([len(e.x) for e in batch])
    n_units = np.array([e.n_units for e in batch])
    token_start = np.concatenate([[0], np.cumsum(lengths)])
    unit_start = np.concatenate([[0], np.cumsum(n_units)])
    total, units = int(token_start[-1]), int(unit_start[-1])
    of_token = np.concatenate([e.units + start for e, start in zip(batch, unit_start, strict=False)], 1)
    of_token = of_token + np.arange(kinds)[:, None] * units  # (K, L)
    flat = of_token.reshape(-1)
    order = np.argsort(flat, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(flat, minlength=kinds * units))])
    as_int = lambda a: torch.from_numpy(np.ascontiguousarray(a, dtype=np.int32))  # noqa: E731
    layout = Layout(
        Groups(
            as_int(order % total),
            as_int(starts),
            as_int(of_token.T.reshape(-1)),
            torch.arange(0, kinds * total + 1, kinds, dtype=torch.int32),
        ),
        Groups(
            torch.arange(total, dtype=torch.int32),
            as_int(token_start),
            as_int(np.repeat(np.arange(len(batch)), lengths)),
            torch.arange(total + 1, dtype=torch.int32),
        ),
        torch.from_numpy(lengths),
    )
    return torch.from_numpy(np.concatenate([e.x for e in batch])), layout
