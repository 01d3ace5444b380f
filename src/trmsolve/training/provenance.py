"""Where a checkpoint comes from: the commit of the code, and the hardware."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import torch

from trmsolve.distributed import get_dist_info

ROOT = Path(__file__).resolve().parents[3]  # of a checkout: src/trmsolve/training/provenance.py


def commit() -> str:
    """The commit of the checkout that this code runs from, with -dirty for uncommitted changes; "" elsewhere.

    Git is asked about our own checkout only, never about a repository around an installed package, whose configuration
    could name programs to run.
    """
    if not (ROOT / ".git").exists() or not (ROOT / "src" / "trmsolve").is_dir():
        return ""
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def hardware(device: torch.device) -> str:
    """Threads and instruction set, or the accelerator, and how many processes have one each; without host names."""
    info, threads = get_dist_info(), torch.get_num_threads()
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    elif device.type == "cpu":
        capability = torch.backends.cpu.get_cpu_capability()
        name = f"{threads} thread{'s' * (threads > 1)}, {platform.machine()}, {capability}"
    else:
        name = f"{device.type}, {platform.machine()}"
    return name if info is None else f"{info.world_size} processes, each on {name}"
