"""The published networks as configurations of the model: TRM (arXiv 2510.04871) and HRM (arXiv 2506.21734).

They have a prefix and then one token per cell, x scaled by sqrt(hidden_size), one token id as the answer of each cell,
a halting head that reads the first token, and inner sizes of 8/3 hidden_size, rounded up to a multiple of 256.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.inputs import Encoded
from trmsolve.model.mixers.attention import SequenceEdges
from trmsolve.model.packing import PackedBatch, pack
from trmsolve.model.trm import TRM

EMPTY = -1  # token id that is embedded as zeros


def swiglu_size(size: int, expansion: float = 4) -> int:
    """Inner size of SwiGLU: two thirds of the usual expansion, because it has three matrices instead of two."""
    return -(-round(expansion * size * 2 / 3) // 256) * 256


def official(
    mixer: str,
    vocab_size: int,
    cells: int,
    hidden_size: int = 512,
    prefix_len: int = 16,
    num_puzzles: int = 1,
    **other: Any,
) -> TRMConfig:
    """A published network for puzzles of `cells` cells; `other`: further fields of TRMConfig."""
    seq_len = prefix_len + cells
    values = {
        "mixer": mixer,
        "vocab_size": vocab_size,
        "num_classes": vocab_size,
        "hidden_size": hidden_size,
        "intermediate_size": swiglu_size(hidden_size),
        "seq_intermediate_size": swiglu_size(seq_len) if mixer == "mlp" else 0,
        "seq_len": seq_len,
        "prefix_len": prefix_len,
        "num_puzzles": num_puzzles,
        "positions": "none" if mixer == "mlp" else "rope",
        "embed_scale": hidden_size**0.5,
        "answer_bias": False,
        "halt_pooling": "first",
    }
    return TRMConfig(**values | other)


def sequence_tokens(cells: np.ndarray, prefix_len: int, puzzle_token: int | None) -> np.ndarray:
    """int64 (prefix_len + S,): the puzzle's token, if any, empty tokens, then the cells' token ids, integers (S,)."""
    prefix = np.full(prefix_len, EMPTY, np.int64)
    if puzzle_token is not None:
        prefix[:1] = puzzle_token
    return np.concatenate([prefix, cells.astype(np.int64)])


def refine(model: TRM, dtype: torch.dtype, tokens: Any, puzzle_ids: Any, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Step a sequence model as api.Model.refine describes. Raises TrmsolveError before the first step."""
    config, device = model.config, next(model.parameters()).device
    if steps < 1:
        raise TrmsolveError(f"steps: found {steps}, expected at least 1")
    cells = _integers("tokens", tokens, 2)
    ids = np.zeros(len(cells), np.int64) if puzzle_ids is None else _integers("puzzle_ids", puzzle_ids, 1)
    _check(config, cells, ids)
    none = np.zeros(0, np.int64)
    puzzle_tokens = (config.vocab_size + ids).tolist() if config.num_puzzles else [None] * len(ids)
    rows = [sequence_tokens(row, config.prefix_len, token) for row, token in zip(cells, puzzle_tokens, strict=True)]
    x, batch = pack([Encoded(row, SequenceEdges(len(row)), none, none, none) for row in rows])
    return _steps(model, x.to(device), batch.to(device), dtype, steps)


def _steps(
    model: TRM, x: Tensor, batch: PackedBatch, dtype: torch.dtype, steps: int
) -> Iterator[tuple[Tensor, Tensor]]:
    y, z = model.init_state(len(x), dtype)
    for _ in range(steps):
        with torch.inference_mode():  # not around the yield: the caller's own code runs there
            step = model(x, y, z, batch)
            y, z = step.y, step.z
            by_position = step.logits.view(len(batch.lengths), -1, model.config.num_classes)  # (B, L, classes)
            logits = by_position[:, model.config.prefix_len :]
        yield logits, step.halt_logit


def _integers(name: str, values: Any, axes: int) -> np.ndarray:
    try:
        array = np.asarray(values.cpu() if isinstance(values, Tensor) else values)
    except ValueError:
        raise TrmsolveError(f"{name}: expected rows of equal length") from None
    if array.ndim != axes or array.dtype.kind not in "iu" or not array.size:
        shape = " x ".join(map(str, array.shape)) or "no axes"
        raise TrmsolveError(f"{name}: found {array.dtype} ({shape}), expected integers with {axes} axes")
    return array.astype(np.int64)


def _check(config: TRMConfig, cells: np.ndarray, ids: np.ndarray) -> None:
    if not config.seq_len:
        raise TrmsolveError(f"a model with the mixer '{config.mixer}' has no token per cell", "use solve or watch")
    number, most = cells.shape[1], config.seq_len - config.prefix_len
    fixed = config.seq_intermediate_size > 0 or config.positions == "learned"
    if number > most or (fixed and number != most):
        raise TrmsolveError(f"this model takes {'' if fixed else 'at most '}{most} cells, found {number}")
    if len(ids) != len(cells):
        raise TrmsolveError(f"{len(cells)} rows of tokens but {len(ids)} puzzle_ids")
    for name, values, size in (("tokens", cells, config.vocab_size), ("puzzle_ids", ids, max(1, config.num_puzzles))):
        if values.min() < 0 or values.max() >= size:
            raise TrmsolveError(f"{name} must lie in 0..{size - 1}, found {values.min()}..{values.max()}")
