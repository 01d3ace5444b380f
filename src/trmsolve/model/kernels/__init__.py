"""CUDA kernels in Triton (triton-lang.org) with one pass over memory instead of several.

**They have not run on a GPU yet**; tests use Triton's interpreter. Item 0 of the queue in docs/records.md compares each
with its formula, and deletes the slower ones. The formulas in layers.py, segment.py and mixers/mlp.py are the
reference (tests/model/test_kernels.py), and are used on other devices, under autograd and torch.compile, without Triton
and in reference_mode. `python -m trmsolve.model.kernels` compares their speed. TRMSOLVE_KERNELS=off disables them.
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
MAX_HIDDEN_SIZE = 256  # maximum hidden_size for which a token and its weights fit into one block
MAX_SEQ_LEN = 128  # maximum positions of a puzzle that fit into one block
MIN_PROGRAMS = 256  # minimum number of programs that keep a device busy; limits the size of blocks

log = logging.getLogger("trmsolve")

_reference: ContextVar[bool] = ContextVar("reference_mode", default=False)


@contextmanager
def reference_mode() -> Iterator[None]:
    """Context in which formulas are computed as written, without fast paths (benchmark/inference.py)."""
    token = _reference.set(True)
    try:
        yield
    finally:
        _reference.reset(token)


def in_reference_mode() -> bool:
    """Whether a reference_mode block is open in this context."""
    return not torch.compiler.is_compiling() and _reference.get()


class Kernels(NamedTuple):
    """The kernels, each with the formula that it implements."""

    gated_update: Callable[..., Tensor]  # layers.gated_update
    residual_norm: Callable[..., Tensor]  # layers.residual_norm
    gate_product: Callable[..., Tensor]  # layers.silu_gate and normalised_gate
    mix_positions: Callable[..., Tensor]  # mixers.mlp.mix_positions
    segment_sum: Callable[..., Tensor]  # segment.segment_sum


def kernels_on(device: torch.device) -> Kernels | None:
    """The kernels, or None if there are none for the device. The first call on a device tests one."""
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
