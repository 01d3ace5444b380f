"""trmsolve eval TASK FILE..."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trmsolve.adapting.options import AdaptOptions
from trmsolve.cli import arc_options as arc
from trmsolve.cli import options as o
from trmsolve.cli.guard import BAD, SOLVED, guarded, say
from trmsolve.cli.inputs import piped, records
from trmsolve.cli.lines import passing, put
from trmsolve.cli.tables import Comparison, below, drawn, figures
from trmsolve.errors import TrmsolveError
from trmsolve.files import check_writable, write_atomically
from trmsolve.solving.options import SolveOptions
from trmsolve.tasks import get

if TYPE_CHECKING:
    from trmsolve.api import Model


@guarded
def evaluate(
    task: Annotated[str, typer.Argument(help="sudoku, maze or arc")],
    context: typer.Context,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE", help="Puzzles, best with their answers (for ARC, always); - is stdin."),
    ] = None,
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(
            "--checkpoint",
            help="NAME, FILE or hf://owner/repo/file; given several times: a table that compares them.",
            show_default="bundled",
        ),
    ] = None,
    limit: o.Limit = None,
    max_steps: o.MaxSteps = None,
    restarts: o.Restarts = SolveOptions.restarts,
    single_pass: Annotated[bool, typer.Option(help="Also roll out 64 plain steps.")] = True,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw accuracy by steps, and how far to trust the halting head (SVG).")
    ] = None,
    force: o.Force = False,
    batch_size: o.BatchSize = SolveOptions.batch_size,
    budget: arc.Budget = None,
    steps: arc.Steps = None,
    votes: arc.Votes = AdaptOptions.votes,
    together: arc.Together = AdaptOptions.together,
    solutions: arc.Solutions = None,
    resume: arc.Resume = None,
    every: Annotated[int, typer.Option("--every", min=1, help="One of every so many tasks, before --limit.")] = 1,
    shard: Annotated[
        str | None, typer.Option("--shard", metavar="I/N", help="The I-th of N shares of the tasks, after --limit.")
    ] = None,
    tasks: Annotated[bool, typer.Option("--tasks", help="Also a row for each task.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="ARC draws at random; nothing else does.")] = 0,
    device: o.Device = "auto",
    dtype: o.Dtype = "auto",
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> int:
    """Measure a checkpoint: solved and verified, single-pass accuracy, halting, steps, puzzles/s, 95 % intervals.

    Several checkpoints are measured on the same puzzles, one after the other. A puzzle that a model cannot take, being
    of another size, counts as unsolved. FLOP per puzzle: matrix multiplies of a supervision step of the mean puzzle,
    times the mean steps that solving with restarts takes.

    ARC: the checkpoint adapts to each task (trmsolve arc), and is measured by pass@1 and pass@2, the competition's
    share of tests that one of two attempts solves. From --budget to --tasks, options are for ARC alone; --restarts to
    --batch-size are not, and --max-steps is 16 unless given.

    Exit code 0 when all puzzles could be read, whatever share was solved.
    """
    the_task = get(task)
    _check_given(context, task)
    if plot is not None:
        _check_plot(plot, force, single_pass)
    files = files or (["-"] if piped() else [])
    if not files:
        say(context.get_help())
        return BAD
    if task == "arc":
        from trmsolve.cli.evaluate_arc import Asked, measure

        at_most = AdaptOptions.max_steps if max_steps is None else max_steps
        return measure(
            Asked(
                files=files,
                options=arc.adapt_options(budget, steps, votes=votes, max_steps=at_most, together=together, seed=seed),
                checkpoint=checkpoint[0] if checkpoint else None,
                solutions=solutions,
                resume=resume,
                every=every,
                limit=limit,
                shard=shard,
                device=device,
                dtype=dtype,
                table=tasks,
                as_json=as_json,
                quiet=quiet,
            )
        )
    from trmsolve.solving.measure import readable

    puzzles, bad = readable(records(the_task, files, limit))
    for record in bad:
        say(f"{record.source}: {record.message}")
    if not puzzles:
        say("error: no puzzle to measure")
        return BAD
    several = len(checkpoint or []) > 1  # also when all of them turn out to be one: who compares gets a comparison
    models = _load(checkpoint or [None], task, device, dtype)
    if plot is not None:
        _check_colours(len(models))
    from trmsolve.solving.compare import refusals, report

    reasons = [refusals(model.checkpoint.name, model.task, puzzles) for model in models]
    options = SolveOptions(max_steps=max_steps, restarts=restarts, batch_size=batch_size, seed=seed)
    table = None
    if several and not as_json:
        names = [model.checkpoint.name for model in models]
        table = Comparison(names, single_pass, any(map(any, reasons)))
        put(table.head())
    reports: list[dict[str, Any]] = []
    try:
        for number, (model, refused) in enumerate(zip(models, reasons, strict=True)):
            which = f"{model.checkpoint.name} ({number + 1} of {len(models)}): " if len(models) > 1 else ""
            with _progress(which, not quiet) as progress:
                found = report(model.solver, puzzles, refused, options, single_pass, progress)
            found["refusal"] = next(filter(None, refused), None)
            reports.append(_about(model, task, files, max_steps, restarts) | found)
            if table is not None:
                put(table.row(number, reports[-1]))
    finally:  # what is interrupted loses the checkpoint under way, not those before it
        if reports:
            _deliver(reports, several, as_json)
            if plot is not None:
                write_atomically(plot, drawn(reports), force)
    return BAD if bad else SOLVED


ONLY_ARC = ("budget", "steps", "votes", "together", "solutions", "resume", "every", "shard", "tasks")
NOT_ARC = ("restarts", "single_pass", "plot", "force", "batch_size")


def _check_given(context: typer.Context, task: str) -> None:
    """Raises TrmsolveError for options that mean nothing to this task: whoever gives one expects it to matter."""
    given = {name for name in context.params if context.get_parameter_source(name).name != "DEFAULT"}
    for name in NOT_ARC if task == "arc" else ONLY_ARC:
        if name in given:
            option = f"--{name.replace('_', '-')}"
            raise TrmsolveError(f"{option} means nothing to {task}", "see what does: trmsolve eval --help")
    if task == "arc" and len(context.params["checkpoint"] or []) > 1:
        raise TrmsolveError("eval arc measures one checkpoint at a time", "compare what --json says of each")


def _check_plot(plot: Path, force: bool, single_pass: bool) -> None:
    """What can be said of it before anything is measured."""
    if plot.suffix.lower() not in ("", ".svg"):
        raise TrmsolveError(f"cannot draw {plot}: --plot writes SVG", f"try --plot {plot.with_suffix('.svg')}")
    if not single_pass:
        raise TrmsolveError("--plot shows the single pass", "leave out --no-single-pass")
    check_writable(plot, force)


def _check_colours(number: int) -> None:
    from trmsolve.view.chart import COLOURS

    if number > len(COLOURS):
        raise TrmsolveError(
            f"--plot can tell {len(COLOURS)} checkpoints apart, {number} are named", "draw them in several plots"
        )


def _load(specs: Sequence[str | None], task: str, device: str, dtype: str) -> list[Model]:
    """All of them, before any is measured: whichever cannot be loaded is known at once. Each file once."""
    from trmsolve.api import load

    models: dict[str, Model] = {}
    for spec in dict.fromkeys(specs):
        model = load(spec, task=task, device=device, dtype=dtype)
        known = models.setdefault(model.checkpoint.sha256, model)
        if known is not model:
            say(f"{model.checkpoint.name} is the same checkpoint as {known.checkpoint.name}: measured once")
    return list(models.values())


def _about(model: Model, task: str, files: list[str], max_steps: int | None, restarts: int) -> dict[str, Any]:
    """What a report says of its circumstances."""
    return {
        "task": task,
        "files": files,
        "checkpoint": model.checkpoint.name,
        "checkpoint_sha256": model.checkpoint.sha256,
        "device": str(model.choice.device),
        "dtype": str(model.choice.dtype).removeprefix("torch."),
        "max_steps": max_steps,
        "restarts": restarts,
    }


def _deliver(reports: list[dict[str, Any]], several: bool, as_json: bool) -> None:
    """What stands on stdout when all is measured."""
    first = reports[0]
    if as_json:
        whole = {"task": first["task"], "files": first["files"], "checkpoints": reports} if several else first
        print(json.dumps(whole, indent=2))
    else:
        put(below(first) if several else figures(first))


@contextmanager
def _progress(which: str, wanted: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Says what is being done, and how many puzzles of how many."""
    with passing(wanted) as show:
        yield lambda what, done, of: show(f"{which}{what}, {done} of {of} puzzles")
