"""The Tiny Recursive Model (arXiv 2510.04871, figures 1 and 3): one small network f refines an answer y and a latent z.

Notable choices, beside the paper's:
- the token mixer hears what the puzzle ties together (model/units.py, model/grid.py): it knows no sizes and positions.
  The paper's own mixers (model/mlp.py, model/attention.py) are there too, and HRM as a configuration (official.py);
- tokens of many puzzles lie one after the other without padding (model/layout.py);
- an answer is one option of each choice (a digit for each open cell of a Sudoku);
- beside the halting logit ("the whole answer is right") the head gives a second one: "this question has a solution",
  which orders the branches when the solver assumes something.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trmsolve.errors import TrmsolveError
from trmsolve.model.attention import AttentionLayer
from trmsolve.model.config import TRMConfig
from trmsolve.model.grid import GridLayer
from trmsolve.model.layout import Layout
from trmsolve.model.mlp import MlpLayer
from trmsolve.model.official import published_start
from trmsolve.model.palette import Palette
from trmsolve.model.pool import pool
from trmsolve.model.question import Question
from trmsolve.model.scene import SceneLayer
from trmsolve.model.units import UnitsLayer

MIXERS: dict[str, type[nn.Module]] = {
    "units": UnitsLayer,
    "grid": GridLayer,
    "scene": SceneLayer,
    "mlp": MlpLayer,
    "attention": AttentionLayer,
}


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
        self.embed = Palette(config) if config.facets else Question(config)
        self.layers = nn.ModuleList(MIXERS[config.mixer](config) for _ in range(config.layers))
        self.y_layers = nn.ModuleList(MIXERS[config.mixer](config) for _ in range(config.y_layers))
        if not config.facets:
            self.answer_head = nn.Linear(config.width, config.options, bias=config.answer_bias)
        self.q_head = nn.Linear(config.width, 2)
        # The start of y and z: drawn once, kept with the weights, not trained (paper, section 4.1).
        self.register_buffer("y_init", torch.randn(config.width) / 2)
        self.register_buffer("z_init", torch.randn(config.width) / 2)
        nn.init.zeros_(self.q_head.weight)
        with torch.no_grad():
            self.q_head.bias.copy_(torch.tensor([-3.0, 3.0]))  # nothing is right at first; every question is solvable
            if config.length:
                published_start(self)

    def cast(self, dtype: torch.dtype) -> TRM:
        """Convert the network f and the embedding; the heads stay fp32, because answers hang on their last digits."""
        self.layers.to(dtype)
        self.y_layers.to(dtype)
        self.embed.to(dtype)
        return self

    def start(self, tokens: int, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        """Fresh y and z, both (tokens, D)."""
        shape = (tokens, self.config.width)
        y, z = (buffer.to(dtype).expand(shape).contiguous() for buffer in (self.y_init, self.z_init))
        return y, z

    def f(self, h: Tensor, layout: Layout) -> Tensor:
        """The network: every layer once."""
        return through(self.layers, h, layout)

    def think(self, x: Tensor, y: Tensor, z: Tensor, layout: Layout, times: int) -> Tensor:
        """So many times z <- f(x + y + z)."""
        told = x + y if times else x  # of which each thought is told the same
        for _ in range(times):
            z = self.f(told + z, layout)
        return z

    def answer(self, y: Tensor, z: Tensor, layout: Layout) -> Tensor:
        """y <- f(y + z), in HRM by the other network (arXiv 2506.21734)."""
        return through(self.y_layers or self.layers, y + z, layout)

    def deep_recursion(self, x: Tensor, y: Tensor, z: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
        """T latent recursions, each n thoughts and an answer; the last with gradient, or only the end of it (HRM)."""
        n, kept = self.config.n, self.config.with_gradient or self.config.n
        with torch.no_grad():
            for _ in range(self.config.T - 1):
                z = self.think(x, y, z, layout, n)
                y = self.answer(y, z, layout)
            z = self.think(x, y, z, layout, n - kept)
        z = self.think(x, y, z, layout, kept)
        return self.answer(y, z, layout), z

    def forward(self, tokens: Tensor, y: Tensor, z: Tensor, layout: Layout, names: Tensor | None = None) -> Step:
        """One supervision step from the states y and z, (L, D); tokens int64 (L,); names as Question takes them."""
        x = self.embed(tokens, layout, names).to(y.dtype)
        y, z = self.deep_recursion(x, y, z, layout)
        summary = SUMMARIES[self.config.halt_reads](y, layout)
        with torch.autocast(y.device.type, enabled=False):
            q = exactly(self.q_head, summary)
            if self.config.facets:
                logits = self.embed.answer(y, tokens, layout, names)
            else:
                logits = exactly(self.answer_head, y)
        return Step(y, z, logits.flatten(), q[:, 0], q[:, 1])


def through(layers: nn.ModuleList, h: Tensor, layout: Layout) -> Tensor:
    """Every layer once. (L, D) -> (L, D)."""
    for layer in layers:
        h = layer(h, layout.ties)
    return h


def exactly(head: nn.Linear, h: Tensor) -> Tensor:
    """A head in fp32, whatever it gets and is kept in."""
    return F.linear(h.float(), head.weight.float(), None if head.bias is None else head.bias.float())


def summed(y: Tensor, layout: Layout) -> Tensor:
    """The sum of each puzzle's tokens: (L, D) -> float32 (B, D).

    Sums grow like sqrt(tokens) when tokens agree to differ; the factor keeps q comparable between puzzle sizes.
    """
    return pool(y, layout.puzzles).float() * layout.lengths.float().rsqrt()[:, None]


def first(y: Tensor, layout: Layout) -> Tensor:
    """Each puzzle's first token: (L, D) -> float32 (B, D)."""
    return y[layout.puzzles.starts[:-1]].float()


SUMMARIES: dict[str, Callable[[Tensor, Layout], Tensor]] = {"sum": summed, "first": first}


def parameters(model: nn.Module) -> int:
    """How many numbers training changes."""
    return sum(p.numel() for p in model.parameters())
