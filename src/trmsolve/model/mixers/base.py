"""The interface of a mixer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import nn

RoundUp = Callable[[Any], Any]  # rounds an integer, or an array of them, up to a padded size


class Mixer(NamedTuple):
    """A mixer's layer, its edge type, and how the edges of a batch are packed."""

    layer: type[nn.Module]
    edges: type
    pack: Callable[..., Any]  # (edges of B puzzles, starts (B + 1,), num_tokens, round_up) -> packed edges
    seq_len: Callable[[Any], int] | None = (
        None  # tokens of each puzzle, for mixers whose puzzles all have the same number
    )
