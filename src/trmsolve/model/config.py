"""The configuration of a model, which a checkpoint stores."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from trmsolve.errors import TrmsolveError, did_you_mean
from trmsolve.text_io import printable


@dataclass(frozen=True)
class TRMConfig:
    """A Tiny Recursive Model, with the symbols of the paper (arXiv 2510.04871, section 4).

    Raises TrmsolveError for a value of the wrong type or out of BOUNDS.
    """

    hidden_size: int = 64  # D, size of x, y and z per token
    intermediate_size: int = 128  # H, inner size of a layer
    num_layers: int = 2  # layers of the one network f
    mixer: str = "grid"  # token mixer, a key of mixers.MIXERS
    embedding: str = "token"  # embedding of the question, a key of embeddings.EMBEDDINGS
    num_classes: int = 1  # logits per token
    vocab_size: int = 10  # token ids of the question x
    n: int = 3  # latent updates per latent recursion
    T: int = 1  # latent recursions per deep recursion, only the last with gradient
    N_sup: int = 16  # maximum supervision steps in training

    # Mixers `units` and `relational`
    num_relations: int = 0  # K, relations besides the eight neighbours (`relational`)
    weight_sharing: tuple[int, ...] = ()  # (K,) index of the weights that each kind of unit uses (`units`)
    unit_scale: float = 1.0  # factor of a unit's sum (`units`)
    feature_sizes: tuple[int, ...] = ()  # number of values of each feature in a token id (embedding `color`)

    # Sequence models, as published: seq_len > 0 means that tokens have fixed positions.
    seq_len: int = 0  # tokens of a puzzle, prefix included
    prefix_len: int = 0  # tokens before the question; the first puzzle_tokens of them hold the puzzle embedding
    puzzle_tokens: int = 1  # tokens that a puzzle embedding fills; its rows have puzzle_tokens D numbers
    num_puzzles: int = 0  # rows of the table of puzzle embeddings
    token_shift: int = 0  # added to the task's token ids to get the network's (nano-trm: 1)
    positions: str = "none"  # position encoding: `rope`, `learned` or `none`
    num_heads: int = 8  # mixer `attention`
    seq_intermediate_size: int = 0  # inner size of the mixer `mlp`
    num_y_layers: int = 0  # layers of a second network that updates y (HRM); 0: f updates both
    grad_steps: int = 0  # latent updates of the last recursion that keep their gradient; 0: all
    embed_scale: float = 1.0  # factor of the embedding
    answer_bias: bool = True  # whether the answer head has a bias
    gate: str = "silu"  # gate of SwiGLU: `silu`, or `normalised` (layers.py), which Muon needs
    halt_pooling: str = "sum"  # input of the halting head: `sum` over a puzzle's tokens, or its `first` token

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(field.name, getattr(self, field.name), getattr(type(self), field.name))
        if problem := self._contradiction():
            raise TrmsolveError(f"model.{problem}")

    def _contradiction(self) -> str:
        """Why the combination of fields is invalid; "" if it is valid."""
        sequence = self.mixer in ("mlp", "attention")
        calls = self.T * (self.n * self.num_layers + (self.num_y_layers or self.num_layers))
        if calls > MAX_LAYER_CALLS:
            return f"T: {self.T} and n {self.n} mean {calls:,} layer calls per step; the maximum is {MAX_LAYER_CALLS:,}"
        if self.grad_steps > self.n:
            return f"grad_steps: {self.grad_steps} exceeds n {self.n}"
        if sequence != (self.seq_len > 0):
            return f"seq_len: {self.seq_len} is not valid for the mixer '{self.mixer}'"
        if self.seq_len and self.prefix_len >= self.seq_len:
            return f"prefix_len: {self.prefix_len} leaves no tokens of seq_len {self.seq_len}"
        if self.positions != "none" and not sequence:
            return f"positions: '{self.positions}' is not valid for the mixer '{self.mixer}'"
        if self.mixer == "mlp" and not self.seq_intermediate_size:
            return "seq_intermediate_size: the mixer 'mlp' needs at least 1"
        if self.mixer == "attention" and self.hidden_size % (2 * self.num_heads):
            return f"num_heads: {self.num_heads} do not divide hidden_size {self.hidden_size} evenly"
        if self.mixer == "units" and not self.weight_sharing:
            return "weight_sharing: the mixer 'units' needs one number for each kind of unit"
        if self.embedding == "token":
            if sequence and self.num_puzzles and self.prefix_len < self.puzzle_tokens:
                return f"prefix_len: {self.prefix_len} is less than puzzle_tokens {self.puzzle_tokens}"
        elif self.mixer != "relational":
            return f"embedding: 'color' is not valid for the mixer '{self.mixer}'"
        elif not self.feature_sizes or self.feature_sizes[0] < 3:
            return "feature_sizes: the embedding 'color' needs at least two colours and a pad colour"
        elif math.prod(self.feature_sizes) > BOUNDS["vocab_size"].high:
            return "feature_sizes: more than 2^24 token ids"
        return ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON header."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TRMConfig:
        """The inverse of to_dict. Raises TrmsolveError for unknown fields and invalid values."""
        names = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                message = f"model.{printable(name, 50)}: unknown setting"
                raise TrmsolveError(message, f"{did_you_mean(str(name)[:50], names)}, or upgrade")
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**fields)


class Bound(NamedTuple):
    """Allowed range of a number, both ends included."""

    low: float
    high: float


MAX_LAYER_CALLS = 5_000  # in one supervision step, because time limits are only checked between steps
BOUNDS: dict[str, Bound] = {
    "hidden_size": Bound(1, 1 << 14),
    "intermediate_size": Bound(1, 1 << 16),
    "num_layers": Bound(1, 256),
    "num_classes": Bound(1, 1 << 16),
    "vocab_size": Bound(1, 1 << 24),
    "n": Bound(1, 1000),
    "T": Bound(1, 1000),
    "N_sup": Bound(1, 1_000_000),
    "num_relations": Bound(0, 1000),
    "weight_sharing": Bound(0, 1000),
    "unit_scale": Bound(0.0, 1e3),
    "feature_sizes": Bound(1, 1 << 16),
    "seq_len": Bound(0, 1 << 16),
    "prefix_len": Bound(0, 1 << 16),
    "puzzle_tokens": Bound(1, 1 << 10),
    "num_puzzles": Bound(0, 1 << 26),
    "token_shift": Bound(0, 1000),
    "num_heads": Bound(1, 1024),
    "seq_intermediate_size": Bound(0, 1 << 18),
    "num_y_layers": Bound(0, 256),
    "grad_steps": Bound(0, 1000),
    "embed_scale": Bound(1e-6, 1e6),
}
CHOICES: dict[str, tuple[str, ...]] = {
    "mixer": ("units", "grid", "relational", "mlp", "attention"),
    "embedding": ("token", "color"),
    "positions": ("none", "rope", "learned"),
    "gate": ("silu", "normalised"),
    "halt_pooling": ("sum", "first"),
}


def _check(name: str, value: Any, default: Any) -> None:
    """Raise TrmsolveError unless the value has the type of the default and lies within its bounds."""
    if name in CHOICES:
        if not isinstance(value, str) or value not in CHOICES[name]:
            raise TrmsolveError(f"model.{name}: unknown value {_shown(value)}", f"one of: {', '.join(CHOICES[name])}")
        return
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise TrmsolveError(f"model.{name}: found {_shown(value)}, expected true or false")
        return
    if isinstance(default, tuple):
        if not isinstance(value, tuple) or len(value) > 1000 or not all(type(number) is int for number in value):
            raise TrmsolveError(f"model.{name}: found {_shown(value)}, expected a list of integers")
        numbers: tuple[float, ...] = value
    else:
        kinds = (int, float) if isinstance(default, float) else (int,)
        if type(value) not in kinds or (isinstance(value, float) and not math.isfinite(value)):
            kind = "a number" if float in kinds else "an integer"
            raise TrmsolveError(f"model.{name}: found {_shown(value)}, expected {kind}")
        numbers = (value,)
    low, high = BOUNDS[name]
    for number in numbers:
        if not low <= number <= high:
            raise TrmsolveError(f"model.{name}: {_shown(number)} is outside of {low:g} to {high:g}")


def _shown(value: Any) -> str:
    """A value as text for messages, shortened."""
    if isinstance(value, int) and abs(value) >= 1 << 64:  # Python raises for integers with thousands of digits
        return "an integer of more than 64 bits"
    return printable(repr(value[:10]) if isinstance(value, list | tuple | str) else repr(value), 100)
