"""What `trmsolve bench` has measured, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

ONE_PUZZLE = {
    "cold_start": "from a cold start, as a process",
    "import_torch": "a process that only imports torch",
    "warm": "warm, default settings",
    "sixteen_steps": "16 supervision steps",
}


def text(report: Mapping[str, Any]) -> str:
    """The report of cli/bench.py in some tables."""
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


def _busy(found: Mapping[str, Any]) -> list[str]:
    rows = [[name, *(figure(of[key]) for key in ("quiet", "busy", "busy_share"))] for name, of in found.items()]
    return table(["", "alone", "beside a busy process", "share"], rows)


def _inference(found: Mapping[str, Any], puzzles: int, peak: float) -> list[str]:
    one = [[ONE_PUZZLE[name], figure(of)] for name, of in found["one_puzzle_seconds"].items()]
    rows = [
        [
            of["name"],
            f"{100 * of['accuracy']:.1f} %",
            figure(of["puzzles_per_second"]),
            number(of["mean_steps"]),
            *_rate(of["flops_per_second"], peak),
        ]
        for of in found["streams"]
    ]
    ratios = [
        [
            f"{of['ours']} / {of['published']}",
            figure(of["times"]) + ("" if of["accuracy_equal_or_better"] else "  but less accurate: no comparison"),
        ]
        for of in found["ratios"]
    ]
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in found["settings"].items())
    return [
        *table(["one puzzle", "seconds"], one),
        "",
        *table([f"{puzzles} puzzles", "right", "puzzles/s", "steps", "GFLOP/s", "of peak"], rows),
        f"quick: {settings}",
        "",
        *table(["puzzles/s, ours / published", "times"], ratios),
    ]


def _training(found: Mapping[str, Any], peak: float) -> list[str]:
    rows = [
        [
            f"{of['name']}, batch {of['batch']}, window {of['window']}",
            figure(of["optimizer_steps_per_second"]),
            figure(of["supervision_steps_per_second"]),
            *_rate(of["flops_per_second"], peak),
        ]
        for of in found["ways"]
    ]
    rows.append(["times", figure(found["ratio"]), "", "", ""])
    how = "compiled" if found["compiled"] else "not compiled"
    return table([f"training, ours {how}", "optimizer steps/s", "supervision steps/s", "GFLOP/s", "of peak"], rows)


def _rate(of: Mapping[str, float] | None, peak: float) -> list[str]:
    return ["", ""] if of is None else [figure(of, 1e-9), f"{100 * of['median'] / peak:.0f} %"]


def figure(of: Mapping[str, float], times: float = 1.0) -> str:
    """median (smallest to largest)"""
    low, median, high = (number(times * of[key]) for key in ("low", "median", "high"))
    return median if of["n"] == 1 else f"{median} ({low} to {high})"


def number(value: float) -> str:
    """Three digits, and no exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns side by side."""
    widths = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]
