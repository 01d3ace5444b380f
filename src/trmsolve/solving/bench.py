"""How fast the solver is, beside the published way and beside the machine's own matrix-multiply rate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

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


def step_flops(solver: Solver, puzzles: Sequence[Puzzle]) -> float:
    """FLOP of one supervision step of one puzzle, the mean over these."""
    encoded = [e for e in (solver.task.encode(p.question) for p in puzzles) if e is not None and e.choices]
    device = next(solver.model.parameters()).device
    tokens, layout = pack(encoded)
    y, z = solver.model.start(len(tokens), solver.dtype)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        solver.model(tokens.to(device), y, z, layout.to(device))
    return counter.get_total_flops() / len(encoded)


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
