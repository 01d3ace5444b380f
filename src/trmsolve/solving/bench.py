"""How fast the solver is, beside the published way and beside the machine's own matrix-multiply rate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from trmsolve.model.layout import pack
from trmsolve.solving.measure import single_pass
from trmsolve.solving.options import SolveOptions
from trmsolve.solving.solver import Solver
from trmsolve.tasks.base import Puzzle

BASELINE_STEPS = 16


def matmul_rate(device: torch.device, dtype: torch.dtype, size: int = 1024, seconds: float = 0.5) -> float:
    """FLOP/s of a square matrix multiply on this device in this dtype, the best of several."""
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        c = a @ b
        if device.type != "cpu":
            c[0, 0].item()  # waits for the device
        best = max(best, 2 * size**3 / (time.perf_counter() - started))
    return best


def _added(into: torch.Size, a: torch.Size, b: torch.Size, *_: Any, **__: Any) -> int:
    """FLOP of into += a b, (N, K) by (K, M)."""
    return 2 * a[0] * a[1] * b[1]


def _attended(q: torch.Size, k: torch.Size, v: torch.Size, *_: Any, **__: Any) -> int:
    """FLOP of attention, (B, H, L, d) each: scores and their sum over values."""
    return sdpa_flop_count(q, k, v)


UNCOUNTED = {  # matrix multiplies that torch's own table leaves out
    torch.ops.aten.addmm_: _added,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attended,
    torch.ops.aten._scaled_dot_product_attention_math_for_mps: _attended,
}


def step_flops(solver: Solver, puzzles: Sequence[Puzzle], batch_size: int = 32) -> float:
    """FLOP of one supervision step of one puzzle, the mean over these; 0 when none of them has anything to choose.

    Matrix multiplies are counted, attention's among them, with two FLOP for a multiplication and its addition; norms,
    gates and sums over what a token hears are not.
    """
    encoded = [e for e in (solver.task.encode(p.question) for p in puzzles) if e is not None and e.choices]
    device = next(solver.model.parameters()).device
    with torch.inference_mode(), FlopCounterMode(display=False, custom_mapping=UNCOUNTED) as counter:
        for start in range(0, len(encoded), batch_size):
            tokens, layout = pack(encoded[start : start + batch_size])
            y, z = solver.model.start(len(tokens), solver.dtype)
            solver.model(tokens.to(device), y, z, layout.to(device))
    return counter.get_total_flops() / max(1, len(encoded))


def measure(solver: Solver, puzzles: Sequence[Puzzle], settings: dict[str, Any]) -> dict[str, Any]:
    """Rates of the stream and of the baseline, in one process."""
    options = SolveOptions(**settings)
    list(solver.solve(puzzles[:8], options))  # warm-up
    started = time.perf_counter()
    results = list(solver.solve(puzzles, options))
    seconds = time.perf_counter() - started
    started = time.perf_counter()
    baseline = single_pass(solver, puzzles, (BASELINE_STEPS,), batch_size=options.batch_size)
    baseline_seconds = time.perf_counter() - started
    solved, steps = sum(r.solved for r in results), sum(r.steps for r in results)
    flops = step_flops(solver, puzzles[:32])
    peak = matmul_rate(next(solver.model.parameters()).device, solver.dtype)
    right = baseline.accepted.get(BASELINE_STEPS, 0)
    return {
        "puzzles": len(puzzles),
        "solved and verified": solved / len(puzzles),
        "puzzles/s": len(puzzles) / seconds,
        "verified puzzles/s": solved / seconds,
        "mean steps": steps / len(puzzles),
        "steps/s": steps / seconds,
        "FLOP per step (32 puzzles' mean)": flops,
        "FLOP/s": flops * steps / seconds,
        "matrix multiply FLOP/s": peak,
        "share of matrix multiply": flops * steps / seconds / peak,
        f"baseline: right after {BASELINE_STEPS} fixed steps": right / len(puzzles),
        "baseline: puzzles/s": len(puzzles) / baseline_seconds,
        "verified puzzles/s, ratio to baseline": (solved / seconds) / max(right / baseline_seconds, 1e-9),
        "threads": torch.get_num_threads(),
    }
