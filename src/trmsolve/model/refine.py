"""The published networks as functions: token ids of cells in, logits of cells out, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.layout import pack
from trmsolve.model.trm import TRM
from trmsolve.tasks.cellwise import Frame


def refine(model: TRM, dtype: torch.dtype, tokens: Any, puzzle_ids: Any, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """As api.Model.refine describes it; states have this dtype. What is wrong is said before the first step."""
    config, device = model.config, next(model.parameters()).device
    if steps < 1:
        raise TrmsolveError(f"steps: at least 1 needed, found {steps}")
    cells = _integers("tokens", tokens, 2)
    names = np.zeros(len(cells), np.int64) if puzzle_ids is None else _integers("puzzle_ids", puzzle_ids, 1)
    _check(config, cells, names)
    frame, none = frame_of(config), np.zeros(0, np.int64)
    x, layout = pack([frame.encode(c, none, 0, config.options, name) for c, name in zip(cells, names, strict=True)])
    return _steps(model, x.to(device), layout.to(device), dtype, steps)


def frame_of(config: TRMConfig) -> Frame:
    """How puzzles are written for a network with places."""
    return Frame(config.prefix, config.length - config.prefix, config.vocabulary, config.puzzles)


def _steps(model: TRM, x: Tensor, layout: Any, dtype: torch.dtype, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    y, z = model.start(len(x), dtype)
    for _ in range(steps):
        with torch.inference_mode():  # not around the yield: the caller's own code runs there
            step = model(x, y, z, layout)
            y, z = step.y, step.z
            logits = step.logits.view(len(layout.lengths), -1, model.config.options)[:, model.config.prefix :]
        yield logits, step.halt


def _integers(name: str, values: Any, axes: int) -> np.ndarray:
    try:
        array = np.asarray(values.cpu() if isinstance(values, Tensor) else values)
    except ValueError:
        raise TrmsolveError(f"{name}: rows of one length needed") from None
    if array.ndim != axes or array.dtype.kind not in "iu" or not array.size:
        shape = " x ".join(map(str, array.shape)) or "no axes"
        raise TrmsolveError(f"{name}: integers with {axes} axes needed, found {array.dtype} ({shape})")
    return array.astype(np.int64)


def _check(config: TRMConfig, cells: np.ndarray, names: np.ndarray) -> None:
    if not config.length:
        raise TrmsolveError(f"a model with the mixer '{config.mixer}' takes no plain cells", "solve or watch with it")
    number, most = cells.shape[1], config.length - config.prefix
    exact = config.mixer == "mlp" or config.positions == "learned"
    if number > most or (exact and number != most):
        raise TrmsolveError(f"this model takes {'' if exact else 'at most '}{most} cells, found {number}")
    if len(names) != len(cells):
        raise TrmsolveError(f"{len(cells)} rows of tokens but {len(names)} puzzle_ids")
    for name, values, size in (("tokens", cells, config.vocabulary), ("puzzle_ids", names, max(1, config.puzzles))):
        if values.min() < 0 or values.max() >= size:
            raise TrmsolveError(f"{name} must lie in 0..{size - 1}, found {values.min()}..{values.max()}")
