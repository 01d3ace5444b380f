"""The mixer `attention`: every token attends to all tokens of its puzzle.

This is the paper's network for mazes and ARC (arXiv 2510.04871, section 4.5), and both networks of HRM
(arXiv 2506.21734). Places are told by rotating queries and keys (RoPE, arXiv 2104.09864), or by what is added to x.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.layout import Rows
from trmsolve.model.swiglu import SwiGLU, added, linear

THETA = 10_000.0  # the slowest rotation takes 2 pi THETA places


class AttentionLayer(nn.Module):
    """One layer of f. (B L, D) -> (B L, D), any L. Raises TrmsolveError when the heads do not share D evenly."""

    def __init__(self, config: TRMConfig) -> None:
        super().__init__()
        if config.width % (2 * config.heads):
            raise TrmsolveError(f"{config.heads} heads cannot share a width of {config.width} in even parts")
        self.heads, self.rotate = config.heads, config.positions == "rope"
        self.qkv = linear(config.width, 3 * config.width)
        self.out = linear(config.width, config.width)
        self.mlp = SwiGLU(config.width, config.hidden, config.gate)

    def attend(self, h: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)."""
        qkv = self.qkv(h).unflatten(-1, (3, self.heads, -1))  # (B, L, 3, H, d)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, H, L, d) each
        if self.rotate:
            cos, sin = angles(h.shape[1], q.shape[-1], h.device)
            q, k = rotated(q, cos, sin), rotated(k, cos, sin)
        heard = F.scaled_dot_product_attention(q, k, v)
        return self.out(heard.transpose(1, 2).flatten(2))

    def forward(self, h: Tensor, ties: Rows) -> Tensor:
        h = added(h, self.attend(ties.rows(h)).view(h.shape))
        return added(h, self.mlp(h))


def angles(length: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine of how far each pair of features has turned at each place, float32 (length, size / 2).

    Made anew each time, next to nothing beside the multiplies; as buffers they would be cast to bf16 with the weights.
    """
    speed = 1.0 / THETA ** (torch.arange(0, size, 2, dtype=torch.float32, device=device) / size)
    turned = torch.outer(torch.arange(length, dtype=torch.float32, device=device), speed)
    return turned.cos(), turned.sin()


def rotated(t: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """t (..., L, d) with features i and i + d/2 turned as a pair; in fp32 inside, the input's dtype outside."""
    a, b = t.float().chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1).to(t.dtype)
