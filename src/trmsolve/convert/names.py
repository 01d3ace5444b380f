"""Tensor names of the published code, and ours.

Published names stand behind a prefix that tells how the model was wrapped when it was saved (`_orig_mod.` by the
compiler, `module.` by a parallel run, `model.inner.` by the published training loop); any prefix will do.
"""

from __future__ import annotations

import re

_WHOLE = {
    "embed_tokens.embedding_weight": "embed.weight",
    "embed_pos.embedding_weight": "embed.position_table",
    "puzzle_emb.weights": "embed.puzzle_table",
    "lm_head.weight": "answer_head.weight",
    "q_head.weight": "q_head.weight",
    "q_head.bias": "q_head.bias",
    "H_init": "y_init",
    "L_init": "z_init",
}
_LEVELS = {"L_level": "layers", "H_level": "y_layers"}
_PARTS = {
    "mlp_t.gate_up_proj": "mix.gate_up",
    "mlp_t.down_proj": "mix.down",
    "self_attn.qkv_proj": "qkv",
    "self_attn.o_proj": "out",
    "mlp.gate_up_proj": "mlp.gate_up",
    "mlp.down_proj": "mlp.down",
}
_LAYER = re.compile(r"(?P<level>[LH]_level)\.layers\.(?P<index>\d+)\.(?P<part>.+)\.weight")
_ROOTS = "embed_tokens|embed_pos|puzzle_emb|rotary_emb|lm_head|q_head|H_level|L_level|H_init|L_init"
_WRAPPED = re.compile(rf"(?P<prefix>(?:.*\.)?)(?P<name>(?:{_ROOTS})(?:\..+)?)")
# Saved by some versions although it follows from the weights, or is scratch memory.
REDUNDANT = ("rotary_emb.cos_cached", "rotary_emb.sin_cached", "puzzle_emb.local_weights", "puzzle_emb.local_ids")


def split(name: str) -> tuple[str, str] | None:
    """The prefix and the published name of a tensor; None when it belongs to no published network."""
    match = _WRAPPED.fullmatch(name)
    return (match["prefix"], match["name"]) if match else None


def our_name(name: str) -> str | None:
    """Our name of a published tensor (without prefix), None when there is none."""
    if match := _LAYER.fullmatch(name):
        part = _PARTS.get(match["part"])
        return part and f"{_LEVELS[match['level']]}.{match['index']}.{part}.weight"
    return _WHOLE.get(name)


def published_name(name: str) -> str:
    """The inverse of `our_name`, for messages."""
    for level, own in _LEVELS.items():
        if name.startswith(f"{own}."):
            index, part = name.removeprefix(f"{own}.").removesuffix(".weight").split(".", 1)
            return f"{level}.layers.{index}.{_back(_PARTS, part)}.weight"
    return _back(_WHOLE, name)


def _back(table: dict[str, str], name: str) -> str:
    return next((published for published, own in table.items() if own == name), name)
