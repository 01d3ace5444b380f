"""The slots of a run, shared out: among processes, and in each among micro-batches whose gradients add up.

Shares are consecutive slots. Which draw a freed slot gets is decided from what all processes say of all slots, so the
same draw goes to the same slot however many share the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trmsolve.model.layout import ROUND
from trmsolve.model.trm import TRM
from trmsolve.tasks.base import Sample
from trmsolve.training.config import TrainConfig
from trmsolve.training.distributed import Everyones, Team
from trmsolve.training.losses import Whole
from trmsolve.training.slots import Book, Slots
from trmsolve.training.supervision import SUMS


@dataclass(frozen=True)
class Report:
    """What all processes say after a supervision step: sums over the batch, and of each slot how its puzzle stands."""

    sums: dict[str, float]  # SUMS, then `clock` of the first process and how many processes want to `stop`
    codes: np.ndarray  # int64 (slots,), see supervision.py


class Batch:
    """All slots of a run, of which this process holds the puzzles of a share."""

    def __init__(
        self, draw: Callable[[int], Sample], model: TRM, config: TrainConfig, dtype: torch.dtype, team: Team
    ) -> None:
        number = team.size * config.accumulate
        if config.batch < number:
            among = f"{team.size} processes" if config.accumulate == 1 else f"{number} parts"
            raise Everyones(
                f"a batch of {config.batch} cannot be shared among {among}",
                f"--batch-size {number} or more; it counts the puzzles of all processes and micro-batches together",
            )
        bounds = [config.batch * i // number for i in range(number + 1)]
        mine = range(team.rank * config.accumulate, (team.rank + 1) * config.accumulate)
        self.team, self.device = team, model.y_init.device
        self.book = Book(config.batch, model.config.N_sup, config.seed, config.explore, config.window)
        self.own = range(bounds[mine.start], bounds[mine.stop])
        self.parts = [Slots(draw, model, self.book, range(bounds[i], bounds[i + 1]), dtype, ROUND) for i in mine]
        self._tell()

    def _tell(self) -> None:
        """Begin to tell the others of the puzzles that are held here."""
        values = torch.zeros(1 + len(self.book.index), dtype=torch.float64)
        values[0] = sum(part.weighs for part in self.parts)
        values[1:][self.own.start : self.own.stop] = torch.from_numpy(np.concatenate([p.names for p in self.parts]))
        self._told = self.team.adding(values)

    def _all(self) -> Tensor:
        """What choices weigh, then which row each puzzle names, in the whole batch."""
        values = self._told()  # the first call after a change waits for the others
        self._told = lambda: values
        return values

    def whole(self) -> Whole:
        """What the losses of every share are divided by."""
        return Whole(self._all()[0].float().to(self.device, non_blocking=True), len(self.book.index))

    def names(self) -> Tensor:
        """int64 (slots,) on the CPU: the row of the table that each puzzle of the batch names."""
        return self._all()[1:].long()

    def report(self, parts: list[Tensor], clock: float, stop: bool) -> Callable[[], Report]:
        """Begin to tell all processes what supervise() reported of each micro-batch; call what is returned for it.

        On a GPU the numbers are under way while it goes on with what was queued before that call.
        """
        own = torch.cat([part[: len(SUMS)] for part in parts]).view(len(parts), -1).sum(0)
        own = torch.cat([own, *(part[len(SUMS) :] for part in parts)])
        arrived = _arriving(own)

        def begin() -> Callable[[], Tensor]:
            values = torch.zeros(len(SUMS) + 2 + len(self.book.index), dtype=torch.float64)
            here = arrived().double()
            values[: len(SUMS)] = here[: len(SUMS)]
            values[len(SUMS)] = clock if self.team.first else 0.0
            values[len(SUMS) + 1] = stop
            values[len(SUMS) + 2 :][self.own.start : self.own.stop] = here[len(SUMS) :]
            return self.team.adding(values)

        pending = None if own.is_cuda else begin()

        def told() -> Report:
            values = (pending or begin())().numpy()
            sums = dict(zip((*SUMS, "clock", "stop"), values.tolist(), strict=False))
            return Report(sums, values[len(SUMS) + 2 :].astype(np.int64))

        return told

    def spread(self, own: Tensor) -> Tensor:
        """(own slots, D) -> (slots, D), zeros for the slots of others, so that a sum puts all together."""
        whole = own.new_zeros(len(self.book.index), *own.shape[1:])
        whole[self.own.start : self.own.stop] = own
        return whole

    def refill(self, done: np.ndarray) -> None:
        """Take the next draws into the slots that are done, bool (slots,)."""
        for part in self.parts:
            part.refill(done)
        if done.any():
            self._tell()

    # -- the state ----------------------------------------------------------------------------------------------
    def state(self) -> tuple[dict[str, Tensor], dict[str, int]]:
        """What restores the batch exactly in any number of processes; y and z only in the first of them."""
        book = self.book
        tensors = {"slots": torch.from_numpy(np.stack([book.index, book.age, book.least]))}
        mine = [tuple(torch.cat(states).cpu() for states in part.states()) for part in self.parts]
        if (all_of_them := self.team.collected(mine)) is not None:
            ys, zs = zip(*(states for of_one in all_of_them for states in of_one), strict=True)
            tensors |= {"y": torch.cat(ys), "z": torch.cat(zs)}
        return tensors, {"next_index": book.next_index}

    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """The inverse of state(): the samples are drawn again from their indices.

        When the data have changed since, the slots start afresh, at the position that the run had reached.
        """
        book = self.book
        book.index, book.age, book.least = tensors["slots"].numpy().copy()
        book.next_index = numbers["next_index"]
        for part in self.parts:
            part.begin()
        lengths = self._lengths()
        # Until a run could be shared out, states had rows for the tokens that fill the batch up.
        if 0 <= len(tensors["y"]) - sum(lengths) < ROUND:
            starts = np.concatenate([[0], np.cumsum(lengths)])
            for part in self.parts:
                rows = slice(int(starts[part.own.start]), int(starts[part.own.stop]))
                part.resume(tensors["y"][rows], tensors["z"][rows])
        else:
            book.fill(range(len(book.index)))
            for part in self.parts:
                part.begin()
        self._tell()

    def _lengths(self) -> np.ndarray:
        """int64 (slots,): tokens of every puzzle of the batch."""
        own = torch.tensor([n for part in self.parts for n in part.lengths])
        return self.team.adding(self.spread(own))().numpy()


def _arriving(values: Tensor) -> Callable[[], Tensor]:
    """A copy on the CPU, under way; call what is returned for it."""
    if not values.is_cuda:
        here = values.cpu()
        return lambda: here
    there = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    there.copy_(values, non_blocking=True)
    copied = torch.cuda.Event()
    copied.record(torch.cuda.current_stream(values.device))

    def arrived() -> Tensor:
        copied.synchronize()
        return there

    return arrived
