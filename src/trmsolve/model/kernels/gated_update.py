"""The normalised gate, its matrix, the residual and the norm in one kernel (layers.gated_update).

h <- norm(h + V (sigmoid(a) * norm(a * b)))

The norm of a * b is a factor of the whole row, so it is applied after the multiply by V, and a row is read once.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from trmsolve.model import kernels

MIN_NORM = tl.constexpr(1e-6)  # lower bound of a norm, as in layers.inverse_rms


@triton.jit
def _gated_update(
    h, mixed, down, out, rows, WIDTH: tl.constexpr, HIDDEN: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    STEP: tl.constexpr,
):  # fmt: skip
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)[:, None]
    column = tl.arange(0, COLUMNS)[None, :]
    squares = tl.zeros((ROWS,), tl.float32)
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(0, HIDDEN, STEP):
        k = start + tl.arange(0, STEP)
        pointer = mixed + row * (2 * HIDDEN) + k[None, :]
        mask = (row < rows) & (k[None, :] < HIDDEN)
        a = tl.load(pointer, mask=mask, other=0.0).to(tl.float32)
        b = tl.load(pointer + HIDDEN, mask=mask, other=0.0).to(tl.float32)
        product = a * b
        squares += tl.sum(product * product, 1)
        weight = tl.load(down + column * HIDDEN + k[:, None], mask=(column < WIDTH) & (k[:, None] < HIDDEN), other=0.0)
        total = tl.dot((product * tl.sigmoid(a)).to(weight.dtype), weight, total, input_precision="ieee")
    factor = tl.sqrt(HIDDEN + 0.0) / tl.maximum(tl.sqrt(squares), MIN_NORM)
    pointer = row * WIDTH + column
    mask = (row < rows) & (column < WIDTH)
    new = tl.load(h + pointer, mask=mask, other=0.0).to(tl.float32) + total * factor[:, None]
    factor = tl.sqrt(WIDTH + 0.0) / tl.maximum(tl.sqrt(tl.sum(new * new, 1)), MIN_NORM)
    tl.store(out + pointer, (new * factor[:, None]).to(out.dtype.element_ty), mask=mask)


def gated_update(h: Tensor, mixed: Tensor, down: Tensor) -> Tensor:
    """h (L, D), mixed (L, 2 H), down (D, H), all of one dtype and contiguous -> (L, D). D at most MAX_HIDDEN_SIZE."""
    rows, width = h.shape
    out = torch.empty_like(h)
    columns = max(16, triton.next_power_of_2(width))
    block = 64 if rows >= 64 * kernels.MIN_PROGRAMS else 16
    step = 64 if h.element_size() == 2 else 32
    _gated_update[(triton.cdiv(rows, block),)](
        h, mixed, down, out, rows, width, down.shape[1], block, columns, step, num_warps=4
    )
    return out
