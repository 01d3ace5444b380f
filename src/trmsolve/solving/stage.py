"""Where a batch takes its supervision steps: as plain calls, or replayed from what was recorded once for its room.

Both give the same numbers. A plain call runs anywhere and fits its tensors to the batch. On a GPU the host would need
longer to launch a thousand small kernels than the device to run them, so there a step is recorded as a CUDA graph, on
tensors that stay where they are; a batch is copied into them (model/rooms.py).
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from trmsolve.model.layout import ROUND, Layout, pack
from trmsolve.model.readout import Said, said
from trmsolve.model.rooms import Room, comfortable, needed
from trmsolve.model.trm import TRM
from trmsolve.solving.graphs import CudaGraphs
from trmsolve.solving.memory import tokens_at_once
from trmsolve.tasks.base import Encoded

log = logging.getLogger("trmsolve")

Call = Callable[[], Said]


class Stage(Protocol):
    """A model and a batch for it to step."""

    asynchronous: bool  # whether the device works on while the host reads
    most: int  # tokens of a batch beyond which a larger one brings nothing
    limit: int | None  # tokens of a batch at most, once the memory has run out
    unsuited: bool  # whether it would do better to pack the same batch anew

    def pack(self, batch: Sequence[Encoded]) -> int:
        """This is the batch from now on. Returns L, the rows of its states; the last may belong to nothing."""

    def step(self, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Said]:
        """The states after a supervision step from y and z, (L, D), and what it says."""

    def forget(self) -> None:
        """Let go of all memory that can be done without."""


class Plain:
    """Every step is a call of the model."""

    unsuited = False

    def __init__(self, model: TRM) -> None:
        self.model, self.device = model, next(model.parameters()).device
        self.asynchronous = self.device.type == "cuda"
        self.most, self.limit = tokens_at_once(model), None

    def pack(self, batch: Sequence[Encoded]) -> int:
        tokens, layout = pack(batch, ROUND)
        self._tokens, self._layout = tokens.to(self.device), layout.to(self.device)
        return len(tokens)

    def step(self, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Said]:
        step = self.model(self._tokens, y, z, self._layout)
        return step.y, step.z, said(step, self._layout)

    def forget(self) -> None:
        pass


class Rooms:
    """Every step is a replay. The rooms that were used last are kept.

    To record a step takes longer than to replay it in a room that is too large. So a batch that dwindles, as the last
    of a stream do, first stays where it fits, and gets a room of its own when that has gone on for some steps.
    """

    KEPT = 12
    WASTE = 1.5  # a room is too large with more than so many times the tokens of its batch
    PATIENCE = 6  # steps in rooms that are too large

    def __init__(self, model: TRM, record: Callable[[Call], Call]) -> None:
        """record: makes of a function of tensors that stay one that does the same at once (graphs.py)."""
        self.model, self.record = model, record
        self.asynchronous = next(model.parameters()).device.type == "cuda"
        self.most, self.limit = tokens_at_once(model), None
        self._rooms: OrderedDict[Room, Recorded] = OrderedDict()
        self._too_large, self._endured = False, 0  # steps

    def __len__(self) -> int:
        return len(self._rooms)

    def pack(self, batch: Sequence[Encoded]) -> int:
        room = self._room(batch)
        tokens, layout = pack(batch, room=room)
        if room in self._rooms:
            self._rooms[room].fill(tokens, layout)
        else:
            while len(self._rooms) >= self.KEPT:
                self._leave(next(iter(self._rooms)))
            log.info("recording a step for %d puzzles of %d tokens together", room.puzzles, room.tokens)
            self._rooms[room] = Recorded(self.model, tokens, layout, self.record)
        self._rooms.move_to_end(room)
        self._now = self._rooms[room]
        return room.tokens

    def _room(self, batch: Sequence[Encoded]) -> Room:
        """The smallest room that is there and holds the batch, or one of its own."""
        exact = needed(batch)
        room = min((room for room in self._rooms if room.holds(exact)), key=lambda room: room.tokens, default=None)
        self._too_large = room is not None and room.tokens > self.WASTE * exact.tokens
        if room is None or self.unsuited:
            self._too_large, room = False, comfortable(batch)
        if not self._too_large:
            self._endured = 0
        return room

    @property
    def unsuited(self) -> bool:
        return self._too_large and self._endured >= self.PATIENCE

    def step(self, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Said]:
        self._endured += self._too_large
        return self._now.step(y, z)

    def forget(self) -> None:
        for room in list(self._rooms):
            self._leave(room)
        self._now, self._too_large = None, False

    def _leave(self, room: Room) -> None:
        if self.asynchronous:  # the device may still be at work in there
            torch.cuda.synchronize(next(self.model.parameters()).device)
        del self._rooms[room]


class Recorded:
    """A supervision step on tensors that stay where they are."""

    def __init__(self, model: TRM, tokens: Tensor, layout: Layout, record: Callable[[Call], Call]) -> None:
        device = next(model.parameters()).device
        self._model, self._record, self._call = model, record, None
        self._tokens, self._layout = tokens.to(device, copy=True), layout.to(device)
        self._y = self._z = None

    def fill(self, tokens: Tensor, layout: Layout) -> None:
        """Another batch of the same room, behind all that the device has yet to do."""
        for mine, its in zip(_tensors((self._tokens, self._layout)), _tensors((tokens, layout)), strict=True):
            mine.copy_(its.pin_memory() if mine.is_cuda else its, non_blocking=True)

    def step(self, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Said]:
        if self._call is None:
            self._y, self._z = y.clone(), z.clone()
            self._call = self._record(self._advance)  # which may call it several times
        if y is not self._y:
            self._y.copy_(y)
            self._z.copy_(z)
        return self._y, self._z, self._call()

    def _advance(self) -> Said:
        step = self._model(self._tokens, self._y, self._z, self._layout)
        self._y.copy_(step.y)
        self._z.copy_(step.z)
        return said(step, self._layout)


def stage_for(model: TRM) -> Stage:
    """The fastest that the model's device has."""
    device = next(model.parameters()).device
    if device.type != "cuda":
        log.info("steps: plain calls, on %s", device)
    elif model.config.mixer == "scene":
        log.info("steps: plain calls, as hardly two batches of the mixer 'scene' have the same sizes")
    else:
        log.info("steps: CUDA graphs; at most %d tokens at once", (stage := Rooms(model, CudaGraphs(device))).most)
        return stage
    return Plain(model)


def _tensors(value: Any) -> Iterator[Tensor]:
    """Those in a tuple of tuples."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _tensors(part)
