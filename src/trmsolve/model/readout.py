"""From the logits of options to choices: softmax over the options of each choice, ragged as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from trmsolve.model.layout import Layout

if TYPE_CHECKING:
    from trmsolve.model.trm import Step


class Said(NamedTuple):
    """What a step says to those who solve. B puzzles, U choices, C options of a choice at most."""

    rank: Tensor  # int64 (U,) the likeliest option of each choice, among its own
    confidence: Tensor  # float32 (U,) its probability
    probabilities: Tensor  # float32 (U, C) of every option, 0 where there is none
    halt: Tensor  # float32 (B,) probability that the whole answer is right
    solvable: Tensor  # float32 (B,) probability that the question has a solution


def said(step: Step, layout: Layout) -> Said:
    """Read out a step. Every shape is known from the layout alone, so that no device waits for the host."""
    made = by_choice(step.logits, layout).softmax(1)
    confidence, rank = made.max(1)
    return Said(rank, confidence, made, step.halt.sigmoid(), step.solvable.sigmoid())


def by_choice(logits: Tensor, layout: Layout) -> Tensor:
    """The flat logits, float32 (O,), by choice: (U, C), -inf where a choice has fewer than C options."""
    index, missing = layout.options
    return logits[index].masked_fill(missing, float("-inf"))


def chosen(made: Tensor, layout: Layout) -> Tensor:
    """int64 (U,): the likeliest option of each choice, among all options."""
    return layout.options.index.gather(1, made.argmax(1, keepdim=True)).squeeze(1)
