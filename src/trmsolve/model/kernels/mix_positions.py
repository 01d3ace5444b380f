"""The mixer `mlp` as one kernel (mixers.mlp.mix_positions): SwiGLU across the positions of a puzzle, the residual,
the norm.

A program holds all positions of some features. The hidden layer never leaves the multiprocessor, nothing is transposed.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from trmsolve.model import kernels
from trmsolve.model.kernels.swiglu import TINY


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
