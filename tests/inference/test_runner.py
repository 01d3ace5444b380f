"""Runners: buckets are reused, memory that runs out costs no puzzle, and CUDA graphs give what the CPU gives."""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np
import pytest
import torch

from inference.rollouts import (
    CONFIGS,
    TOLERANCE,
    assert_same,
    network,
    no_capture,
    questions,
    roll_all,
    rollouts,
    step_alone,
)
from trmsolve.errors import TrmsolveError
from trmsolve.inference import runner as runner_module
from trmsolve.inference.batch import ContinuousBatch
from trmsolve.inference.runner import (
    CudaGraphCapture,
    CudaGraphRunner,
    EagerRunner,
    is_out_of_memory,
    make_runner,
    max_batch_tokens,
)
from trmsolve.model.sequence_model import official
from trmsolve.model.trm import TRM


# -- buckets ------------------------------------------------------------------------------------------------------
def test_only_the_buckets_used_last_are_kept(monkeypatch):
    monkeypatch.setattr(CudaGraphRunner, "MAX_CAPTURED", 2)
    model, captured = network("mlp"), Counter()

    def capture(step):
        captured["steps"] += 1
        return step

    runner, encoded = CudaGraphRunner(model, capture), questions("mlp")
    for number in (1, 4, 1, 12, 1):  # 12 replaces 4, not 1, which was used since
        batch = ContinuousBatch(model, torch.float32, runner)
        batch.add(rollouts(encoded[:number], 1))
        batch.step()
    assert len(runner) == 2 and captured["steps"] == 3


@pytest.mark.parametrize("leaving", ["at once", "one by one"])
def test_a_shrinking_batch_keeps_its_bucket_until_a_third_is_padding(leaving):
    model, encoded = network("units"), questions("units", 30)[1::3]  # 4x4
    runner, expected = CudaGraphRunner(model, no_capture), step_alone(model, encoded[0], 30)
    batch = ContinuousBatch(model, torch.float32, runner)
    batch.add(running := rollouts(encoded, 30))
    captured = []
    for k in range(30):
        batch.step()
        assert running[0].readout.halt_prob == pytest.approx(expected[k][0], abs=TOLERANCE)
        captured.append(len(runner))
        batch.remove(set(batch.running[1:] if leaving == "at once" else batch.running[1:][-1:]))
    assert captured[0] == 1 < captured[-1] <= 6  # from ten puzzles to one


# -- memory -------------------------------------------------------------------------------------------------------
class SmallMemory:
    """A runner with memory for a number of tokens. unreliable: memory also runs out, at times, while states move."""

    def __init__(self, runner: EagerRunner, num_tokens: int, unreliable: bool = False) -> None:
        self.runner, self.num_tokens, self.unreliable, self.failures = runner, num_tokens, unreliable, 0

    def __getattr__(self, name):
        return getattr(self.runner, name)

    @property
    def token_limit(self):
        return self.runner.token_limit

    @token_limit.setter
    def token_limit(self, value):
        self.runner.token_limit = value

    def pack(self, batch):
        self.current = sum(len(e.x) for e in batch)
        length = self.runner.pack(batch)
        if self.unreliable and self.current > self.num_tokens and self.failures % 2:
            self.fail()
        return length

    def step(self, y, z):
        if self.current > self.num_tokens:
            self.fail()
        return self.runner.step(y, z)

    def fail(self):
        self.failures += 1
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")


def test_with_too_little_memory_every_rollout_still_takes_every_step():
    model, encoded = network("grid"), questions("grid", 9)
    runner = SmallMemory(EagerRunner(model), 60)
    large, small = ContinuousBatch(model, torch.float32), ContinuousBatch(model, torch.float32, runner)
    for batch in (large, small):
        batch.add(rollouts(encoded, 9))
    for _ in range(3):
        large.step()
        small.step()
        for a, b in zip(large.running, small.running, strict=True):
            np.testing.assert_allclose(a.readout.probabilities, b.readout.probabilities, atol=TOLERANCE)
    assert small.num_tokens > 2 * runner.token_limit and small.full


