"""Runners execute the supervision steps of a packed batch: by calls of the model, or by replaying CUDA graphs.

Both give equal results. On a GPU, launching a thousand small kernels takes longer than running them. So a step is
captured once per bucket of sizes (model/packing.py) on static tensors, into which each batch is copied.
"""

from __future__ import annotations

import logging
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from trmsolve.device import free_memory
from trmsolve.model.config import TRMConfig
from trmsolve.model.inputs import Encoded
from trmsolve.model.mixers import MIXERS
from trmsolve.model.packing import PAD_MULTIPLE, Bucket, PackedBatch, bucket_for, exact_shape, pack
from trmsolve.model.readout import Readout, read_out
from trmsolve.model.trm import TRM

log = logging.getLogger("trmsolve")

Step = Callable[[], Readout]  # computes a supervision step on fixed tensors

# By device type: beyond these numbers of tokens and rollouts a batch gets no faster, but answers are delayed.
MAX_TOKENS = {"cpu": 1 << 14, "mps": 1 << 14, "cuda": 1 << 17}
BATCH_SIZE = {"cpu": 32, "mps": 32, "cuda": 1024}
MEMORY_SHARE = 0.5  # of the free memory; the rest is for libraries, caches and other programs


class EagerRunner:
    """A model and the batch that it steps; every step is a call of the model."""

    def __init__(self, model: TRM) -> None:
        self.model, self.device = model, next(model.parameters()).device
        self.asynchronous = self.device.type == "cuda"  # the device computes while the host reads the last output
        self.max_tokens = max_batch_tokens(model)  # beyond this a larger batch is no faster
        self.token_limit: int | None = None  # maximum tokens, once memory has run out

    def pack(self, batch: Sequence[Encoded]) -> int:
        """Make this the current batch. Returns L, the rows of its states; the last ones may be padding."""
        tokens, packed = pack(batch, PAD_MULTIPLE)
        self._tokens, self._packed = tokens.to(self.device), packed.to(self.device)
        return len(tokens)

    def step(self, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Readout]:
        """One supervision step from y and z, (L, D): the new y and z, and the readout."""
        output = self.model(self._tokens, y, z, self._packed)
        return output.y, output.z, read_out(output, self._packed)

    def free(self) -> None:
        """Release all memory that can be allocated again."""


class CudaGraphRunner(EagerRunner):
    """Every step is a replay of a graph. The most recently used graphs are kept, one per bucket."""

    MAX_CAPTURED = 12
    MAX_WASTE = 1.5  # a captured bucket serves a batch of at least 1 / MAX_WASTE of its tokens

    def __init__(self, model: TRM, capture: Callable[[Step], Step]) -> None:
        """capture: turns a function of fixed tensors into one that replays it (CudaGraphCapture)."""
        super().__init__(model)
        self.capture = capture
        self._captured: OrderedDict[Bucket, CapturedStep] = OrderedDict()

    def __len__(self) -> int:
        return len(self._captured)

    def pack(self, batch: Sequence[Encoded]) -> int:
        exact = exact_shape(batch)
        fitting = [b for b in self._captured if b.fits(exact) and b.tokens <= self.MAX_WASTE * exact.tokens]
        bucket = min(fitting, key=lambda bucket: bucket.tokens) if fitting else bucket_for(batch)
        tokens, packed = pack(batch, bucket=bucket)
        if bucket in self._captured:
            self._captured[bucket].load(tokens, packed)
        else:
            while len(self._captured) >= self.MAX_CAPTURED:
                self._drop(next(iter(self._captured)))
            log.info("capturing a step for %d puzzles of %d tokens in total", bucket.puzzles, bucket.tokens)
            self._captured[bucket] = CapturedStep(self.model, tokens, packed, self.capture)
        self._captured.move_to_end(bucket)
        return bucket.tokens

    def step(self, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Readout]:
        return next(reversed(self._captured.values())).step(y, z)

    def free(self) -> None:
        for bucket in list(self._captured):
            self._drop(bucket)

    def _drop(self, bucket: Bucket) -> None:
        if self.asynchronous:  # the device may still be using its tensors
            torch.cuda.synchronize(self.device)
        del self._captured[bucket]


