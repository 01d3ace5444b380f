"""Count the floating-point operations of a supervision step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from trmsolve.inference.solver import Solver
from trmsolve.model.layers import reference_mode
from trmsolve.model.packing import pack
from trmsolve.tasks.base import Puzzle


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
