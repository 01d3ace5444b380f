"""Repeated measurements, summarised, and how to alternate several of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

import torch

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class Statistic:
    """n measurements of one quantity. They differ by the state of the machine, so the median is reported."""

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
    functions: dict[str, Callable[[], Outcome]], repeat: int, say: Callable[[str], None]
) -> dict[str, list[tuple[float, Outcome]]]:
    """Call each function `repeat` times, alternating, so that all meet the same machine: (seconds, outcome) by name."""
    measured: dict[str, list[tuple[float, Outcome]]] = {name: [] for name in functions}
    for k in range(repeat):
        for name, function in functions.items():
            say(f"{name}, {k + 1} of {repeat}")
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
