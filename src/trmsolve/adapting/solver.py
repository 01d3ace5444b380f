"""A stream of tasks: each adapted to from the checkpoint's weights, alone or a few together, answered in order."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

import torch

from trmsolve.adapting.adaptation import Adaptation
from trmsolve.adapting.memory import peak
from trmsolve.adapting.options import Adapting, AdaptOptions, Refining, TaskResult
from trmsolve.device import Choice, work_on
from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.solving.feed import OutOfTime
from trmsolve.store import Found, load_tensors
from trmsolve.tasks.arc.encode import FACETS, KINDS
from trmsolve.tasks.arc.grids import ArcTask
from trmsolve.tasks.base import BadPuzzle


def adapt(
    found: Found,
    choice: Choice,
    tasks: Iterable[ArcTask | BadPuzzle],
    options: AdaptOptions,
    *,
    events: bool = False,
    deadline: float | None = None,
) -> Iterator[Adapting | Refining | TaskResult]:
    """As api.Model.adapt describes it."""
    config = TRMConfig.from_dict(found.header.model)
    if config.facets != FACETS or config.kinds != len(KINDS) or not config.puzzles:
        raise TrmsolveError(
            f"{found.path}: no network that adapts to ARC tasks",
            "the bundled one does: leave out --checkpoint, or train one: trmsolve train --task arc",
        )
    work_on(choice.device)
    weights = load_tensors(found.path, found.sha256)
    for batch in _batches(tasks, options.together):
        readable = [task for task in batch if isinstance(task, ArcTask)]
        results: dict[int, TaskResult] = {}
        if readable:
            adaptation = Adaptation(config, weights, readable, options, choice.device, choice.dtype == torch.bfloat16)
            for event in adaptation.run():
                if events:
                    yield event
                if deadline is not None and time.monotonic() > deadline:
                    raise OutOfTime
            for answer in adaptation.answers(events):
                if isinstance(answer, TaskResult):
                    results[id(answer.task)] = replace(answer, memory=peak(choice.device))
                else:
                    yield answer
        for task in batch:
            if isinstance(task, BadPuzzle):
                yield TaskResult(task, error=task.message)
            else:
                yield results[id(task)]


def _batches(tasks: Iterable[ArcTask | BadPuzzle], size: int) -> Iterator[list[ArcTask | BadPuzzle]]:
    iterator = iter(tasks)
    while batch := list(islice(iterator, size)):
        yield batch
