"""Checkpoints of format 1 (trmsolve 0.1): field and tensor names are mapped to today's on reading."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_FIELDS = {
    "width": "hidden_size",
    "hidden": "intermediate_size",
    "layers": "num_layers",
    "options": "num_classes",
    "kinds": "num_relations",
    "share": "weight_sharing",
    "vocabulary": "vocab_size",
    "facets": "feature_sizes",
    "length": "seq_len",
    "prefix": "prefix_len",
    "puzzles": "num_puzzles",
    "heads": "num_heads",
    "place_hidden": "seq_intermediate_size",
    "y_layers": "num_y_layers",
    "with_gradient": "grad_steps",
    "halt_reads": "halt_pooling",
}
_DEFAULTS = {"mixer": "units", "share": [0, 1, 1, 2], "kinds": 4, "unit_scale": 1 / 3}  # of fields that may be missing
_MIXERS = {"scene": "relational"}

_TENSORS = (
    (r"^embed\.puzzles$", "embed.puzzle_table"),
    (r"^embed\.places$", "embed.position_table"),
    (r"^(y_layers|layers)\.(\d+)\.near\.", r"\1.\2.neighbors."),
    (r"^(y_layers|layers)\.(\d+)\.kinds\.", r"\1.\2.relations."),
    (r"^embed\.kinds\.", "embed.features."),
    (r"^embed\.outside$", "embed.pad_color"),
    (r"^embed\.says_outside\.", "embed.pad_head."),
    (r"^embed\.says\.", "embed.out_proj."),
    (r"^embed\.copying\.trust\.", "embed.copy_head.copy_gate."),
)


def map_model(model: Mapping[str, Any]) -> dict[str, Any]:
    """A model configuration of format 1 with the names of TRMConfig. Unknown fields are kept, and rejected later."""
    values = {_FIELDS.get(name, name): value for name, value in {**_DEFAULTS, **model}.items()}
    mixer = values["mixer"]
    values["mixer"] = _MIXERS.get(mixer, mixer) if isinstance(mixer, str) else mixer
    values["embedding"] = "color" if values.get("feature_sizes") else "token"
    if values["mixer"] != "units":
        values |= {"weight_sharing": [], "unit_scale": 1.0}
    if values["mixer"] != "relational":
        values["num_relations"] = 0
    return values


def map_tensor_name(name: str) -> str:
    """A tensor name of format 1 in today's names."""
    for pattern, replacement in _TENSORS:
        name = re.sub(pattern, replacement, name)
    return name