@pytest.mark.parametrize("unreliable", [False, True])
@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("captured", [False, True])
def test_out_of_memory_halves_the_batch_loses_no_puzzle_and_warns_once(captured, overlap, unreliable, caplog):
    model, encoded = network("units"), questions("units")
    expected = roll_all(ContinuousBatch(model, torch.float32), encoded)
    largest = max(len(e.x) for e in encoded)
    inner = CudaGraphRunner(model, no_capture) if captured else EagerRunner(model)
    runner = SmallMemory(inner, largest + 20, unreliable)
    with caplog.at_level(logging.WARNING, "trmsolve"):
        actual = roll_all(ContinuousBatch(model, torch.float32, runner, overlap), encoded, batch_size=8)
    assert_same(expected, actual, exactly=False)
    assert runner.failures > 1 and runner.token_limit <= largest + 20
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning.startswith("out of memory with a batch of 8 puzzles: continuing with 4")


def test_a_puzzle_that_does_not_fit_alone_is_an_error_message():
    model, encoded = network("units"), questions("units", 3)
    batch = ContinuousBatch(model, torch.float32, SmallMemory(EagerRunner(model), 10))
    batch.add(rollouts(encoded, 3))
    with pytest.raises(TrmsolveError, match=r"out of memory on cpu: one puzzle of \d+ tokens does not fit"):
        batch.step()


def test_other_errors_are_raised(monkeypatch):
    model = network("units")
    batch = ContinuousBatch(model, torch.float32)
    batch.add(rollouts(questions("units", 3), 3))
    monkeypatch.setattr(batch.runner, "step", lambda y, z: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        batch.step()


@pytest.mark.parametrize(("free", "num_tokens"), [(139 << 30, 1 << 17), (1 << 30, 10_000), (1 << 20, 10)])
def test_a_batch_is_as_large_as_the_free_memory_allows(monkeypatch, free, num_tokens):
    """For the published Sudoku network, 97 tokens a puzzle: its states and intermediate layers fill the memory."""
    with torch.device("meta"):
        model = TRM(official("mlp", 11, 81))
    assert max_batch_tokens(network("units")) == 1 << 14  # free memory of a CPU is unknown
    monkeypatch.setattr(runner_module, "free_memory", lambda device: free)
    monkeypatch.setitem(runner_module.MAX_TOKENS, "meta", 1 << 17)
    assert num_tokens / 3 <= max_batch_tokens(model.cast(torch.bfloat16)) <= 3 * num_tokens
    assert max_batch_tokens(model.cast(torch.bfloat16)) <= 1 << 17


def caused_by(cause: Exception, error: Exception) -> Exception:
    error.__context__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("out of memory"), False),
        (caused_by(torch.OutOfMemoryError(), RuntimeError("operation failed during capture")), True),
        (caused_by(RuntimeError("not permitted"), RuntimeError("operation failed during capture")), False),
    ],
)
def test_errors_that_mean_out_of_memory(error, expected):
    assert is_out_of_memory(error) is expected


# -- on a GPU -----------------------------------------------------------------------------------------------------
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


@cuda
@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("mixer", CONFIGS)
def test_cuda_graphs_give_what_the_cpu_gives(mixer, overlap):
    model, encoded = network(mixer), questions(mixer)
    expected = roll_all(ContinuousBatch(model, torch.float32), encoded)
    runner = make_runner(model.to("cuda"))
    assert isinstance(runner, CudaGraphRunner) and isinstance(runner.capture, CudaGraphCapture)
    actual = roll_all(ContinuousBatch(model, torch.float32, runner, overlap), encoded)
    assert runner.capture.failure == ""
    for i in expected:
        for a, b in zip(expected[i], actual[i], strict=True):
            np.testing.assert_allclose(a[2], b[2], atol=2e-3)
            np.testing.assert_allclose(a[3:], b[3:], atol=2e-3)


@cuda
def test_a_step_never_waits_for_the_device():
    """In steady state, with the readout left where it is, nothing in a step synchronises."""
    model, encoded = network("mlp").to("cuda"), questions("mlp", 6)
    batch = ContinuousBatch(model, torch.float32, make_runner(model), overlap=True)
    batch.add(rollouts(encoded, 9))
    batch.step()
    batch.step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        with torch.inference_mode():
            batch._launch()
            batch.remove({batch.running[0]})
            batch._launch()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.cuda.synchronize()
