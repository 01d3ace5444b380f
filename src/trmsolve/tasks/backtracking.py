"""Exhaustive search for the solutions of a ConstraintPuzzle: for generators and tests, never to solve for the user.

A set of candidates is one integer, bit c for candidate c. Choosing a candidate removes all that share a group with it;
a group that needs one and has a single candidate left chooses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from trmsolve.tasks.groups import Groups


class Masks(NamedTuple):
    """Groups as sets of candidates."""

    full: int  # all candidates
    keep: tuple[int, ...]  # (N,) the candidates compatible with each candidate, itself included
    exactly: tuple[int, ...]  # the groups that need exactly one candidate


@lru_cache(64)
def masks(groups: Groups) -> Masks:
    """Bit masks of the groups of a grid."""
    num_candidates = len(groups.allowed)
    members = [_pack((groups.of_candidate == group).any(0)) for group in range(groups.num_groups)]
    full = _pack(groups.allowed)
    keep = []
    for candidate in range(num_candidates):
        excluded = 0
        for group in groups.of_candidate[:, candidate].tolist():
            excluded |= members[group] if group < groups.num_groups else 0
        keep.append(full & ~excluded | 1 << candidate)
    return Masks(full, tuple(keep), tuple(members[group] for group in np.flatnonzero(groups.exactly)))


def _pack(flags: np.ndarray) -> int:
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")


class NodeLimitReached(Exception):
    """The search has visited its maximum number of nodes."""


def search(
    groups: Groups, givens: np.ndarray, rng: np.random.Generator | None = None, max_nodes: int | None = None
) -> Iterator[list[int]]:
    """Every solution as a list of candidates. givens: int (n,). rng: branches in random order.

    Raises NodeLimitReached after max_nodes nodes.
    """
    tables = masks(groups)
    state = tables.full
    for candidate in givens.tolist():
        if not state >> candidate & 1:
            return
        state &= tables.keep[candidate]
    stack = [(state, 0)]
    for node in count():
        if not stack:
            return
        if node == max_nodes:
            raise NodeLimitReached
        state, chosen = _propagate(tables, *stack.pop())
        if not state:
            continue
        branch = min((g & state for g in tables.exactly if (g & state).bit_count() > 1), key=int.bit_count, default=0)
        if not branch:
            yield _bits(state)
            continue
        options = _bits(branch)
        if rng is not None:
            rng.shuffle(options)
        stack.extend((state & tables.keep[candidate], chosen) for candidate in options)


def _propagate(tables: Masks, state: int, chosen: int) -> tuple[int, int]:
    """Choose the only candidate left of each group that needs one, repeatedly.

    Returns the state, 0 for a dead end, and the chosen candidates.
    """
    changed = True
    while changed:
        changed = False
        for group in tables.exactly:
            remaining = group & state
            if not remaining:
                return 0, chosen
            if not remaining & (remaining - 1) and not chosen & remaining:  # a single bit, not chosen yet
                chosen |= remaining
                state &= tables.keep[remaining.bit_length() - 1]
                changed = True
    return state, chosen


def _bits(state: int) -> list[int]:
    bits = []
    while state:
        low = state & -state
        bits.append(low.bit_length() - 1)
        state ^= low
    return bits
