"""The tasks that the network was trained on as a library: which of their rows already says what a new task is like?

A new task need not start from the mean of all rows. A row under which a demonstration is likely stands for a rule of
the same kind, and adapting from there has less to learn and less room to learn by heart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from trmsolve.solving.recursion import Reading
from trmsolve.tasks.arc.encode import VOCABULARY
from trmsolve.tasks.base import Encoded, Sample

Ask = Callable[[Sequence[Encoded]], list[Reading]]


def likelihoods(sample: Sample, rows: Sequence[int], ask: Ask, tokens: int) -> Iterator[tuple[int, float]]:
    """Each row of the table, and the mean log-likelihood of a cell of the sample under it.

    ask: what the network says to some questions. tokens: of how many at a time.
    """
    per_chunk = max(1, tokens // len(sample.target))
    cells = np.arange(len(sample.target))
    plain = sample.encoded.x % VOCABULARY
    for start in range(0, len(rows), per_chunk):
        chunk = rows[start : start + per_chunk]
        readings = ask([replace(sample.encoded, x=plain + VOCABULARY * row) for row in chunk])
        for row, reading in zip(chunk, readings, strict=True):
            given = reading.probabilities.reshape(len(cells), -1)[cells, sample.target]
            yield row, float(np.log(given + 1e-6).mean())
