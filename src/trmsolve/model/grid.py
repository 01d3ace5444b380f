"""The mixer `grid`: a token hears itself and its four neighbours, each by weights of its own.

(a, b) = sum over k of W_k h_(neighbour k), itself among them, which go into the gate (gate.py)

A neighbour that does not exist is heard as zeros. So the same weights serve a grid of any height and width, and moving
a puzzle about in it changes nothing.
"""

from __future__ import annotations

from torch import Tensor, nn

from trmsolve.model.config import TRMConfig
from trmsolve.model.gate import gated
from trmsolve.model.pool import Groups, pool


class GridLayer(nn.Module):
    """One layer of f. (L, D) -> (L, D)."""

    def __init__(self, config: TRMConfig) -> None:
        super().__init__()
        self.mix = nn.Linear(5 * config.width, 2 * config.hidden, bias=False)  # columns: own, above, left, right, below
        self.down = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, h: Tensor, ties: Groups) -> Tensor:
        return gated(h, self.mix(pool(h, ties).view(len(h), -1)), self.down)
