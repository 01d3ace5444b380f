"""The mixer `mlp`: every place hears every other through SwiGLU across the places, the same for each of the D features.

This is the paper's network for Sudoku (arXiv 2510.04871, section 4.5, after MLP-Mixer, arXiv 2105.01601). Its weights
belong to places, so it takes puzzles of one length only.
"""

from __future__ import annotations

from torch import Tensor, nn

from trmsolve.model.config import TRMConfig
from trmsolve.model.kernels import LONGEST, kernels_for
from trmsolve.model.layout import Rows
from trmsolve.model.swiglu import EPS, SwiGLU, added, post_norm


class MlpLayer(nn.Module):
    """One layer of f. (B L, D) -> (B L, D), with L = config.length."""

    def __init__(self, config: TRMConfig) -> None:
        super().__init__()
        self.mix = SwiGLU(config.length, config.place_hidden, config.gate)
        self.mlp = SwiGLU(config.width, config.hidden, config.gate)

    def forward(self, h: Tensor, ties: Rows) -> Tensor:
        h = mixed(h, self.mix, ties)
        return added(h, self.mlp(h))


def mixed(h: Tensor, mix: SwiGLU, ties: Rows) -> Tensor:
    """Across the places, with the residual and its norm: (B L, D) -> (B L, D)."""
    up, down = mix.gate_up.weight, mix.down.weight
    if (kernels := kernels_for(h, down)) and ties.length <= LONGEST:
        return kernels.mixed(h, up, down, mix.normalised, EPS)
    features = ties.rows(h).transpose(1, 2)  # (B, D, L)
    features = post_norm(features + mix(features))
    return features.transpose(1, 2).reshape(h.shape)
