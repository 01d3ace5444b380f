"""The batch of runs: supervision steps for many questions at once, whatever their sizes; each leaves when done."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trmsolve.device import sent
from trmsolve.errors import TrmsolveError
from trmsolve.model.readout import Said
from trmsolve.model.trm import TRM
from trmsolve.solving.memory import is_out_of_memory
from trmsolve.solving.stage import Plain, Stage
from trmsolve.tasks.base import Encoded
from trmsolve.threads import tuner

log = logging.getLogger("trmsolve")


@dataclass(slots=True)
class Reading:
    """What the model says of one run after a step. U choices, O options, choice by choice."""

    chosen: np.ndarray  # int64 (U,) the likeliest option of each choice, as index into the run's options
    confidence: np.ndarray  # float32 (U,)
    probabilities: np.ndarray  # float32 (sum of sizes,) of every option within its choice
    halt: float  # probability that the whole answer is right
    solvable: float  # probability that the question has a solution


class Heritage(NamedTuple):
    """Where a run begins that goes on from what another one has found out."""

    run: Run  # one that `bequeaths`
    rows: np.ndarray  # int64 (L,) for each token of the heir the token of that run whose states it takes
    share: float = 1.0  # of them; the rest is of fresh states


@dataclass(eq=False, slots=True)
class Run:
    """One question in the batch."""

    encoded: Encoded
    max_steps: int
    inherits: Heritage | None = None  # None: it begins from fresh states
    bequeaths: bool = False  # whether its states outlast it
    ended: tuple[Tensor, Tensor] | None = None  # then y and z, (L, D) each, as they were when it was released
    step: int = 0  # of those whose reading is known
    settled: int = 0  # steps since it last chose what it had never chosen before
    reading: Reading | None = None  # what the last `advance` brought to light; None: nothing new
    met: set[int] = field(default_factory=set)  # hashes of what it chose: a run may also rest by going in circles
    here: bool = False  # whether it is in a batch


class Recursion:
    """Runs come by `admit`, take a step together by `advance`, and go by `release`.

    With `overlap` the device never waits for the host: `advance` starts a step and brings to light what the step before
    it said. So the readings of a run are the same, each comes one `advance` later, and a run that is then released has
    taken one step more, which nobody reads; its heirs begin after that one.

    When the memory runs out, the runs take their step in shares of half the size, one share after the other, while the
    states of the others wait in the host's memory.
    """

    def __init__(self, model: TRM, dtype: torch.dtype, stage: Stage | None = None, overlap: bool = False) -> None:
        self.model, self.dtype, self.overlap = model, dtype, overlap
        self.stage = Plain(model) if stage is None else stage
        self.runs: list[Run] = []
        self.tokens = 0  # L, of all runs
        self._packed: list[Run] = []  # whose states are y and z
        self._y, self._z = model.start(0, dtype)
        self._rows: dict[Run, slice] = {}  # where, for each of them
        self._aside: dict[Run, tuple[Tensor, Tensor]] = {}  # states in the host's memory
        self._heirs: dict[Run, Heritage] = {}  # that have not begun yet
        self._under_way: list[Told] = []

    def __len__(self) -> int:
        return len(self.runs)

    @property
    def full(self) -> bool:
        """Whether further runs would only wait."""
        return self.tokens >= (self.stage.limit or self.stage.most)

    def admit(self, runs: Iterable[Run]) -> None:
        """The runs take part from the next step on, from fresh states or those that they inherit."""
        for run in runs:
            run.here = True
            if run.inherits is not None and run.inherits.run.ended is not None:
                self._heirs[run] = run.inherits
            run.inherits = None  # which would keep the states of all its forebears
            self.runs.append(run)
            self.tokens += len(run.encoded.x)

    def release(self, done: set[Run]) -> None:
        """These runs leave the batch."""
        for run in done:
            run.here = False
            if run.bequeaths:
                run.ended = self._aside.get(run) or tuple(s[self._rows[run]].clone() for s in (self._y, self._z))
            self.tokens -= len(run.encoded.x)
            self._aside.pop(run, None)
            self._heirs.pop(run, None)
        self.runs = [run for run in self.runs if run.here]

    @torch.inference_mode()
    def advance(self) -> None:
        """One supervision step of every run; each run's `reading` is replaced."""
        for run in self.runs:
            run.reading = None
        on_cpu = self._y.device.type == "cpu"
        with tuner().step(self.tokens) if on_cpu else nullcontext():
            told = self._started()
        if self.overlap:
            told, self._under_way = self._under_way, told
        for share in told:
            share.read()

    def _started(self) -> list[Told]:
        """A step of all runs, in as few shares as the memory allows."""
        told, waiting = [], self.runs
        while waiting:
            share = self._share(waiting)
            try:
                if share != self._packed or self.stage.unsuited:
                    self._pack(share)
                self._y, self._z, said = self.stage.step(self._y, self._z)
                told.append(Told(share, Arriving(said)))
                waiting = waiting[len(share) :]
                continue
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            self._halve(share)  # out here the error is gone, and with it what its traceback holds on to
        return told

    def _share(self, waiting: list[Run]) -> list[Run]:
        """The first of them that fit together, at least one: all, unless the memory has run out before."""
        if not self.stage.limit:
            return list(waiting)
        ends = np.cumsum([len(run.encoded.x) for run in waiting])
        return waiting[: max(1, int(np.searchsorted(ends, self.stage.limit, side="right")))]

    def _halve(self, share: list[Run]) -> None:
        number, tokens = len(share), sum(len(run.encoded.x) for run in share)
        if number < 2:
            device = next(self.model.parameters()).device
            raise TrmsolveError(
                f"out of memory on {device}: it does not hold one puzzle of {tokens} tokens",
                "close what else runs there" if device.type == "cpu" else "use --device cpu",
            )
        say = log.info if self.stage.limit else log.warning
        say("out of memory with %d puzzles at once: going on with %d", number, number // 2)
        self.stage.limit, self._packed = max(1, tokens // 2), []
        self.stage.forget()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _pack(self, share: list[Run]) -> None:
        """Pack these runs, and bring their states together. When it fails half-way, no state is lost."""
        self._packed = []
        for run in set(self._rows).difference(share, self._aside):
            if run.here:
                self._aside[run] = tuple(s[self._rows[run]].to("cpu", copy=True) for s in (self._y, self._z))
        number = self.stage.pack([run.encoded for run in share])
        # Rows come from: the states as they lie, then one fresh state, then those aside and those of forebears.
        begin, fresh = 0, len(self._y)
        index, rows, more = np.full(number, fresh), {}, _Pieces(fresh + 1)
        taken = np.ones(number, np.float32)  # the share of those rows that a run begins with; the rest is fresh
        for run in share:
            end = begin + len(run.encoded.x)
            if run in self._aside:
                index[begin:end] = more.start(run, self._aside[run]) + np.arange(end - begin)
            elif run in self._heirs:
                other, theirs, taken[begin:end] = self._heirs[run]
                index[begin:end] = more.start(other, other.ended) + theirs
            elif run in self._rows:
                index[begin:end] = np.arange(self._rows[run].start, self._rows[run].stop)
            rows[run], begin = slice(begin, end), end
        device = self._y.device
        chosen = sent(torch.from_numpy(index), device)
        weight = sent(torch.from_numpy(taken), device).to(self.dtype)[:, None] if (taken < 1).any() else None
        states = []
        for k, (here, start) in enumerate(zip((self._y, self._z), self.model.start(1, self.dtype), strict=True)):
            found = torch.cat([here, start, *(sent(pair[k], device) for pair in more.pairs)]).index_select(0, chosen)
            states.append(found if weight is None else torch.lerp(start, found, weight))
        self._y, self._z = states
        self._rows, self._packed = rows, share
        for run in share:
            self._aside.pop(run, None)
            self._heirs.pop(run, None)


class _Pieces:
    """States of runs that are to lie one after the other, each once. first: the row at which they begin."""

    def __init__(self, first: int) -> None:
        self.pairs: list[tuple[Tensor, Tensor]] = []
        self._next, self._starts = first, dict[Run, int]()

    def start(self, run: Run, pair: tuple[Tensor, Tensor]) -> int:
        """The row at which the states of this run begin."""
        if run not in self._starts:
            self.pairs.append(pair)
            self._starts[run], self._next = self._next, self._next + len(pair[0])
        return self._starts[run]


class Told(NamedTuple):
    """What a step said of its runs."""

    runs: list[Run]
    said: Arriving

    def read(self) -> None:
        """Bring it to light: every run that is still in the batch gets its reading."""
        rank, confidence, probabilities, halt, solvable = self.said.get()
        sizes = np.concatenate([run.encoded.size for run in self.runs])
        there = np.arange(probabilities.shape[1]) < sizes[:, None]
        probabilities = probabilities[: len(sizes)][there]
        choice, option = 0, 0
        for i, run in enumerate(self.runs):
            choices = slice(choice, choice := choice + run.encoded.choices)
            options = slice(option, option := option + int(run.encoded.size.sum()))
            if not run.here:
                continue
            answer = run.encoded.first + rank[choices]
            key = hash(answer.tobytes())
            run.step, run.settled = run.step + 1, run.settled + 1 if key in run.met else 0
            run.met.add(key)
            run.reading = Reading(
                answer, confidence[choices], probabilities[options], float(halt[i]), float(solvable[i])
            )


class Arriving:
    """Values on their way to the host, behind the step that they come from and beside the next one."""

    def __init__(self, said: Said) -> None:
        self._said, self._event = said, None
        if said.halt.is_cuda:
            stream = torch.cuda.current_stream(said.halt.device)
            self._said = Said(*(torch.empty(t.shape, dtype=t.dtype, pin_memory=True) for t in said))
            for host, t in zip(self._said, said, strict=True):
                host.copy_(t, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record(stream)

    def get(self) -> list[np.ndarray]:
        """Wait for them: the one time in a step that the host waits."""
        if self._event is not None:
            self._event.synchronize()
        return [t.cpu().numpy() for t in self._said]
