"""The Tiny Recursive Model (arXiv 2510.04871, figures 1 and 3): one small network f refines an answer y and a latent z.

Notable choices, beside the paper's:
- the token mixer hears what the puzzle ties together (model/units.py, model/grid.py): it knows no sizes and positions;
- tokens of many puzzles lie one after the other without padding (model/layout.py);
- an answer is one option of each choice (a digit for each open cell of a Sudoku);
- beside the halting logit ("the whole answer is right") the head gives a second one: "this question has a solution",
  which orders the branches when the solver assumes something.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.grid import GridLayer
from trmsolve.model.layout import Layout
from trmsolve.model.pool import pool
from trmsolve.model.units import UnitsLayer

MIXERS = {"units": UnitsLayer, "grid": GridLayer}


class Step(NamedTuple):
    """What one supervision step gives. L tokens, B puzzles, D width."""

    y: Tensor  # (L, D) answer state
    z: Tensor  # (L, D) latent state
    logits: Tensor  # float32 (O,) every option's logit among those of its choice, token by token
    halt: Tensor  # float32 (B,) logit of "the whole answer is right"
    solvable: Tensor  # float32 (B,) logit of "the question has a solution"


class TRM(nn.Module):
    """The model. Parameters are created in fp32; train under autocast, or convert the whole model for inference."""

    def __init__(self, config: TRMConfig) -> None:
        super().__init__()
        if config.mixer not in MIXERS:
            raise TrmsolveError(f"the model mixes its tokens by '{config.mixer}'", f"known: {', '.join(MIXERS)}")
        self.config = config
        self.embed = nn.Embedding(config.vocabulary, config.width)
        self.layers = nn.ModuleList(MIXERS[config.mixer](config) for _ in range(config.layers))
        self.answer_head = nn.Linear(config.width, config.options)
        self.q_head = nn.Linear(config.width, 2)
        # The start of y and z: drawn once, kept with the weights, not trained (paper, section 4.1).
        self.register_buffer("y_init", torch.randn(config.width) / 2)
        self.register_buffer("z_init", torch.randn(config.width) / 2)
        nn.init.zeros_(self.q_head.weight)
        with torch.no_grad():
            self.q_head.bias.copy_(torch.tensor([-3.0, 3.0]))  # nothing is right at first; every question is solvable

    def cast(self, dtype: torch.dtype) -> TRM:
        """Convert the network f and the embedding; the heads stay fp32, because answers hang on their last digits."""
        self.layers.to(dtype)
        self.embed.to(dtype)
        return self

    def start(self, tokens: int, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        """Fresh y and z, both (tokens, D)."""
        shape = (tokens, self.config.width)
        y, z = (buffer.to(dtype).expand(shape).contiguous() for buffer in (self.y_init, self.z_init))
        return y, z

    def f(self, h: Tensor, layout: Layout) -> Tensor:
        """The network: every layer once."""
        for layer in self.layers:
            h = layer(h, layout.ties)
        return h

    def latent_recursion(self, x: Tensor, y: Tensor, z: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
        """n times z <- f(x + y + z), then y <- f(y + z)."""
        for _ in range(self.config.n):
            z = self.f(x + y + z, layout)
        return self.f(y + z, layout), z

    def deep_recursion(self, x: Tensor, y: Tensor, z: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
        """T latent recursions, the last with gradient."""
        with torch.no_grad():
            for _ in range(self.config.T - 1):
                y, z = self.latent_recursion(x, y, z, layout)
        return self.latent_recursion(x, y, z, layout)

    def forward(self, tokens: Tensor, y: Tensor, z: Tensor, layout: Layout) -> Step:
        """One supervision step from the states y and z, (L, D); tokens int64 (L,)."""
        x = self.embed(tokens).to(y.dtype)
        y, z = self.deep_recursion(x, y, z, layout)
        # Sums grow like sqrt(tokens) when tokens agree to differ; this keeps q comparable between puzzle sizes.
        summary = pool(y, layout.puzzles).float() * layout.lengths.float().rsqrt()[:, None]
        with torch.autocast(y.device.type, enabled=False):
            q = F.linear(summary, self.q_head.weight.float(), self.q_head.bias.float())
            logits = F.linear(y.float(), self.answer_head.weight.float(), self.answer_head.bias.float()).flatten()
        return Step(y, z, logits, q[:, 0], q[:, 1])


def parameters(model: nn.Module) -> int:
    """How many numbers training changes."""
    return sum(p.numel() for p in model.parameters())
