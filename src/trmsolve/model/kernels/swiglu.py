"""What surrounds the matrices of the published networks, each as one pass over memory (layers.py).

gate_product: silu(a) * b, or sigmoid(a) * norm(a * b), of the halves of each row
residual_norm:   norm(h + change), row by row
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

TINY = tl.constexpr(torch.finfo(torch.float32).eps)  # what F.rms_norm adds to the mean square unless told


@triton.jit
def _gate_product(
    both, out, rows, HIDDEN: tl.constexpr, NORMALISED: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)[:, None]
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    mask = (row < rows) & (column < HIDDEN)
    a = tl.load(both + row * (2 * HIDDEN) + column, mask=mask, other=0.0).to(tl.float32)
    b = tl.load(both + row * (2 * HIDDEN) + HIDDEN + column, mask=mask, other=0.0).to(tl.float32)
    product = a * b * tl.sigmoid(a)
    if NORMALISED:  # then a block holds whole rows
        product *= tl.rsqrt(tl.sum(a * b * (a * b), 1) / HIDDEN + TINY)[:, None]
    tl.store(out + row * HIDDEN + column, product.to(out.dtype.element_ty), mask=mask)


def gate_product(both: Tensor, normalised: bool) -> Tensor:
    """(..., 2 H), contiguous -> (..., H)."""
    hidden = both.shape[-1] // 2
    out = both.new_empty(*both.shape[:-1], hidden)
    rows = both.numel() // (2 * hidden)
    columns = triton.next_power_of_2(hidden)
    columns = columns if normalised else min(columns, 1024)
    block = max(1, 2048 // columns)
    _gate_product[(triton.cdiv(rows, block), triton.cdiv(hidden, columns))](
        both, out, rows, hidden, normalised, block, columns, num_warps=8 if columns > 2048 else 4
    )
    return out


@triton.jit
def _residual_norm(h, change, out, rows, eps, WIDTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)[:, None]
    column = tl.arange(0, COLUMNS)[None, :]
    pointer = row * WIDTH + column
    mask = (row < rows) & (column < WIDTH)
    new = tl.load(h + pointer, mask=mask, other=0.0).to(tl.float32)
    new += tl.load(change + pointer, mask=mask, other=0.0).to(tl.float32)
    new *= tl.rsqrt(tl.sum(new * new, 1) / WIDTH + eps)[:, None]
    tl.store(out + pointer, new.to(out.dtype.element_ty), mask=mask)


def residual_norm(h: Tensor, change: Tensor, eps: float) -> Tensor:
    """h and change (L, D), contiguous -> (L, D)."""
    rows, width = h.shape
    out = torch.empty_like(h)
    columns = triton.next_power_of_2(width)
    block = max(1, min(16, 2048 // columns))
    _residual_norm[(triton.cdiv(rows, block),)](h, change, out, rows, eps, width, block, columns, num_warps=4)
    return out
