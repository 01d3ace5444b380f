"""Configurations of small networks, and a few steps of a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from trmsolve.model.inputs import Encoded
from trmsolve.model.packing import pack
from trmsolve.model.trm import TRM
from trmsolve.tasks import get

SUDOKU_MODEL = dict(get("sudoku").model_defaults)

# HRM in the fixtures and small tests; at full size it is the recipe hrm-sudoku.
HRM = {"num_layers": 4, "num_y_layers": 4, "T": 2, "n": 2, "grad_steps": 1, "prefix_len": 1}


def stepped(model: TRM, batch: list[Encoded], steps: int = 2, multiple: int = 1) -> tuple[list[Tensor], Tensor]:
    """The logits of each question, (L, options), after some steps as one batch; and all halting logits."""
    tokens, layout = pack(batch, multiple)
    y, z = model.init_state(len(tokens), torch.float32)
    with torch.inference_mode():
        for _ in range(steps):
            step = model(tokens, y, z, layout)
            y, z = step.y, step.z
    lengths = [len(question.x) for question in batch]
    return list(step.logits.view(len(tokens), -1)[: sum(lengths)].split(lengths)), step.halt_logit
