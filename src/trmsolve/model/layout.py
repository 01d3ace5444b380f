"""Many puzzles as one batch: their tokens one after the other, without padding, whatever their sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trmsolve.model.pool import Groups
from trmsolve.model.rooms import Room
from trmsolve.model.scene import SceneTies
from trmsolve.tasks.base import Encoded, Neighbours, Places, Scene, Units

# A matrix multiply of a shape not met before costs the CPU's library 0.6 ms to prepare, as much as the multiply itself.
ROUND = 64  # a multiple for pack() that makes shapes recur

Up = Callable[[Any], Any]  # so many, rounded up: integers, or an array of them


class Options(NamedTuple):
    """The options of U choices, side by side: at most C for each."""

    index: Tensor  # int64 (U, C) among the flat logits; any where there is none
    missing: Tensor  # bool (U, C)


class Rows(NamedTuple):
    """Puzzles that all have the same number of tokens, so that a batch of them is an array after all."""

    length: int

    def rows(self, h: Tensor) -> Tensor:
        """(B length, D) -> (B, length, D)."""
        return h.view(-1, self.length, h.shape[-1])

    def to(self, device: torch.device | str) -> Rows:
        """The same on another device."""
        return self


class Layout(NamedTuple):
    """The ragged structure of a batch of B puzzles with L tokens."""

    # L tokens -> mixer `units`: K U units, kind by kind; `grid`: 5 L, what each token hears; `mlp`, `attention`: Rows
    ties: Groups | SceneTies | Rows
    puzzles: Groups  # L tokens -> B puzzles
    lengths: Tensor  # int64 (B,) tokens of each puzzle
    options: Options

    def to(self, device: torch.device | str) -> Layout:
        """The same on another device."""
        options = Options(*(t.to(device) for t in self.options))
        return Layout(self.ties.to(device), self.puzzles.to(device), self.lengths.to(device), options)


def pack(batch: Sequence[Encoded], multiple: int = 1, room: Room | None = None) -> tuple[Tensor, Layout]:
    """x, int64 (L,), and the layout of a batch of puzzles with the same kind of ties.

    Tokens and units of each kind are filled up to a multiple with ones that belong to nothing, so that shapes recur; or
    all is filled up to the sizes of a room, so that they are the same.
    """
    kind, options = type(batch[0].ties), _options(batch)
    if room and kind is Places:  # rows are full: further puzzles in place of further tokens
        batch = [*batch, *[batch[0]] * (room.puzzles - len(batch))]
    up = room.up if room else partial(_up, multiple=1 if kind is Places else multiple)
    lengths = np.array([len(e.x) for e in batch])
    begin = np.concatenate([[0], np.cumsum(lengths)])
    total = int(begin[-1])
    tokens = room.tokens if room else up(total)
    puzzle_of_token = np.repeat(np.arange(len(batch)), lengths)
    layout = Layout(
        _TIES[kind]([e.ties for e in batch], begin, tokens, up),
        Groups(*map(_int32, (np.arange(total), begin, puzzle_of_token, np.minimum(np.arange(tokens + 1), total)))),
        torch.from_numpy(lengths),
        options,
    )
    x = np.zeros(tokens, np.int64)
    x[:total] = np.concatenate([e.x for e in batch])
    return torch.from_numpy(x), _filled(layout, room) if room else layout


def _filled(layout: Layout, room: Room) -> Layout:
    """The same with its ends in nothing: groups without rows, rows and options that nobody asks for."""
    spare = room.choices - len(layout.options.index), room.options - layout.options.index.shape[1]
    return Layout(
        _longer(layout.ties, room.entries) if isinstance(layout.ties, Groups) else layout.ties,
        _longer(layout.puzzles, room.tokens, room.puzzles),
        F.pad(layout.lengths, (0, room.puzzles - len(layout.lengths)), value=1),
        Options(
            F.pad(layout.options.index, (0, spare[1], 0, spare[0])),
            F.pad(F.pad(layout.options.missing, (0, spare[1]), value=True), (0, 0, 0, spare[0]), value=False),
        ),
    )


def _longer(groups: Groups, entries: int, number: int | None = None) -> Groups:
    """The same sums with so many entries, and with so many groups. What is added, no group that is read sums."""
    spare = entries - len(groups.rows)
    further = 0 if number is None else number + 1 - len(groups.starts)
    starts = torch.cat([groups.starts, groups.starts[-1:].expand(further)])
    return Groups(F.pad(groups.rows, (0, spare)), starts, F.pad(groups.groups, (0, spare)), groups.group_starts)


def _options(batch: Sequence[Encoded]) -> Options:
    shift = np.concatenate([[0], np.cumsum([len(e.meanings) for e in batch])])
    first = np.concatenate([e.first + start for e, start in zip(batch, shift, strict=False)])
    rank = np.arange(max((e.size.max(initial=1) for e in batch), default=1))
    missing = rank >= np.concatenate([e.size for e in batch])[:, None]
    return Options(*map(torch.from_numpy, (np.where(missing, 0, first[:, None] + rank), missing)))


def _units(ties: Sequence[Units], begin: np.ndarray, tokens: int, up: Up) -> Groups:
    total, kinds = int(begin[-1]), len(ties[0].of_token)
    start = np.concatenate([[0], np.cumsum([t.number for t in ties])])
    units = up(int(start[-1]))
    of_token = np.concatenate([t.of_token + s for t, s in zip(ties, start, strict=False)], 1)
    of_token = of_token + np.arange(kinds)[:, None] * units  # (K, total)
    flat = of_token.reshape(-1)
    order = np.argsort(flat, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(flat, minlength=kinds * units))])
    rows = kinds * np.minimum(np.arange(tokens + 1), total)
    return Groups(*map(_int32, (order % total, starts, of_token.T.reshape(-1), rows)))


def _neighbours(ties: Sequence[Neighbours], begin: np.ndarray, tokens: int, up: Up) -> Groups:
    """Five groups for each token, of one token or none: itself, above, left, right, below."""
    return _around([t.of_token for t in ties], begin, tokens)


def _around(neighbours: Sequence[np.ndarray], begin: np.ndarray, tokens: int) -> Groups:
    """For each token groups of one token or none: itself, then its neighbours, each the opposite of the one as far from
    the other end: the first is above, say, and the last below."""
    heard = _nearby(neighbours, begin, tokens)
    number = heard.shape[1]
    there = heard >= 0
    # Seen from a token: it is the one below of its neighbour above, and so on round; and it is its own.
    groups = number * heard + np.array([0, *range(number - 1, 0, -1)])
    starts, group_starts = (np.concatenate([[0], np.cumsum(n)]) for n in (there.reshape(-1), there.sum(1)))
    return Groups(*map(_int32, (heard[there], starts, groups[there], group_starts)))


def _nearby(neighbours: Sequence[np.ndarray], begin: np.ndarray, tokens: int) -> np.ndarray:
    """int64 (tokens, 1 + neighbours): each token, then its neighbours; -1 for none."""
    total, number = int(begin[-1]), 1 + neighbours[0].shape[1]
    heard = np.full((tokens, number), -1, np.int64)
    heard[:total, 0] = np.arange(total)
    heard[:total, 1:] = np.concatenate(
        [np.where(n < 0, -1, n + start) for n, start in zip(neighbours, begin, strict=False)]
    )
    return heard


def _scene(ties: Sequence[Scene], begin: np.ndarray, tokens: int, up: Up) -> SceneTies:
    numbers = np.stack([t.numbers for t in ties], 1)  # (K, B)
    totals = up(numbers.sum(1))
    # The groups of a kind lie side by side, puzzle by puzzle.
    shift = np.cumsum(totals)[:, None] - totals[:, None] + np.cumsum(numbers, 1) - numbers
    groups = int(totals.sum())

    def shifted(parts: Sequence[np.ndarray]) -> np.ndarray:
        moved = [np.where(of < 0, -1, of + by[:, None]) for of, by in zip(parts, shift.T, strict=True)]
        return np.concatenate(moved, 1).T  # (L, K)

    told, heard = shifted([t.speaks for t in ties]), shifted([t.hears for t in ties])
    speakers = np.bincount(told[told >= 0], minlength=groups)
    near = [t.near for t in ties]
    nobody = tokens + groups
    sources = np.full((tokens, 1 + near[0].shape[1] + len(totals)), -1, np.int64)
    sources[:, : 1 + near[0].shape[1]] = _nearby(near, begin, tokens)
    sources[: len(heard), 1 + near[0].shape[1] :] = np.where(heard < 0, -1, tokens + heard)
    return SceneTies(
        _around(near, begin, tokens),
        _gathered(told, tokens, groups),
        _gathered(heard, tokens, groups).transposed,
        torch.from_numpy(1 / np.maximum(speakers, 1)).float()[:, None],
        tuple(totals.tolist()),
        _int32(np.where(sources < 0, nobody, sources)),
    )


def _gathered(of_token: np.ndarray, tokens: int, groups: int) -> Groups:
    """Sums of tokens by group; of_token: int64 (L, K), -1 for none."""
    there = of_token >= 0
    flat, token = of_token[there], np.nonzero(there)[0]
    order = np.argsort(flat, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(flat, minlength=groups))])
    of = np.concatenate([[0], np.cumsum(there.sum(1))])
    group_starts = of[np.minimum(np.arange(tokens + 1), len(of_token))]
    return Groups(*map(_int32, (token[order], starts, flat, group_starts)))


def _places(ties: Sequence[Places], begin: np.ndarray, tokens: int, up: Up) -> Rows:
    (length,) = {t.length for t in ties}
    return Rows(length)


_TIES = {Units: _units, Neighbours: _neighbours, Scene: _scene, Places: _places}


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def _int32(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int32))
