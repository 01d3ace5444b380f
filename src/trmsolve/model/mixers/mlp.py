"""The mixer `mlp`: SwiGLU across the positions, the same for each of the D features.

This is the paper's network for Sudoku (arXiv 2510.04871, section 4.5, after MLP-Mixer, arXiv 2105.01601). Its weights
belong to positions, so it takes puzzles of one length only.
"""

from __future__ import annotations

from torch import Tensor, nn

from trmsolve.model.config import TRMConfig
from trmsolve.model.kernels import MAX_SEQ_LEN, kernels_for
from trmsolve.model.layers import EPS, SwiGLU, post_norm, residual_norm
from trmsolve.model.mixers.base import Mixer, no_nnz, no_units
from trmsolve.model.mixers.sequence import DenseLayout, SequenceEdges, pack, seq_len


class MlpLayer(nn.Module):
    """One layer of f. (B L, D) -> (B L, D), with L = config.seq_len."""

    def __init__(self, config: TRMConfig) -> None:
        super().__init__()
        self.mix = SwiGLU(config.seq_len, config.seq_intermediate_size, config.gate)
        self.mlp = SwiGLU(config.hidden_size, config.intermediate_size, config.gate)

    def forward(self, h: Tensor, layout: DenseLayout) -> Tensor:
        h = mix_positions(h, self.mix, layout)
        return residual_norm(h, self.mlp(h))


def mix_positions(h: Tensor, mix: SwiGLU, layout: DenseLayout) -> Tensor:
    """Across the positions, with residual and norm: (B L, D) -> (B L, D)."""
    gate_up, down = mix.gate_up.weight, mix.down.weight
    if (kernels := kernels_for(h, down)) and layout.length <= MAX_SEQ_LEN:
        return kernels.mix_positions(h, gate_up, down, mix.normalised, EPS)
    features = layout.rows(h).transpose(1, 2)  # (B, D, L)
    features = post_norm(features + mix(features))
    return features.transpose(1, 2).reshape(h.shape)


MIXER = Mixer(MlpLayer, SequenceEdges, pack, no_units, no_nnz, seq_len=seq_len)
