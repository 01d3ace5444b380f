"""The fixed-step baseline: the recursion as published code evaluates it, which our solver is measured against.

As in the code of arXiv 2510.04871 and 2506.21734: puzzles come in full batches, every puzzle of a batch takes all 16
supervision steps whether or not its answer is correct by then, and the last answer counts. Eager, each layer's formula
as it stands, without graphs or kernels of our own. (That code compiles its model by default; this baseline does not.)
Weights and tokens are those of our solver: published code would pad all puzzles to one length, and this baseline is not
charged for that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from trmsolve.inference.solver import Solver
from trmsolve.model.inputs import Encoded
from trmsolve.model.kernels import reference_mode
from trmsolve.model.packing import pack
from trmsolve.model.readout import logits_by_choice
from trmsolve.tasks.base import Puzzle

STEPS = 16
BATCH_SIZE = 768  # as published


def solve_fixed_steps(
    solver: Solver, puzzles: Sequence[Puzzle], steps: int = STEPS, batch_size: int = BATCH_SIZE
) -> int:
    """Number of puzzles whose answer is correct, by the rules, after `steps` steps of every one of them."""
    correct = 0
    for start in range(0, len(puzzles), batch_size):
        batch: list[tuple[Puzzle, Encoded]] = []
        for puzzle in puzzles[start : start + batch_size]:
            encoded = solver.task.encode(puzzle.question)
            if encoded is not None and encoded.num_choices:
                batch.append((puzzle, encoded))
            else:  # rejected by the rules, or without open cells
                correct += encoded is not None and solver.task.is_solution(puzzle.question, puzzle.question)
        if batch:
            correct += _count_correct(solver, batch, steps)
    return correct


@torch.inference_mode()
def _count_correct(solver: Solver, batch: Sequence[tuple[Puzzle, Encoded]], steps: int) -> int:
    device = next(solver.model.parameters()).device
    tokens, packed = pack([encoded for _, encoded in batch])
    tokens, packed = tokens.to(device), packed.to(device)
    y, z = solver.model.init_state(len(tokens), solver.dtype)
    with reference_mode():
        for _ in range(steps):
            output = solver.model(tokens, y, z, packed)
            y, z = output.y, output.z
    probs, ranks = logits_by_choice(output.logits, packed).softmax(1).max(1)
    rank, confidence = ranks.cpu().numpy(), probs.cpu().numpy()  # (U,) each
    correct, end = 0, 0
    for puzzle, encoded in batch:
        choices = slice(end, end := end + encoded.num_choices)
        meanings = encoded.meanings[encoded.first + rank[choices]]
        prediction = solver.task.decode(puzzle.question, meanings, confidence[choices])
        correct += solver.task.is_solution(puzzle.question, prediction.answer)
    return int(np.asarray(correct))
