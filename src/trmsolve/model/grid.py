"""The mixer `grid`: a token hears its four neighbours, each by weights of its own.

(a, b) = W h + sum over k of W_k h_(neighbour k), which go into the gate (gate.py)

A neighbour that does not exist is heard as zeros. So the same weights serve a grid of any height and width, and moving
a puzzle about in it changes nothing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trmsolve.model.config import TRMConfig
from trmsolve.model.gate import gated, in_place


class Around(torch.autograd.Function):
    """The neighbours' rows side by side: (L, D) and int64 (L, 4), L for none, -> (L, 4 D).

    Backwards it is a gather too, since the neighbour in direction k has this token in direction 3 - k; autograd itself
    would scatter, which a CPU does row by row.
    """

    @staticmethod
    def forward(ctx, h: Tensor, neighbours: Tensor) -> Tensor:
        ctx.save_for_backward(neighbours)
        return gather(h, neighbours)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        (neighbours,) = ctx.saved_tensors
        by_direction = F.pad(gradient.view(len(neighbours), 4, -1), (0, 0, 0, 0, 0, 1))
        return sum(by_direction[neighbours[:, k], 3 - k] for k in range(4)), None


def gather(h: Tensor, neighbours: Tensor) -> Tensor:
    """What Around computes, without autograd."""
    return F.pad(h, (0, 0, 0, 1))[neighbours.reshape(-1)].view(len(neighbours), -1)


class GridLayer(nn.Module):
    """One layer of f. (L, D) -> (L, D)."""

    def __init__(self, config: TRMConfig) -> None:
        super().__init__()
        width, hidden = config.width, config.hidden
        self.mix = nn.Linear(5 * width, 2 * hidden, bias=False)  # columns: own, above, left, right, below
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, h: Tensor, ties: Tensor) -> Tensor:
        if in_place(h, self.mix.weight):
            own, others = self.mix.weight.t().split([h.shape[1], 4 * h.shape[1]])
            mixed = torch.mm(h, own).addmm_(gather(h, ties), others)
        else:
            mixed = self.mix(torch.cat([h, Around.apply(h, ties)], 1))
        return gated(h, mixed, self.down)
