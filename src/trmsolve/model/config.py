"""The configuration of a model, which a checkpoint stores, and the fields that the configuration of a run shares."""

from __future__ import annotations

import dataclasses
import math
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trmsolve.errors import TrmsolveError, did_you_mean
from trmsolve.text_io import printable

MAX_LAYER_CALLS = 5_000  # in one supervision step, because time limits are only checked between steps
MAX_VOCAB_SIZE = 1 << 24


# -- fields -------------------------------------------------------------------------------------------------------
def number(default: Any, low: float, high: float) -> Any:
    """A field for a number from low to high; for a list of them if the default is a tuple; also for None, if it is."""
    return dataclasses.field(default=default, metadata={"bounds": (low, high)})


def choice(default: str, *others: str) -> Any:
    """A field for one of these names."""
    return dataclasses.field(default=default, metadata={"names": (default, *others)})


def module(default: str, folder: str) -> Any:
    """A field for the name of a module in a folder beside this file, each of which is a mixer or an embedding."""
    names = {module.name for module in pkgutil.iter_modules([str(Path(__file__).with_name(folder))])}
    return choice(default, *sorted(names - {default}))


def check_fields(section: str, config: Any) -> None:
    """Raise TrmsolveError for a value of the wrong type or out of its bounds, as check_field() does."""
    for field in dataclasses.fields(config):
        check_field(section, field, getattr(config, field.name))


def check_field(section: str, field: dataclasses.Field[Any], value: Any) -> None:
    """Raise TrmsolveError unless the value has the type of the field and lies within its bounds."""
    name, default = f"{section}.{field.name}", field.default
    if names := field.metadata.get("names"):
        if not isinstance(value, str) or value not in names:
            hint = did_you_mean(value[:50], names) if isinstance(value, str) else f"one of: {', '.join(names)}"
            raise TrmsolveError(f"{name}: unknown value {shown(value)}", hint)
    elif isinstance(default, bool):
        if not isinstance(value, bool):
            raise TrmsolveError(f"{name}: found {shown(value)}, expected true or false")
    elif "bounds" in field.metadata and not (value is None and default is None):
        low, high = field.metadata["bounds"]
        kinds, kind = ((int, float), "number") if "float" in str(field.type) else ((int,), "integer")
        is_list = isinstance(default, tuple)
        numbers = value if isinstance(value, tuple) else (value,)
        in_bounds = len(numbers) <= 1000 and all(type(n) in kinds and low <= n <= high for n in numbers)
        if isinstance(value, tuple) != is_list or not in_bounds:
            one_or_more = f"a list of {kind}s" if is_list else f"a{'n' * (kind[0] == 'i')} {kind}"
            raise TrmsolveError(f"{name}: found {shown(value)}, expected {one_or_more} from {low:,} to {high:,}")


def shown(value: Any) -> str:
    """A value as text for messages, shortened."""
    if isinstance(value, int) and abs(value) >= 1 << 64:  # Python raises for integers with thousands of digits
        return "an integer of more than 64 bits"
    return printable(repr(value[:10]) if isinstance(value, list | tuple | str) else repr(value), 100)


# -- the model ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class TRMConfig:
    """A Tiny Recursive Model, with the symbols of the paper (arXiv 2510.04871, section 4).

    Raises TrmsolveError for a value of the wrong type or out of its bounds.
    """

    hidden_size: int = number(64, 1, 1 << 14)  # D, size of x, y and z per token
    intermediate_size: int = number(128, 1, 1 << 16)  # H, inner size of a layer
    num_layers: int = number(2, 1, 256)  # layers of the one network f
    mixer: str = module("grid", "mixers")  # token mixer
    embedding: str = module("token", "embeddings")  # embedding of the question
    num_classes: int = number(1, 1, 1 << 16)  # logits per token
    vocab_size: int = number(10, 1, MAX_VOCAB_SIZE)  # token ids of the question x
    n: int = number(3, 1, 1000)  # latent updates per latent recursion
    T: int = number(1, 1, 1000)  # latent recursions per deep recursion, only the last with gradient
    N_sup: int = number(16, 1, 1_000_000)  # maximum supervision steps in training

    # Mixers `units` and `relational`
    num_relations: int = number(0, 0, 1000)  # K, relations besides the eight neighbours (`relational`)
    weight_sharing: tuple[int, ...] = number((), 0, 1000)  # (K,) index of the weights of each kind of unit (`units`)
    unit_scale: float = number(1.0, 0.0, 1e3)  # factor of a unit's sum (`units`)
    feature_sizes: tuple[int, ...] = number((), 1, 1 << 16)  # values of each feature in a token id (`color`)

    # Sequence models, as published: seq_len > 0 means that tokens have fixed positions.
    seq_len: int = number(0, 0, 1 << 16)  # tokens of a puzzle, prefix included
    prefix_len: int = number(0, 0, 1 << 16)  # tokens before the question
    puzzle_tokens: int = number(1, 1, 1 << 10)  # the first tokens, which a puzzle embedding of puzzle_tokens D fills
    num_puzzles: int = number(0, 0, 1 << 26)  # rows of the table of puzzle embeddings
    token_shift: int = number(0, 0, 1000)  # added to the task's token ids to get the network's (nano-trm: 1)
    positions: str = choice("none", "rope", "learned")  # position encoding: `rope`, `learned` or `none`
    num_heads: int = number(8, 1, 1024)  # mixer `attention`
    seq_intermediate_size: int = number(0, 0, 1 << 18)  # inner size of the mixer `mlp`
    num_y_layers: int = number(0, 0, 256)  # layers of a second network that updates y (HRM); 0: f updates both
    grad_steps: int = number(0, 0, 1000)  # latent updates of the last recursion that keep their gradient; 0: all
    embed_scale: float = number(1.0, 1e-6, 1e6)  # factor of the embedding
    answer_bias: bool = True  # whether the answer head has a bias
    gate: str = choice("silu", "normalised")  # gate of SwiGLU: `silu`, or `normalised` (layers.py), which Muon needs
    halt_pooling: str = choice("sum", "first")  # the halting head reads the `sum` of a puzzle's tokens, or its `first`

    def __post_init__(self) -> None:
        check_fields("model", self)
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
        elif math.prod(self.feature_sizes) > MAX_VOCAB_SIZE:
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
