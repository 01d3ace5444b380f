"""torch.compile for the training step: when it pays, and where its output is kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import torch

from trmsolve.checkpoint import cache_dir
from trmsolve.errors import TrmsolveError

# Functions that keep torch.compile from caching a graph. Caching is safe here: their arguments are part of the graph.
_CACHEABLE = ("torch.amp.autocast_mode._enter_autocast", "torch.amp.autocast_mode._exit_autocast")

_FOLDER = "TORCHINDUCTOR_CACHE_DIR"
_SET_BY_USER = _FOLDER in os.environ  # the first optimizer that torch makes sets it too, to a temporary folder


MIN_MINUTES = 5.0  # of a run that compiles: compiling takes one to one and a half minutes the first time
MIN_STEPS = 500  # about as long, at the 1.6 optimizer steps/s of the default network on two cores


def compile_pays(minutes: float | None, device: torch.device, steps: int | None = None) -> bool:
    """Whether to compile a run that ends after this many minutes or optimizer steps (None: no limit).

    Needs a C++ compiler, or Triton on a GPU.
    """
    if (minutes is not None and minutes < MIN_MINUTES) or (steps is not None and steps < MIN_STEPS):
        return False
    if device.type == "cuda":
        available = find_spec("triton") is not None
    else:
        available = device.type == "cpu" and any(shutil.which(name) for name in ("c++", "g++", "clang++"))
    return available


def compile_step(function: Callable[..., Any], **settings: Any) -> Callable[..., Any]:
    """torch.compile(function, **settings), with its output cached in our cache folder for later runs.

    Floats among the arguments are constants of the graph: new values compile the function again.
    """
    import torch._dynamo.config as dynamo
    import torch._inductor.config as inductor

    if not _SET_BY_USER:
        with suppress(TrmsolveError, OSError):  # without a folder to write to, torch's temporary one
            folder = cache_dir() / "compiled"
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK | os.X_OK):
                os.environ[_FOLDER] = str(folder)

    dynamo.specialize_float = True
    cacheable = getattr(inductor, "unsafe_marked_cacheable_functions", None)
    if cacheable is not None:  # an internal setting of torch; without it, only the start of later runs is slower
        cacheable.update(dict.fromkeys(_CACHEABLE, "1"))
    return torch.compile(function, **settings)