class CapturedStep:
    """A supervision step on static tensors."""

    def __init__(self, model: TRM, tokens: Tensor, packed: PackedBatch, capture: Callable[[Step], Step]) -> None:
        device = next(model.parameters()).device
        self._model, self._capture = model, capture
        self._tokens, self._packed = tokens.to(device, copy=True), packed.to(device)
        self._replay: Step | None = None
        self._y, self._z = tokens.new_empty(0), tokens.new_empty(0)  # until the first step

    def load(self, tokens: Tensor, packed: PackedBatch) -> None:
        """Copy in another batch of the same bucket, queued behind the work of the device."""
        targets, sources = _tensors((self._tokens, self._packed)), _tensors((tokens, packed))
        for target, source in zip(targets, sources, strict=True):
            target.copy_(source.pin_memory() if target.is_cuda else source, non_blocking=True)

    def step(self, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Readout]:
        """One step from y and z; the returned tensors are overwritten by the next one."""
        if self._replay is None:
            self._y, self._z = y.clone(), z.clone()
            self._replay = self._capture(self._run)  # may call it several times
        if y is not self._y:
            self._y.copy_(y)
            self._z.copy_(z)
        return self._y, self._z, self._replay()

    def _run(self) -> Readout:
        output = self._model(self._tokens, self._y, self._z, self._packed)
        self._y.copy_(output.y)
        self._z.copy_(output.z)
        return read_out(output, self._packed)


def _tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in nested tuples."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _tensors(part)


class CudaGraphCapture:
    """Captures functions as CUDA graphs on one device. The graphs share a memory pool, as one runs at a time.

    Captures use streams of their own: what a library caches per stream lies in the graphs' memory pool, and must not be
    shared with other streams. The output of a replay is overwritten by the next replay of any graph: copy it first, on
    the same stream.
    """

    WARM_UP = 2  # calls before a capture: libraries choose their kernels, Triton compiles

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.failure = ""  # why functions are called eagerly, once a capture has failed
        self._pool: Any = None
        self._graphs = weakref.WeakSet[torch.cuda.CUDAGraph]()
        self._warm_up_stream, self._capture_stream = (torch.cuda.Stream(device) for _ in range(2))

    def __call__(self, function: Step) -> Step:
        """The function as a graph, or itself where it cannot be captured. Raises what the warm-up raises."""
        if self.failure:
            return function
        with torch.cuda.device(self.device):
            self._warm_up(function)
            graph, current = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
            if not self._graphs:  # the memory of a pool without graphs may have been freed
                self._pool = torch.cuda.graph_pool_handle()
            try:
                # thread_local: the threads that read the input may call the CUDA library meanwhile
                with torch.cuda.graph(graph, self._pool, self._capture_stream, capture_error_mode="thread_local"):
                    output = function()
            except RuntimeError as error:
                torch.cuda.set_stream(current)  # a failed capture does not restore it
                if is_out_of_memory(error):
                    raise
                self.failure = str(error).splitlines()[0]
                log.info("steps are launched kernel by kernel: CUDA graph capture failed (%s)", self.failure)
                return function
            self._graphs.add(graph)

        def replay() -> Readout:
            graph.replay()
            return output

        return replay

    def _warm_up(self, function: Step) -> None:
        current = torch.cuda.current_stream()
        self._warm_up_stream.wait_stream(current)
        with torch.cuda.stream(self._warm_up_stream):
            for _ in range(self.WARM_UP):
                function()
        current.wait_stream(self._warm_up_stream)


def make_runner(model: TRM) -> EagerRunner:
    """The fastest runner for the model's device."""
    device = next(model.parameters()).device
    if device.type != "cuda":
        log.info("steps: eager calls, on %s", device)
        return EagerRunner(model)
    if not MIXERS[model.config.mixer].supports_buckets:
        log.info("steps: eager calls, because batches of the mixer '%s' rarely have equal sizes", model.config.mixer)
        return EagerRunner(model)
    runner = CudaGraphRunner(model, CudaGraphCapture(device))
    log.info("steps: CUDA graphs; at most %d tokens per batch", runner.max_tokens)
    return runner


# -- the size of a batch --------------------------------------------------------------------------------------------
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


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of torch or numpy, or its cause, reports that memory has run out."""
    messages = (
        "CUBLAS_STATUS_ALLOC_FAILED",
        "CUDA error: out of memory",
        "DefaultCPUAllocator",
        "MPS backend out of memory",
    )
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if isinstance(error, RuntimeError) and any(message in str(error) for message in messages):
        return True
    cause = error.__cause__ or error.__context__  # a capture that runs out of memory raises another error
    return cause is not None and is_out_of_memory(cause)
