"""trmsolve plot RUN...: loss, accuracy and learning rate of training runs as one SVG or PNG."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from trmsolve.cli import options as o
from trmsolve.cli.output import put
from trmsolve.cli.run import command
from trmsolve.errors import TrmsolveError
from trmsolve.render.run_chart import Record, is_number, run_charts
from trmsolve.text_io import atomic_write, printable


@dataclass(frozen=True)
class PlotArgs:
    """Options of trmsolve plot."""

    runs: list[Path] = o.argument(..., "RUN...", "Run folders, or their metrics.jsonl.")
    output: Path | None = o.option(
        None, o.OUTPUT, "Write to this file.", "-o", "--output", show_default="RUN/plot.svg, with --png RUN/plot.png"
    )
    png: bool = o.option(
        False, o.OUTPUT, "Write PNG in place of SVG, as for a FILE that ends in .png. Needs resvg-py.", "--png"
    )
    force: bool = o.FORCE()


@command(PlotArgs)
def plot(args: PlotArgs) -> None:
    """Draw loss, accuracy and learning rate of one or more training runs over their steps, as SVG or PNG.

    Solid lines: the training mix. Dotted lines: exact accuracy on held-out puzzles (--eval).
    """
    folder = args.runs[0] if args.runs[0].is_dir() else args.runs[0].parent
    png = args.png or (args.output is not None and args.output.suffix.lower() == ".png")
    output = args.output or folder / ("plot.png" if png else "plot.svg")
    charts = run_charts({_name(run, args.runs): read_metrics(run) for run in args.runs})
    put(str(atomic_write(output, as_png(charts) if png else charts, args.force or args.output is None)))


def as_png(svg: str) -> bytes:
    """The picture in its own size, as PNG. Raises TrmsolveError where resvg-py is not installed."""
    try:
        from resvg_py import svg_to_bytes
    except ImportError:
        raise TrmsolveError("--png: the package resvg-py is not installed", "pip install resvg-py") from None
    return bytes(svg_to_bytes(svg_string=svg))


def read_metrics(run: Path) -> list[Record]:
    """The records of a run's metrics.jsonl, in order. Raises TrmsolveError if there are none."""
    path, records = run, []
    try:
        path = run / "metrics.jsonl" if run.is_dir() else run
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError):
                    continue  # a line cut short by a crash
                if isinstance(record, dict) and is_number(record.get("step")):
                    records.append(record)
    except OSError as error:
        raise TrmsolveError(
            f"cannot read {path}: {error.strerror}", "name a folder that trmsolve train wrote"
        ) from None
    if not records:
        raise TrmsolveError(f"{path} holds no metrics", "wait: training writes the first metrics after a few seconds")
    return records


def _name(run: Path, runs: list[Path]) -> str:
    """The run in the legend: its folder's name, or its path where names are equal."""
    names = [path.resolve().name for path in runs]
    name = run.resolve().name
    return printable(name if names.count(name) == 1 else run, 60)
