"""How much memory this process has needed at most."""

from __future__ import annotations

import sys

import torch


def peak(device: torch.device) -> int:
    """Bytes: on a GPU those of the device that were in use, elsewhere the process's own; 0 where nobody knows."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
