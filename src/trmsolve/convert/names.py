"""Tensor names of the published code, and ours.

Published names may have any prefix, which depends on how the model was wrapped when it was saved (`_orig_mod.` by the
compiler, `module.` by a parallel run, `model.inner.` by the published training loop). Wrappers of single layers, inside
a name, are removed. nano-trm's names are mapped to the published ones.
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
_LAYER = re.compile(r"(?P<level>[LH]_level)\.layers\.(?P<index>\d{1,6})\.(?P<part>.+)\.weight")
_NANO = {
    "lenet": "L_level",
    "input_embedding": "embed_tokens",
    "pos_embedding": "rotary_emb",
    "z_H_init": "H_init",
    "z_L_init": "L_init",
}
_ROOTS = "|".join(("embed_tokens|embed_pos|puzzle_emb|rotary_emb|lm_head|q_head|H_level|L_level|H_init|L_init", *_NANO))
_WRAPPED = re.compile(rf"(?P<prefix>(?:.*\.)?)(?P<root>{_ROOTS})(?P<rest>(?:\..+)?)", re.DOTALL)
_WRAPPERS = re.compile(r"\._(?:orig_mod|fsdp_wrapped_module|checkpoint_wrapped_module)(?=\.)")
# Tensors saved by some versions, although they can be computed from the weights or are temporary.
REDUNDANT = ("rotary_emb.cos_cached", "rotary_emb.sin_cached", "puzzle_emb.local_weights", "puzzle_emb.local_ids")


def split(name: str) -> tuple[str, str] | None:
    """The prefix and the published name of a tensor; None if it belongs to no published network."""
    match = _WRAPPED.fullmatch(name)
    if match is None:
        return None
    return match["prefix"], _NANO.get(match["root"], match["root"]) + _WRAPPERS.sub("", match["rest"])


def is_of_nano_trm(name: str) -> bool:
    """Whether a tensor has a name that only nano-trm gives."""
    match = _WRAPPED.fullmatch(name)
    return match is not None and match["root"] in _NANO


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
            return f"{level}.layers.{index}.{_inverse(_PARTS, part)}.weight"
    return _inverse(_WHOLE, name)


def _inverse(table: dict[str, str], name: str) -> str:
    return next((published for published, own in table.items() if own == name), name)
