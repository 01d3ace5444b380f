"""A CPU's cores, each with a share of the batch.

Within one call of a small network two cores are hardly faster than one: every operator is too short to be divided. So
a batch is cut into shares that take their step side by side, one thread each, while Python's lock is free: it is let go
within operators, and nearly all of a step is spent there.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trmsolve.model.layout import ROUND, Layout, pack
from trmsolve.model.readout import Said, said
from trmsolve.model.trm import TRM
from trmsolve.solving.memory import tokens_at_once
from trmsolve.tasks.base import Encoded

LEAST = 1024  # tokens of a share: with fewer, the threads would wait for Python more than they multiply


class Share(NamedTuple):
    """Some puzzles of the batch, side by side."""

    rows: slice  # of the batch's states
    tokens: Tensor
    layout: Layout


class Spread:
    """Every step is a call of the model for each share. As stage.Stage describes it."""

    asynchronous = unsuited = False

    def __init__(self, model: TRM, threads: int) -> None:
        """threads: that work for this stage, 2 or more."""
        self.model, self.threads = model, threads
        self.most, self.limit = tokens_at_once(model), None
        # A thread's own number of threads is set within it. That sets the process's, too, so it is set back after.
        before, there = torch.get_num_threads(), Barrier(threads + 1)
        self._pool = ThreadPoolExecutor(threads, "trmsolve-share")
        for _ in range(threads):
            self._pool.submit(_alone, there)
        there.wait()
        torch.set_num_threads(before)

    def pack(self, batch: Sequence[Encoded]) -> int:
        ends = np.cumsum([len(encoded.x) for encoded in batch])
        number = int(np.clip(ends[-1] // LEAST, 1, self.threads))
        # Each share ends with the puzzle that makes it as large as its part of all tokens.
        cuts = np.searchsorted(ends, ends[-1] * np.arange(1, number) / number)
        self._shares: list[Share] = []
        for part in np.split(np.arange(len(batch)), np.unique(cuts + 1)):
            if len(part):
                tokens, layout = pack([batch[k] for k in part], ROUND)
                begin = int(ends[part[0]]) - len(batch[part[0]].x)
                self._shares.append(Share(slice(begin, int(ends[part[-1]])), tokens, layout))
        return int(ends[-1])

    def step(self, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Said]:
        if len(self._shares) == 1:
            made = [self._step(self._shares[0], y, z)]
        else:
            made = list(self._pool.map(lambda share: self._step(share, y, z), self._shares))
        return torch.cat([m[0] for m in made]), torch.cat([m[1] for m in made]), together([m[2] for m in made])

    @torch.inference_mode()  # which is a matter of each thread
    def _step(self, share: Share, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Said]:
        number = share.rows.stop - share.rows.start
        spare = len(share.tokens) - number
        step = self.model(share.tokens, *(F.pad(s[share.rows], (0, 0, 0, spare)) for s in (y, z)), share.layout)
        return step.y[:number], step.z[:number], said(step, share.layout)

    def forget(self) -> None:
        """There is nothing to let go of."""


def together(parts: Sequence[Said]) -> Said:
    """What is said of each share, as if it were said of the whole batch."""
    if len(parts) == 1:
        return parts[0]
    options = max(part.probabilities.shape[1] for part in parts)
    padded = [part._replace(probabilities=_wider(part.probabilities, options)) for part in parts]
    return Said(*map(torch.cat, zip(*padded, strict=True)))


def _wider(probabilities: Tensor, options: int) -> Tensor:
    return F.pad(probabilities, (0, options - probabilities.shape[1]))


def _alone(there: Barrier) -> None:
    torch.set_num_threads(1)
    there.wait()
