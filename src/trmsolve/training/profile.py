"""A profile of a few training steps: a trace, and a table of the slowest operators."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity

WARM_UP = 10  # optimizer steps before the recording, for caches and torch.compile
STEPS = 10  # optimizer steps that are recorded
SHOWN = 10  # operators in the table


def profiler(path: Path, message: Callable[[str], None]) -> torch.profiler.profile:
    """Records a trace of STEPS steps, for Perfetto or chrome://tracing, and a table of the slowest operators.

    path: the trace, as JSON, gzipped if the name ends in .gz. message: called with each line of the table, or with the
    reason why there is none.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # silence the profiler's own log

    def write(profile: torch.profiler.profile) -> None:
        if profile.step_num < WARM_UP + STEPS:
            message(f"no trace: a profile needs {WARM_UP + STEPS} steps, but the run had fewer")
            return
        profile.export_chrome_trace(str(path))
        for line in (*operator_table(profile.key_averages()), f"trace of {STEPS} steps: {path}"):
            message(line)

    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * torch.cuda.is_available()
    plan = torch.profiler.schedule(wait=WARM_UP - 2, warmup=2, active=STEPS, repeat=1)
    return torch.profiler.profile(activities=activities, schedule=plan, on_trace_ready=write)


def operator_table(events: Any) -> list[str]:
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
