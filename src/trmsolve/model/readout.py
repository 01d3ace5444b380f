"""From logits to choices: softmax over the options of each choice, which are ragged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from trmsolve.model.packing import PackedBatch

if TYPE_CHECKING:
    from trmsolve.model.trm import StepOutput


class Readout(NamedTuple):
    """The prediction of a step: tensors for B puzzles, U choices with at most C options; or numpy for one puzzle.

    choice: int64 (U,) the most probable option of each choice, as its index within the choice.
    confidence: float32 (U,) its probability.
    probabilities: float32 (U, C), 0 where an option is missing; for one puzzle (O,), choice by choice.
    halt_prob: float32 (B,) probability that the whole answer is correct; for one puzzle a float.
    solvable_prob: float32 (B,) probability that the question has a solution; for one puzzle a float.
    """

    choice: Any
    confidence: Any
    probabilities: Any
    halt_prob: Any
    solvable_prob: Any


def read_out(step: StepOutput, batch: PackedBatch) -> Readout:
    """Read out a step. Shapes depend on the batch only, so the host does not wait for the device."""
    probabilities = logits_by_choice(step.logits, batch).softmax(1)
    confidence, choice = probabilities.max(1)
    return Readout(choice, confidence, probabilities, step.halt_logit.sigmoid(), step.solvable_logit.sigmoid())


def logits_by_choice(logits: Tensor, batch: PackedBatch) -> Tensor:
    """The flat logits, float32 (O,), by choice: (U, C), -inf where a choice has fewer than C options."""
    rows, missing = batch.choices
    return logits[rows].masked_fill(missing, float("-inf"))


def chosen_option(logits: Tensor, batch: PackedBatch) -> Tensor:
    """logits (U, C) -> int64 (U,): the most probable option of each choice, as an index into the flat logits."""
    return batch.choices.rows.gather(1, logits.argmax(1, keepdim=True)).squeeze(1)
