"""Rates on the machine as it is and beside a busy neighbour: a process of our own that keeps one core occupied.

Commands run as processes of their own, since how threads wait for each other is settled when torch is loaded.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from trmsolve.benchmark.figures import Figure
from trmsolve.errors import TrmsolveError
from trmsolve.store import read_header

SPIN = "while True: pass"
TRMSOLVE = (
    [sys.executable, "-P", "-m", "trmsolve"] if sys.version_info >= (3, 11) else [sys.executable, "-m", "trmsolve"]
)


@contextmanager
def neighbour() -> Iterator[None]:
    """A process that computes without end, for the length of a block."""
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", SPIN])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def solving_rate(task: str, checkpoint: str, puzzles: Sequence[str]) -> float:
    """Supervision steps per second of `trmsolve eval`: solving with default settings, every answer verified."""
    command = [*TRMSOLVE, "eval", task, "-", "--checkpoint", checkpoint, "--no-single-pass", "--json", "--quiet"]
    report = json.loads(_run(command, "\n\n".join(puzzles)))
    return report["mean_steps"] * report["puzzles_per_second"]


def training_rate(task: str, checkpoint: str, data: Sequence[str], steps: int) -> float:
    """Optimizer steps per second of `trmsolve train`, not compiled."""
    with tempfile.TemporaryDirectory(prefix="trmsolve-bench-") as folder:
        command = [*TRMSOLVE, "train", "--task", task, "--from", checkpoint, "--run", folder, "--steps", str(steps)]
        command += ["--no-compile", "--quiet", *(part for source in data for part in ("--data", source))]
        _run(command)
        provenance = read_header(Path(folder) / f"{task}.safetensors").provenance
        return provenance["steps"] / provenance["seconds"]


def quiet_and_busy(
    rates: dict[str, Callable[[], float]], repeat: int, say: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Each rate with and without the neighbour, in turns, and the share that is left: by name, for JSON."""
    found: dict[str, Any] = {}
    for name, rate in rates.items():
        values: dict[bool, list[float]] = {False: [], True: []}
        for k in range(repeat):
            for busy in (False, True):
                say(f"{name}, {'beside a busy neighbour' if busy else 'alone'}, {k + 1} of {repeat}")
                with neighbour() if busy else nullcontext():
                    values[busy].append(rate())
        shares = [b / q for q, b in zip(values[False], values[True], strict=True)]
        found[name] = {
            "quiet": Figure.of(values[False]).to_dict(),
            "busy": Figure.of(values[True]).to_dict(),
            "busy_share": Figure.of(shares).to_dict(),
        }
    return found


def _run(command: Sequence[str], text: str = "") -> str:
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    if done.returncode not in (0, 1):
        raise TrmsolveError(f"{' '.join(command[1:5])} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout
