"""The course of training runs as one SVG: loss, accuracy and learning rate by optimizer step, below each other."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import ceil, floor, log10
from typing import Any

import pygal

from trmsolve.render.chart import COLOURS, rendered, style
from trmsolve.render.theme import LIGHT

WIDTH, HEIGHT = 900, 300  # of each chart, in pixels
MAX_POINTS = 500  # per curve; more are averaged

Point = tuple[float, float]  # step, value
Record = dict[str, Any]  # a line of metrics.jsonl


def run_charts(runs: dict[str, list[Record]]) -> str:
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
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><rect {size} fill="{LIGHT.paper}"/>{nested}</svg>\n'


def _chart(
    title: str,
    runs: dict[str, list[Record]],
    keys: list[str | Callable[[Record], str]],
    factor: float = 1.0,
    logarithmic: bool = False,
) -> str:
    curves = []  # (name, number of the run, whether of the training mix, points)
    for number, (name, records) in enumerate(runs.items()):
        for key in keys:
            points = curve(records, key, factor)
            if logarithmic:  # pygal's own logarithmic axis would distort the steps too
                points = [(step, log10(value)) for step, value in points if value > 0]
            if points:
                curves.append((name if key is keys[0] else f"{name}, held out", number, key is keys[0], points))
    values = [value for *_, points in curves for _, value in points]
    chart = pygal.XY(
        style=style([COLOURS[number % len(COLOURS)] for _, number, *_ in curves] or COLOURS),
        width=WIDTH,
        height=HEIGHT,
        title=title,
        show_dots=False,
        no_data_text="not measured",
        js=[],  # no scripts: pygal would load them from another server
        truncate_legend=40,
        legend_at_bottom=len(curves) > 6,
        y_labels=_log_labels(values) if logarithmic else None,
        x_value_formatter=lambda step: f"{step:,.0f}",
        value_formatter=lambda value: f"{10**value if logarithmic else value:.4g}",
    )
    for name, _, is_training, points in curves:
        stroke = {"width": 2} if is_training else {"width": 2, "dasharray": "4, 4"}
        chart.add(name, points, stroke_style=stroke, show_dots=len(points) == 1 or not is_training)
    return rendered(chart, title.split(",")[0].replace(" ", "-"))


def _log_labels(logs: list[float]) -> list[float] | None:
    """The logarithms of 1, 2, 5, 10, ... among these; None (labels of pygal) where they are fewer than 2."""
    if not logs:
        return None
    exponents = range(floor(min(logs)), ceil(max(logs)) + 1)
    labels = [exponent + log10(digit) for exponent in exponents for digit in (1, 2, 5)]
    labels = [label for label in labels if min(logs) <= label <= max(logs)]
    return labels[:: 1 + len(labels) // 12] if len(labels) > 1 else None


def curve(records: list[Record], key: str | Callable[[Record], str], factor: float = 1.0) -> list[Point]:
    """(step, value) of all records with this measure, neighbours averaged to at most MAX_POINTS."""
    points = []
    for record in records:
        value = record.get(key if isinstance(key, str) else key(record))
        if value is not None and is_number(value):
            points.append((float(record["step"]), factor * float(value)))
    group = -(-len(points) // MAX_POINTS) or 1
    groups = [points[start : start + group] for start in range(0, len(points), group)]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in groups]


def _held_out_key(record: Record) -> str:
    """The exact accuracy of an evaluation after its largest number of supervision steps; "" elsewhere."""
    steps = [int(match[1]) for name in record if (match := re.fullmatch(r"exact_at_(\d{1,9})", name))]
    return f"exact_at_{max(steps)}" if steps else ""


def is_number(value: Any) -> bool:
    """Whether a value of a log can be drawn."""
    return type(value) in (int, float) and abs(value) < 1e300
