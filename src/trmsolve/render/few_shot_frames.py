"""Turn the events of test-time training into frames: the demonstrations, the grid being refined, then the attempts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from trmsolve.inference.few_shot import AdaptEvent, AdaptOptions, FewShotResult, RankedAnswer, RefineEvent
from trmsolve.render.caption import count, duration, percent
from trmsolve.render.frame import Frame, Stat, StatusText, with_seconds
from trmsolve.tasks.arc.picture import (
    CHANGED,
    MAT,
    Attempts,
    attempt_sizes,
    change_map,
    screen_width,
    task_picture,
    zoom_levels,
)
from trmsolve.tasks.base import UNSURE, Prediction
from trmsolve.tasks.few_shot import FewShotTask, Grid, is_correct

PHASES = {"embedding": "adapting its embedding", "everything": "adapting everything"}
ENDS = {True: "solved", False: "not solved", None: "answered, not checked"}
ATTEMPTS = ("attempt 1", "attempt 2", "solution")
REFINING = ("draft", "changes", "solution")


def frames(
    name: str, events: Iterator[AdaptEvent | RefineEvent | FewShotResult], task: FewShotTask, options: AdaptOptions
) -> Iterator[Frame | FewShotResult]:
    """A frame for the task and one for every event, then the FewShotResult.

    name: of the kind of task, for example arc. The events are those of `task` alone. All pictures have one size.
    Beside a grid that is being refined is a map of its changed and unsure cells; in the last frame, which is marked
    `done`, are both attempts at every test and, where it is known, its answer.
    """
    places = 2 if task.answers is None else 3
    sizes = attempt_sizes(task)
    for answer, (i, (height, width)) in zip(task.answers or (), enumerate(sizes), strict=False):
        sizes[i] = max(height, answer.shape[0]), max(width, answer.shape[1])
    columns = screen_width(task, sizes, ATTEMPTS[:places])
    seconds = preparation = 0.0  # preparation: before adapting began, which budgets and results do not count

    def frame(
        status: StatusText,
        grids: Attempts,
        tests: Sequence[int],
        labels: Sequence[str] = ATTEMPTS,
        step: int = 0,
        solved: bool | None = False,
        done: bool = False,
    ) -> Frame:
        return Frame(
            task_picture(task, grids, columns, sizes, labels[:places]),
            name,
            task.source,
            step,
            seconds=seconds,
            solved=solved,
            done=done,
            status=status,
            zoom_levels=zoom_levels(task, grids, tests, columns, sizes, labels[:places]),
        )

    every_test = range(len(task.tests))
    grids: list[Sequence[Grid]] = [()] * len(task.tests)
    previous: Prediction | None = None
    yield frame(_ready(options), grids, every_test)
    for event, seconds in with_seconds(events):
        if isinstance(event, AdaptEvent):
            preparation = seconds - event.seconds
            yield frame(_adapting(event, options), grids, every_test)
        elif isinstance(event, RefineEvent):
            changes = change_map(event.prediction, previous if event.step > 1 else None)
            previous = event.prediction
            current = (previous.answer, changes)
            grids = [current if i == event.test else earlier[:1] for i, earlier in enumerate(grids)]
            status = _refining(event, changes, len(task.tests), seconds - preparation)
            yield frame(status, grids, [event.test], REFINING, event.step)
        else:
            attempts = event.attempts or grids
            if task.answers is not None:
                nothing = np.full((1, 1), MAT)
                attempts = [
                    [*grids[:2], *[nothing] * (2 - len(grids)), answer]
                    for grids, answer in zip(attempts, task.answers, strict=True)
                ]
            yield frame(_ended(event), attempts, every_test, step=options.max_steps, solved=event.solved, done=True)
            yield event


# -- text -------------------------------------------------------------------------------------------------------------
def _ready(options: AdaptOptions) -> StatusText:
    return StatusText("adapting to a new task", ("budget", 0.0), (_steps(0, options), _time(0.0, options)))


def _adapting(event: AdaptEvent, options: AdaptOptions) -> StatusText:
    stats = [
        _steps(event.step, options),
        Stat("loss", f"{event.loss:.3f}"),
        Stat("pairs", f"{percent(event.accuracy)} right"),
        *_holdout(event.holdout_accuracy),
        _time(event.seconds, options),
    ]
    return StatusText(PHASES[event.phase], ("budget", event.progress), tuple(stats))


def _refining(event: RefineEvent, changes: np.ndarray, tests: int, seconds: float) -> StatusText:
    unsure = int((event.prediction.confidence < UNSURE).sum())
    stats = [
        Stat("unsure", f"{unsure} of {event.prediction.answer.size} cells"),
        Stat("changed", count(int((changes == CHANGED).sum()), "cell")),
        *([Stat("test", f"{event.test + 1} of {tests}")] if tests > 1 else []),
        Stat("time", duration(seconds)),
    ]
    state = f"step {event.step} of at most {event.max_steps}"
    return StatusText(state, ("halting", event.halt_prob), tuple(stats), unsure)


def _ended(result: FewShotResult) -> StatusText:
    if result.error:
        return StatusText("not answered", ("sure", 0.0), (Stat("error", result.error, False),))
    answers = getattr(result.task, "answers", None) or [None] * len(result.ranked)
    names = ["votes"] if len(answers) == 1 else [f"test {i}:" for i in range(1, len(answers) + 1)]
    stats = [
        *(_votes(*args, result.num_augmentations) for args in zip(names, result.ranked, answers, strict=False)),
        Stat("pairs", f"{percent(result.reproduced)} right"),
        *_holdout(result.holdout_accuracy),
        Stat("steps", str(result.steps)),
        Stat("time", duration(result.seconds)),
    ]
    sure = min((ranked[0].confidence for ranked in result.ranked if ranked), default=0.0)
    return StatusText(ENDS[result.solved], ("sure", sure), tuple(stats))


def _votes(name: str, ranked: Sequence[RankedAnswer], answer: Grid | None, augmentations: int) -> Stat:
    """The votes for both attempts at a test and, where the answer is known, which of them is right."""
    counts = [str(attempt.votes or "consensus") for attempt in ranked[:2]]
    text = f"{' and '.join(counts) or 'none'} of {augmentations}"
    if answer is None:
        return Stat(name, text)
    ordinals = zip(("first", "second"), ranked, strict=False)
    right = next((ordinal for ordinal, attempt in ordinals if is_correct(attempt.grid, answer)), "")
    return Stat(name, f"{text}, {right or 'none'} right", bool(right))


def _steps(steps: int, options: AdaptOptions) -> Stat:
    return Stat("steps", f"{steps} of {options.steps}" if options.steps else str(steps))


def _time(seconds: float, options: AdaptOptions) -> Stat:
    return Stat("time", duration(seconds) + (f" of {duration(options.budget)}" if options.budget else ""))


def _holdout(accuracy: float | None) -> list[Stat]:
    """The accuracy on the demonstration that is held out at first: it estimates that of the answer."""
    return [] if accuracy is None else [Stat("unseen", f"{percent(accuracy)} right")]
