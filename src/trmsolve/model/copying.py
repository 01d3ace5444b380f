"""Copying: what a token hears of may be its answer as it stands, so a cell can take the colour of its mirror image.

logit of colour c <- logit + sum over sources s of g_s(y) p_s(c)

p_s(c) is the share of colour c among those whom the token hears by way s: itself, a neighbour, a group. It is known
from the question. The network only says how far it trusts each way, which is the same for all colours and all sizes. To
pass an embedding through the layers unharmed is what it learns slowly: without this, a net that had trained for two
hours did not yet turn all small grids over (docs/records.md).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trmsolve.model.pool import pool
from trmsolve.model.scene import SceneTies


class Copying(nn.Module):
    """How far each of S sources is trusted, by what y says of it. Starts with no trust in any."""

    def __init__(self, width: int, sources: int) -> None:
        super().__init__()
        self.scale = width**0.5  # so that trust is found about as fast as by a head with logits y W / sqrt(D)
        self.trust = nn.Linear(width, sources, bias=False)
        nn.init.zeros_(self.trust.weight)

    def forward(self, y: Tensor, colours: Tensor, number: int, ties: SceneTies) -> Tensor:
        """y (L, D), colours int64 (L,) below `number` -> float32 (L, number), what is added to the logits."""
        trust = F.linear(y.float(), self.trust.weight.float()) * self.scale
        return torch.bmm(trust[:, None], shares(colours, number, ties)).squeeze(1)


@torch.no_grad()
def shares(colours: Tensor, number: int, ties: SceneTies) -> Tensor:
    """float32 (L, S, number): p_s(c) of each token; zeros where a source has nothing to say."""
    own = F.one_hot(colours, number).float()
    means = pool(own, ties.told) * ties.share
    return F.embedding(ties.sources, torch.cat([own, means, own.new_zeros(1, number)]))
