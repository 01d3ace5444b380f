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
    mixer: str = "units"  # how tokens hear each other: `units` or `grid`
    options: int = 1  # logits of a token
    kinds: int = 4  # kinds of unit a token belongs to (mixer `units`)
    share: tuple[int, ...] = (0, 1, 1, 2)  # which weights each kind uses: row and column share theirs
    unit_scale: float = 1 / 3  # a unit's sum is scaled by this: 1/sqrt(9) keeps its variance near 1
    vocabulary: int = 10  # token ids of the question x
    n: int = 3  # latent updates per latent recursion
    T: int = 1  # latent recursions per deep recursion, only the last with gradient
    N_sup: int = 16  # supervision steps at most, in training

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
