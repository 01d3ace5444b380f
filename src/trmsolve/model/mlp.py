"""The mixer `mlp`: every place hears every other through SwiGLU across the places, the same for each of the D features.

This is the paper's network for Sudoku (arXiv 2510.04871, section 4.5, after MLP-Mixer, arXiv 2105.01601). Its weights
belong to places, so it takes puzzles of one length only.
"""

from __future__ import annotations

from torch import Tensor, nn

from trmsolve.model.config import TRMConfig
from trmsolve.model.layout import Rows
from trmsolve.model.swiglu import SwiGLU, post_norm


class MlpLayer(nn.Module):
    """One layer of f. (B L, D) -> (B L, D), with L = config.length."""

    def __init__(self, config: TRMConfig) -> None:
        super().__init__()
        self.mix = SwiGLU(config.length, config.place_hidden, config.gate)
        self.mlp = SwiGLU(config.width, config.hidden, config.gate)

    def forward(self, h: Tensor, ties: Rows) -> Tensor:
        features = ties.rows(h).transpose(1, 2)  # (B, D, L)
        features = post_norm(features + self.mix(features))
        h = features.transpose(1, 2).reshape(h.shape)
        return post_norm(h + self.mlp(h))
