"""Token mixers by name. To add one, write a file with its edges, their packing and its layer, and register it here.

A mixer's file defines
- an edge type: a frozen dataclass of numpy arrays, for Encoded.edges of a task's encode();
- a packed type: a NamedTuple of tensors for a batch, with .to(device);
- a Layer(config): (L, D), packed edges -> (L, D);
- MIXER, which binds them (mixers/base.py).
"""

from __future__ import annotations

from trmsolve.model.mixers import attention, grid, mlp, relational, units
from trmsolve.model.mixers.base import Mixer

MIXERS: dict[str, Mixer] = {
    "units": units.MIXER,
    "grid": grid.MIXER,
    "relational": relational.MIXER,
    "mlp": mlp.MIXER,
    "attention": attention.MIXER,
}
_BY_EDGES: dict[type, Mixer] = {mixer.edges: mixer for mixer in MIXERS.values()}


def mixer_of(edges: object) -> Mixer:
    """The mixer with this edge type. `mlp` and `attention` share one, and are packed in the same way."""
    return _BY_EDGES[type(edges)]
