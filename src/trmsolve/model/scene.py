"""The mixer `scene`: a token hears itself, the eight around it, and the means of the groups that it listens to.

m_g = mean of the h_i that speak to group g
(a, b) = W h + sum over k of V_k h_(neighbour k) + sum over groups heard of U_kind(g) m_g, the two halves for gate.py

Who speaks to a group need not be who hears it: so the cells of an input reach those of an output of another size.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from trmsolve.model.config import TRMConfig
from trmsolve.model.gate import gated
from trmsolve.model.pool import Groups, pool

AROUND = 9  # tokens, itself among them


class SceneTies(NamedTuple):
    """Of a batch with L tokens and U groups, kind by kind."""

    near: Groups  # L tokens -> 9 L, what each token hears around it
    told: Groups  # L tokens -> U groups
    heard: Groups  # U groups -> L tokens
    share: Tensor  # float32 (U, 1): 1 / how many speak to a group
    numbers: tuple[int, ...]  # groups of each kind; they add up to U
    sources: Tensor  # int32 (L, 9 + K) what each token hears, way by way, as a row of: L tokens, U groups, nobody

    def to(self, device: torch.device | str) -> SceneTies:
        """The same on another device."""
        near, told, heard = (groups.to(device) for groups in self[:3])
        return SceneTies(near, told, heard, self.share.to(device), self.numbers, self.sources.to(device))


class SceneLayer(nn.Module):
    """One layer of f. (L, D) -> (L, D)."""

    def __init__(self, config: TRMConfig) -> None:
        super().__init__()
        width, hidden = config.width, config.hidden
        self.near = nn.Linear(AROUND * width, 2 * hidden, bias=False)
        self.kinds = nn.ModuleList(nn.Linear(width, 2 * hidden, bias=False) for _ in range(config.kinds))
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, h: Tensor, ties: SceneTies) -> Tensor:
        means = pool(h, ties.told) * ties.share.to(h.dtype)
        heard = torch.cat([own(of) for own, of in zip(self.kinds, means.split(ties.numbers), strict=True)])
        mixed = self.near(pool(h, ties.near).view(len(h), -1)) + pool(heard, ties.heard)
        return gated(h, mixed, self.down)
