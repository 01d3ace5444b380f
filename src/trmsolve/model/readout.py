"""From a token's logit to a choice: softmax over the tokens of each unit of kind 0, ragged as they are."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from trmsolve.model.layout import Layout


class Choices(NamedTuple):
    """Logits laid out by choice: U choices, each with at most C tokens."""

    logits: Tensor  # float32 (U, C), -inf where a choice has fewer than C tokens
    first: Tensor  # int64 (U,) the first token of each choice

    @property
    def tokens(self) -> Tensor:
        """int64 (U,): the likeliest token of each choice."""
        return self.first + self.logits.argmax(1)

    @property
    def confidence(self) -> Tensor:
        """float32 (U,): its probability."""
        return self.logits.softmax(1).amax(1)


def choices(logits: Tensor, layout: Layout, number: int) -> Choices:
    """The logits, float32 (L,), by choice, `number` of them: the units of kind 0, whose tokens stand together."""
    starts = layout.units.starts[: number + 1].long()
    first, count = starts[:-1], starts.diff()
    most = int(count.max()) if len(count) else 1
    rank = torch.arange(most, device=logits.device)
    index = (first[:, None] + rank).clamp(max=len(logits) - 1)
    return Choices(logits[index].masked_fill(rank >= count[:, None], float("-inf")), first)


def cross_entropy(made: Choices, target: Tensor) -> Tensor:
    """float32 (U,): -log of the probability of the target, a rank within each choice, int64 (U,)."""
    return F.cross_entropy(made.logits, target, reduction="none")
