"""trmsolve eval arc FILE...: adapts to every task, and measures what comes of it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trmsolve.cli import sharding
from trmsolve.cli.arc_tables import Table, figures
from trmsolve.cli.output import put, status_line
from trmsolve.cli.run import ERROR, SOLVED, echo_err
from trmsolve.errors import TrmsolveError
from trmsolve.inference.few_shot import AdaptOptions, FewShotResult
from trmsolve.inference.few_shot_report import report, row, score_of
from trmsolve.inference.result_store import ResultStore
from trmsolve.render.caption import duration, printable
from trmsolve.tasks.arc.read import read
from trmsolve.tasks.few_shot import FewShotTask, Score

if TYPE_CHECKING:
    from trmsolve.api import Model
    from trmsolve.distributed import ProcessGroup


@dataclass(frozen=True)
class Asked:
    """What the user typed."""

    files: list[str]
    options: AdaptOptions
    checkpoint: str | None = None
    solutions: Path | None = None
    resume: Path | None = None
    every: int = 1
    limit: int | None = None
    shard: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    table: bool = False
    as_json: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class Subset:
    """Which tasks of so many are measured."""

    tasks: list[FewShotTask]
    of: int
    words: str  # "" for all


def measure(asked: Asked, group: ProcessGroup | None = None) -> int:
    """Report on stdout; returns the exit code. Interrupted, it reports on the tasks that are done."""
    records = list(read(asked.files, asked.solutions, strict=False))
    bad = [record for record in records if not isinstance(record, FewShotTask)]
    for record in bad:
        echo_err(f"{record.source}: {record.message}")
    for record in records:
        for warning in record.warnings if isinstance(record, FewShotTask) else ():
            echo_err(f"{record.source}: warning: {warning}")
    subset = choose([record for record in records if isinstance(record, FewShotTask)], asked)
    _check_answers(subset.tasks)
    from trmsolve.api import load

    model = load(asked.checkpoint, task="arc", device=sharding.own_device(asked.device), dtype=asked.dtype)
    if group is not None:
        group.assert_equal(checkpoint=model.checkpoint.sha256)
    kept = ResultStore(asked.resume, model.checkpoint.sha256, asked.options) if asked.resume else None
    known = {task.name: found for task in subset.tasks if kept is not None and (found := kept.find(task))}
    if not asked.quiet:
        echo_err(_plan(subset, len(known), asked))
    if group is not None and not group.is_main:
        for _ in _adapted(model, group, subset.tasks, known, None, asked.options):
            pass
        return SOLVED
    results: list[FewShotResult] = []
    try:
        for result in _shown(_adapted(model, group, subset.tasks, known, kept, asked.options), subset, known, asked):
            results.append(result)
    finally:
        if results:
            whole = _about(model, subset, asked) | report(results, model.task)
            put(json.dumps(whole, indent=2) if asked.as_json else "\n" * asked.table + figures(whole))
    return ERROR if bad or any(result.error for result in results) else SOLVED


def choose(tasks: Sequence[FewShotTask], asked: Asked) -> Subset:
    """Every so many-th, of these the first ones, and of these a share. Raises TrmsolveError when none is left."""
    chosen, words = list(tasks[:: asked.every]), []
    if asked.every > 1:
        words.append(f"one of every {asked.every}")
    if asked.limit is not None and asked.limit < len(chosen):
        chosen = chosen[: asked.limit]
        words.append(f"the first {asked.limit}" + " of these" * bool(words))
    if asked.shard is not None:
        which, number = _shard(asked.shard)
        chosen = chosen[which - 1 :: number]
        words.append(f"shard {which} of {number}")
    if not chosen:
        few = f"{len(tasks)} tasks are too few to be shared out like that"
        raise TrmsolveError("no task to measure", few if tasks else "expected tasks with answers")
    return Subset(chosen, len(tasks), f"of {len(tasks)}: {', '.join(words)}" if words else "")


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
    which, number = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= which <= number:
        raise TrmsolveError(f"--shard {text}: no share of the tasks", "for example --shard 1/4, up to 4/4")
    return which, number


def _check_answers(tasks: Sequence[FewShotTask]) -> None:
    if unknown := [task for task in tasks if task.answers is None]:
        others = f" ({len(unknown)} of {len(tasks)} tasks have none)" * (len(tasks) > 1)
        raise TrmsolveError(
            f"{unknown[0].source}: no answers, so there is nothing to measure{others}",
            "tests need an output, or --solutions FILE; to answer them: trmsolve arc",
        )


def _plan(subset: Subset, old: int, asked: Asked) -> str:
    """What is going to happen, and how long it takes at most."""
    new = len(subset.tasks) - old
    words = [f"adapting to {new} task{'s' * (new != 1)}" + f" ({subset.words})" * bool(subset.words)]
    if old:
        words.append(f"{old} more are kept in {printable(str(asked.resume))}")
    if asked.options.budget is not None and new:
        words.append(f"at most about {duration(asked.options.budget * new)}")
    return ", ".join(words)


def _adapted(
    model: Model,
    group: ProcessGroup | None,
    tasks: Sequence[FewShotTask],
    known: Mapping[str, FewShotResult],
    kept: ResultStore | None,
    options: AdaptOptions,
) -> Iterator[FewShotResult]:
    """The results of all tasks in order, the known ones too. The solver is not even shown the answers."""
    due = [replace(task, answers=None) for task in tasks if task.name not in known]
    if group is None:
        stream = model.adapt(due, options)
    else:
        stream = sharding.shard(
            group, lambda items, _: model.adapt(items, options), due, window=options.tasks_per_batch
        )
        if not group.is_main:
            yield from stream  # computes its share, and yields nothing
            return
    for task in tasks:
        if task.name in known:
            yield known[task.name]
            continue
        result = replace(next(stream), task=task)
        if kept is not None:
            kept.add(result)
        yield result


def _shown(
    stream: Iterator[FewShotResult], subset: Subset, known: Mapping[str, FewShotResult], asked: Asked
) -> Iterator[FewShotResult]:
    """The same results; how it goes stands on stderr, and with --tasks a row for each on stdout."""
    tasks, score, fresh, began = len(subset.tasks), Score(), 0, time.monotonic()
    table = Table([task.name for task in subset.tasks]) if asked.table and not asked.as_json else None
    if table is not None:
        put(table.head())
    with status_line(not asked.quiet) as show:
        for done in range(tasks):
            words = [f"task {done + 1} of {tasks}"]
            if done:
                words.append(f"pass@2 so far {100 * score.rate:.1f} %")
            if fresh:
                left = (tasks - len(known) - fresh) * (time.monotonic() - began) / fresh
                words.append(f"about {duration(left)} left")
            show(", ".join(words))
            result = next(stream)
            show("")
            if result.error:
                echo_err(f"{result.task.source}: {result.error}")
            if table is not None:
                put(table.row(row(result)))
            fresh += result.task.name not in known
            score += score_of(result)
            yield result


def _about(model: Model, subset: Subset, asked: Asked) -> dict[str, Any]:
    """What a report says of its circumstances."""
    return {
        "task": "arc",
        "files": asked.files,
        "of": subset.of,
        "chosen": len(subset.tasks),
        "subset": subset.words,
        "checkpoint": model.checkpoint.name,
        "checkpoint_sha256": model.checkpoint.sha256,
        "parameters": model.checkpoint.header.parameters,
        "device": str(model.device_spec.device),
        "dtype": str(model.device_spec.dtype).removeprefix("torch."),
        "options": asdict(asked.options),
    }
