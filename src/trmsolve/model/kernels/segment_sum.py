"""Sums over ragged groups of rows (segment.segment_sum), in fp32 whatever the rows are."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor


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
