"""FLOP of a supervision step, counted, and FLOP/s of a device's matrix multiply, measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from trmsolve.inference.solver import Solver
from trmsolve.model.layers import reference_mode
from trmsolve.model.packing import pack
from trmsolve.tasks.base import Puzzle


def matmul_rate(device: torch.device, dtype: torch.dtype, seconds: float = 0.5) -> float:
    """FLOP/s of a square matrix multiply on this device in this dtype: the best of several sizes and repetitions."""
    sizes = (1024, 4096, 8192) if device.type == "cuda" else (1024,)
    return max(_matmul_rate(size, device, dtype, seconds / len(sizes)) for size in sizes)


def _matmul_rate(size: int, device: torch.device, dtype: torch.dtype, seconds: float) -> float:
    a, b, c = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(3))
    calls = 1 if device.type == "cpu" else 10  # per measurement, so that launching them is not what is measured
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end or not best:
        started = time.perf_counter()
        for _ in range(calls):
            torch.mm(a, b, out=c)
        if device.type != "cpu":
            c[0, 0].item()  # waits for the device
        best = max(best, calls * 2 * size**3 / (time.perf_counter() - started))
    return best


def _attention_flops(q: torch.Size, k: torch.Size, v: torch.Size, *_: Any, **__: Any) -> int:
    """FLOP of attention, (B, H, L, d) each: scores, and the weighted sum of values."""
    return sdpa_flop_count(q, k, v)


MISSING_FORMULAS = {  # matrix multiplies that torch's own table leaves out
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
    torch.ops.aten._scaled_dot_product_attention_math_for_mps: _attention_flops,
}


def count_flops(function: Callable[[], Any]) -> int:
    """FLOP of all matrix multiplies in a call, including attention; a multiply-add counts as two.

    Norms, gates and segment sums are not counted.
    """
    with FlopCounterMode(display=False, custom_mapping=MISSING_FORMULAS) as counter:
        function()
    return counter.get_total_flops()


def step_flops(solver: Solver, puzzles: Sequence[Puzzle], batch_size: int = 32) -> float:
    """FLOP of one supervision step of one puzzle, the mean over these; 0 when none has an open choice."""
    encoded = [e for e in (solver.task.encode(p.question) for p in puzzles) if e is not None and e.num_choices]
    device = next(solver.model.parameters()).device

    def step_all() -> None:
        for start in range(0, len(encoded), batch_size):
            tokens, batch = pack(encoded[start : start + batch_size])
            y, z = solver.model.init_state(len(tokens), solver.dtype)
            solver.model(tokens.to(device), y, z, batch.to(device))

    with torch.inference_mode(), reference_mode():
        return count_flops(step_all) / max(1, len(encoded))
