"""trmsolve eval sudoku | maze FILE...: measures one checkpoint, or several on the same puzzles."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trmsolve.cli import sharding
from trmsolve.cli.inputs import records
from trmsolve.cli.output import put, status_line
from trmsolve.cli.run import ERROR, SOLVED, Terminated, echo_err
from trmsolve.cli.tables import Comparison, below, drawn, figures
from trmsolve.cli.task_option import task_for
from trmsolve.errors import TrmsolveError
from trmsolve.inference.options import SolveOptions
from trmsolve.tasks import get
from trmsolve.text_io import atomic_write, check_writable

if TYPE_CHECKING:
    from trmsolve.api import Model
    from trmsolve.distributed import ProcessGroup
    from trmsolve.inference.evaluate import Measurement


@dataclass(frozen=True)
class Asked:
    """What the user typed."""

    task: str
    files: list[str]
    checkpoints: Sequence[str | None]
    options: SolveOptions
    limit: int | None = None
    held_out: bool = False
    single_pass: bool = True
    plot: Path | None = None
    force: bool = False
    device: str = "auto"
    dtype: str = "auto"
    as_json: bool = False
    quiet: bool = False


def measure(asked: Asked, group: ProcessGroup | None = None) -> int:
    """Report on stdout; returns the exit code. Interrupted, it reports on what has been measured."""
    from trmsolve.inference.evaluate import split_records

    task = task_for(asked.task, asked.checkpoints[0])
    puzzles, bad = split_records(records(task, asked.files, asked.limit))
    for record in bad if group is None or group.is_main else ():
        echo_err(f"{record.source}: {record.message}")
    if asked.held_out:
        puzzles = [puzzle for puzzle in puzzles if task.is_held_out(puzzle.question)]
    if not puzzles:
        echo_err("error: no puzzle to measure")
        return ERROR
    several = len(asked.checkpoints) > 1  # also when all turn out to be one: who compares gets a comparison
    models = load(asked.checkpoints, asked.task, asked.device, asked.dtype, echo_err)
    if asked.plot is not None:
        _check_colours(len(models))
    from trmsolve.inference.evaluate import Measurement, unsupported_reasons

    reasons = [unsupported_reasons(model.checkpoint.name, model.task, puzzles) for model in models]
    if group is not None:
        group.assert_equal(checkpoints=[model.checkpoint.sha256 for model in models], puzzles=len(puzzles))
        if not group.is_main:
            for model, refused in zip(models, reasons, strict=True):
                Measurement(
                    model.solver, puzzles, refused, asked.options, asked.single_pass, **_sharded(group, model)
                ).run()
            return SOLVED
    table = None
    if several and not asked.as_json:
        names = [model.checkpoint.name for model in models]
        table = Comparison(names, asked.single_pass, any(map(any, reasons)))
        put(table.head())
    reports: list[dict[str, Any]] = []
    try:
        for number, (model, refused) in enumerate(zip(models, reasons, strict=True)):
            shared = {} if group is None else _sharded(group, model)
            measurement = Measurement(model.solver, puzzles, refused, asked.options, asked.single_pass, **shared)
            which = f"{model.checkpoint.name} ({number + 1} of {len(models)}): " if len(models) > 1 else ""
            try:
                with _progress(which, not asked.quiet) as progress:
                    measurement.run(progress)
            except (KeyboardInterrupt, Terminated):
                if measurement.results and not several:  # in a comparison all are of the same puzzles
                    reports.append(_report(model, asked, refused, measurement))
                raise
            reports.append(_report(model, asked, refused, measurement))
            if table is not None:
                put(table.row(number, reports[-1]))
    finally:
        if reports:
            _deliver(reports, several, asked.as_json)
            if asked.plot is not None and "interrupted" not in reports[-1]:
                atomic_write(asked.plot, drawn(reports), asked.force)
    return ERROR if bad else SOLVED


def load(
    specs: Sequence[str | None], task: str, device: str, dtype: str, tell: Callable[[str], None] = lambda text: None
) -> list[Model]:
    """All of them, before any is measured: whichever cannot be loaded is known at once. Each file once."""
    from trmsolve import api

    models: dict[str, Model] = {}
    for spec in dict.fromkeys(specs):
        model = api.load(spec, task=get(task), device=sharding.own_device(device), dtype=dtype)
        known = models.setdefault(model.checkpoint.sha256, model)
        if known is not model:
            tell(f"{model.checkpoint.name} is the same checkpoint as {known.checkpoint.name}: measured once")
    return list(models.values())


def check_plot(plot: Path, force: bool, single_pass: bool) -> None:
    """Raises TrmsolveError for what can be said of it before anything is measured."""
    if plot.suffix.lower() not in ("", ".svg"):
        raise TrmsolveError(f"cannot draw {plot}: --plot writes SVG", f"try --plot {plot.with_suffix('.svg')}")
    if not single_pass:
        raise TrmsolveError("--plot shows the single pass", "leave out --no-single-pass")
    check_writable(plot, force)


def _check_colours(number: int) -> None:
    from trmsolve.render.chart import COLOURS

    if number > len(COLOURS):
        raise TrmsolveError(
            f"--plot can tell {len(COLOURS)} checkpoints apart, {number} are named", "draw them in several plots"
        )


def _sharded(group: ProcessGroup, model: Model) -> dict[str, Any]:
    """How a Measurement solves and rolls out with several processes."""
    from trmsolve.inference.evaluate import rollout

    return {
        "solve_fn": lambda puzzles, options: sharding.shard(group, lambda items: model.solve(items, options), puzzles),
        "rollout_fn": lambda batches, steps: sharding.shard(
            group, lambda items: rollout(model.solver, items, steps), batches, window=2
        ),
    }


def _report(model: Model, asked: Asked, refused: Sequence[str], measurement: Measurement) -> dict[str, Any]:
    """What has been measured, after its circumstances."""
    about = {
        "task": asked.task,
        "files": asked.files,
        "checkpoint": model.checkpoint.name,
        "checkpoint_sha256": model.checkpoint.sha256,
        "device": str(model.device_spec.device),
        "dtype": str(model.device_spec.dtype).removeprefix("torch."),
        "max_steps": asked.options.max_steps,
        "restarts": asked.options.restarts,
    }
    return about | measurement.report() | {"refusal": next(filter(None, refused), None)}


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
    with status_line(wanted) as show:
        yield lambda what, done, of: show(f"{which}{what}, {done} of {of} puzzles")
