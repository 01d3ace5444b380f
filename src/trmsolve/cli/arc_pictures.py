"""From adapting's events to frames: the demonstrations, the grid that is being refined, at last the two attempts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np

from trmsolve.inference.few_shot import AdaptEvent, AdaptOptions, FewShotResult, RankedAnswer, RefineEvent
from trmsolve.render.caption import duration, percent
from trmsolve.render.frame import Frame, Stat, StatusText
from trmsolve.tasks.arc.picture import (
    CHANGED,
    Attempts,
    attempt_sizes,
    change_map,
    screen_width,
    task_picture,
    zoom_levels,
)
from trmsolve.tasks.base import UNSURE, Prediction
from trmsolve.tasks.few_shot import FewShotTask, Grid, is_correct

PHASES = {
    "embedding": "adapting its embedding",
    "everything": "adapting everything",
}
ENDS = {True: "solved", False: "not solved", None: "answered, not checked"}


def frames(
    events: Iterator[AdaptEvent | RefineEvent | FewShotResult], record: FewShotTask, options: AdaptOptions
) -> Iterator[Frame | FewShotResult]:
    """A frame for the task as it stands and one for every event, and the FewShotResult at the end.

    The events are those of `record` alone. All pictures are of one size. Beside a grid that is being refined lies a map
    of what changed and what is unsure; in the last frame, which is marked `done`, the second attempt takes its place.
    """
    began = time.monotonic()
    sizes = attempt_sizes(record)
    width = screen_width(record, sizes)

    def frame(status: StatusText, shown: Attempts, tests: Sequence[int], step: int = 0, **how: bool | None) -> Frame:
        return Frame(
            task_picture(record, shown, width, sizes),
            "arc",
            record.source,
            step,
            options.max_steps,
            seconds=time.monotonic() - began,
            status=status,
            zoom_levels=zoom_levels(record, shown, tests, width, sizes),
            **how,
        )

    every = range(len(record.tests))
    shown: Attempts = [()] * len(record.tests)
    previous: Prediction | None = None
    yield frame(_ready(options), shown, every)
    for event in events:
        if isinstance(event, AdaptEvent):
            yield frame(_adapting(event, options), shown, every)
        elif isinstance(event, RefineEvent):
            previous = previous if event.step > 1 else None
            drawn = change_map(event.prediction, previous)
            now = event.prediction.answer, drawn
            shown = [now if i == event.test else tries[:1] for i, tries in enumerate(shown)]
            words = _refining(event, drawn, len(record.tests), time.monotonic() - began)
            yield frame(words, shown, [event.test], event.step)
            previous = event.prediction
        else:
            attempts = event.attempts or shown
            yield frame(_ended(event), attempts, every, options.max_steps, solved=event.solved, done=True)
            yield event


# -- words --------------------------------------------------------------------------------------------------------
def _ready(options: AdaptOptions) -> StatusText:
    return StatusText("adapting to a new task", ("budget", 0.0), (_steps(0, options), _time(0.0, options)))


def _adapting(event: AdaptEvent, options: AdaptOptions) -> StatusText:
    facts = [
        _steps(event.step, options),
        Stat("loss", f"{event.loss:.3f}"),
        Stat("pairs", f"{percent(event.accuracy)} right"),
        *_unseen(event.holdout_accuracy),
        _time(event.seconds, options),
    ]
    return StatusText(PHASES[event.phase], ("budget", event.progress), tuple(facts))


def _refining(event: RefineEvent, drawn: np.ndarray, tests: int, seconds: float) -> StatusText:
    unsure, changed = int((event.prediction.confidence < UNSURE).sum()), int((drawn == CHANGED).sum())
    facts = [
        Stat("unsure", f"{unsure} of {event.prediction.answer.size} cells"),
        Stat("changed", f"{changed} cell{'' if changed == 1 else 's'}"),
        *([Stat("test", f"{event.test + 1} of {tests}")] if tests > 1 else []),
        Stat("time", duration(seconds)),
    ]
    return StatusText(
        f"step {event.step} of at most {event.max_steps}", ("halting", event.halt_prob), tuple(facts), unsure
    )


def _ended(result: FewShotResult) -> StatusText:
    if result.error:
        return StatusText("not answered", ("sure", 0.0), (Stat("error", result.error, False),))
    answers = getattr(result.task, "answers", None) or [None] * len(result.ranked)
    names = ["votes"] if len(answers) == 1 else [f"test {i}:" for i in range(1, len(answers) + 1)]
    facts = [
        *(_votes(*it, result.num_augmentations) for it in zip(names, result.ranked, answers, strict=False)),
        Stat("pairs", f"{percent(result.reproduced)} right"),
        *_unseen(result.holdout_accuracy),
        Stat("steps", str(result.steps)),
        Stat("time", duration(result.seconds)),
    ]
    sure = min((votes[0].confidence for votes in result.ranked if votes), default=0.0)
    return StatusText(ENDS[result.solved], ("sure", sure), tuple(facts))


def _votes(name: str, ranked: Sequence[RankedAnswer], answer: Grid | None, views: int) -> Stat:
    """How the two attempts at a test came to be, and what they are worth where that is known."""
    counts = [str(vote.votes or "consensus") for vote in ranked[:2]]
    said = f"{' and '.join(counts) or 'none'} of {views}"
    if answer is None:
        return Stat(name, said)
    which = next(
        (nth for nth, vote in zip(("first", "second"), ranked, strict=False) if is_correct(vote.grid, answer)), ""
    )
    return Stat(name, f"{said}, {which or 'none'} right", bool(which))


def _steps(steps: int, options: AdaptOptions) -> Stat:
    return Stat("steps", f"{steps} of {options.steps}" if options.steps else str(steps))


def _time(seconds: float, options: AdaptOptions) -> Stat:
    return Stat("time", duration(seconds) + (f" of {duration(options.budget)}" if options.budget else ""))


def _unseen(share: float | None) -> list[Stat]:
    """Of the demonstration that is left out at first: it tells what an answer is worth."""
    return [] if share is None else [Stat("unseen", f"{percent(share)} right")]
