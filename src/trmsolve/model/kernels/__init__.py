"""CUDA kernels in Triton (triton-lang.org): one pass over memory where the formulas take several.

**No GPU has run them yet**: they are tested by Triton's interpreter; item 0 of the queue in docs/records.md measures
each against its formula, and deletes what loses. Every kernel has a formula in layers.py, segment.py or
mixers/mlp.py, which is its reference (tests/model/test_kernels.py) and runs wherever the kernel cannot: on other
devices, under autograd and torch.compile, without Triton, and in reference_mode. `python -m trmsolve.model.kernels`
compares their speed. TRMSOLVE_KERNELS=off disables all of them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

DEVICES = {"cuda"}
MAX_HIDDEN_SIZE = 256  # hidden_size up to which a token fits into one block beside the weights it is multiplied by
MAX_SEQ_LEN = 128  # positions of a puzzle up to which they fit into one block
MIN_PROGRAMS = 256  # programs that keep a device occupied: blocks are as large as leaves that many

log = logging.getLogger("trmsolve")

_reference: ContextVar[bool] = ContextVar("reference_mode", default=False)


@contextmanager
def reference_mode() -> Iterator[None]:
    """Compute every formula as it is written, without fast paths within a block (benchmark/inference.py)."""
    token = _reference.set(True)
    try:
        yield
    finally:
        _reference.reset(token)


def in_reference_mode() -> bool:
    """Whether a reference_mode block is open in this context."""
    return not torch.compiler.is_compiling() and _reference.get()


class Kernels(NamedTuple):
    """The kernels by the formula they compute."""

    gated_update: Callable[..., Tensor]  # layers.gated_update
    residual_norm: Callable[..., Tensor]  # layers.residual_norm
    gate_product: Callable[..., Tensor]  # layers.silu_gate and normalised_gate
    mix_positions: Callable[..., Tensor]  # mixers.mlp.mix_positions
    segment_sum: Callable[..., Tensor]  # segment.segment_sum


def kernels_on(device: torch.device) -> Kernels | None:
    """The kernels, or None where there are none. The first call on a device tries one."""
    return _load(device) if device.type in DEVICES and not in_reference_mode() else None


def kernels_for(h: Tensor, weight: Tensor) -> Kernels | None:
    """The kernels for a layer: without autograd or autocast, and with weights in the dtype of the states h."""
    if torch.compiler.is_compiling() or h.device.type not in DEVICES or h.dtype != weight.dtype or in_reference_mode():
        return None
    if torch.is_grad_enabled() or torch.is_autocast_enabled(h.device.type):
        return None
    return _load(h.device)


@cache
def _load(device: torch.device) -> Kernels | None:
    if os.environ.get("TRMSOLVE_KERNELS", "").lower() in ("off", "0"):
        log.info("kernels: none, disabled by TRMSOLVE_KERNELS")
        return None
    try:
        from trmsolve.model.kernels import triton_kernels

        h = torch.ones(16, 16, device=device)
        if not torch.allclose(triton_kernels.residual_norm(h, h, 0.0), h):
            raise RuntimeError("a kernel computes wrong values")
    except Exception as error:  # no Triton, no compiler for its launchers, an unknown device, ...
        log.info("kernels: none, %s", str(error).partition("\n")[0] or type(error).__name__)
        return None
    log.info("kernels: Triton")
    return Kernels(**{name: getattr(triton_kernels, name) for name in Kernels._fields})
