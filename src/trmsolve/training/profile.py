"""Record a trace of a few optimizer steps, for Perfetto or chrome://tracing, and a table of the slowest operators."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, schedule

from trmsolve.text_io import atomic_write

WARM_UP = 10  # optimizer steps before the recording, for caches and torch.compile
STEPS = 10  # optimizer steps that are recorded
SHOWN = 10  # operators in the table


class Profile:
    """Context manager around a session that records its steps WARM_UP to WARM_UP + STEPS.

    path: the trace, as JSON, gzipped if the name ends in .gz. message: called with each line of the table, or with the
    reason why there is none.
    """

    def __init__(self, path: Path, force: bool, message: Callable[[str], None]) -> None:
        self.path, self.force, self.message = path, force, message
        self._done = False

    def __enter__(self) -> Profile:
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # silence the profiler's own log
        activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * torch.cuda.is_available()
        plan = schedule(wait=WARM_UP - 2, warmup=2, active=STEPS, repeat=1)
        self._profiler = profile(activities=activities, schedule=plan, on_trace_ready=self._write)
        self._profiler.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        early = not self._done
        self._profiler.__exit__(*error)
        if early and error[0] is None:
            self.message(f"no trace: a profile needs {WARM_UP + STEPS} steps, but the run had fewer")

    def step(self) -> None:
        """Call it after every optimizer step."""
        if not self._done:
            self._profiler.step()

    def _write(self, profiler: profile) -> None:
        if self._done or profiler.step_num < WARM_UP + STEPS:
            return
        self._done = True
        with tempfile.TemporaryDirectory() as folder:
            exported = Path(folder) / ("trace.json.gz" if self.path.suffix == ".gz" else "trace.json")
            profiler.export_chrome_trace(str(exported))
            with exported.open("rb") as file:
                written = atomic_write(self.path, _pieces(file), self.force)
        for line in (*table(profiler.key_averages()), f"trace of {STEPS} steps: {written}"):
            self.message(line)


def table(events: Any) -> list[str]:
    """The operators with the most self time, on the GPU if it was used."""
    events = [event for event in events if not event.key.startswith("ProfilerStep")]  # time outside of operators
    on_gpu = any(event.self_device_time_total for event in events)
    time = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    costliest = sorted(events, key=lambda event: -getattr(event, time))
    total = sum(getattr(event, time) for event in events) or 1.0
    lines = [f"{'ms/step':>9}  {'share':>6}  {'calls/step':>10}  operator, on the {'GPU' if on_gpu else 'CPU'}"]
    for event in costliest[:SHOWN]:
        spent = getattr(event, time)
        name = event.key if len(event.key) <= 60 else event.key[:57] + "..."
        lines.append(f"{spent / 1000 / STEPS:9.2f}  {spent / total:6.1%}  {event.count / STEPS:10.1f}  {name}")
    return lines


def _pieces(file: Any) -> Iterator[bytes]:
    while piece := file.read(1 << 20):
        yield piece
