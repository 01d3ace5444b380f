"""trmsolve explain arc: the tour of test-time training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.text import Text

from trmsolve.cli.explain_page import GAP, Page, drawing
from trmsolve.cli.output import beside
from trmsolve.inference.few_shot import AdaptEvent, FewShotResult
from trmsolve.render.caption import percent
from trmsolve.tasks.few_shot import FewShotTask, Pair

if TYPE_CHECKING:
    from trmsolve.api import Model


def arc_pages(model: Model, console: Console, steps: int) -> Iterator[Page]:
    """The pages about a network that adapts to each task."""
    from trmsolve.model.trm import num_parameters

    task: Any = model.task
    grids = [
        np.array(rows, np.uint8)
        for rows in (
            [[0, 0, 6], [6, 0, 6], [0, 6, 0]],
            [[0, 1, 2, 1], [1, 2, 2, 2], [1, 0, 0, 0]],
            [[0, 4, 8, 0, 4], [0, 0, 8, 4, 0], [0, 0, 4, 4, 0]],
            [[0, 9, 0, 0, 1], [3, 0, 0, 3, 0], [0, 0, 0, 0, 0]],
        )
    ]
    *shown, test = (Pair(grid, grid[:, ::-1].copy()) for grid in grids)
    arc_task = FewShotTask("mirror", "explain", tuple(shown), (test.input,), (test.output,))
    demonstrations = [drawing(task, console, grid) for pair in shown for grid in (pair.input, pair.output)]
    yield Page(
        "A task: each has a rule of its own, shown by a few pairs",
        (
            "Three demonstrations: an input, and beside it its output. The rule is not given. Do you see it?",
            beside(demonstrations[:2], GAP),
            beside(demonstrations[2:4], GAP),
            beside(demonstrations[4:], GAP),
        ),
    )
    encoded = task.augmented_task(arc_task, 1, 0, 0).queries(arc_task.tests)[0].encoded
    D, relations = model.config.hidden_size, model.config.num_relations
    yield Page(
        f"The network: {num_parameters(model.network):,} parameters, and an embedding for each task",
        (
            f"A token is a cell of a canvas that holds input and output: {len(encoded.x)} tokens for the test input "
            f"below, so x, y and z are {len(encoded.x)} x {D} numbers each. A cell exchanges messages with the eight "
            f"cells around it and along {relations} relations: its row, its object, its mirror image, and so on.",
            drawing(task, console, test.input),
            "No weight belongs to a colour. A task has an embedding of its own, "
            f"{model.config.num_classes} x {D} numbers: for itself and for each colour. A supervision step is "
            f"T = {model.config.T} latent recursion of n = {model.config.n} "
            "updates of z and one of y, as in `trmsolve explain sudoku`.",
        ),
    )
    events = model.adapt([arc_task], steps=steps, budget=None, votes=4, events=True)
    rows: dict[int, Text] = {0: Text("  optimizer step  phase         loss  right", "bold")}
    result = None
    for event in events:
        if isinstance(event, AdaptEvent) and event.step:
            figures = f"{event.phase:<10}  {event.loss:6.3f}  {percent(event.accuracy):>5}"
            rows[event.step] = Text(f"  {event.step:14}  {figures}")
        elif isinstance(event, FewShotResult):
            result = event
    assert result is not None
    yield Page(
        f"Test-time training: {steps} steps on the demonstrations",
        (
            "Solving a task means training on it: a copy of the network learns from the demonstrations, in 8 "
            "orientations and with permuted colours. First only the task's embedding learns, then all weights.",
            list(rows.values()),
            f"{steps} steps are few: `trmsolve arc` takes some hundred, for at most one minute (--budget 60s). One "
            "demonstration is held out at first; when it is predicted exactly, the rule counts as found.",
        ),
    )
    attempts = result.ranked[0][:2]
    votes = " and ".join(str(answer.votes) for answer in attempts)
    verdict = "One of them is right." if result.solved else "Neither is right yet; try --steps 50."
    yield Page(
        "Voting",
        (
            f"Then {result.num_augmentations} views of the test input are answered (16 by default), each turned back, "
            f"and the grids with the most votes are the two attempts. {verdict}",
            beside([drawing(task, console, answer.grid) for answer in attempts], GAP),
            f"They have {votes} of {result.num_augmentations} votes.",
            "Next: trmsolve arc TASK.json --show-steps",
        ),
    )
