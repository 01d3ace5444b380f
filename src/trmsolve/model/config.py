"""The dimensions of a model: what a checkpoint must say of itself to be rebuilt."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from trmsolve.errors import TrmsolveError


@dataclass(frozen=True)
class TRMConfig:
    """A Tiny Recursive Model, in the paper's symbols where it has them (arXiv 2510.04871, section 4)."""

    width: int = 64  # size of x, y and z per token
    hidden: int = 128  # inner width of a layer
    layers: int = 2  # layers of the one network f
    mixer: str = "units"  # how tokens hear each other: `units`, `grid`, `mlp` or `attention`
    options: int = 1  # logits of a token
    kinds: int = 4  # kinds of unit a token belongs to (mixer `units`)
    share: tuple[int, ...] = (0, 1, 1, 2)  # which weights each kind uses: row and column share theirs
    unit_scale: float = 1 / 3  # a unit's sum is scaled by this: 1/sqrt(9) keeps its variance near 1
    vocabulary: int = 10  # token ids of the question x
    n: int = 3  # latent updates per latent recursion
    T: int = 1  # latent recursions per deep recursion, only the last with gradient
    N_sup: int = 16  # supervision steps at most, in training

    facets: tuple[int, ...] = ()  # digits of a token's id, its colour first: a task has its own colours (palette.py)

    # What the published networks have and ours do not (official.py). `length` above 0: tokens are known by their place.
    length: int = 0  # tokens of a puzzle at most, the prefix among them
    prefix: int = 0  # tokens before those of the question; the first holds the embedding of the puzzle's id
    puzzles: int = 0  # rows of the table of puzzle embeddings
    positions: str = "none"  # how a token knows its place, beside what the mixer knows: `rope`, `learned` or `none`
    heads: int = 8  # of the mixer `attention`
    place_hidden: int = 0  # inner width of the mixer `mlp`
    y_layers: int = 0  # layers of a network of its own that updates y (HRM); 0: f updates both
    with_gradient: int = 0  # latent updates of the last recursion that keep their gradient; 0: all
    embed_scale: float = 1.0  # x is the embedding times this
    answer_bias: bool = True  # whether the answer's head has a bias
    gate: str = "silu"  # of SwiGLU: `silu`, or `normalised` as in our own mixers, which is what Muon needs (swiglu.py)
    halt_reads: str = "sum"  # what the halting head sees: the `sum` of a puzzle's tokens, or its `first` token

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON header."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TRMConfig:
        """The inverse of to_dict. Raises TrmsolveError for fields it does not know."""
        known = {field.name for field in dataclasses.fields(cls)}
        if strange := sorted(set(values) - known):
            raise TrmsolveError(
                f"the model has settings this version does not know: {', '.join(strange)}", "upgrade trmsolve"
            )
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        return cls(**values)
