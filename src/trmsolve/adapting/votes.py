"""Many views' answers to one question become two: grids by their votes, or the grid that all views draw together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trmsolve.adapting.options import Vote
from trmsolve.tasks.arc.grids import Grid

LEAST = 0.01  # what a vote counts at least: where no view is sure, the number of votes decides


@dataclass(frozen=True, slots=True, eq=False)
class Ballot:
    """What one view answers, as the task stands."""

    grid: Grid
    colours: np.ndarray  # float32 (height, width, 10): the probability of each colour in each cell of the grid
    weight: float  # what the vote counts, above 0


def ranked(ballots: Sequence[Ballot]) -> tuple[Vote, ...]:
    """All grids that were answered, and their consensus, the best first. Of equals the one named first comes first.

    Grids on which views agree come first, by the weight of their votes. Then the consensus: views that err in a cell or
    two seldom err in the same ones, so that it may be right when no view is. Then what a single view says.
    """
    weights: dict[tuple[tuple[int, ...], bytes], float] = {}
    votes: Counter[tuple[tuple[int, ...], bytes]] = Counter()
    grids = {}
    for ballot in ballots:
        key = _key(ballot.grid)
        grids.setdefault(key, ballot.grid)
        weights[key] = weights.get(key, 0.0) + max(LEAST, ballot.weight)
        votes[key] += 1
    total = sum(weights.values())
    together = consensus(ballots)
    drawn = _key(together)
    grids.setdefault(drawn, together)

    def place(key: tuple[tuple[int, ...], bytes]) -> tuple[bool, bool, float]:
        alone = votes[key] < 2
        return alone, alone and key != drawn, -weights.get(key, 0.0)

    return tuple(Vote(grids[key], votes[key], weights.get(key, 0.0) / total) for key in sorted(grids, key=place))


def consensus(ballots: Sequence[Ballot]) -> Grid:
    """Cell by cell the colour that views of the prevailing size find likeliest together: the weighted sum of logs."""
    sizes: Counter[tuple[int, ...]] = Counter()
    for ballot in ballots:
        sizes[ballot.grid.shape] += max(LEAST, ballot.weight)  # type: ignore[assignment]
    ((size, _),) = sizes.most_common(1)
    agreeing = [
        max(LEAST, ballot.weight) * np.log(ballot.colours + 1e-4) for ballot in ballots if ballot.grid.shape == size
    ]
    return np.sum(agreeing, 0).argmax(-1).astype(np.uint8)


def _key(grid: Grid) -> tuple[tuple[int, ...], bytes]:
    return grid.shape, grid.tobytes()
