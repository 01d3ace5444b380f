"""The mixer `attention`: every token attends to all tokens of its puzzle.

This is the paper's network for mazes and ARC (arXiv 2510.04871, section 4.5), and both networks of HRM
(arXiv 2506.21734). Positions enter by rotating queries and keys (RoPE, arXiv 2104.09864), or are added to x.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trmsolve.model.config import TRMConfig
from trmsolve.model.inputs import Edges, RoundUp
from trmsolve.model.layers import SwiGLU, linear, post_norm

THETA = 10_000.0  # base of the rotation frequencies


@dataclass(frozen=True, slots=True)
class SequenceEdges(Edges):
    """Tokens have positions, and every token reaches every other; also of the mixer `mlp`.

    length: tokens of the puzzle, the same for all puzzles of a batch.
    """

    dense: ClassVar[bool] = True
    length: int

    @staticmethod
    def pack(edges: Sequence[SequenceEdges], starts: np.ndarray, num_tokens: int, round_up: RoundUp) -> DenseLayout:
        """All puzzles have the same length."""
        (length,) = {e.length for e in edges}
        return DenseLayout(length)


class DenseLayout(NamedTuple):
    """B puzzles with the same number of tokens, so that a batch of them is a dense array."""

    length: int

    def rows(self, h: Tensor) -> Tensor:
        """(B length, D) -> (B, length, D)."""
        return h.view(-1, self.length, h.shape[-1])

    def to(self, device: torch.device | str) -> DenseLayout:
        """Returns self, which has no tensors."""
        return self


class Layer(nn.Module):
    """One layer of f. (B L, D) -> (B L, D), any L."""

    def __init__(self, config: TRMConfig) -> None:
        super().__init__()
        self.num_heads, self.rope = config.num_heads, config.positions == "rope"
        self.qkv = linear(config.hidden_size, 3 * config.hidden_size)
        self.out = linear(config.hidden_size, config.hidden_size)
        self.mlp = SwiGLU(config.hidden_size, config.intermediate_size, config.gate)

    def attend(self, h: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)."""
        qkv = self.qkv(h).unflatten(-1, (3, self.num_heads, -1))  # (B, L, 3, H, d)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, H, L, d) each
        if self.rope:
            cos, sin = rope_angles(h.shape[1], q.shape[-1], h.device)
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        values = F.scaled_dot_product_attention(q, k, v)
        return self.out(values.transpose(1, 2).flatten(2))

    def forward(self, h: Tensor, layout: DenseLayout) -> Tensor:
        h = post_norm(h + self.attend(layout.rows(h)).view(h.shape))
        return post_norm(h + self.mlp(h))


def rope_angles(length: int, head_size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the rotation of each pair of features at each position, float32 (length, head_size / 2).

    Computed in every call, at negligible cost: a buffer would be cast to bf16 with the weights.
    """
    frequency = 1.0 / THETA ** (torch.arange(0, head_size, 2, dtype=torch.float32, device=device) / head_size)
    angle = torch.outer(torch.arange(length, dtype=torch.float32, device=device), frequency)
    return angle.cos(), angle.sin()


def rotate(t: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """t (..., L, d) with features i and i + d/2 rotated as a pair; fp32 inside, the input's dtype outside."""
    a, b = t.float().chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1).to(t.dtype)
