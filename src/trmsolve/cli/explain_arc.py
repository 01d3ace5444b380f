"""The pages of the tour (explain.py) about ARC: a network that adapts to each task by test-time training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.text import Text

from trmsolve.cli.explain_page import Page, drawing, side_by_side
from trmsolve.inference.few_shot import AdaptEvent, FewShotResult
from trmsolve.render.caption import percent
from trmsolve.tasks.few_shot import FewShotTask, Pair

if TYPE_CHECKING:
    from trmsolve.api import Model


INPUTS = (  # of three demonstrations and a test; in an output, 2 has become 1
    [[3, 2, 2], [2, 2, 2], [3, 0, 0]],
    [[2, 0, 0, 2], [2, 2, 2, 0], [0, 5, 0, 0], [5, 2, 0, 2]],
    [[0, 2, 0, 4, 0], [2, 2, 0, 0, 4], [0, 4, 8, 8, 4], [4, 2, 0, 2, 0]],
    [[2, 2, 9, 9], [9, 2, 0, 2], [0, 0, 0, 2], [0, 0, 0, 2], [2, 2, 0, 9]],
)


def arc_pages(model: Model, console: Console, steps: int) -> Iterator[Page]:
    """The pages about a network that adapts to each task."""
    grids = [np.array(rows, np.uint8) for rows in INPUTS]
    *shown, test = (Pair(grid, np.where(grid == 2, 1, grid).astype(np.uint8)) for grid in grids)
    arc_task = FewShotTask("recolour", "explain", tuple(shown), (test.input,), (test.output,))
    yield from _task_pages(model, console, arc_task)
    yield from _adaptation_pages(model, console, arc_task, steps)


def _task_pages(model: Model, console: Console, arc_task: FewShotTask) -> Iterator[Page]:
    """A task, and how the network sees it."""
    from trmsolve.model.trm import num_parameters

    task: Any = model.task
    shown, (test_input,) = arc_task.demonstrations, arc_task.tests
    demonstrations = [drawing(task, console, grid) for pair in shown for grid in (pair.input, pair.output)]
    yield Page(
        "A task: a rule, shown by a few pairs of grids",
        "Three demonstrations, each an input with its output. The rule is not given. Do you see it?",
        side_by_side(console, demonstrations[:2]),
        side_by_side(console, demonstrations[2:4]),
        side_by_side(console, demonstrations[4:]),
    )
    encoded = task.augmented_task(arc_task, 1, 0, 0).queries(arc_task.tests)[0].encoded
    D, relations = model.config.hidden_size, model.config.num_relations
    yield Page(
        f"The network: {num_parameters(model.network):,} parameters, and an embedding for each task",
        f"A token is a cell of a canvas that holds input and output: {len(encoded.x)} tokens for the test input "
        f"below, so x, y and z are {len(encoded.x)} x {D} numbers each. A cell exchanges messages with the eight "
        f"cells around it and along {relations} relations: its row, its object, its mirror image, and so on.",
        drawing(task, console, test_input),
        "No weight belongs to a colour. A task has an embedding of its own, "
        f"{model.config.num_classes} x {D} numbers: for itself and for each colour. A supervision step is "
        f"T = {model.config.T} latent recursion of n = {model.config.n} "
        "updates of z and one of y, as in `trmsolve explain sudoku`.",
    )


def _adaptation_pages(model: Model, console: Console, arc_task: FewShotTask, steps: int) -> Iterator[Page]:
    """Test-time training on the demonstrations, and the vote."""
    events = model.adapt([arc_task], steps=steps, budget=None, votes=8, events=True)
    rows: dict[int, Text] = {0: Text("  step  phase         loss  right", "bold")}
    result = None
    for event in events:
        if isinstance(event, AdaptEvent) and event.step:
            figures = f"{event.phase:<10}  {event.loss:6.3f}  {percent(event.accuracy):>5}"
            rows[event.step] = Text(f"  {event.step:4}  {figures}")
        elif isinstance(event, FewShotResult):
            result = event
    assert result is not None
    yield Page(
        f"Test-time training: {steps} steps on the demonstrations",
        "Solving a task means training on it: a copy of the network learns from the demonstrations, in 8 "
        "orientations and with permuted colours. First only the task's embedding learns, then all weights.",
        list(rows.values()),
        "`trmsolve arc` trains for at most one minute (--budget 60s). One demonstration is held out at first. When it "
        "is predicted exactly, the rule counts as found, and training ends early.",
    )
    attempts = result.ranked[0][:2]
    votes = " and ".join(str(answer.votes) for answer in attempts)
    verdict = "One of them is right." if result.solved else f"Neither is right yet: try --steps {2 * steps}."
    yield Page(
        "Voting",
        f"Then {result.num_augmentations} views of the test input are answered (16 by default), each turned back, "
        f"and the grids with the most votes are the two attempts. {verdict}",
        side_by_side(console, [drawing(model.task, console, answer.grid) for answer in attempts]),
        f"They have {votes} of {result.num_augmentations} votes.",
        "Next: trmsolve arc TASK.json --show-steps",
    )
