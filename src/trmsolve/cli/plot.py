"""trmsolve plot RUN...: loss, accuracy and learning rate of training runs as one SVG."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trmsolve.cli import options as o
from trmsolve.cli.output import put
from trmsolve.cli.run import command
from trmsolve.errors import TrmsolveError
from trmsolve.text_io import atomic_write, printable

WIDTH, HEIGHT = 900, 300  # of each chart, in pixels
MAX_POINTS = 500  # per curve; more are averaged
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # distinct to colour-blind readers too

Point = tuple[float, float]  # step, value
Record = dict[str, Any]  # a line of metrics.jsonl


@dataclass(frozen=True)
class PlotArgs:
    """Options of trmsolve plot."""

    runs: list[Path] = o.argument(..., "RUN...", "Run folders, or their metrics.jsonl.")
    output: Path | None = o.option(
        None, o.OUTPUT, "Write to this SVG file.", "-o", "--output", show_default="RUN/plot.svg"
    )
    force: bool = o.FORCE()


@command(PlotArgs)
def plot(args: PlotArgs) -> None:
    """Draw loss, accuracy and learning rate of one or more training runs over their steps, as SVG.

    Solid lines: the training mix. Dotted lines: exact accuracy on held-out puzzles (--eval).
    """
    records = {_name(run, args.runs): read_metrics(run) for run in args.runs}
    folder = args.runs[0] if args.runs[0].is_dir() else args.runs[0].parent
    put(str(atomic_write(args.output or folder / "plot.svg", draw(records), args.force or args.output is None)))


def read_metrics(run: Path) -> list[Record]:
    """The records of a run's metrics.jsonl, in order. Raises TrmsolveError if there are none."""
    path = run / "metrics.jsonl" if run.is_dir() else run
    records = []
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError):
                    continue  # a line cut short by a crash
                if isinstance(record, dict) and _is_number(record.get("step")):
                    records.append(record)
    except OSError as error:
        raise TrmsolveError(
            f"cannot read {path}: {error.strerror}", "name a folder that trmsolve train wrote"
        ) from None
    if not records:
        raise TrmsolveError(f"{path} holds no metrics", "wait: training writes the first metrics after a few seconds")
    return records


def draw(runs: dict[str, list[Record]]) -> str:
    """The charts of runs by name, below each other in one SVG."""
    charts = [
        _chart("loss", runs, ["loss"], logarithmic=True),
        _chart("exact accuracy, %", runs, ["exact_accuracy", _held_out_key], factor=100),
        _chart("learning rate", runs, ["lr"]),
    ]
    nested = "".join(
        re.sub(r"<svg ", f'<svg y="{HEIGHT * k}" width="{WIDTH}" height="{HEIGHT}" ', svg, count=1)
        for k, svg in enumerate(charts)
    )
    size = f'width="{WIDTH}" height="{HEIGHT * len(charts)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{nested}</svg>\n'


def _chart(
    title: str,
    runs: dict[str, list[Record]],
    keys: list[str | Callable[[Record], str]],
    factor: float = 1.0,
    logarithmic: bool = False,
) -> str:
    import pygal
    from pygal.style import Style

    style = Style(colors=COLORS, background="white", plot_background="white", font_family="sans-serif")
    curves = []
    for number, (name, records) in enumerate(runs.items()):
        for key in keys:
            points = curve(records, key, factor)
            if logarithmic:
                points = [(step, value) for step, value in points if value > 0]
            if points:
                curves.append((name if key is keys[0] else f"{name}, held out", number, key is keys[0], points))
    values = [value for *_, points in curves for _, value in points]
    chart = pygal.XY(
        style=style,
        width=WIDTH,
        height=HEIGHT,
        title=title,
        show_dots=False,
        logarithmic=logarithmic and bool(values) and max(values) > min(values),
        no_data_text="not measured",
        js=[],  # no scripts: pygal would load them from another server
        disable_xml_declaration=True,
        truncate_legend=40,
        legend_at_bottom=len(curves) > 6,
        x_value_formatter=lambda step: f"{step:,.0f}",
        value_formatter=lambda value: f"{value:.4g}",
    )
    for name, number, is_training, points in curves:
        stroke = {"width": 2} if is_training else {"width": 2, "dasharray": "4, 4"}
        color = COLORS[number % len(COLORS)]
        values_of_curve = [{"value": point, "color": color} for point in points]
        chart.add(name, values_of_curve, stroke_style=stroke, show_dots=len(points) == 1 or not is_training)
    return re.sub(r"<script.*?</script>", "", chart.render(is_unicode=True), flags=re.DOTALL)


def curve(records: list[Record], key: str | Callable[[Record], str], factor: float = 1.0) -> list[Point]:
    """(step, value) of all records with this measure, neighbours averaged to at most MAX_POINTS."""
    points = []
    for record in records:
        value = record.get(key if isinstance(key, str) else key(record))
        if value is not None and _is_number(value):
            points.append((float(record["step"]), factor * float(value)))
    group = -(-len(points) // MAX_POINTS) or 1
    groups = [points[start : start + group] for start in range(0, len(points), group)]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in groups]


def _held_out_key(record: Record) -> str:
    """The exact accuracy of an evaluation after its largest number of supervision steps; "" elsewhere."""
    steps = [int(match[1]) for name in record if (match := re.fullmatch(r"exact_at_(\d{1,9})", name))]
    return f"exact_at_{max(steps)}" if steps else ""


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300


def _name(run: Path, runs: list[Path]) -> str:
    """The run in the legend: its folder's name, or its path where names are equal."""
    names = [path.resolve().name for path in runs]
    name = run.resolve().name
    return printable(name if names.count(name) == 1 else run, 60)
