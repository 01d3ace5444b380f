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


def pack(batch: Sequence[Encoded], multiple: int = 1) -> tuple[Tensor, Layout]:
    """x, int64 (L,), and the layout of a batch.

    Tokens and units of each kind are filled up to a multiple with ones that belong to nothing, so that shapes recur.
    """
    kinds = len(batch[0].units)
    lengths = np.array([len(e.x) for e in batch])
    n_units = np.array([e.n_units for e in batch])
    token_start = np.concatenate([[0], np.cumsum(lengths)])
    unit_start = np.concatenate([[0], np.cumsum(n_units)])
    total = int(token_start[-1])
    tokens, units = (-(-int(n) // multiple) * multiple for n in (total, unit_start[-1]))
    of_token = np.concatenate([e.units + start for e, start in zip(batch, unit_start, strict=False)], 1)
    of_token = of_token + np.arange(kinds)[:, None] * units  # (K, total)
    flat = of_token.reshape(-1)
    order = np.argsort(flat, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(flat, minlength=kinds * units))])
    puzzle_of_token = np.repeat(np.arange(len(batch)), lengths)
    row = np.minimum(np.arange(tokens + 1), total)
    layout = Layout(
        Groups(_int32(order % total), _int32(starts), _int32(of_token.T.reshape(-1)), _int32(kinds * row)),
        Groups(_int32(np.arange(total)), _int32(token_start), _int32(puzzle_of_token), _int32(row)),
        torch.from_numpy(lengths),
    )
    x = np.zeros(tokens, np.int64)
    x[:total] = np.concatenate([e.x for e in batch])
    return torch.from_numpy(x), layout


def _int32(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int32))
