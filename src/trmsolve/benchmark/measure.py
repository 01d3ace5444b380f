"""Measure in turns, in child processes, and next to a process that occupies one core.

Commands run as child processes, because torch fixes how threads wait when it is loaded.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

import trmsolve
from trmsolve.checkpoint import read_header
from trmsolve.errors import TrmsolveError
from trmsolve.tasks.few_shot import FewShotTask

Outcome = TypeVar("Outcome")

SPIN = "while True: pass"
# Before other imports, the child sets the parent's import path (without the current folder).
BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
RUN_TRMSOLVE = "import runpy; runpy.run_module('trmsolve', run_name='__main__', alter_sys=True)"


@dataclass(frozen=True, slots=True)
class Statistic:
    """The median, minimum and maximum of n measurements, which vary with the load of the machine."""

    median: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Statistic:
        """Summarise at least one value."""
        return cls(statistics.median(values), min(values), max(values), len(values))

    def to_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


def in_turns(
    functions: Mapping[str, Callable[[], Outcome]], repeat: int, show: Callable[[str], None]
) -> dict[str, list[tuple[float, Outcome]]]:
    """Call each function `repeat` times, in turns, so that all have the same conditions: (seconds, outcome) by name."""
    measured: dict[str, list[tuple[float, Outcome]]] = {name: [] for name in functions}
    for k in range(repeat):
        for name, function in functions.items():
            show(f"{name}, {k + 1} of {repeat}")
            measured[name].append(timed(function))
    return measured


def timed(function: Callable[[], Outcome]) -> tuple[float, Outcome]:
    """Seconds until a call is done, including what it has queued on a device; and its outcome."""
    synchronize()
    started = time.perf_counter()
    outcome = function()
    synchronize()
    return time.perf_counter() - started, outcome


def synchronize() -> None:
    """Wait until the device has finished its queue."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    if torch.backends.mps.is_available():
        torch.mps.synchronize()


def matmul_rate(device: torch.device, dtype: torch.dtype, seconds: float = 0.5) -> float:
    """FLOP/s of a square matrix multiply on this device in this dtype: the best of several sizes and repetitions."""
    sizes = (1024, 4096, 8192) if device.type == "cuda" else (1024,)
    return max(_matmul_rate(size, device, dtype, seconds / len(sizes)) for size in sizes)


def _matmul_rate(size: int, device: torch.device, dtype: torch.dtype, seconds: float) -> float:
    a, b, c = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(3))
    calls = 1 if device.type == "cpu" else 10  # per measurement, so that launching them is not what is measured
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end or not best:
        started = time.perf_counter()
        for _ in range(calls):
            torch.mm(a, b, out=c)
        if device.type != "cpu":
            c[0, 0].item()  # waits for the device
        best = max(best, calls * 2 * size**3 / (time.perf_counter() - started))
    return best


# -- child processes ------------------------------------------------------------------------------------------------
def run_python(code: str, arguments: Sequence[str] = (), stdin: str = "", allowed: Sequence[int] = (0,)) -> str:
    """Run Python code in a child process and return its standard output.

    The child imports what the parent imports, but nothing from the current folder: a file torch.py there is not run.
    (`python -m` would put that folder first; `-P` exists since 3.11 only, hence `-I` and the path as an argument.)
    Raises TrmsolveError, with the end of its standard error, when its exit code is not in `allowed`.
    """
    command = [sys.executable, "-I", "-c", BOOT + code, json.dumps(_import_path()), *arguments]
    done = subprocess.run(command, input=stdin, text=True, encoding="utf-8", capture_output=True, check=False)
    if done.returncode not in allowed:
        name = " ".join(["trmsolve", *arguments[:2]]) if code == RUN_TRMSOLVE else "python"
        message = done.stderr.strip()[-300:] or "it printed no error"
        raise TrmsolveError(f"{name} ended with exit code {done.returncode}: {message}")
    return done.stdout


def run_trmsolve(arguments: Sequence[str], stdin: str = "") -> str:
    """Run `trmsolve ARGUMENTS` as run_python() runs code; exit code 1 means that a puzzle stays unsolved."""
    return run_python(RUN_TRMSOLVE, arguments, stdin, allowed=(0, 1))


def _import_path() -> list[str]:
    """This process's sys.path without the current folder, unless this package lies there."""
    package_root, current = Path(trmsolve.__file__).resolve().parents[1], Path.cwd().resolve()
    folders = [folder for folder in sys.path if folder]
    return [folder for folder in folders if (path := Path(folder).resolve()) != current or path == package_root]


@contextmanager
def busy_neighbor() -> Iterator[None]:
    """Context with an additional process that occupies one core."""
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", SPIN])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def solving_rate(task: str, checkpoint: str, puzzles: Sequence[str]) -> float:
    """Supervision steps per second of `trmsolve eval`: solving with default settings, every answer verified."""
    arguments = ["eval", task, "-", "--checkpoint", checkpoint, "--no-single-pass", "--json", "--quiet"]
    report = json.loads(run_trmsolve(arguments, "\n\n".join(puzzles)))
    return report["mean_steps"] * report["puzzles_per_second"]


def training_rate(task: str, checkpoint: str, data: Sequence[str], steps: int) -> float:
    """Optimizer steps per second of `trmsolve train`, not compiled."""
    with tempfile.TemporaryDirectory(prefix="trmsolve-bench-") as folder:
        trained = Path(folder) / "trained.safetensors"
        arguments = ["train", "--task", task, "--from", checkpoint, "--run", folder, "--steps", str(steps)]
        arguments += ["-o", str(trained), "--no-compile", "--quiet"]
        run_trmsolve([*arguments, *(part for source in data for part in ("--data", source))])
        provenance = read_header(trained).provenance
        return provenance["steps"] / provenance["seconds"]


def adaptation_rate(task: str, checkpoint: str, few_shot_task: FewShotTask, steps: int) -> float:
    """Optimizer steps per second of `trmsolve arc` on one task: encoding and voting take a part of the time."""
    pairs = [{"input": pair.input.tolist(), "output": pair.output.tolist()} for pair in few_shot_task.demonstrations]
    text = json.dumps({"train": pairs, "test": [{"input": test.tolist()} for test in few_shot_task.tests]})
    arguments = ["solve", "-", "--task", task, "--checkpoint", checkpoint, "--steps", str(steps), "--json", "--quiet"]
    (result,) = json.loads(run_trmsolve(arguments, text))
    return result["steps"] / result["seconds"]


def measure_busy(
    rates: dict[str, Callable[[], float]], repeat: int, show: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Measure each rate without and with the busy neighbor, alternating, and the share that is left: for JSON."""
    report: dict[str, Any] = {}
    for name, rate in rates.items():
        values: dict[bool, list[float]] = {False: [], True: []}
        for k in range(repeat):
            for busy in (False, True):
                show(f"{name}, {'next to a busy process' if busy else 'alone'}, {k + 1} of {repeat}")
                with busy_neighbor() if busy else nullcontext():
                    values[busy].append(rate())
        shares = [busy / quiet for quiet, busy in zip(values[False], values[True], strict=True)]
        report[name] = {
            "quiet": Statistic.of(values[False]).to_dict(),
            "busy": Statistic.of(values[True]).to_dict(),
            "busy_share": Statistic.of(shares).to_dict(),
        }
    return report
