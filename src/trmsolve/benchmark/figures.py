"""A figure that was measured several times, and how to measure several things in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import torch

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class Figure:
    """N measurements of the same thing. What differs between them is the machine: the middle one is meant."""

    median: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values), len(values))

    def to_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


def in_turns(things: dict[str, Callable[[], Outcome]], repeat: int, say: Callable[[str], None]) -> dict[str, list[Any]]:
    """Each thing so many times, (seconds, what came of it) each time; in turns, so that all meet the same machine."""
    found: dict[str, list[Any]] = {name: [] for name in things}
    for k in range(repeat):
        for name, thing in things.items():
            say(f"{name}, {k + 1} of {repeat}")
            found[name].append(timed(thing))
    return found


def timed(thing: Callable[[], Outcome]) -> tuple[float, Outcome]:
    """Seconds until it is done, also on a device that works on when the host has gone on."""
    waited()
    started = time.perf_counter()
    outcome = thing()
    waited()
    return time.perf_counter() - started, outcome


def waited() -> None:
    """Until the device has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    if torch.backends.mps.is_available():
        torch.mps.synchronize()
