"""The published networks as configurations of the one model: TRM (arXiv 2510.04871) and HRM (arXiv 2506.21734).

What they share: x is scaled by sqrt(width), the answer is one token id for each cell, the halting head reads the first
token, and inner widths are 8/3 of the outer, rounded up to a multiple of 256.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trmsolve.model.config import TRMConfig
from trmsolve.model.swiglu import truncated

if TYPE_CHECKING:
    from trmsolve.model.trm import TRM


def inner_width(width: int, expansion: float = 4) -> int:
    """Of SwiGLU: two thirds of the usual expansion, as it has three matrices for two."""
    return -(-round(expansion * width * 2 / 3) // 256) * 256


def published_start(model: TRM) -> None:
    """The numbers that such a network starts training from, as the published code draws them; its layers do so anyway.

    Halting is all but excluded at first: sigmoid(-5) = 0.7 %.
    """
    width = model.config.width
    model.y_init.copy_(truncated((width,), 1.0))
    model.z_init.copy_(truncated((width,), 1.0))
    model.embed.weight.copy_(truncated(tuple(model.embed.weight.shape), 1 / model.config.embed_scale))
    model.answer_head.weight.copy_(truncated(tuple(model.answer_head.weight.shape), width**-0.5))
    model.q_head.bias.fill_(-5.0)


def official(
    mixer: str, vocabulary: int, cells: int, width: int = 512, prefix: int = 16, puzzles: int = 1, **other: Any
) -> TRMConfig:
    """A published network for puzzles of so many cells; `other`: any further fields of TRMConfig."""
    length = prefix + cells
    values = {
        "mixer": mixer,
        "vocabulary": vocabulary,
        "options": vocabulary,
        "width": width,
        "hidden": inner_width(width),
        "place_hidden": inner_width(length) if mixer == "mlp" else 0,
        "length": length,
        "prefix": prefix,
        "puzzles": puzzles,
        "positions": "none" if mixer == "mlp" else "rope",
        "embed_scale": width**0.5,
        "answer_bias": False,
        "halt_reads": "first",
    }
    return TRMConfig(**values | other)
