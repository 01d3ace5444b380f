"""The kernels. They have not run on a GPU yet (docs/records.md, item 0 of the queue); tests use Triton's interpreter.

gate_product    silu(a) * b, or sigmoid(a) * norm(a * b), of the halves of each row     layers.silu_gate and others
residual_norm   norm(h + update), row by row                                            layers.residual_norm
gated_update    h <- norm(h + V (sigmoid(a) * norm(a * b)))                             layers.gated_update
mix_positions   SwiGLU across the positions of a puzzle, the residual, the norm         mixers.mlp.mix_positions
segment_sum     sums over ragged groups of rows, in fp32 whatever the rows are          segment.segment_sum
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from trmsolve.model import kernels

TINY = tl.constexpr(torch.finfo(torch.float32).eps)  # what F.rms_norm adds to the mean square by default
MIN_NORM = tl.constexpr(1e-6)  # lower bound of a norm, as in layers.inverse_rms


# -- surroundings of the published networks' matrices -----------------------------------------------------------------
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
def _residual_norm(h, update, out, rows, eps, WIDTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)[:, None]
    column = tl.arange(0, COLUMNS)[None, :]
    pointer = row * WIDTH + column
    mask = (row < rows) & (column < WIDTH)
    new = tl.load(h + pointer, mask=mask, other=0.0).to(tl.float32)
    new += tl.load(update + pointer, mask=mask, other=0.0).to(tl.float32)
    new *= tl.rsqrt(tl.sum(new * new, 1) / WIDTH + eps)[:, None]
    tl.store(out + pointer, new.to(out.dtype.element_ty), mask=mask)


def residual_norm(h: Tensor, update: Tensor, eps: float) -> Tensor:
    """h and update (L, D), contiguous -> (L, D)."""
    rows, width = h.shape
    out = torch.empty_like(h)
    columns = triton.next_power_of_2(width)
    block = max(1, min(16, 2048 // columns))
    _residual_norm[(triton.cdiv(rows, block),)](h, update, out, rows, eps, width, block, columns, num_warps=4)
    return out


# -- gated_update -----------------------------------------------------------------------------------------------------
# The norm of a * b is a factor of the whole row, so it is applied after the multiply by V, and a row is read once.
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


# -- mix_positions ----------------------------------------------------------------------------------------------------
# A program holds all positions of some features. The hidden layer never leaves the multiprocessor, nothing is
# transposed.
@triton.jit
def _mix_positions(
    h, up, down, out, eps, WIDTH: tl.constexpr, LENGTH: tl.constexpr, HIDDEN: tl.constexpr, NORMALISED: tl.constexpr,
    POSITIONS: tl.constexpr, STEP: tl.constexpr, FEATURES: tl.constexpr,
):  # fmt: skip
    position = tl.arange(0, POSITIONS)
    feature = tl.program_id(0) * FEATURES + tl.arange(0, FEATURES)[None, :]
    pointer = tl.program_id(1).to(tl.int64) * (LENGTH * WIDTH) + position[:, None] * WIDTH + feature
    mask = (position[:, None] < LENGTH) & (feature < WIDTH)
    old = tl.load(h + pointer, mask=mask, other=0.0)
    squares = tl.zeros((FEATURES,), tl.float32)
    total = tl.zeros((POSITIONS, FEATURES), tl.float32)
    for start in range(0, HIDDEN, STEP):
        k = start + tl.arange(0, STEP)
        rows = up + k[:, None] * LENGTH + position[None, :]
        inside = (k[:, None] < HIDDEN) & (position[None, :] < LENGTH)
        a = tl.dot(tl.load(rows, mask=inside, other=0.0), old, input_precision="ieee")
        b = tl.dot(tl.load(rows + HIDDEN * LENGTH, mask=inside, other=0.0), old, input_precision="ieee")
        product = a * b * tl.sigmoid(a)
        if NORMALISED:
            squares += tl.sum(a * b * (a * b), 0)
        inside = (position[:, None] < LENGTH) & (k[None, :] < HIDDEN)
        weight = tl.load(down + position[:, None] * HIDDEN + k[None, :], mask=inside, other=0.0)
        total = tl.dot(weight, product.to(weight.dtype), total, input_precision="ieee")
    if NORMALISED:  # a factor of each feature, applied after the multiply
        total *= tl.rsqrt(squares / HIDDEN + TINY)[None, :]
    new = old.to(tl.float32) + total
    new *= tl.rsqrt(tl.sum(new * new, 0) / LENGTH + eps)[None, :]
    tl.store(out + pointer, new.to(out.dtype.element_ty), mask=mask)


def mix_positions(h: Tensor, up: Tensor, down: Tensor, normalised: bool, eps: float) -> Tensor:
    """h (B L, D), up (2 H, L), down (L, H), all of one dtype and contiguous -> (B L, D). L at most MAX_SEQ_LEN."""
    (length, hidden), width = down.shape, h.shape[1]
    puzzles = len(h) // length
    # Wide blocks read the weights less often.
    features = next((n for n in (64, 32) if puzzles * width >= n * kernels.MIN_PROGRAMS), 16)
    small = h.element_size() == 2
    out = torch.empty_like(h)
    _mix_positions[(triton.cdiv(width, features), puzzles)](
        h, up, down, out, eps, width, length, hidden, normalised,
        max(16, triton.next_power_of_2(length)), 64 if small else 32, features,
        num_warps=8 if features == 64 else 4, num_stages=2 if small else 1,
    )  # fmt: skip
    return out


# -- segment_sum ------------------------------------------------------------------------------------------------------
@triton.jit
def _segment_sum(
    h, rows, starts, out, groups, WIDTH: tl.constexpr, GROUPS: tl.constexpr, COLUMNS: tl.constexpr, UNROLL: tl.constexpr
):
    group = tl.program_id(0) * GROUPS + tl.arange(0, GROUPS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    begin = tl.load(starts + group, mask=group < groups, other=0)
    end = tl.load(starts + group + 1, mask=group < groups, other=0)
    total = tl.zeros((GROUPS, COLUMNS), tl.float32)
    for start in range(0, tl.max(end - begin, 0), UNROLL):
        for offset in tl.static_range(UNROLL):  # independent loads
            pointer = begin + start + offset
            row = tl.load(rows + pointer, mask=pointer < end, other=0).to(tl.int64)[:, None]
            mask = (pointer < end)[:, None] & (column < WIDTH)
            total += tl.load(h + row * WIDTH + column, mask=mask, other=0.0).to(tl.float32)
    mask = (group[:, None] < groups) & (column < WIDTH)
    tl.store(out + group.to(tl.int64)[:, None] * WIDTH + column, total.to(out.dtype.element_ty), mask=mask)


def segment_sum(h: Tensor, rows: Tensor, starts: Tensor) -> Tensor:
    """h (N, D), rows and starts as in CSR -> (groups, D). Rows beyond the last pointer are ignored."""
    groups, width = len(starts) - 1, h.shape[1]
    out, h = h.new_empty(groups, width), h.contiguous()
    if not out.numel():
        return out
    columns = min(128, triton.next_power_of_2(width))
    long_segments = len(rows) > 16 * groups  # rows in a group
    _segment_sum[(triton.cdiv(groups, 1 if long_segments else 16), triton.cdiv(width, columns))](
        h,
        rows,
        starts,
        out,
        groups,
        width,
        1 if long_segments else 16,
        columns,
        8 if long_segments else 4,
        num_warps=1 if long_segments else 4,
    )
    return out
