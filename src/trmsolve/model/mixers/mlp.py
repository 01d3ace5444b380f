"""The mixer `mlp`: SwiGLU across the positions, the same for each of the D features.

This is the paper's network for Sudoku (arXiv 2510.04871, section 4.5, after MLP-Mixer, arXiv 2105.01601). Its weights
belong to positions, so it takes puzzles of one length only.
"""

from __future__ import annotations

from torch import Tensor, nn

from trmsolve.model.config import TRMConfig
from trmsolve.model.layers import SwiGLU, post_norm
from trmsolve.model.mixers.attention import DenseLayout


class Layer(nn.Module):
    """One layer of f. (B L, D) -> (B L, D), with L = config.seq_len."""

    def __init__(self, config: TRMConfig) -> None:
        super().__init__()
        self.mix = SwiGLU(config.seq_len, config.seq_intermediate_size, config.gate)
        self.mlp = SwiGLU(config.hidden_size, config.intermediate_size, config.gate)

    def forward(self, h: Tensor, layout: DenseLayout) -> Tensor:
        features = layout.rows(h).transpose(1, 2)  # (B, D, L)
        features = post_norm(features + self.mix(features))
        h = features.transpose(1, 2).reshape(h.shape)
        return post_norm(h + self.mlp(h))
