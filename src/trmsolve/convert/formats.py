"""Reading weights, whatever they were saved with: safetensors, or a pickle of torch.save that needs no code to load."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trmsolve.convert.memory import require
from trmsolve.convert.names import REDUNDANT, split
from trmsolve.errors import TrmsolveError

_AGAIN = "fetch it again, or copy it anew"


@dataclass(slots=True)
class Group:
    """The tensors of one network under one prefix, by their published names."""

    where: str  # parts of the file down to them, and their prefix: "ema._orig_mod.model.inner."
    tensors: dict[str, Tensor] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)  # names beside them that belong to no published network

    @property
    def averaged(self) -> bool:
        """Whether the file calls them an exponential moving average."""
        return "ema" in re.split(r"[._]", self.where.lower())


def read_network(path: Path) -> Group:
    """The one network in a file, averaged weights first: what these lack (no parameters) is taken from the others.

    Tensors of a zip file stay on the disk until they are used. Raises TrmsolveError when the file is truncated, needs
    more than tensors and plain values to load, or holds no published network, or several.
    """
    groups = [
        g for g in _groups(read_tree(path), "") if {"lm_head.weight", "embed_tokens.embedding_weight"} & set(g.tensors)
    ]
    averaged, plain = ([g for g in groups if g.averaged is kind] for kind in (True, False))
    if not groups:
        raise TrmsolveError(
            f"{path} holds no published TRM or HRM", "a state dict with embed_tokens and lm_head is needed"
        )
    if len(averaged) > 1 or len(plain) > 1:
        prefixes = ", ".join(repr(g.where) for g in groups[:10])
        raise TrmsolveError(f"{path} holds {len(groups)} networks: {prefixes}", "save the wanted one alone")
    chosen = (averaged or plain)[0]
    rest = plain[0].tensors if plain else {}
    return Group(chosen.where, {**rest, **chosen.tensors}, chosen.strange)


def read_tree(path: Path) -> Mapping[Any, Any]:
    """What the file holds, as dicts of dicts with tensors at the ends; nothing in it is ever run."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise TrmsolveError(f"cannot read {path}: {error.strerror or error}") from None
    if not start:
        raise TrmsolveError(f"{path} is empty", _AGAIN)
    if start == b"version h":
        raise TrmsolveError(f"{path} is only a Git LFS pointer, not the weights", "run: git lfs pull")
    tree = _safetensors(path) if start[8:] == b"{" else _pickle(path, zipped=start.startswith(b"PK"))
    if not isinstance(tree, Mapping):
        raise TrmsolveError(f"{path} holds a {type(tree).__name__}, a state dict needed")
    return tree


def _safetensors(path: Path) -> Mapping[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if "trmsolve" in (metadata.get("format"), *metadata):  # format 1, format 2
                raise TrmsolveError(f"{path} is a checkpoint of trmsolve already", "use it as it is: --checkpoint")
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise TrmsolveError(f"{path} is truncated or damaged: {error}", _AGAIN) from None


def _pickle(path: Path, zipped: bool) -> Any:
    if not zipped:  # the format before torch 1.6, which cannot be mapped
        again = "save it again with a newer torch, whose files stay on the disk, or use a machine with more"
        require(path.stat().st_size, f"reading {path}", again)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of damage before it fails
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # what a damaged pickle raises depends on where it is damaged
        text = str(error)
        if needed := re.search(r"GLOBAL ([\w.]+)", text):  # weights_only names what it will not import
            found = f"{path} holds more than weights: loading it would run {needed[1]}"
            hint = "where you trust it, save its weights alone: torch.save(model.state_dict(), FILE)"
            raise TrmsolveError(found, hint) from None
        reason = re.split(r"\. |\n", text.strip())[0][:200].removeprefix("Weights only load failed")
        raise TrmsolveError(f"{path} is truncated or no file of weights{reason and f': {reason}'}", _AGAIN) from None


def _groups(tree: Mapping[Any, Any], where: str) -> Iterator[Group]:
    """Every network in the tree."""
    groups: dict[str, Group] = {}
    tensors = {key: value for key, value in tree.items() if isinstance(key, str) and isinstance(value, Tensor)}
    for key, value in tensors.items():
        if parts := split(key):
            prefix, name = parts
            group = groups.setdefault(prefix, Group(where + prefix))
            if name not in REDUNDANT:
                group.tensors[name] = value
    for prefix, group in groups.items():
        group.strange = [key for key in tensors if key.startswith(prefix) and not split(key)]
    yield from groups.values()
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _groups(value, f"{where}{key}.")
