"""From the logits of options to choices: softmax over the options of each choice, ragged as they are."""

from __future__ import annotations

import torch
from torch import Tensor

from trmsolve.model.layout import Layout


def by_choice(logits: Tensor, layout: Layout) -> Tensor:
    """The flat logits, float32 (O,), by choice: (U, C), -inf where a choice has fewer than C options."""
    index, missing = layout.options
    return logits[index].masked_fill(missing, float("-inf"))


def chosen(made: Tensor, layout: Layout) -> Tensor:
    """int64 (U,): the likeliest option of each choice, among all options."""
    return layout.options.index.gather(1, made.argmax(1, keepdim=True)).squeeze(1)


def flat(made: Tensor, layout: Layout) -> Tensor:
    """The inverse of by_choice for values of a kind (probabilities): (U, C) -> (O,)."""
    return torch.masked_select(made, ~layout.options.missing)
