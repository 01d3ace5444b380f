"""trmsolve eval TASK FILE...: evaluate a checkpoint, or several on the same puzzles."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from trmsolve.cli import complete
from trmsolve.cli import options as o
from trmsolve.cli.few_shot import check_answers, choose_tasks, stored_results
from trmsolve.cli.inputs import files_or_stdin, records, task_for, with_notes
from trmsolve.cli.options import AdaptArgs, option, reject_given
from trmsolve.cli.output import delayed_status, put, status_line
from trmsolve.cli.run import ERROR, SOLVED, Terminated, command, echo_err, process_group
from trmsolve.cli.tables import Comparison, TaskTable, chart_svg, column_notes, few_shot_figures, figures
from trmsolve.distributed import ProcessGroup, local_device
from trmsolve.errors import TrmsolveError
from trmsolve.inference.few_shot import FewShotResult
from trmsolve.inference.metrics import report, row, score_of
from trmsolve.inference.options import SolveOptions
from trmsolve.inference.result_store import ResultStore
from trmsolve.render.caption import count, duration
from trmsolve.stream import sharded_map
from trmsolve.tasks import resolve_task
from trmsolve.tasks.base import InvalidPuzzle, Task
from trmsolve.tasks.few_shot import Demonstrates, FewShotTask, Score
from trmsolve.text_io import atomic_write, check_writable

if TYPE_CHECKING:
    from trmsolve.api import Model
    from trmsolve.inference.evaluate import Measurement


@dataclass(frozen=True)
class EvalArgs:
    """Options common to all tasks."""

    task: str = o.argument(..., None, "A task's name, or a Python file that defines one.", complete.tasks)
    files: list[str] | None = o.argument(None, "FILE", "Files to read; - is stdin. Few-shot tasks need answers.")
    checkpoint: list[str] | None = option(
        None,
        o.MODEL,
        "NAME, FILE or hf://owner/repo/file. Repeat to compare several in a table.",
        show_default="bundled",
        complete=complete.checkpoints,
    )
    max_steps: int | None = o.MAX_STEPS()
    seed: int = option(0, o.MODEL, "Random seed; only test-time training uses it.", min=0)
    device: str = o.DEVICE()
    dtype: str = o.DTYPE()
    limit: int | None = o.LIMIT()
    as_json: bool = option(False, o.OUTPUT, "Print the report as JSON.", "--json")
    quiet: bool = o.QUIET()


@dataclass(frozen=True)
class SearchEvalArgs:
    """Options of tasks that are solved by search."""

    restarts: int = o.RESTARTS()
    batch_size: int | None = o.BATCH_SIZE()
    single_pass: bool = option(True, o.SEARCH, "Also measure 64 steps without restarts.")
    held_out: bool = option(False, o.LIMITS, "Task grid only: use the puzzles that training held out.", "--held-out")
    plot: Path | None = option(None, o.SEARCH, "Draw accuracy by steps and the halting head's calibration (SVG).")
    force: bool = o.FORCE()


@dataclass(frozen=True)
class AdaptEvalArgs(AdaptArgs):
    """Options of few-shot tasks."""

    every: int = option(1, o.LIMITS, "Take every N-th task, before --limit.", min=1)
    shard: str | None = option(None, o.LIMITS, "Take share I of N, after --limit.", metavar="I/N")
    tasks: bool = option(False, o.OUTPUT, "Also print a row for each task.", "--tasks")


@command(EvalArgs, SearchEvalArgs, AdaptEvalArgs, distributed=True)
def evaluate(args: EvalArgs, search: SearchEvalArgs, adapt: AdaptEvalArgs, context: typer.Context) -> int:
    """Evaluate a checkpoint: share solved, single-pass accuracy, halting, steps, puzzles/s, 95 % intervals.

    Several checkpoints are evaluated on the same puzzles. A puzzle of a size that a model does not support counts as
    unsolved. FLOP per puzzle counts matrix multiplies: those of one supervision step times the mean number of steps,
    restarts included.

    ARC: the checkpoint adapts to each task, as in trmsolve arc. Metrics are pass@1 and pass@2, the share of tests that
    one or two attempts solve. The options under Search do not apply to ARC; those under Test-time training apply to
    ARC only.

    Exit code: 0 all puzzles were read, whatever share was solved; 2 bad input; 130 interrupted, with a report on the
    puzzles measured so far.
    """
    with process_group() as group:
        task = resolve_task(args.task)
        few_shot = isinstance(task, Demonstrates)
        valid, invalid = (AdaptEvalArgs, SearchEvalArgs) if few_shot else (SearchEvalArgs, AdaptEvalArgs)
        names = {field.name for field in fields(invalid)} - {field.name for field in fields(valid)}
        reject_given(context, names, task.name)
        if search.plot is not None:
            _check_plot(search.plot, search.force, search.single_pass)
        args = replace(args, files=files_or_stdin(args.files))
        if not args.files:
            echo_err(context.get_help())
            return ERROR
        return _measure_few_shot(task, args, adapt, group) if few_shot else _measure(task, args, search, group)


# -- puzzles: search ----------------------------------------------------------------------------------------------
def _measure(task: Task, args: EvalArgs, search: SearchEvalArgs, group: ProcessGroup | None) -> int:
    """Report on stdout; returns the exit code. Interrupted, it reports on what has been measured."""
    checkpoints: Sequence[str | None] = args.checkpoint or [None]
    task = task_for(args.task, checkpoints[0])
    with delayed_status("reading", not args.quiet):
        from trmsolve.inference.evaluate import Measurement, split_records, unsupported_reasons

        puzzles, invalid = split_records(records(task, args.files or (), args.limit))
    for record in invalid if group is None or group.is_main else ():
        echo_err(f"{record.source}: {record.message}")
    if search.held_out:
        puzzles = [puzzle for puzzle in puzzles if task.is_held_out(puzzle.question)]
    if not puzzles:
        echo_err("error: no puzzle to measure")
        return ERROR
    compares = len(checkpoints) > 1  # also when all turn out to be one
    models = load_models(checkpoints, task, args, echo_err)
    if search.plot is not None:
        _check_colors(len(models))
    options = SolveOptions(
        max_steps=args.max_steps, restarts=search.restarts, batch_size=search.batch_size, seed=args.seed
    )

    reasons = [unsupported_reasons(model.checkpoint.name, model.task, puzzles) for model in models]
    measurements = [
        Measurement(model.solver, puzzles, why, options, search.single_pass, **_sharded(model, group))
        for model, why in zip(models, reasons, strict=True)
    ]
    if group is not None:
        group.assert_equal(checkpoints=[model.checkpoint.sha256 for model in models], puzzles=len(puzzles))
        if not group.is_main:
            for measurement in measurements:
                measurement.run()
            return SOLVED
    table = None
    if compares and not args.as_json:
        table = Comparison([model.checkpoint.name for model in models], search.single_pass, any(map(any, reasons)))
        put(table.head())
    reports: list[dict[str, Any]] = []
    try:
        for index, report_of_model in enumerate(_reports(models, measurements, args, compares)):
            reports.append(report_of_model | {"refusal": next(filter(None, reasons[index]), None)})
            if table is not None:
                put(table.row(index, reports[-1]))
    finally:
        if reports:
            _write(reports, compares, args.as_json)
            if search.plot is not None and "interrupted" not in reports[-1]:
                atomic_write(search.plot, chart_svg(reports), search.force)
    return ERROR if invalid else SOLVED


def _sharded(model: Model, group: ProcessGroup | None) -> dict[str, Any]:
    """Arguments of Measurement with which the processes of a group share the puzzles."""
    from trmsolve.inference.evaluate import roll_out

    if group is None:
        return {}

    def solve(puzzles: Any, options: SolveOptions) -> Any:
        return sharded_map(group, lambda part, _: model.solve(part, options), puzzles)

    def roll_out_all(batches: Any, steps: tuple[int, ...]) -> Any:
        return sharded_map(
            group, lambda part, _: (roll_out(model.solver, batch, steps) for batch in part), batches, window=2
        )

    return {"solve_fn": solve, "roll_out_fn": roll_out_all}


def _reports(
    models: Sequence[Model], measurements: Sequence[Measurement], args: EvalArgs, compares: bool
) -> Iterator[dict[str, Any]]:
    """The report of each model once it is measured; if the only one is interrupted, of a part of the puzzles."""
    for number, (model, measurement) in enumerate(zip(models, measurements, strict=True), 1):
        options = measurement.options
        facts = _circumstances(model, args, max_steps=options.max_steps, restarts=options.restarts)
        prefix = f"{model.checkpoint.name} ({number} of {len(models)}): " if len(models) > 1 else ""
        try:
            with _progress(prefix, not args.quiet) as progress:
                measurement.run(progress)
        except (KeyboardInterrupt, Terminated):
            if measurement.results and not compares:  # all rows of a comparison are of the same puzzles
                yield facts | measurement.report()
            raise
        yield facts | measurement.report()


def _write(reports: Sequence[dict[str, Any]], compares: bool, as_json: bool) -> None:
    """The reports on stdout; of a comparison as text only the notes, as its rows are printed already."""
    first = reports[0]
    comparison = {"task": first["task"], "files": first["files"], "checkpoints": reports}
    text = column_notes(first) if compares else figures(first)
    put(json.dumps(comparison if compares else first, indent=2) if as_json else text)


def load_models(
    specs: Sequence[str | None], task: Task, args: EvalArgs, warn: Callable[[str], None] = lambda text: None
) -> list[Model]:
    """Load every model, so that an error is raised before the first one is measured. Equal files are loaded once."""
    with delayed_status("loading the model", not args.quiet):
        from trmsolve import api

        models: dict[str, Model] = {}
        for spec in dict.fromkeys(specs):
            model = api.load(spec, task=task, device=local_device(args.device, shared=True), dtype=args.dtype)
            first = models.setdefault(model.checkpoint.sha256, model)
            if first is not model:
                warn(f"{model.checkpoint.name} is the same checkpoint as {first.checkpoint.name}: measured once")
        return list(models.values())


def _check_plot(plot: Path, force: bool, single_pass: bool) -> None:
    """Raise TrmsolveError now for a plot that could not be drawn later."""
    if plot.suffix.lower() not in ("", ".svg"):
        raise TrmsolveError(f"cannot draw {plot}: --plot writes SVG", f"try --plot {plot.with_suffix('.svg')}")
    if not single_pass:
        raise TrmsolveError("--plot needs the single pass", "leave out --no-single-pass")
    check_writable(plot, force)


def _check_colors(number: int) -> None:
    from trmsolve.render.chart import COLOURS

    if number > len(COLOURS):
        raise TrmsolveError(
            f"--plot has colours for {len(COLOURS)} checkpoints, {number} were given", "draw several plots"
        )


def _circumstances(model: Model, args: EvalArgs, **settings: Any) -> dict[str, Any]:
    """The fields of a report that name the task, the input, the checkpoint, the device and the settings."""
    return {
        "task": model.task.name,
        "files": args.files,
        "checkpoint": model.checkpoint.name,
        "checkpoint_sha256": model.checkpoint.sha256,
        "device": str(model.device_spec.device),
        "dtype": str(model.device_spec.dtype).removeprefix("torch."),
        **settings,
    }


@contextmanager
def _progress(prefix: str, visible: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Yields a function (activity, puzzles done, all puzzles) that shows the progress on a terminal."""
    last, began = time.monotonic(), dict[str, float]()  # the time of the last call, and when each activity began
    with status_line(visible) as show:

        def update(activity: str, done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            seconds = now - began.setdefault(activity, last if done else now)
            last = now
            parts = [f"{prefix}{activity}", f"{done:,} of {total:,} puzzles"]
            if done and seconds:
                parts += [f"{done / seconds:,.1f}/s", f"{duration(seconds * (total - done) / done)} left"]
            show(", ".join(parts))

        yield update


# -- few-shot tasks -----------------------------------------------------------------------------------------------
def _measure_few_shot(task: Task, args: EvalArgs, adapt: AdaptEvalArgs, group: ProcessGroup | None) -> int:
    """Report on stdout; returns the exit code. Interrupted, it reports on the tasks that are done."""
    assert isinstance(task, Demonstrates)
    if args.checkpoint and len(args.checkpoint) > 1:
        raise TrmsolveError(f"eval {task.name} measures one checkpoint at a time", "compare their --json reports")
    options = adapt.adapt_options(args.max_steps, args.seed)
    source = records(task, args.files or (), None, adapt.solutions)
    is_main = group is None or group.is_main
    all_records = list(with_notes(task, source) if is_main and not args.quiet else source)
    invalid = [record for record in all_records if isinstance(record, InvalidPuzzle)]
    for record in invalid if is_main else ():
        echo_err(f"{record.source}: {record.message}")
    all_tasks = [record for record in all_records if isinstance(record, FewShotTask)]
    tasks, subset = choose_tasks(all_tasks, adapt.every, args.limit, adapt.shard)
    check_answers(tasks)
    (model,) = load_models(args.checkpoint or [None], task, args)
    store, stored = stored_results(adapt.resume if is_main else None, model, options, tasks)
    new = [replace(task, answers=None) for task in tasks if task.name not in stored]  # the solver gets no answers
    group = group or ProcessGroup()
    group.assert_equal(checkpoint=model.checkpoint.sha256)
    stream: Iterator[Any] = sharded_map(
        group, lambda part, _: model.adapt(part, options), new, window=options.tasks_per_batch
    )
    if not is_main:
        list(stream)  # computes its share, and yields nothing
        return SOLVED
    if not args.quiet:
        parts = [f"adapting to {count(len(new), 'task')}" + f" ({subset})" * bool(subset)]
        parts += [f"{len(stored)} more are stored in {adapt.resume}"] if stored else []
        parts += [f"at most about {duration(options.budget * len(new))}"] if options.budget is not None and new else []
        echo_err(", ".join(parts))
    table = TaskTable([task.name for task in tasks]) if adapt.tasks and not args.as_json else None
    results: list[FewShotResult] = []
    try:
        for result in _shown(tasks, stored, stream, store, table, args.quiet):
            results.append(result)
        list(stream)  # in a group a collective operation: the other processes wait for it
    finally:
        if results:
            facts = _circumstances(
                model,
                args,
                chosen=len(tasks),
                subset=subset,
                parameters=model.checkpoint.header.parameters,
                options=asdict(options),
                of=len(all_tasks),
            )
            full_report = facts | report(results, task)
            text = json.dumps(full_report, indent=2)
            put(text if args.as_json else "\n" * adapt.tasks + few_shot_figures(full_report))
    return ERROR if invalid or any(result.error for result in results) else SOLVED


def _shown(
    tasks: Sequence[FewShotTask],
    stored: Mapping[str, FewShotResult],
    stream: Iterator[FewShotResult],
    store: ResultStore | None,
    table: TaskTable | None,
    quiet: bool,
) -> Iterator[FewShotResult]:
    """The results of all tasks, stored ones or those of the stream; progress on stderr, rows of the table on stdout."""
    score, num_new, started = Score(), 0, time.monotonic()
    if table is not None:
        put(table.head())
    with status_line(not quiet) as show:
        for done, task in enumerate(tasks):
            parts = [f"task {done + 1} of {len(tasks)}"]
            if done:
                parts.append(f"pass@2 so far {100 * score.rate:.1f} %")
            if num_new:
                seconds_left = (len(tasks) - len(stored) - num_new) * (time.monotonic() - started) / num_new
                parts.append(f"about {duration(seconds_left)} left")
            show(", ".join(parts))
            is_new = task.name not in stored
            result = replace(next(stream), task=task) if is_new else stored[task.name]
            show("")
            if store is not None and is_new:
                store.add(result)
            if result.error:
                echo_err(f"{task.source}: {result.error}")
            if table is not None:
                put(table.row(row(result)))
            num_new += is_new
            score += score_of(result)
            yield result
