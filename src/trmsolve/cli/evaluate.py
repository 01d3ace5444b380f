"""trmsolve eval TASK FILE...: evaluate a checkpoint, or several on the same puzzles."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trmsolve.cli import complete
from trmsolve.cli import options as o
from trmsolve.cli.few_shot import adapted, check_answers, choose, plan, stored_results, with_progress
from trmsolve.cli.inputs import piped, records, with_notes
from trmsolve.cli.options import AdaptArgs, reject_given, with_options
from trmsolve.cli.output import put, status_line
from trmsolve.cli.run import (
    ERROR,
    SOLVED,
    Terminated,
    command,
    distributed,
    echo_err,
    own_device,
    process_group,
    shard,
)
from trmsolve.cli.tables import Comparison, chart_svg, column_notes, few_shot_figures, figures
from trmsolve.cli.task_option import task_for
from trmsolve.distributed import ProcessGroup
from trmsolve.errors import TrmsolveError
from trmsolve.inference.few_shot import FewShotResult
from trmsolve.inference.few_shot_report import report
from trmsolve.inference.options import SolveOptions
from trmsolve.tasks import resolve_task
from trmsolve.tasks.base import InvalidPuzzle, Task
from trmsolve.tasks.few_shot import Demonstrates, FewShotTask
from trmsolve.text_io import atomic_write, check_writable

if TYPE_CHECKING:
    from trmsolve.api import Model
    from trmsolve.inference.evaluate import Measurement

EXAMPLES = """
    trmsolve eval sudoku puzzles.csv --limit 1000
    trmsolve eval maze mazes.csv --checkpoint maze --checkpoint mine.safetensors
    trmsolve eval arc tasks/ --budget 60s --resume kept.jsonl"""


@dataclass(frozen=True)
class EvalArgs:
    """Options common to all tasks."""

    task: Annotated[
        str, typer.Argument(help="A task's name, or a Python file that defines one.", autocompletion=complete.tasks)
    ] = ...  # type: ignore[assignment]
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE", help="Files to read; - is stdin. Few-shot tasks need answers."),
    ] = None
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(
            "--checkpoint",
            metavar="TEXT",
            rich_help_panel=o.MODEL,
            help="NAME, FILE or hf://owner/repo/file. Repeat to compare several in a table.",
            show_default="bundled",
            autocompletion=complete.checkpoints,
        ),
    ] = None
    max_steps: o.MaxSteps = None
    seed: Annotated[
        int,
        typer.Option("--seed", min=0, rich_help_panel=o.MODEL, help="Random seed; only test-time training uses it."),
    ] = 0
    device: o.Device = "auto"
    dtype: o.Dtype = "auto"
    limit: o.Limit = None
    as_json: Annotated[bool, typer.Option("--json", rich_help_panel=o.OUTPUT, help="Print the report as JSON.")] = False
    quiet: o.Quiet = False


@dataclass(frozen=True)
class SearchEvalArgs:
    """Options of tasks that are solved by search."""

    restarts: o.Restarts = SolveOptions.restarts
    batch_size: o.BatchSize = SolveOptions.batch_size
    single_pass: Annotated[
        bool,
        typer.Option(
            "--single-pass/--no-single-pass", rich_help_panel=o.SEARCH, help="Also measure 64 steps without restarts."
        ),
    ] = True
    held_out: Annotated[
        bool,
        typer.Option(
            "--held-out", rich_help_panel=o.LIMITS, help="Task grid only: use the puzzles that training held out."
        ),
    ] = False
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", rich_help_panel=o.SEARCH, help="Draw accuracy by steps and the halting head's calibration (SVG)."
        ),
    ] = None
    force: o.Force = False


@dataclass(frozen=True)
class AdaptEvalArgs(AdaptArgs):
    """Options of few-shot tasks."""

    every: Annotated[
        int, typer.Option("--every", min=1, rich_help_panel=o.LIMITS, help="Take every N-th task, before --limit.")
    ] = 1
    shard: Annotated[
        str | None,
        typer.Option("--shard", metavar="I/N", rich_help_panel=o.LIMITS, help="Take share I of N, after --limit."),
    ] = None
    tasks: Annotated[
        bool, typer.Option("--tasks", rich_help_panel=o.OUTPUT, help="Also print a row for each task.")
    ] = False


@command
@distributed
@with_options(EvalArgs, SearchEvalArgs, AdaptEvalArgs)
def evaluate(context: typer.Context, args: EvalArgs, search: SearchEvalArgs, adapt: AdaptEvalArgs) -> int:
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
        names = set(invalid.__dataclass_fields__) - set(valid.__dataclass_fields__)
        reject_given(context, names, task.name)
        if search.plot is not None:
            _check_plot(search.plot, search.force, search.single_pass)
        files = args.files or (["-"] if piped() else [])
        if not files:
            echo_err(context.get_help())
            return ERROR
        args = replace(args, files=files)
        return _measure_few_shot(task, args, adapt, group) if few_shot else _measure(task, args, search, group)


# -- puzzles: search ----------------------------------------------------------------------------------------------
def _measure(task: Task, args: EvalArgs, search: SearchEvalArgs, group: ProcessGroup | None) -> int:
    """Report on stdout; returns the exit code. Interrupted, it reports on what has been measured."""
    from trmsolve.inference.evaluate import Measurement, rollout, split_records, unsupported_reasons

    checkpoints: Sequence[str | None] = args.checkpoint or [None]
    task = task_for(args.task, checkpoints[0])
    puzzles, invalid = split_records(records(task, args.files or (), args.limit))
    for record in invalid if group is None or group.is_main else ():
        echo_err(f"{record.source}: {record.message}")
    if search.held_out:
        puzzles = [puzzle for puzzle in puzzles if task.is_held_out(puzzle.question)]
    if not puzzles:
        echo_err("error: no puzzle to measure")
        return ERROR
    compares = len(checkpoints) > 1  # also when all turn out to be one
    models = load_models(checkpoints, task, args.device, args.dtype, echo_err)
    if search.plot is not None:
        _check_colors(len(models))
    options = SolveOptions(
        max_steps=args.max_steps, restarts=search.restarts, batch_size=search.batch_size, seed=args.seed
    )

    def measurement(model: Model, reasons: Sequence[str]) -> Measurement:
        if group is None:
            return Measurement(model.solver, puzzles, reasons, options, search.single_pass)
        return Measurement(
            model.solver,
            puzzles,
            reasons,
            options,
            search.single_pass,
            solve_fn=lambda items, settings: shard(group, lambda part, _: model.solve(part, settings), items),
            rollout_fn=lambda batches, steps: shard(
                group, lambda part, _: rollout(model.solver, part, steps), batches, window=2
            ),
        )

    reasons = [unsupported_reasons(model.checkpoint.name, model.task, puzzles) for model in models]
    measurements = [measurement(*pair) for pair in zip(models, reasons, strict=True)]
    if group is not None:
        group.assert_equal(checkpoints=[model.checkpoint.sha256 for model in models], puzzles=len(puzzles))
        if not group.is_main:
            for each in measurements:
                each.run()
            return SOLVED
    table = None
    if compares and not args.as_json:
        table = Comparison([model.checkpoint.name for model in models], search.single_pass, any(map(any, reasons)))
        put(table.head())
    reports: list[dict[str, Any]] = []

    def add_report(index: int) -> None:
        facts = _circumstances(models[index], args, max_steps=options.max_steps, restarts=options.restarts)
        reason = next(filter(None, reasons[index]), None)
        reports.append(facts | measurements[index].report() | {"refusal": reason})

    try:
        for index, (model, each) in enumerate(zip(models, measurements, strict=True)):
            prefix = f"{model.checkpoint.name} ({index + 1} of {len(models)}): " if len(models) > 1 else ""
            try:
                with _progress(prefix, not args.quiet) as progress:
                    each.run(progress)
            except (KeyboardInterrupt, Terminated):
                if each.results and not compares:  # all rows of a comparison are of the same puzzles
                    add_report(index)
                raise
            add_report(index)
            if table is not None:
                put(table.row(index, reports[-1]))
    finally:
        if reports:
            first = reports[0]
            if args.as_json:
                comparison = {"task": first["task"], "files": first["files"], "checkpoints": reports}
                put(json.dumps(comparison if compares else first, indent=2))
            else:
                put(column_notes(first) if compares else figures(first))
            if search.plot is not None and "interrupted" not in reports[-1]:
                atomic_write(search.plot, chart_svg(reports), search.force)
    return ERROR if invalid else SOLVED


def load_models(
    specs: Sequence[str | None], task: Task, device: str, dtype: str, warn: Callable[[str], None] = lambda text: None
) -> list[Model]:
    """Load every model, so that an error is raised before the first one is measured. Equal files are loaded once."""
    from trmsolve import api

    models: dict[str, Model] = {}
    for spec in dict.fromkeys(specs):
        model = api.load(spec, task=task, device=own_device(device), dtype=dtype)
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
    with status_line(visible) as show:
        yield lambda activity, done, total: show(f"{prefix}{activity}, {done} of {total} puzzles")


# -- few-shot tasks -----------------------------------------------------------------------------------------------
def _measure_few_shot(task: Task, args: EvalArgs, adapt: AdaptEvalArgs, group: ProcessGroup | None) -> int:
    """Report on stdout; returns the exit code. Interrupted, it reports on the tasks that are done."""
    assert isinstance(task, Demonstrates)
    if args.checkpoint and len(args.checkpoint) > 1:
        raise TrmsolveError(f"eval {task.name} measures one checkpoint at a time", "compare their --json reports")
    options = adapt.adapt_options(args.max_steps, args.seed)
    source = records(task, args.files or (), None, adapt.solutions)
    shows_notes = not args.quiet and (group is None or group.is_main)
    all_records = list(with_notes(task, source) if shows_notes else source)
    invalid = [record for record in all_records if isinstance(record, InvalidPuzzle)]
    if group is None or group.is_main:
        for record in invalid:
            echo_err(f"{record.source}: {record.message}")
    tasks = [record for record in all_records if isinstance(record, FewShotTask)]
    subset = choose(tasks, adapt.every, args.limit, adapt.shard)
    check_answers(subset.tasks)
    (model,) = load_models(args.checkpoint or [None], task, args.device, args.dtype)
    if group is not None:
        group.assert_equal(checkpoint=model.checkpoint.sha256)
        if not group.is_main:
            for _ in adapted(model, group, subset.tasks, None, options):
                pass
            return SOLVED
    kept = stored_results(adapt.resume, model, options, subset.tasks) if adapt.resume else None
    if not args.quiet:
        echo_err(plan(subset, options, kept))
    results: list[FewShotResult] = []
    try:
        stream = adapted(model, group, subset.tasks, kept, options)
        with_table = adapt.tasks and not args.as_json
        for result in with_progress(stream, subset, kept, with_table, args.quiet):
            results.append(result)
    finally:
        if results:
            facts = _circumstances(
                model,
                args,
                total=subset.total,
                chosen=len(subset.tasks),
                subset=subset.description,
                parameters=model.checkpoint.header.parameters,
                options=asdict(options),
            )
            facts["of"] = facts.pop("total")  # the field's name since version 0.1
            full_report = facts | report(results, task)
            text = json.dumps(full_report, indent=2)
            put(text if args.as_json else "\n" * adapt.tasks + few_shot_figures(full_report))
    return ERROR if invalid or any(result.error for result in results) else SOLVED
