"""Time and memory of test-time training. Times are measured during the run, so that a time budget can be met."""

from __future__ import annotations

import math
import sys

import torch

TRAIN_COST = 3.0  # time of a training step in supervision steps without gradient, an estimate until both are measured


class Pace:
    """Moving averages of seconds per token; 0 until measured."""

    def __init__(self) -> None:
        self.step = 0.0  # of a supervision step without gradient
        self.setup = 0.0  # of encoding and packing a query
        self.setup_measured = False
        self._from_steps = False  # `step` is from supervision steps of a large batch, not from training steps

    def add_training_step(self, seconds: float, num_tokens: int, number: int) -> None:
        """Record the time of training step `number`, from 1. The first one loads libraries, and is ignored."""
        if number > 1 and not self._from_steps:
            pace = seconds / (TRAIN_COST * num_tokens)
            self.step += (pace - self.step) / min(number - 1, 20)

    def add_setup(self, seconds: float, num_tokens: int) -> None:
        """Record the time of encoding a batch and of its first step, which packs it."""
        if num_tokens:
            self.setup, self.setup_measured = max(0.0, seconds / num_tokens - self.step), True

    def add_step(self, seconds: float, num_tokens: int, is_large: bool) -> None:
        """Record the time of a supervision step. Small batches, slower per token, count only until a large one ran."""
        if is_large or not self.step:
            pace = seconds / num_tokens
            self.step += (pace - self.step) * (0.2 if self._from_steps else 1.0)
            self._from_steps = is_large

    def training_seconds(self, num_tokens: int) -> float:
        """The estimated time of a training step."""
        return TRAIN_COST * self.step * num_tokens

    def answer_seconds(self, num_tokens: int, steps: int) -> float:
        """The estimated time of `steps` supervision steps, including setup."""
        return num_tokens * (self.setup + steps * self.step)

    def tokens_in(self, seconds: float, steps: int) -> float:
        """The number of tokens for which all steps fit into this time; infinite until measured."""
        per_token = self.answer_seconds(1, steps)
        return max(0.0, seconds) / per_token if self.step else math.inf


def peak_memory(device: torch.device) -> int:
    """The peak in bytes: on a GPU of the device's memory in use, elsewhere of the process; 0 if unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
