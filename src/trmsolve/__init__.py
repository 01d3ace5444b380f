"""trmsolve: run, watch, train and check Tiny Recursive Models (arXiv 2510.04871)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"
__all__ = ["Model", "Puzzle", "Result", "SolveOptions", "StepEvent", "TrmsolveError", "__version__", "load"]

_WHERE = {
    "Model": "trmsolve.api",
    "load": "trmsolve.api",
    "Result": "trmsolve.inference.options",
    "SolveOptions": "trmsolve.inference.options",
    "StepEvent": "trmsolve.inference.options",
    "Puzzle": "trmsolve.tasks.base",
    "TrmsolveError": "trmsolve.errors",
}

if TYPE_CHECKING:
    from trmsolve.api import Model, load
    from trmsolve.errors import TrmsolveError
    from trmsolve.inference.options import Result, SolveOptions, StepEvent
    from trmsolve.tasks.base import Puzzle


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import trmsolve` and `trmsolve --help` do not wait for torch."""
    if name not in _WHERE:
        raise AttributeError(f"module 'trmsolve' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
