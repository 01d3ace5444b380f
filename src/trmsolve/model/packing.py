"""Pack puzzles of any sizes into one batch, without padding, and read the choices of their answers out of its logits.

Example, puzzles of 2 and 3 tokens:
    tokens   [a0 a1 b0 b1 b2]      lengths [2 3]      puzzles.indptr [0 2 5]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trmsolve.model.inputs import Encoded
from trmsolve.model.segment import CSR, indptr_of

if TYPE_CHECKING:
    from trmsolve.model.trm import StepOutput

# On a CPU, the first matrix multiply of a new shape takes 0.6 ms for preparation, as long as the multiply itself.
PAD_MULTIPLE = 64  # a multiple for pack(), so that few different shapes occur


class ChoiceIndex(NamedTuple):
    """The options of U choices, at most C each, as a padded table."""

    rows: Tensor  # int64 (U, C) rows of the flat logits; arbitrary where an option is missing
    missing: Tensor  # bool (U, C)


class PackedBatch(NamedTuple):
    """The ragged structure of a batch of B puzzles with L tokens."""

    edges: Any  # packed edges of the model's mixer: CSR, PackedRelations or DenseLayout
    puzzles: CSR  # L tokens -> B puzzles
    lengths: Tensor  # int64 (B,) tokens of each puzzle
    choices: ChoiceIndex

    def to(self, device: torch.device | str) -> PackedBatch:
        """A copy on another device."""
        choices = ChoiceIndex(*(t.to(device) for t in self.choices))
        return PackedBatch(self.edges.to(device), self.puzzles.to(device), self.lengths.to(device), choices)

    @property
    def first_tokens(self) -> Tensor:
        """int32 (B,) the row of each puzzle's first token."""
        return self.puzzles.indptr[:-1]


def pack(batch: Sequence[Encoded], multiple: int = 1) -> tuple[Tensor, PackedBatch]:
    """x, int64 (L,), and the structure of a batch of puzzles whose edges have one type.

    The numbers of tokens and units are padded to a multiple, so that few shapes occur. Padding belongs to no puzzle and
    does not change results.
    """
    edges = [e.edges for e in batch]
    multiple = 1 if edges[0].dense else multiple

    def round_up(number: Any) -> Any:
        return -(-number // multiple) * multiple

    lengths = np.array([len(e.x) for e in batch])
    starts = indptr_of(lengths)  # (B + 1,)
    total = int(starts[-1])
    num_tokens = round_up(total)
    puzzle_of_token = np.repeat(np.arange(len(batch)), lengths)  # (total,)
    packed = PackedBatch(
        edges[0].pack(edges, starts, num_tokens, round_up),
        CSR.from_numpy(np.arange(total), starts, puzzle_of_token, np.minimum(np.arange(num_tokens + 1), total)),
        torch.from_numpy(lengths),
        _choices(batch),
    )
    x = np.zeros(num_tokens, np.int64)
    x[:total] = np.concatenate([e.x for e in batch])
    return torch.from_numpy(x), packed


def _choices(batch: Sequence[Encoded]) -> ChoiceIndex:
    shift = indptr_of(np.array([len(e.meanings) for e in batch]))  # first option of each puzzle
    first = np.concatenate([e.first + start for e, start in zip(batch, shift, strict=False)])  # (U,)
    rank = np.arange(max((e.size.max(initial=1) for e in batch), default=1))  # (C,)
    missing = rank >= np.concatenate([e.size for e in batch])[:, None]  # (U, C)
    return ChoiceIndex(torch.from_numpy(np.where(missing, 0, first[:, None] + rank)), torch.from_numpy(missing))


# -- from logits to choices ------------------------------------------------------------------------------------------
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
