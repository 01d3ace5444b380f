"""The mixer `attention`: every token attends to all tokens of its puzzle.

This is the paper's network for mazes and ARC (arXiv 2510.04871, section 4.5), and both networks of HRM
(arXiv 2506.21734). Positions enter by rotating queries and keys (RoPE, arXiv 2104.09864), or are added to x.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trmsolve.model.config import TRMConfig
from trmsolve.model.layers import SwiGLU, linear, post_norm
from trmsolve.model.mixers.base import Mixer
from trmsolve.model.mixers.sequence import DenseLayout, SequenceEdges, pack, seq_len

THETA = 10_000.0  # base of the rotation frequencies


class AttentionLayer(nn.Module):
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


MIXER = Mixer(AttentionLayer, SequenceEdges, pack, seq_len=seq_len)
