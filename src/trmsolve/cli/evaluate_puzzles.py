"""trmsolve eval sudoku | maze FILE...: measures one checkpoint, or several on the same puzzles."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trmsolve.cli import sharding
from trmsolve.cli.guard import BAD, SOLVED, Terminated, say
from trmsolve.cli.inputs import records
from trmsolve.cli.lines import passing, put
from trmsolve.cli.tables import Comparison, below, drawn, figures
from trmsolve.errors import TrmsolveError
from trmsolve.files import check_writable, write_atomically
from trmsolve.solving.jobs import Rolling, Solving
from trmsolve.solving.options import SolveOptions
from trmsolve.tasks import get

if TYPE_CHECKING:
    from trmsolve.api import Model
    from trmsolve.solving.compare import Measurement
    from trmsolve.solving.crew import Crew


@dataclass(frozen=True)
class Asked:
    """What the user typed."""

    task: str
    files: list[str]
    checkpoints: Sequence[str | None]
    options: SolveOptions
    limit: int | None = None
    single_pass: bool = True
    plot: Path | None = None
    force: bool = False
    device: str = "auto"
    dtype: str = "auto"
    as_json: bool = False
    quiet: bool = False


def measure(asked: Asked, crew: Crew | None = None) -> int:
    """Report on stdout; returns the exit code. Interrupted, it reports on what has been measured."""
    from trmsolve.solving.measure import readable

    puzzles, bad = readable(records(get(asked.task), asked.files, asked.limit))
    for record in bad:
        say(f"{record.source}: {record.message}")
    if not puzzles:
        say("error: no puzzle to measure")
        return BAD
    several = len(asked.checkpoints) > 1  # also when all turn out to be one: who compares gets a comparison
    models = load(asked.checkpoints, asked.task, asked.device, asked.dtype, say)
    if asked.plot is not None:
        _check_colours(len(models))
    from trmsolve.solving.compare import Measurement, refusals

    reasons = [refusals(model.checkpoint.name, model.task, puzzles) for model in models]
    if crew is not None:
        crew.start(models)
    table = None
    if several and not asked.as_json:
        names = [model.checkpoint.name for model in models]
        table = Comparison(names, asked.single_pass, any(map(any, reasons)))
        put(table.head())
    reports: list[dict[str, Any]] = []
    try:
        for number, (model, refused) in enumerate(zip(models, reasons, strict=True)):
            shared = {} if crew is None else _shared(crew, number)
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
                write_atomically(asked.plot, drawn(reports), asked.force)
    return BAD if bad else SOLVED


def load(
    specs: Sequence[str | None], task: str, device: str, dtype: str, tell: Callable[[str], None] = lambda text: None
) -> list[Model]:
    """All of them, before any is measured: whichever cannot be loaded is known at once. Each file once."""
    from trmsolve import api

    models: dict[str, Model] = {}
    for spec in dict.fromkeys(specs):
        model = api.load(spec, task=task, device=sharding.own(device), dtype=dtype)
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
    from trmsolve.view.chart import COLOURS

    if number > len(COLOURS):
        raise TrmsolveError(
            f"--plot can tell {len(COLOURS)} checkpoints apart, {number} are named", "draw them in several plots"
        )


def _shared(crew: Crew, model: int) -> dict[str, Any]:
    """How a crew solves and rolls out, for a Measurement."""
    return {
        "solve": lambda puzzles, options: crew.map(Solving(options, model), puzzles),
        "rolled": lambda batches, steps: crew.map(Rolling(steps, model), batches),
    }


def _report(model: Model, asked: Asked, refused: Sequence[str], measurement: Measurement) -> dict[str, Any]:
    """What has been measured, after its circumstances."""
    about = {
        "task": asked.task,
        "files": asked.files,
        "checkpoint": model.checkpoint.name,
        "checkpoint_sha256": model.checkpoint.sha256,
        "device": str(model.choice.device),
        "dtype": str(model.choice.dtype).removeprefix("torch."),
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
    with passing(wanted) as show:
        yield lambda what, done, of: show(f"{which}{what}, {done} of {of} puzzles")
