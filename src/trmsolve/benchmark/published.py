"""The recursion as published code evaluates it: what our own way is measured against.

As in the code beside arXiv 2510.04871 and 2506.21734: puzzles come in whole batches, every puzzle of a batch takes all
16 supervision steps whether or not its answer is right by then, and the last answer counts. Eagerly: one call after the
other, each layer's formula as it stands, no graphs, no kernels of our own. That code compiles its model unless it is
told not to; this baseline does not. The weights are the same, and so are the tokens: published code would fill all
puzzles up to one length, and this does not make it pay for that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from trmsolve.model.layout import pack
from trmsolve.model.readout import by_choice
from trmsolve.model.written import as_written
from trmsolve.solving.solver import Solver
from trmsolve.tasks.base import Encoded, Puzzle

STEPS = 16
BATCH = 768  # puzzles of a batch, as published


def roll_out(solver: Solver, puzzles: Sequence[Puzzle], steps: int = STEPS, batch: int = BATCH) -> int:
    """How many of the puzzles are right, by the rules, after so many steps of every one of them."""
    right = 0
    for start in range(0, len(puzzles), batch):
        asked, encoded = [], []
        for puzzle in puzzles[start : start + batch]:
            question = solver.task.encode(puzzle.question)
            if question is not None and question.choices:
                asked.append(puzzle)
                encoded.append(question)
            else:  # the rules reject it, or all is given
                right += question is not None and solver.task.solved(puzzle.question, puzzle.question)
        if asked:
            right += _right(solver, asked, encoded, *_answers(solver, encoded, steps))
    return right


@torch.inference_mode()
def _answers(solver: Solver, encoded: Sequence[Encoded], steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Of all choices the rank of the likeliest option and its probability, (U,) each."""
    device = next(solver.model.parameters()).device
    tokens, layout = pack(encoded)
    tokens, layout = tokens.to(device), layout.to(device)
    y, z = solver.model.start(len(tokens), solver.dtype)
    logits: Tensor
    with as_written():
        for _ in range(steps):
            y, z, logits, _, _ = solver.model(tokens, y, z, layout)
    confidence, rank = by_choice(logits, layout).softmax(1).max(1)
    return rank.cpu().numpy(), confidence.cpu().numpy()


def _right(
    solver: Solver, puzzles: Sequence[Puzzle], encoded: Sequence[Encoded], rank: np.ndarray, confidence: np.ndarray
) -> int:
    right, end = 0, 0
    for puzzle, question in zip(puzzles, encoded, strict=True):
        choices = slice(end, end := end + question.choices)
        meanings = question.meanings[question.first + rank[choices]]
        guess = solver.task.decode(puzzle.question, meanings, confidence[choices])
        right += solver.task.solved(puzzle.question, guess.answer)
    return right
