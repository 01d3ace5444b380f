"""Choose the device and the dtype of a model, with the reason; and the memory that is free.

torch is imported inside the functions.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trmsolve.errors import TrmsolveError

if TYPE_CHECKING:
    import torch

DTYPES = ("auto", "float32", "bfloat16")


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """The device and dtype of a model."""

    device: torch.device
    dtype: torch.dtype
    reason: str  # one line: why this device, why this dtype

    def __str__(self) -> str:
        return f"{self.device}, {str(self.dtype).removeprefix('torch.')} ({self.reason})"


def resolve_device(request: str = "auto", dtype: str = "auto") -> DeviceSpec:
    """The device and dtype for `--device` ("auto", "cpu", "cuda", "cuda:N", "mps") and `--dtype` (one of DTYPES).

    Raises TrmsolveError for an unknown name, and for a device that is not available.
    """
    import torch

    if dtype not in DTYPES:
        raise TrmsolveError(f"unknown dtype '{dtype}'", f"one of: {', '.join(DTYPES)}")
    device, why_device = _device(request)
    native, why_dtype = bfloat16_support(device)
    if dtype == "auto":
        return DeviceSpec(device, torch.bfloat16 if native else torch.float32, f"{why_device}; {why_dtype}")
    if dtype == "float32":
        why_dtype = "float32 as requested"
    else:
        why_dtype = f"bfloat16 as requested, {'' if native else 'slow here: '}{why_dtype}"
    return DeviceSpec(device, getattr(torch, dtype), f"{why_device}; {why_dtype}")


def set_device(device: torch.device) -> None:
    """Make a CUDA device the current one of this thread: kernels launched without a device run there.

    Does nothing for a device without a number, which means the current one.
    """
    import torch

    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)


def to_device(t: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A copy on the device, queued without waiting for it; `t` itself if it is on the device."""
    if t.device.type == "cpu" and device.type == "cuda":
        return t.pin_memory().to(device, non_blocking=True)
    return t.to(device)


def free_memory(device: torch.device) -> int | None:
    """Bytes that can be allocated on a CUDA device; None for other devices."""
    import torch

    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return free + cached


def _device(request: str) -> tuple[torch.device, str]:
    import torch

    if request == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0), f"{torch.cuda.get_device_name(0)} found"
        if torch.backends.mps.is_available():
            return torch.device("mps"), "Apple GPU found"
        return torch.device("cpu"), f"no GPU: {_no_cuda()}"
    if request == "cpu":
        return torch.device("cpu"), "cpu as requested"
    if request == "mps":
        if not torch.backends.mps.is_available():
            why = "macOS is too old" if torch.backends.mps.is_built() else "this torch does not support it"
            raise TrmsolveError(f"no Apple GPU (mps): {why}", "use --device cpu, or auto")
        return torch.device("mps"), "mps as requested"
    match = re.fullmatch(r"cuda(?::(\d{1,4}))?", request, re.ASCII)
    if not match:
        raise TrmsolveError(f"unknown device '{request}'", "one of: auto, cpu, cuda, cuda:N, mps")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = int(match[1] or 0)
    if not count:
        raise TrmsolveError(f"no CUDA device: {_no_cuda()}", "use --device cpu, or auto")
    if index >= count:
        available = "use cuda:0" if count == 1 else f"use cuda:0 to cuda:{count - 1}"
        raise TrmsolveError(f"no device cuda:{index}", available)
    return torch.device("cuda", index), f"{torch.cuda.get_device_name(index)} as requested"


def _no_cuda() -> str:
    import torch

    if torch.version.cuda is None and torch.version.hip is None:
        return "this torch is built without CUDA"
    return "CUDA finds no device; check with nvidia-smi"


def bfloat16_support(device: torch.device) -> tuple[bool, str]:
    """Whether the device has bfloat16 in hardware (or is faster with it), and the reason."""
    import torch

    if device.type == "cuda":
        if torch.cuda.get_device_capability(device) >= (8, 0) or torch.version.hip:
            return True, "bfloat16 in hardware"
        return False, "no bfloat16 in hardware before compute capability 8.0"
    if device.type == "mps":
        return False, "bfloat16 is no faster for models this small on mps"
    instructions = sorted(_cpu_bfloat16())
    if instructions:
        return True, f"bfloat16 in hardware ({', '.join(instructions)})"
    return False, f"no bfloat16 in hardware ({torch.backends.cpu.get_cpu_capability()})"


def _cpu_bfloat16() -> set[str]:
    """The CPU's instructions that multiply bfloat16 matrices, as torch or the kernel names them; empty: none.

    torch computes in bfloat16 on any CPU, but without these through float32, slower than float32 itself.
    """
    import torch

    names = {"avx512_bf16", "amx_bf16", "sve_bf16", "bf16"}
    if hasattr(torch.cpu, "get_capabilities"):  # newer versions of torch
        return {name for name in names if torch.cpu.get_capabilities().get(name)}
    if torch.backends.cpu.get_cpu_capability() == "DEFAULT":  # x86 without AVX2, or with it disabled
        return set()
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return set()
    flags = next(
        (line.split(":", 1)[1].split() for line in lines if line.lower().startswith(("flags", "features"))), []
    )
    return names & set(flags)


# -- memory of the host ---------------------------------------------------------------------------------------------
def require_memory(size: int, what: str, hint: str) -> None:
    """Raise TrmsolveError if `what` needs more bytes than are free; does nothing if that is unknown."""
    free = available_memory()
    if free is not None and size > free:
        raise TrmsolveError(f"{what} needs {size / 1e6:,.1f} MB of memory, {free / 1e6:,.1f} are free", hint)


def available_memory() -> int | None:
    """Bytes of free memory and swap; of all memory if free memory is unknown (macOS); None if both are unknown."""
    try:
        rows = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
        kilobytes = {row[0].rstrip(":"): int(row[1]) for row in rows}
        left = 1024 * (kilobytes["MemAvailable"] + kilobytes["SwapFree"])
    except (OSError, KeyError, ValueError, IndexError):
        try:
            left = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (AttributeError, OSError, ValueError):  # Windows
            return None
    try:  # a container may be given less than the machine has
        return min(left, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):
        return left
