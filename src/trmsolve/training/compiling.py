"""Whether torch.compile pays, and that what it makes is kept: the next run begins in a quarter of the time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import torch

from trmsolve.errors import TrmsolveError
from trmsolve.store import cache_dir

# What a graph of ours calls that the compiler would not keep a graph for. What they are given is part of the graph, so
# that a kept one is the right one.
_HARMLESS = ("torch.amp.autocast_mode._enter_autocast", "torch.amp.autocast_mode._exit_autocast")

_FOLDER = "TORCHINDUCTOR_CACHE_DIR"
_ASKED = _FOLDER in os.environ  # by the user; the first optimizer that torch makes sets it too, to a temporary folder


def pays(minutes: float | None, device: torch.device) -> bool:
    """Whether a run of so many minutes should be compiled (None: without end).

    It takes about a minute the first time, and needs a C++ compiler, or for a GPU Triton.
    """
    if device.type == "cuda":
        able = find_spec("triton") is not None
    else:
        able = device.type == "cpu" and any(shutil.which(name) for name in ("c++", "g++", "clang++"))
    return able and (minutes is None or minutes >= 5)


def compiled(function: Callable[..., Any], **settings: Any) -> Callable[..., Any]:
    """torch.compile(function, **settings), whose work lies in our cache afterwards, for this run and later ones.

    Python's floats among the arguments are taken for constants: a function that meets new ones is compiled anew.
    """
    import torch._dynamo.config as dynamo
    import torch._inductor.config as inductor

    if not _ASKED:
        with suppress(TrmsolveError):  # no home folder: then where torch puts it, for as long as that lasts
            os.environ[_FOLDER] = str(cache_dir() / "compiled")

    dynamo.specialize_float = True
    known = getattr(inductor, "unsafe_marked_cacheable_functions", None)
    if known is not None:  # a setting that torch may drop; without it a later run only begins more slowly
        known.update(dict.fromkeys(_HARMLESS, "1"))
    return torch.compile(function, **settings)
