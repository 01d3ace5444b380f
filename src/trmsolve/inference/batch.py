"""Continuous batching: supervision steps of many puzzles at once, whatever their sizes.

Rollouts join and leave between steps. Their states y and z lie one after the other, without padding, and are moved only
when the set of running rollouts changes. L tokens, D hidden_size, U choices, O options (of all choices together).
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trmsolve.device import free_memory, to_device
from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.inputs import Encoded
from trmsolve.model.packing import PAD_MULTIPLE, Readout, pack, read_out
from trmsolve.model.trm import TRM
from trmsolve.threads import tuner

# By device type: beyond these numbers of tokens and rollouts a batch gets no faster, but answers are delayed.
MAX_TOKENS = {"cpu": 1 << 14, "mps": 1 << 14, "cuda": 1 << 17}
BATCH_SIZE = {"cpu": 32, "mps": 32, "cuda": 1024}
MEMORY_SHARE = 0.5  # of the free memory; the rest is for libraries, caches and other programs

State = tuple[Tensor, Tensor]  # y and z, each (L, D)


class WarmStart(NamedTuple):
    """Initial states taken from a finished rollout with keep_state."""

    source: Rollout
    rows: np.ndarray  # int64 (L,): for each token of the new rollout the index of the token of `source` to copy from


@dataclass(eq=False, slots=True)
class Rollout:
    """An encoded question and the state of its recursion. The batch steps it until it is removed.

    readout has numpy arrays: choice int64 (U,), the index of the most probable option within its choice; confidence
    float32 (U,); probabilities float32 (O,), choice by choice; halt_prob and solvable_prob float.
    """

    encoded: Encoded
    init_from: WarmStart | None = None  # None: fresh states
    step: int = 0  # supervision steps whose readout has arrived
    stable_steps: int = 0  # steps since the last answer that differs from all earlier ones
    readout: Readout | None = None  # of the last step of the batch; None: not available yet
    seen_answers: set[int] = field(default_factory=set)  # hashes of all answers, which may alternate between a few
    keep_state: bool = False  # whether final_state is set when the rollout is removed
    final_state: State | None = None
    in_batch: bool = False

    @property
    def num_tokens(self) -> int:
        """L."""
        return len(self.encoded.x)

    @property
    def meanings(self) -> np.ndarray:
        """The meanings of the chosen options, int64 (U,). `readout` must not be None."""
        assert self.readout is not None
        return self.encoded.meanings[self.encoded.first + self.readout.choice]


class ContinuousBatch:
    """Rollouts are added by `add`, advanced together by `step`, and leave by `remove`."""

    def __init__(self, model: TRM, dtype: torch.dtype) -> None:
        self.model, self.dtype, self.device = model, dtype, next(model.parameters()).device
        self.running: list[Rollout] = []
        self.num_tokens = 0  # of all running rollouts
        self.max_tokens = max_batch_tokens(model)
        self._packed: list[Rollout] = []  # the rollouts that `_tokens` and `_batch` consist of
        self._y, self._z = model.init_state(0, dtype)
        self._rows: dict[Rollout, slice] = {}  # rows of y and z, by rollout
        self._warm_starts: dict[Rollout, WarmStart] = {}  # of rollouts that have not taken a step

    def __len__(self) -> int:
        return len(self.running)

    @property
    def full(self) -> bool:
        """Whether the batch has reached the number of tokens beyond which it gets no faster, or runs out of memory."""
        return self.num_tokens >= self.max_tokens

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
                rows = self._rows[rollout]
                rollout.final_state = self._y[rows].clone(), self._z[rows].clone()
            self.num_tokens -= rollout.num_tokens
            self._warm_starts.pop(rollout, None)
        self.running = [rollout for rollout in self.running if rollout.in_batch]

    @torch.inference_mode()
    def step(self) -> None:
        """One supervision step of every rollout; replaces each rollout's readout."""
        try:
            with tuner().step(self.num_tokens) if self.device.type == "cpu" else nullcontext():
                if self._packed != self.running:
                    self._pack()
                output = self.model(self._tokens, self._y, self._z, self._batch)
                self._y, self._z = output.y, output.z
                readout = Readout(*(t.cpu().numpy() for t in read_out(output, self._batch)))
        except (torch.OutOfMemoryError, MemoryError):
            raise TrmsolveError(
                f"out of memory on {self.device}: {len(self)} puzzles of {self.num_tokens} tokens in total do not fit",
                "use a smaller --batch-size, or --device cpu",
            ) from None
        self._deliver(readout)

    def _pack(self) -> None:
        """Make a batch of the running rollouts, and gather their states.

        The new states are rows of one concatenation, chosen by `index`:

            [ current states | one fresh state | states of warm starts ... ]
              0 .. fresh - 1   fresh             fresh + 1 ..
        """
        tokens, batch = pack([rollout.encoded for rollout in self.running], PAD_MULTIPLE)
        self._tokens, self._batch = tokens.to(self.device), batch.to(self.device)
        start, fresh = 0, len(self._y)
        rows: dict[Rollout, slice] = {}
        sources: dict[Rollout, int] = {}  # of warm starts: the first row of each source's states
        end_of_sources = fresh + 1
        index = np.full(len(tokens), fresh)  # (L,)
        for rollout in self.running:
            end = start + rollout.num_tokens
            if warm_start := self._warm_starts.pop(rollout, None):
                source, source_rows = warm_start
                if source not in sources:
                    sources[source], end_of_sources = end_of_sources, end_of_sources + source.num_tokens
                index[start:end] = sources[source] + source_rows
            elif rollout in self._rows:
                index[start:end] = np.arange(self._rows[rollout].start, self._rows[rollout].stop)
            rows[rollout], start = slice(start, end), end
        chosen = to_device(torch.from_numpy(index), self.device)
        of_sources = [source.final_state for source in sources if source.final_state is not None]
        parts = zip((self._y, self._z), self.model.init_state(1, self.dtype), *of_sources, strict=True)
        self._y, self._z = (torch.cat(states).index_select(0, chosen) for states in parts)  # (L, D) each
        self._rows, self._packed = rows, list(self.running)

    def _deliver(self, of_all: Readout) -> None:
        """Set the readout of every rollout to its part of that of all, numpy arrays (U,), (U, C) and (B,)."""
        sizes = np.concatenate([rollout.encoded.size for rollout in self.running])  # (U,)
        exists = np.arange(of_all.probabilities.shape[1]) < sizes[:, None]  # (U, C)
        probabilities = of_all.probabilities[exists]  # (O,)
        choice, option = 0, 0
        for i, rollout in enumerate(self.running):
            choices = slice(choice, choice := choice + rollout.encoded.num_choices)
            options = slice(option, option := option + int(rollout.encoded.size.sum()))
            answer = of_all.choice[choices]
            key = hash(answer.tobytes())
            rollout.step += 1
            rollout.stable_steps = rollout.stable_steps + 1 if key in rollout.seen_answers else 0
            rollout.seen_answers.add(key)
            rollout.readout = Readout(
                answer,
                of_all.confidence[choices],
                probabilities[options],
                float(of_all.halt_prob[i]),
                float(of_all.solvable_prob[i]),
            )


# -- the size of a batch ------------------------------------------------------------------------------------------
def default_batch_size(model: TRM) -> int:
    """Rollouts in a batch by default; max_batch_tokens() may allow fewer."""
    return BATCH_SIZE.get(next(model.parameters()).device.type, 32)


def max_batch_tokens(model: TRM) -> int:
    """Maximum tokens of a batch on the model's device."""
    device = next(model.parameters()).device
    max_tokens, free = MAX_TOKENS.get(device.type, 1 << 14), free_memory(device)
    if free is None:
        return max_tokens
    size = next(model.layers.parameters()).element_size()
    return max(1, min(max_tokens, int(MEMORY_SHARE * free / (size * numbers_per_token(model.config)))))


def numbers_per_token(config: TRMConfig) -> int:
    """An upper estimate of the numbers that a token needs at the same time in one layer.

    States, their sums and norms; both halves of the gated unit, their product and the sums over units; for a mixer over
    sequence positions its intermediate layer, divided among the tokens.
    """
    positions = 4 * config.seq_intermediate_size * config.hidden_size // max(1, config.seq_len)
    return 16 * config.hidden_size + 10 * config.intermediate_size + 4 * config.num_classes + positions
