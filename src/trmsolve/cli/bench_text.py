"""The report of `trmsolve bench` as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

ONE_PUZZLE = {
    "cold_start": "cold start (a new process)",
    "import_torch": "a process that only imports torch",
    "warm": "warm, default settings",
    "sixteen_steps": "16 supervision steps",
}


def text(report: Mapping[str, Any]) -> str:
    """The report of cli/bench.py as tables."""
    peak = report["matmul_flops_per_second"]["median"]
    lines = [
        f"{report['task']}, checkpoint {report['checkpoint']} ({report['checkpoint_sha256'][:12]}), "
        f"{report['device']} {report['dtype']}, {report['hardware']}, torch {report['torch']}",
        f"median (smallest to largest) of {report['repeat']}, in turns; "
        f"matrix multiply: {figure(report['matmul_flops_per_second'], 1e-9)} GFLOP/s",
    ]
    if "inference" in report:
        lines += ["", *_inference(report["inference"], report["puzzles"], peak)]
    if "training" in report:
        lines += ["", *_training(report["training"], peak)]
    if "busy" in report:
        lines += ["", *_busy(report["busy"])]
    return "\n".join(lines)


def _busy(measured: Mapping[str, Any]) -> list[str]:
    rows = [
        [name, *(figure(entry[key]) for key in ("quiet", "busy", "busy_share"))] for name, entry in measured.items()
    ]
    return table(["", "alone", "beside a busy process", "share"], rows)


def _inference(measured: Mapping[str, Any], puzzles: int, peak: float) -> list[str]:
    one = [[ONE_PUZZLE[name], figure(entry)] for name, entry in measured["one_puzzle_seconds"].items()]
    rows = [
        [
            entry["name"],
            f"{100 * entry['accuracy']:.1f} %",
            figure(entry["puzzles_per_second"]),
            number(entry["mean_steps"]),
            *_rate(entry["flops_per_second"], peak),
        ]
        for entry in measured["streams"]
    ]
    ratios = [
        [
            f"{entry['ours']} / {entry['published']}",
            figure(entry["times"])
            + ("" if entry["accuracy_equal_or_better"] else "  but less accurate: no comparison"),
        ]
        for entry in measured["ratios"]
    ]
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in measured["settings"].items())
    return [
        *table(["one puzzle", "seconds"], one),
        "",
        *table([f"{puzzles} puzzles", "right", "puzzles/s", "steps", "GFLOP/s", "of peak"], rows),
        f"quick: {settings}",
        "",
        *table(["puzzles/s, ours / published", "times"], ratios),
    ]


def _training(measured: Mapping[str, Any], peak: float) -> list[str]:
    rows = [
        [
            f"{entry['name']}, batch {entry['batch']}, window {entry['window']}",
            figure(entry["optimizer_steps_per_second"]),
            figure(entry["supervision_steps_per_second"]),
            *_rate(entry["flops_per_second"], peak),
        ]
        for entry in measured["ways"]
    ]
    rows.append(["times", figure(measured["ratio"]), "", "", ""])
    how = "compiled" if measured["compiled"] else "not compiled"
    return table([f"training, ours {how}", "optimizer steps/s", "supervision steps/s", "GFLOP/s", "of peak"], rows)


def _rate(entry: Mapping[str, float] | None, peak: float) -> list[str]:
    return ["", ""] if entry is None else [figure(entry, 1e-9), f"{100 * entry['median'] / peak:.0f} %"]


def figure(entry: Mapping[str, float], times: float = 1.0) -> str:
    """median (smallest to largest)"""
    low, median, high = (number(times * entry[key]) for key in ("low", "median", "high"))
    return median if entry["n"] == 1 else f"{median} ({low} to {high})"


def number(value: float) -> str:
    """At least three significant digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with left-aligned columns, two spaces apart."""
    widths = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]
