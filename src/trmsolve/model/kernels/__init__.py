"""Kernels of our own for CUDA, in Triton (triton-lang.org): one pass over memory where the formulas take several.

Every kernel stands for a formula in the file of a layer, which is its reference (tests/test_kernels.py) and runs
wherever the kernel cannot: on other devices, under autograd and torch.compile, where Triton is missing, and where the
formulas as they are written are asked for (model/written.py).
`python -m trmsolve.model.kernels` races the two. TRMSOLVE_KERNELS=off turns all of them off.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from trmsolve.model.written import asked

DEVICES = {"cuda"}
WIDEST = 256  # width of a token up to which the whole of it fits into one block beside what it is multiplied by
LONGEST = 128  # places of a puzzle up to which they do
BUSY = 256  # programs that keep a device busy: blocks are as large as leaves that many

log = logging.getLogger("trmsolve")


class Kernels(NamedTuple):
    """The kernels by what they compute."""

    gated: Callable[..., Tensor]  # gate.py: gated
    added: Callable[..., Tensor]  # swiglu.py: added
    product: Callable[..., Tensor]  # swiglu.py: silu and normalised
    mixed: Callable[..., Tensor]  # mlp.py: mixed
    sums: Callable[..., Tensor]  # pool.py: sums


def kernels_on(device: torch.device) -> Kernels | None:
    """The kernels, None where there are none. The first call on a device tries whether they can be had."""
    return _tried(device) if device.type in DEVICES and not asked() else None


def kernels_for(h: Tensor, weight: Tensor) -> Kernels | None:
    """The kernels for a layer: when nobody asks for a gradient, and the weights have the dtype of the states h."""
    if torch.compiler.is_compiling() or h.device.type not in DEVICES or h.dtype != weight.dtype or asked():
        return None
    if torch.is_grad_enabled() or torch.is_autocast_enabled(h.device.type):
        return None
    return _tried(h.device)


@cache
def _tried(device: torch.device) -> Kernels | None:
    if os.environ.get("TRMSOLVE_KERNELS", "").lower() in ("off", "0"):
        log.info("kernels: none, as TRMSOLVE_KERNELS says")
        return None
    try:
        from trmsolve.model.kernels.gate import gated
        from trmsolve.model.kernels.mixing import mixed
        from trmsolve.model.kernels.pooling import sums
        from trmsolve.model.kernels.swiglu import added, product

        h = torch.ones(16, 16, device=device)
        if not torch.allclose(added(h, h, 0.0), h):
            raise RuntimeError("a kernel computes nonsense")
    except Exception as error:  # no Triton, no compiler for its launchers, a device it does not know, ...
        log.info("kernels: none, %s", str(error).partition("\n")[0] or type(error).__name__)
        return None
    log.info("kernels: Triton")
    return Kernels(gated, added, product, mixed, sums)
