"""trmsolve eval TASK FILE..."""

from __future__ import annotations

import json
import sys
import time
from typing import Annotated, Any

import typer

from trmsolve.cli import options as o
from trmsolve.cli.guard import BAD, SOLVED, guarded, say
from trmsolve.cli.inputs import piped, records
from trmsolve.solving.options import SolveOptions
from trmsolve.tasks import get

LISTED = ("solved", "solved_without_restarts")  # shares with rows of their own


@guarded
def evaluate(
    task: Annotated[str, typer.Argument(help="sudoku or maze")],
    context: typer.Context,
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE", help="Puzzles, best with their answers (CSV); - is stdin.")
    ] = None,
    checkpoint: o.Checkpoint = None,
    limit: o.Limit = None,
    max_steps: o.MaxSteps = None,
    restarts: o.Restarts = SolveOptions.restarts,
    single_pass: Annotated[bool, typer.Option(help="Also roll out 16 and 64 plain steps.")] = True,
    batch_size: o.BatchSize = SolveOptions.batch_size,
    seed: o.SolveSeed = 0,
    device: o.Device = "auto",
    dtype: o.Dtype = "auto",
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> int:
    """Measure a checkpoint: solved and verified, single-pass accuracy, halting, steps, puzzles/s, 95 % intervals.

    Exit code 0 when all puzzles could be read, whatever share was solved.
    """
    the_task = get(task)
    files = files or (["-"] if piped() else [])
    if not files:
        say(context.get_help())
        return BAD
    from trmsolve.solving.measure import details, interval, readable, summary

    puzzles, bad = readable(records(the_task, files, limit))
    for record in bad:
        say(f"{record.source}: {record.message}")
    if not puzzles:
        say("error: no puzzle to measure")
        return BAD
    from trmsolve.api import load
    from trmsolve.solving.measure import single_pass as roll_out

    model = load(checkpoint, task=task, device=device, dtype=dtype)
    started = time.monotonic()
    results = []
    for result in model.solve(puzzles, max_steps=max_steps, restarts=restarts, batch_size=batch_size, seed=seed):
        results.append(result)
        if not quiet and sys.stderr.isatty():
            print(f"\r{len(results)} of {len(puzzles)}", end="", file=sys.stderr, flush=True)
    if not quiet and sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    report: dict[str, Any] = {"task": task, "files": files, "checkpoint": model.checkpoint.name}
    report |= {"checkpoint_sha256": model.checkpoint.sha256, "device": str(model.choice.device)}
    report |= {"dtype": str(model.choice.dtype).removeprefix("torch."), "max_steps": max_steps, "restarts": restarts}
    report |= summary(results, time.monotonic() - started) | details(the_task, results)
    if single_pass:
        counts = roll_out(model.solver, puzzles, batch_size=batch_size)
        report |= counts.rates()
        for k in counts.steps:
            report[f"accepted_at_{k}_interval_95"] = interval(counts.accepted.get(k, 0), counts.puzzles)
            report[f"exact_at_{k}_interval_95"] = interval(counts.exact.get(k, 0), counts.puzzles)
    print(json.dumps(report, indent=2) if as_json else table(report))
    return BAD if bad else SOLVED


def table(report: dict[str, Any]) -> str:
    """The report for people."""
    share = lambda key: f"{100 * report[key]:.2f} %"  # noqa: E731

    def with_interval(key: str) -> str:
        low, high = report[f"{key}_interval_95"]
        return f"{share(key)}   (95 %: {100 * low:.1f} to {100 * high:.1f})"

    rows = [
        ("puzzles", f"{report['puzzles']}"),
        ("solved and verified", with_interval("solved")),
        ("  without restarts", with_interval("solved_without_restarts")),
    ]
    worth = [key for key in report if f"{key}_interval_95" in report and key not in LISTED and "_at_" not in key]
    rows += [(f"  {key.replace('_', ' ')}", with_interval(key)) for key in worth]
    if len(report["strata"]) > 1:
        for name, of in report["strata"].items():
            solved, plain = (f"{100 * of[key]:.2f} %" for key in ("solved", "solved_without_restarts"))
            words = f"{solved} of {of['puzzles']}, {plain} without restarts, {of['mean_steps']:.1f} steps"
            rows.append((f"  {name}", words))
    if "exact_at_16" in report:
        rows += [(f"single pass, {k} steps, accepted", with_interval(f"accepted_at_{k}")) for k in (16, 64)]
        rows += [(f"single pass, {k} steps, exact", with_interval(f"exact_at_{k}")) for k in (16, 64)]
        rows += [(f"single pass, {k} steps, cells", share(f"cell_accuracy_at_{k}")) for k in (16, 64)]
        rows += [(f"halting head right at {k} steps", share(f"halting_right_at_{k}")) for k in (16, 64)]
    rows += [
        ("mean steps", f"{report['mean_steps']:.1f}"),
        ("mean restarts", f"{report['mean_restarts']:.2f}"),
        ("puzzles/s", f"{report['puzzles_per_second']:.1f}   ({report['device']}, {report['dtype']})"),
        ("checkpoint", f"{report['checkpoint']} ({report['checkpoint_sha256'][:12]})"),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
