"""Small networks, and what they say."""

from __future__ import annotations

import torch
from torch import Tensor

from trmsolve.model.inputs import Encoded
from trmsolve.model.packing import pack
from trmsolve.model.trm import TRM
from trmsolve.tasks import get

SUDOKU_MODEL = dict(get("sudoku").model_defaults)

# HRM as the fixtures and small tests have it; at full size it is a recipe, hrm-sudoku.
HRM = {"num_layers": 4, "num_y_layers": 4, "T": 2, "n": 2, "grad_steps": 1, "prefix_len": 1}


def stepped(model: TRM, batch: list[Encoded], steps: int = 2, multiple: int = 1) -> tuple[list[Tensor], Tensor]:
    """Of each question its logits, (L, options), after some steps together; and all halting logits."""
    tokens, layout = pack(batch, multiple)
    y, z = model.init_state(len(tokens), torch.float32)
    with torch.inference_mode():
        for _ in range(steps):
            step = model(tokens, y, z, layout)
            y, z = step.y, step.z
    lengths = [len(question.x) for question in batch]
    return list(step.logits.view(len(tokens), -1)[: sum(lengths)].split(lengths)), step.halt_logit
