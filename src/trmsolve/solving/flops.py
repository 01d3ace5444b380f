"""What a supervision step costs, counted, and how fast a device multiplies matrices, measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from trmsolve.model.layout import pack
from trmsolve.model.written import as_written
from trmsolve.solving.solver import Solver
from trmsolve.tasks.base import Puzzle


def matmul_rate(device: torch.device, dtype: torch.dtype, seconds: float = 0.5) -> float:
    """FLOP/s of a square matrix multiply on this device in this dtype: the best of several sizes and many tries."""
    sizes = (1024, 4096, 8192) if device.type == "cuda" else (1024,)
    return max(_rate(size, device, dtype, seconds / len(sizes)) for size in sizes)


def _rate(size: int, device: torch.device, dtype: torch.dtype, seconds: float) -> float:
    a, b, c = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(3))
    at_once = 1 if device.type == "cpu" else 10  # the host must not be what is measured
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end or not best:
        started = time.perf_counter()
        for _ in range(at_once):
            torch.mm(a, b, out=c)
        if device.type != "cpu":
            c[0, 0].item()  # waits for the device
        best = max(best, at_once * 2 * size**3 / (time.perf_counter() - started))
    return best


def _attended(q: torch.Size, k: torch.Size, v: torch.Size, *_: Any, **__: Any) -> int:
    """FLOP of attention, (B, H, L, d) each: scores and their sum over values."""
    return sdpa_flop_count(q, k, v)


UNCOUNTED = {  # matrix multiplies that torch's own table leaves out
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attended,
    torch.ops.aten._scaled_dot_product_attention_math_for_mps: _attended,
}


def counted(thing: Callable[[], Any]) -> int:
    """FLOP of all matrix multiplies in a call, attention's among them, two for a multiplication and its addition.

    Norms, gates and sums over what a token hears are not counted.
    """
    with FlopCounterMode(display=False, custom_mapping=UNCOUNTED) as counter:
        thing()
    return counter.get_total_flops()


def step_flops(solver: Solver, puzzles: Sequence[Puzzle], batch_size: int = 32) -> float:
    """FLOP of one supervision step of one puzzle, the mean over these; 0 when none of them has anything to choose."""
    encoded = [e for e in (solver.task.encode(p.question) for p in puzzles) if e is not None and e.choices]
    device = next(solver.model.parameters()).device

    def roll() -> None:
        for start in range(0, len(encoded), batch_size):
            tokens, layout = pack(encoded[start : start + batch_size])
            y, z = solver.model.start(len(tokens), solver.dtype)
            solver.model(tokens.to(device), y, z, layout.to(device))

    with torch.inference_mode(), as_written():
        return counted(roll) / max(1, len(encoded))
