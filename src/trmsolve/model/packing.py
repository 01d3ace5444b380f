"""Pack puzzles of any sizes into one batch, without padding, and read the choices of their answers out of its logits.

Example, puzzles of 2 and 3 tokens:
    tokens   [a0 a1 b0 b1 b2]      lengths [2 3]      puzzles.indptr [0 2 5]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trmsolve.model.inputs import Encoded

if TYPE_CHECKING:
    from trmsolve.model.trm import StepOutput

# On a CPU, the first matrix multiply of a new shape takes 0.6 ms for preparation, as long as the multiply itself.
PAD_MULTIPLE = 64  # a multiple for pack(), so that few different shapes occur


# -- sums over ragged segments of rows ---------------------------------------------------------------------------------
# `segment_sum` is a custom operator, opaque to torch.compile: the CPU's embedding_bag kernel takes 0.1 ms, code
# that the compiler generates from indexing 3.8 ms (7,300 tokens in 10,400 segments, D = 64, bf16, two cores).
class CSR(NamedTuple):
    """A sparse 0/1 matrix (segments, rows) in compressed row format, and its transpose; all int32.

    Segment s sums the rows indices[indptr[s] : indptr[s + 1]]; row r belongs to the segments
    t_indices[t_indptr[r] : t_indptr[r + 1]].
    """

    indices: Tensor  # (nnz,)
    indptr: Tensor  # (segments + 1,)
    t_indices: Tensor  # (nnz,)
    t_indptr: Tensor  # (rows + 1,)

    @classmethod
    def from_numpy(cls, indices: np.ndarray, indptr: np.ndarray, t_indices: np.ndarray, t_indptr: np.ndarray) -> CSR:
        """From integer arrays."""
        return cls(*(int32(values) for values in (indices, indptr, t_indices, t_indptr)))

    @property
    def transposed(self) -> CSR:
        """The transpose, which sums over the segments of each row."""
        return CSR(self.t_indices, self.t_indptr, self.indices, self.indptr)

    def to(self, device: torch.device | str) -> CSR:
        """A copy on another device."""
        return CSR(*(t.to(device) for t in self))


def int32(values: np.ndarray) -> Tensor:
    """An int32 tensor of an integer array."""
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int32))


def indptr_of(counts: np.ndarray) -> np.ndarray:
    """Row pointers of segments of these sizes: (S,) -> (S + 1,)."""
    return np.concatenate([[0], np.cumsum(counts)])


def csr_of_assignments(segment: np.ndarray, num_rows: int, num_segments: int) -> CSR:
    """segment: int64 (L, K), the segments that each of the first L rows belongs to; -1 for none."""
    exists = segment >= 0
    flat, row = segment[exists], np.nonzero(exists)[0]  # (nnz,), row by row
    order = np.argsort(flat, kind="stable")
    indptr = indptr_of(np.bincount(flat, minlength=num_segments))
    per_row = indptr_of(exists.sum(1))  # (L + 1,)
    t_indptr = per_row[np.minimum(np.arange(num_rows + 1), len(segment))]
    return CSR.from_numpy(row[order], indptr, flat, t_indptr)


@torch.library.custom_op("trmsolve::segment_sum", mutates_args=())
def _segment_sum(h: Tensor, indices: Tensor, indptr: Tensor, t_indices: Tensor, t_indptr: Tensor) -> Tensor:
    return _sum(h, indices, indptr)


def segment_sum_no_grad(h: Tensor, csr: CSR) -> Tensor:
    """segment_sum without autograd."""
    return _sum(h, csr.indices, csr.indptr)


def _sum(h: Tensor, indices: Tensor, indptr: Tensor) -> Tensor:
    if h.device.type in ("cpu", "cuda"):
        return F.embedding_bag(indices, h, indptr, mode="sum", include_last_offset=True)
    return index_add_sum(h, indices, indptr)


def index_add_sum(h: Tensor, indices: Tensor, indptr: Tensor) -> Tensor:
    """segment_sum by index_add, for devices without embedding_bag (mps)."""
    segment = torch.repeat_interleave(indptr.diff().long())  # (nnz,)
    return h.new_zeros(len(indptr) - 1, h.shape[1]).index_add_(0, segment, h[indices.long()])


@_segment_sum.register_fake
def _(h: Tensor, indices: Tensor, indptr: Tensor, t_indices: Tensor, t_indptr: Tensor) -> Tensor:
    return h.new_empty(indptr.shape[0] - 1, h.shape[1])


def _setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[1:])


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    indices, indptr, t_indices, t_indptr = ctx.saved_tensors
    return _segment_sum(grad.contiguous(), t_indices, t_indptr, indices, indptr), None, None, None, None


_segment_sum.register_autograd(_backward, setup_context=_setup_context)


def segment_sum(h: Tensor, csr: CSR) -> Tensor:
    """The sum of each segment's rows: (rows, D) -> (segments, D), same dtype."""
    if not torch.is_grad_enabled() and not torch.compiler.is_compiling():
        return segment_sum_no_grad(h, csr)  # the first call of a custom operator imports the compiler: 1.2 s
    return _segment_sum(h, *csr)


# -- a batch -----------------------------------------------------------------------------------------------------------
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
