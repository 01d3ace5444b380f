"""The Tiny Recursive Model (arXiv 2510.04871, figures 1 and 3): one small network f refines an answer y and a latent z.

    latent recursion    n times z <- f(x + y + z),  then y <- f(y + z)
    deep recursion      T latent recursions, only the last with gradient
    supervision step    deep recursion, then logits of the answer, and the halting head's two logits, from y

Differences from the paper:
- the mixer of f is one of five (mixers/); HRM is a configuration too (sequence_model.py);
- the tokens of the puzzles of a batch are concatenated without padding (packing.py);
- an answer is one option of each choice (a digit for each open cell of a Sudoku);
- besides the halting logit ("the whole answer is correct") the head has a second one, "the question has a solution",
  which orders the branches of a search.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trmsolve.model.config import TRMConfig
from trmsolve.model.layers import truncated_normal
from trmsolve.model.packing import PackedBatch, segment_sum


class StepOutput(NamedTuple):
    """The output of one supervision step. L tokens, B puzzles, D hidden_size."""

    y: Tensor  # (L, D) answer state
    z: Tensor  # (L, D) latent state
    logits: Tensor  # float32 (O,) one for every option, token by token
    halt_logit: Tensor  # float32 (B,) of "the whole answer is correct"
    solvable_logit: Tensor  # float32 (B,) of "the question has a solution"


class TRM(nn.Module):
    """The model. Parameters are created in fp32; train under autocast, or convert with `cast` for inference."""

    y_init: Tensor
    z_init: Tensor

    def __init__(self, config: TRMConfig) -> None:
        super().__init__()
        layer = import_module(f"trmsolve.model.mixers.{config.mixer}").Layer
        self.config = config
        self.dropout = 0.0  # probability that a value which a layer returns is zeroed, in passes with gradient
        self.embed: Any = import_module(f"trmsolve.model.embeddings.{config.embedding}").Embedding(config)
        self.layers = nn.ModuleList(layer(config) for _ in range(config.num_layers))
        self.y_layers = nn.ModuleList(layer(config) for _ in range(config.num_y_layers))
        self.answer_head: Any = self.embed.make_head(config)  # None: the embedding reads the answer
        self.q_head = nn.Linear(config.hidden_size, 2)
        # The initial y and z: drawn once, stored with the weights, not trained (paper, section 4.1).
        self.register_buffer("y_init", torch.randn(config.hidden_size) / 2)
        self.register_buffer("z_init", torch.randn(config.hidden_size) / 2)
        nn.init.zeros_(self.q_head.weight)
        with torch.no_grad():
            # At first no answer is correct, and every question is solvable.
            self.q_head.bias.copy_(torch.tensor([-3.0, 3.0]))
            if config.seq_len:
                self._init_as_published()

    def _init_as_published(self) -> None:
        """The published code's initial values; halting starts at sigmoid(-5) = 0.7 %."""
        size = self.config.hidden_size
        self.y_init.copy_(truncated_normal((size,), 1.0))
        self.z_init.copy_(truncated_normal((size,), 1.0))
        self.embed.weight.copy_(truncated_normal(tuple(self.embed.weight.shape), 1 / self.config.embed_scale))
        self.answer_head.weight.copy_(truncated_normal(tuple(self.answer_head.weight.shape), size**-0.5))
        self.q_head.bias.fill_(-5.0)

    def cast(self, dtype: torch.dtype) -> TRM:
        """Convert f and the embedding in place. The heads stay fp32: close decisions depend on their precision."""
        self.layers.to(dtype)
        self.y_layers.to(dtype)
        self.embed.to(dtype)
        return self

    def init_state(self, num_tokens: int, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        """Initial y and z, both (num_tokens, D)."""
        shape = (num_tokens, self.config.hidden_size)
        y, z = (buffer.to(dtype).expand(shape).contiguous() for buffer in (self.y_init, self.z_init))
        return y, z

    def latent_recursion(self, x: Tensor, y: Tensor, z: Tensor, batch: PackedBatch, steps: int) -> Tensor:
        """z after `steps` latent updates z <- f(x + y + z); all (L, D)."""
        context = x + y if steps else x  # constant
        for _ in range(steps):
            z = self._apply_layers(self.layers, context + z, batch)
        return z

    def update_y(self, y: Tensor, z: Tensor, batch: PackedBatch) -> Tensor:
        """y <- f(y + z), in HRM by a second network (arXiv 2506.21734)."""
        return self._apply_layers(self.y_layers or self.layers, y + z, batch)

    def _apply_layers(self, layers: nn.ModuleList, h: Tensor, batch: PackedBatch) -> Tensor:
        """Every layer once. (L, D) -> (L, D)."""
        for layer in layers:
            h = layer(h, batch.edges)
            if self.dropout and torch.is_grad_enabled():
                h = F.dropout(h, self.dropout)
        return h

    def deep_recursion(
        self, x: Tensor, y: Tensor, z: Tensor, batch: PackedBatch, full_gradient: bool = False
    ) -> tuple[Tensor, Tensor]:
        """T latent recursions of n updates each; the last with gradient, or only its last grad_steps updates (HRM).

        full_gradient: all with gradient, which then also passes from step to step.
        """
        n, grad_steps = self.config.n, self.config.grad_steps or self.config.n
        with nullcontext() if full_gradient else torch.no_grad():
            for _ in range(self.config.T - 1):
                z = self.latent_recursion(x, y, z, batch, n)
                y = self.update_y(y, z, batch)
            z = self.latent_recursion(x, y, z, batch, n - grad_steps)
        z = self.latent_recursion(x, y, z, batch, grad_steps)
        return self.update_y(y, z, batch), z

    def forward(
        self,
        tokens: Tensor,
        y: Tensor,
        z: Tensor,
        batch: PackedBatch,
        puzzle_embeddings: Tensor | None = None,
        full_gradient: bool = False,
    ) -> StepOutput:
        """One supervision step from the states y and z, (L, D). tokens int64 (L,).

        puzzle_embeddings: (B, row size), used instead of the table's rows, so that only they get a gradient.
        """
        x = self.embed(tokens, batch, puzzle_embeddings).to(y.dtype)
        y, z = self.deep_recursion(x, y, z, batch, full_gradient)
        pooled = HALT_POOLING[self.config.halt_pooling](y, batch)
        with torch.autocast(y.device.type, enabled=False):
            q = fp32_linear(self.q_head, pooled)  # (B, 2)
            if self.answer_head is None:
                logits = self.embed.answer(y, tokens, batch, puzzle_embeddings)
            else:
                logits = fp32_linear(self.answer_head, y)
        return StepOutput(y, z, logits.flatten(), q[:, 0], q[:, 1])


def fp32_linear(head: nn.Linear, h: Tensor) -> Tensor:
    """A linear head in fp32, whatever dtype its input and weights have."""
    return F.linear(h.float(), head.weight.float(), None if head.bias is None else head.bias.float())


def sum_pool(y: Tensor, batch: PackedBatch) -> Tensor:
    """Sum of each puzzle's tokens over sqrt(their number): (L, D) -> float32 (B, D).

    Sums of independent tokens grow with the square root of their number, so q is comparable between puzzle sizes.
    """
    return segment_sum(y, batch.puzzles).float() * batch.lengths.float().rsqrt()[:, None]


def first_pool(y: Tensor, batch: PackedBatch) -> Tensor:
    """Each puzzle's first token: (L, D) -> float32 (B, D)."""
    return y[batch.first_tokens].float()


HALT_POOLING: dict[str, Callable[[Tensor, PackedBatch], Tensor]] = {"sum": sum_pool, "first": first_pool}


def num_parameters(model: nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(p.numel() for p in model.parameters())
