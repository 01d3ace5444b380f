"""Many views' answers to one question become two: the grids that got most votes, each weighed by how sure it was."""

from __future__ import annotations

from collections.abc import Iterable

from trmsolve.adapting.options import Vote
from trmsolve.tasks.arc.grids import Grid

LEAST = 0.01  # what a vote counts at least: where no view is sure, the number of votes decides


def ranked(votes: Iterable[tuple[Grid, float]]) -> tuple[Vote, ...]:
    """Grids by what their votes weigh together, the best first; each with a weight, 0 .. 1, of its own.

    Of equals the one named first comes first.
    """
    found: dict[tuple[tuple[int, ...], bytes], tuple[Grid, list[float]]] = {}
    for grid, weight in votes:
        found.setdefault((grid.shape, grid.tobytes()), (grid, []))[1].append(max(LEAST, weight))
    total = sum(sum(weights) for _, weights in found.values())
    order = sorted(found.values(), key=lambda entry: -sum(entry[1]))
    return tuple(Vote(grid, len(weights), sum(weights) / total) for grid, weights in order)
