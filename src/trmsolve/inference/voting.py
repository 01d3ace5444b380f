"""Voting: the answers under many augmentations as a ranking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trmsolve.inference.few_shot import RankedAnswer
from trmsolve.tasks.few_shot import Grid

MIN_WEIGHT = 0.01  # of a vote: where all weights are small, the number of votes decides


@dataclass(frozen=True, slots=True, eq=False)
class WeightedAnswer:
    """The answer under one augmentation, with the augmentation undone."""

    grid: Grid
    probabilities: np.ndarray  # float32 (height, width, colours)
    weight: float  # of this vote, above 0


def rank_answers(answers: Sequence[WeightedAnswer]) -> tuple[RankedAnswer, ...]:
    """All distinct grids and their consensus, the best first; ties in order of first occurrence.

    First come grids with two or more votes, by the weight of their votes. Then the consensus: answers that are wrong in
    a cell or two are seldom wrong in the same ones, so it may be correct when no answer is. Then grids with one vote.
    """
    grids: dict[tuple[tuple[int, ...], bytes], Grid] = {}
    weights: Counter[tuple[tuple[int, ...], bytes]] = Counter()
    votes: Counter[tuple[tuple[int, ...], bytes]] = Counter()
    for answer in answers:
        key = _key(answer.grid)
        grids.setdefault(key, answer.grid)
        weights[key] += max(MIN_WEIGHT, answer.weight)  # type: ignore[assignment]
        votes[key] += 1
    total = sum(weights.values())
    agreed = consensus(answers)
    agreed_key = _key(agreed)
    grids.setdefault(agreed_key, agreed)

    def position(key: tuple[tuple[int, ...], bytes]) -> tuple[bool, bool, float]:
        single = votes[key] < 2
        return single, single and key != agreed_key, -weights[key]

    return tuple(RankedAnswer(grids[key], votes[key], weights[key] / total) for key in sorted(grids, key=position))


def consensus(answers: Sequence[WeightedAnswer]) -> Grid:
    """In each cell the colour with the largest weighted sum of log-probabilities, among answers of the main size."""
    sizes: Counter[tuple[int, ...]] = Counter()
    for answer in answers:
        sizes[answer.grid.shape] += max(MIN_WEIGHT, answer.weight)  # type: ignore[assignment]
    ((size, _),) = sizes.most_common(1)
    log_probs = [
        max(MIN_WEIGHT, answer.weight) * np.log(answer.probabilities + 1e-4)
        for answer in answers
        if answer.grid.shape == size
    ]
    return np.sum(log_probs, 0).argmax(-1).astype(np.uint8)


def _key(grid: Grid) -> tuple[tuple[int, ...], bytes]:
    return grid.shape, grid.tobytes()
