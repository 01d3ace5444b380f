"""Continuous batching: supervision steps of many puzzles at once, whatever their sizes.

Rollouts join and leave between steps. Their states y and z lie one after the other, without padding, and are moved only
when the set of running rollouts changes. L tokens, D hidden_size, U choices, O options (of all choices together).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trmsolve.device import to_device
from trmsolve.errors import TrmsolveError
from trmsolve.inference.runner import EagerRunner, is_out_of_memory
from trmsolve.model.inputs import Encoded
from trmsolve.model.readout import Readout
from trmsolve.model.trm import TRM
from trmsolve.threads import tuner

log = logging.getLogger("trmsolve")

State = tuple[Tensor, Tensor]  # y and z, each (L, D)


class Request(NamedTuple):
    """The input of a rollout, constant while it runs."""

    encoded: Encoded
    max_steps: int  # for the caller; the batch steps a rollout until it is removed


class WarmStart(NamedTuple):
    """Initial states taken from a finished rollout with keep_state."""

    source: Rollout
    rows: np.ndarray  # int64 (L,): for each token of the new rollout the index of the token of `source` to copy from
    share: float = 1.0  # interpolation weight of those states; the rest is fresh states


@dataclass(eq=False, slots=True)
class Rollout:
    """A request and its state.

    readout has numpy arrays: choice int64 (U,), the index of the most probable option within its choice; confidence
    float32 (U,); probabilities float32 (O,), choice by choice; halt_prob and solvable_prob float.
    """

    request: Request
    init_from: WarmStart | None = None  # None: fresh states
    step: int = 0  # supervision steps whose readout has arrived
    stable_steps: int = 0  # steps since the last answer that differs from all earlier ones
    readout: Readout | None = None  # of the last step of the batch; None: not available yet
    seen_answers: set[int] = field(default_factory=set)  # hashes of all answers, which may alternate between a few
    keep_state: bool = False  # whether final_state is set when the rollout is removed
    final_state: State | None = None
    in_batch: bool = False

    @property
    def encoded(self) -> Encoded:
        """The encoded question."""
        return self.request.encoded

    @property
    def num_tokens(self) -> int:
        """L."""
        return len(self.request.encoded.x)

    @property
    def meanings(self) -> np.ndarray:
        """The meanings of the chosen options, int64 (U,). `readout` must not be None."""
        assert self.readout is not None
        return self.encoded.meanings[self.encoded.first + self.readout.choice]


class ContinuousBatch:
    """Rollouts are added by `add`, advanced together by `step`, and leave by `remove`.

    With `overlap` the device never waits for the host: step() launches a step and delivers the readouts of the step
    before. Each readout is then one call late, and a removed rollout has taken one more step that is never read; warm
    starts from it begin after that step.

    When memory runs out, each step is taken in parts of half the size, one after the other; the states of the rollouts
    that are not in the current part are offloaded to host memory.
    """

    def __init__(
        self, model: TRM, dtype: torch.dtype, runner: EagerRunner | None = None, overlap: bool = False
    ) -> None:
        self.model, self.dtype, self.overlap = model, dtype, overlap
        self.runner = EagerRunner(model) if runner is None else runner
        self.running: list[Rollout] = []
        self.num_tokens = 0  # of all running rollouts
        self._packed: list[Rollout] = []  # the rollouts that the runner's batch consists of
        self._y, self._z = model.init_state(0, dtype)
        self._rows: dict[Rollout, slice] = {}  # rows of y and z, by rollout
        self._offloaded: dict[Rollout, State] = {}  # states in host memory
        self._warm_starts: dict[Rollout, WarmStart] = {}  # of rollouts that have not taken a step
        self._in_flight: list[PendingOutput] = []

    def __len__(self) -> int:
        return len(self.running)

    @property
    def full(self) -> bool:
        """Whether the batch has reached the number of tokens beyond which it gets no faster, or runs out of memory."""
        return self.num_tokens >= (self.runner.token_limit or self.runner.max_tokens)

    def add(self, rollouts: Iterable[Rollout]) -> None:
        """Add rollouts; they take part from the next step on."""
        for rollout in rollouts:
            rollout.in_batch = True
            if rollout.init_from is not None and rollout.init_from.source.final_state is not None:
                self._warm_starts[rollout] = rollout.init_from
            rollout.init_from = None  # a chain of references would keep the states of all ancestors
            self.running.append(rollout)
            self.num_tokens += rollout.num_tokens

    def remove(self, done: set[Rollout]) -> None:
        """Take rollouts out of the batch."""
        for rollout in done:
            rollout.in_batch = False
            if rollout.keep_state:
                rollout.final_state = self._offloaded.get(rollout) or self._state(rollout)
            self.num_tokens -= rollout.num_tokens
            self._offloaded.pop(rollout, None)
            self._warm_starts.pop(rollout, None)
        self.running = [rollout for rollout in self.running if rollout.in_batch]

    def _state(self, rollout: Rollout) -> State:
        rows = self._rows[rollout]
        return self._y[rows].clone(), self._z[rows].clone()

    @torch.inference_mode()
    def step(self) -> None:
        """One supervision step of every rollout; replaces each rollout's readout."""
        for rollout in self.running:
            rollout.readout = None
        on_cpu = self._y.device.type == "cpu"
        with tuner().step(self.num_tokens) if on_cpu else nullcontext():
            outputs = self._launch()
        if self.overlap:
            outputs, self._in_flight = self._in_flight, outputs
        for output in outputs:
            output.deliver()

    def _launch(self) -> list[PendingOutput]:
        """A step of all rollouts, in as few parts as memory allows."""
        outputs: list[PendingOutput] = []
        waiting = self.running
        while waiting:
            part = self._next_part(waiting)
            try:
                if part != self._packed:
                    self._pack(part)
                self._y, self._z, readout = self.runner.step(self._y, self._z)
                outputs.append(PendingOutput(part, HostCopy(readout)))
                waiting = waiting[len(part) :]
                continue
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            self._halve(part)  # outside of the except block, where the traceback no longer keeps tensors alive
        return outputs

    def _next_part(self, waiting: list[Rollout]) -> list[Rollout]:
        """The first rollouts that fit into token_limit together, at least one; all if there is no limit."""
        if not self.runner.token_limit:
            return list(waiting)
        ends = np.cumsum([rollout.num_tokens for rollout in waiting])
        return waiting[: max(1, int(np.searchsorted(ends, self.runner.token_limit, side="right")))]

    def _halve(self, part: list[Rollout]) -> None:
        number, num_tokens = len(part), sum(rollout.num_tokens for rollout in part)
        if number < 2:
            device = next(self.model.parameters()).device
            raise TrmsolveError(
                f"out of memory on {device}: one puzzle of {num_tokens} tokens does not fit",
                "close other programs" if device.type == "cpu" else "use --device cpu",
            )
        level = logging.INFO if self.runner.token_limit else logging.WARNING
        log.log(level, "out of memory with a batch of %d puzzles: continuing with %d", number, number // 2)
        self.runner.token_limit, self._packed = max(1, num_tokens // 2), []
        self.runner.free()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _pack(self, part: list[Rollout]) -> None:
        """Make `part` the runner's batch and gather its states. If this fails halfway, no state is lost.

        The new states are rows of one concatenation, chosen by `index`:

            [ current states | one fresh state | offloaded states, states of warm starts ... ]
              0 .. fresh - 1   fresh             fresh + 1 ..
        """
        self._packed = []
        for rollout in set(self._rows).difference(part, self._offloaded):
            if rollout.in_batch:
                y, z = (state[self._rows[rollout]].to("cpu", copy=True) for state in (self._y, self._z))
                self._offloaded[rollout] = y, z
        padded_length = self.runner.pack([rollout.encoded for rollout in part])
        start, fresh = 0, len(self._y)
        rows, extra = {}, _ExtraRows(fresh + 1)
        index = np.full(padded_length, fresh)  # (L,)
        share = np.ones(padded_length, np.float32)  # (L,) weight of the indexed row; the rest is the fresh state
        for rollout in part:
            end = start + rollout.num_tokens
            if rollout in self._offloaded:
                index[start:end] = extra.first_row(rollout, self._offloaded[rollout]) + np.arange(end - start)
            elif rollout in self._warm_starts:
                source, source_rows, share[start:end] = self._warm_starts[rollout]
                assert source.final_state is not None
                index[start:end] = extra.first_row(source, source.final_state) + source_rows
            elif rollout in self._rows:
                index[start:end] = np.arange(self._rows[rollout].start, self._rows[rollout].stop)
            rows[rollout], start = slice(start, end), end
        device = self._y.device
        chosen = to_device(torch.from_numpy(index), device)
        weight = to_device(torch.from_numpy(share), device).to(self.dtype)[:, None] if (share < 1).any() else None
        states = []
        for k, (current, init) in enumerate(zip((self._y, self._z), self.model.init_state(1, self.dtype), strict=True)):
            pool = torch.cat([current, init, *(to_device(state[k], device) for state in extra.states)])
            state = pool.index_select(0, chosen)  # (L, D)
            states.append(state if weight is None else torch.lerp(init, state, weight))
        self._y, self._z = states
        self._rows, self._packed = rows, part
        for rollout in part:
            self._offloaded.pop(rollout, None)
            self._warm_starts.pop(rollout, None)


class _ExtraRows:
    """States of rollouts that are appended to a concatenation, each once, from row `start` on."""

    def __init__(self, start: int) -> None:
        self.states: list[State] = []
        self._next_row = start
        self._first_rows: dict[Rollout, int] = {}

    def first_row(self, rollout: Rollout, state: State) -> int:
        """The row at which the states of this rollout begin."""
        if rollout not in self._first_rows:
            self.states.append(state)
            self._first_rows[rollout] = self._next_row
            self._next_row += len(state[0])
        return self._first_rows[rollout]


class PendingOutput(NamedTuple):
    """The readout of a launched step, on its way to the host."""

    rollouts: list[Rollout]
    copy: HostCopy

    def deliver(self) -> None:
        """Wait for the values and set the readout of every rollout that is still in the batch."""
        rank, confidence, probabilities, halt_prob, solvable_prob = self.copy.wait()
        sizes = np.concatenate([rollout.encoded.size for rollout in self.rollouts])  # (U,) without padded choices
        exists = np.arange(probabilities.shape[1]) < sizes[:, None]  # (U, C)
        probabilities = probabilities[: len(sizes)][exists]  # (O,)
        choice, option = 0, 0
        for i, rollout in enumerate(self.rollouts):
            choices = slice(choice, choice := choice + rollout.encoded.num_choices)
            options = slice(option, option := option + int(rollout.encoded.size.sum()))
            if not rollout.in_batch:
                continue
            answer = rank[choices]
            key = hash(answer.tobytes())
            rollout.step += 1
            rollout.stable_steps = rollout.stable_steps + 1 if key in rollout.seen_answers else 0
            rollout.seen_answers.add(key)
            rollout.readout = Readout(
                answer, confidence[choices], probabilities[options], float(halt_prob[i]), float(solvable_prob[i])
            )


class HostCopy:
    """A copy of a readout to host memory, queued behind the step that computes it."""

    def __init__(self, readout: Readout) -> None:
        self._readout, self._event = readout, None
        if readout.halt_prob.is_cuda:
            stream = torch.cuda.current_stream(readout.halt_prob.device)
            self._readout = Readout(*(torch.empty(t.shape, dtype=t.dtype, pin_memory=True) for t in readout))
            for host, t in zip(self._readout, readout, strict=True):
                host.copy_(t, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record(stream)

    def wait(self) -> list[np.ndarray]:
        """The values as numpy arrays; this is the only place in a step where the host waits for the device."""
        if self._event is not None:
            self._event.synchronize()
        return [t.cpu().numpy() for t in self._readout]
