"""Whether torch.compile pays, and a cache for what it generates: later runs start in a quarter of the time."""

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

# Functions in our graphs that the compiler refuses to cache a graph for. Their arguments are part of the graph, so a
# cached one is the right one.
_CACHEABLE = ("torch.amp.autocast_mode._enter_autocast", "torch.amp.autocast_mode._exit_autocast")

_FOLDER = "TORCHINDUCTOR_CACHE_DIR"
_SET_BY_USER = (
    _FOLDER in os.environ
)  # by the user; the first optimizer that torch makes sets it too, to a temporary folder


def compile_pays(minutes: float | None, device: torch.device) -> bool:
    """Whether a run of this many minutes should be compiled (None: without end).

    It takes about a minute the first time, and needs a C++ compiler, or for a GPU Triton.
    """
    if device.type == "cuda":
        available = find_spec("triton") is not None
    else:
        available = device.type == "cpu" and any(shutil.which(name) for name in ("c++", "g++", "clang++"))
    return available and (minutes is None or minutes >= 5)


def compile_step(function: Callable[..., Any], **settings: Any) -> Callable[..., Any]:
    """torch.compile(function, **settings), whose output is kept in our cache for later runs.

    Python's floats among the arguments are taken for constants: a function that meets new ones is compiled anew.
    """
    import torch._dynamo.config as dynamo
    import torch._inductor.config as inductor

    if not _SET_BY_USER:
        with suppress(TrmsolveError):  # no home folder: then where torch puts it, for as long as that lasts
            os.environ[_FOLDER] = str(cache_dir() / "compiled")

    dynamo.specialize_float = True
    cacheable = getattr(inductor, "unsafe_marked_cacheable_functions", None)
    if cacheable is not None:  # a setting that torch may drop; without it a later run only begins more slowly
        cacheable.update(dict.fromkeys(_CACHEABLE, "1"))
    return torch.compile(function, **settings)
