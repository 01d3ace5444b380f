"""The choice of device and dtype, on simulated machines."""

from __future__ import annotations

import re

import pytest
import torch

from trmsolve import device
from trmsolve.errors import TrmsolveError


@pytest.fixture
def machine(monkeypatch):
    def pretend(gpus=(), mps=False, cpu_bfloat16=()):
        """gpus: (name, compute capability) each."""
        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(gpus))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(gpus))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: gpus[index][0])
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: gpus[device.index][1])
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(device, "_cpu_bfloat16", lambda: set(cpu_bfloat16))
        monkeypatch.setattr(torch.version, "hip", None)

    return pretend


H200, V100 = ("NVIDIA H200", (9, 0)), ("Tesla V100", (7, 0))


@pytest.mark.parametrize(
    ("here", "request_", "chosen", "dtype", "reason"),
    [
        ({}, "auto", "cpu", torch.float32, "no GPU: .*; no bfloat16 in hardware"),
        ({"cpu_bfloat16": ["amx_bf16"]}, "auto", "cpu", torch.bfloat16, r"bfloat16 in hardware \(amx_bf16\)"),
        ({"gpus": [H200]}, "auto", "cuda:0", torch.bfloat16, "NVIDIA H200 found; bfloat16 in hardware"),
        ({"gpus": [H200]}, "cuda", "cuda:0", torch.bfloat16, "as requested"),
        ({"gpus": [H200, V100]}, "cuda:1", "cuda:1", torch.float32, "Tesla V100 as requested; no bfloat16"),
        ({"gpus": [H200]}, "cpu", "cpu", torch.float32, "cpu as requested"),
        ({"mps": True}, "auto", "mps", torch.float32, "Apple GPU found"),
        ({"mps": True}, "mps", "mps", torch.float32, "mps as requested"),
    ],
)
def test_automatic_choice_of_device_and_dtype(machine, here, request_, chosen, dtype, reason):
    machine(**here)
    choice = device.resolve_device(request_)
    assert (str(choice.device), choice.dtype) == (chosen, dtype)
    assert re.search(reason, choice.reason), choice.reason
    assert str(choice).startswith(f"{chosen}, {str(dtype).removeprefix('torch.')} (")


@pytest.mark.parametrize(
    ("request_", "dtype", "message", "hint"),
    [
        ("cuda", "auto", "no CUDA device: ", "--device cpu"),
        ("cuda:0", "auto", "no CUDA device: ", "--device cpu"),
        ("mps", "auto", "no Apple GPU", "--device cpu"),
        ("gpu", "auto", "unknown device 'gpu'", "auto, cpu, cuda, cuda:N, mps"),
        ("cuda:-1", "auto", "unknown device", "cuda:N"),
        ("cuda:x", "auto", "unknown device", "cuda:N"),
        ("", "auto", "unknown device", "cuda:N"),
        ("cpu", "float16", "unknown dtype 'float16'", "auto, float32, bfloat16"),
    ],
)
def test_missing_repositories_files_and_revisions_are_named(machine, request_, dtype, message, hint):
    machine()
    with pytest.raises(TrmsolveError, match=message) as error:
        device.resolve_device(request_, dtype)
    assert hint in error.value.hint


def test_a_device_index_beyond_the_last_is_refused(machine):
    machine(gpus=[H200])
    with pytest.raises(TrmsolveError, match="no device cuda:3") as error:
        device.resolve_device("cuda:3")
    assert error.value.hint == "use cuda:0"


def test_a_requested_dtype_is_used_and_a_slow_one_is_named(machine):
    machine()
    slow = device.resolve_device("cpu", "bfloat16")
    assert slow.dtype == torch.bfloat16 and "slow here" in slow.reason
    machine(gpus=[H200])
    assert device.resolve_device("auto", "float32").dtype == torch.float32


def test_this_machine_computes_on_the_chosen_device():
    choice = device.resolve_device()
    x = torch.ones(4, 4, device=choice.device, dtype=choice.dtype)
    assert float((x @ x).sum()) == 64


def test_only_host_tensors_are_pinned_for_a_gpu():
    """Pinning anything else is an error there; so states that are on the GPU already must not be."""

    class Stand:
        """A tensor as `sent` sees it, which keeps what is asked of it."""

        def __init__(self, device: str) -> None:
            self.device, self.asked = torch.device(device), []

        def pin_memory(self):
            self.asked.append("pinned")
            return self

        def to(self, device, non_blocking=False):
            self.asked.append((str(device), non_blocking))
            return self

    def asked(at: str, to: str) -> list:
        return device.to_device(Stand(at), torch.device(to)).asked

    assert asked("cpu", "cuda:1") == ["pinned", ("cuda:1", True)]
    assert asked("cuda:1", "cuda:1") == [("cuda:1", False)]
    assert asked("cuda:0", "cpu") == [("cpu", False)]
    assert asked("cpu", "cpu") == [("cpu", False)]


def test_set_device_sets_the_current_device_of_the_thread(monkeypatch):
    """Numberless ones are refused by torch, and mean the current one anyway."""
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    for name in ("cuda:1", "cuda", "cpu", "mps"):
        device.set_device(torch.device(name))
    assert chosen == [torch.device("cuda", 1)]
