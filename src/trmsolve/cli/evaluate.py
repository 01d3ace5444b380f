"""trmsolve eval TASK FILE..."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trmsolve.cli import arc_options as arc
from trmsolve.cli import options as o
from trmsolve.cli.evaluate_puzzles import Asked, check_plot, measure
from trmsolve.cli.inputs import piped
from trmsolve.cli.run import ERROR, command, distributed, echo_err
from trmsolve.cli.sharding import process_group
from trmsolve.errors import TrmsolveError
from trmsolve.inference.few_shot import AdaptOptions
from trmsolve.inference.options import SolveOptions
from trmsolve.tasks import resolve_task


@command
@distributed
def evaluate(
    task: Annotated[str, typer.Argument(help="A task's name, or a Python file that defines one.")],
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
    held_out: Annotated[
        bool, typer.Option("--held-out", help="grid: only what training kept out of the same files.")
    ] = False,
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
    tasks_per_batch: arc.Together = AdaptOptions.tasks_per_batch,
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

    Exit code 0 when all puzzles could be read, whatever share was solved; 130 interrupted, with a report on what has
    been measured by then.
    """
    checkpoints = checkpoint or [None]
    with process_group() as group:
        task = resolve_task(task).name
        _check_given(context, task)
        if plot is not None:
            check_plot(plot, force, single_pass)
        files = files or (["-"] if piped() else [])
        if not files:
            echo_err(context.get_help())
            return ERROR
        if task == "arc":
            from trmsolve.cli import evaluate_arc

            at_most = AdaptOptions.max_steps if max_steps is None else max_steps
            tasks_asked = evaluate_arc.Asked(
                files=files,
                options=arc.adapt_options(
                    budget, steps, votes=votes, max_steps=at_most, tasks_per_batch=tasks_per_batch, seed=seed
                ),
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
            return evaluate_arc.measure(tasks_asked, group)
        asked = Asked(
            task=task,
            files=files,
            checkpoints=checkpoints,
            options=SolveOptions(max_steps=max_steps, restarts=restarts, batch_size=batch_size, seed=seed),
            limit=limit,
            held_out=held_out,
            single_pass=single_pass,
            plot=plot,
            force=force,
            device=device,
            dtype=dtype,
            as_json=as_json,
            quiet=quiet,
        )
        return measure(asked, group)


ONLY_ARC = ("budget", "steps", "votes", "together", "solutions", "resume", "every", "shard", "tasks")
NOT_ARC = ("held_out", "restarts", "single_pass", "plot", "force", "batch_size")


def _check_given(context: typer.Context, task: str) -> None:
    """Raises TrmsolveError for options that mean nothing to this task: whoever gives one expects it to matter."""
    given = {name for name in context.params if context.get_parameter_source(name).name != "DEFAULT"}
    for name in NOT_ARC if task == "arc" else ONLY_ARC:
        if name in given:
            option = f"--{name.replace('_', '-')}"
            raise TrmsolveError(f"{option} means nothing to {task}", "see what does: trmsolve eval --help")
    if task == "arc" and len(context.params["checkpoint"] or []) > 1:
        raise TrmsolveError("eval arc measures one checkpoint at a time", "compare what --json says of each")
