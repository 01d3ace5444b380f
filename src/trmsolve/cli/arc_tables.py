"""Reports of `trmsolve eval arc` for people: the figures of all tasks together, and a table with a row for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trmsolve.cli.tables import aligned, interval
from trmsolve.render.caption import duration, printable, shorten

LONGEST_NAME = 40
HEADS = ("pass@1", "pass@2", "confidence", "steps", "seconds")


def figures(report: dict[str, Any]) -> str:
    """The whole report (adapting/report.py, and its circumstances), a figure a line."""
    rows = [
        ("tasks", _chosen(report)),
        ("pass@1", interval(report, "pass_at_1")),
        ("pass@2", interval(report, "pass_at_2")),
        ("  right among all votes", interval(report, "pass_at_any")),
        (f"pass@1 of {report['tests']} tests", interval(report, "test_pass_at_1")),
        (f"pass@2 of {report['tests']} tests", interval(report, "test_pass_at_2")),
    ]
    if report["errors"]:
        rows.insert(1, ("  failed, unsolved", f"{report['errors']}"))
    least = 1
    for name, of in report["sides"].items():
        rows.append((f"  grids up to {name}" if least == 1 else f"  grids of {least} to {name}", _passed(of)))
        least = int(name) + 1
    rows += [(f"  outputs of {name} size", _passed(report["sizes"][name])) for name in ("same", "other")]
    rows += [
        ("demonstrations reproduced", interval(report, "reproduced")),
        ("  pass@2 of these", _then(report["solved_when_reproduced"])),
        ("  pass@2 of the others", _then(report["solved_when_not_reproduced"])),
    ]
    for b in report["calibration"]:
        said = f"confidence {100 * b['low']:.0f} to {100 * b['high']:.0f} %"
        tests = f"{b['tests']} test{'s' * (b['tests'] != 1)}"
        rows.append((said, f"{100 * b['right']:.1f} % of {tests} right, {100 * b['predicted']:.1f} % claimed"))
    options = report["options"]
    memory = f"{report['memory_bytes'] / 1e6:,.0f} MB" if report["memory_bytes"] else "unknown"
    rows += [
        ("per task", f"{duration(report['mean_seconds'])}, {report['mean_steps']:.0f} optimizer steps"),
        ("peak memory", f"{memory}   ({report['device']}, {report['dtype']})"),
        ("options", ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in options.items() if v is not None)),
        ("checkpoint", f"{report['checkpoint']} ({report['checkpoint_sha256'][:12]})"),
    ]
    return aligned(rows)


class Table:
    """A row for each task, to be written as soon as it is known."""

    def __init__(self, names: Sequence[str]) -> None:
        self.width = max(4, *(min(len(name), LONGEST_NAME) for name in names))

    def head(self) -> str:
        """The line above the rows."""
        return self._line("task", HEADS)

    def row(self, of: dict[str, Any]) -> str:
        """Of one task, as report.row() has it."""
        name = shorten(printable(of["name"]), self.width)
        if of["error"]:
            return f"{name:<{self.width}}  {printable(of['error'])}"
        shares = [f"{100 * of[key]:.0f} %" for key in ("pass_at_1", "pass_at_2", "confidence")]
        return self._line(name, (*shares, f"{of['steps']}", f"{of['seconds']:.1f}"))

    def _line(self, name: str, values: Sequence[str]) -> str:
        cells = (f"{value:>{len(head)}}" for value, head in zip(values, HEADS, strict=True))
        return "  ".join((f"{name:<{self.width}}", *cells))


def _chosen(report: dict[str, Any]) -> str:
    """How many, and which of those that there are."""
    undone = report["chosen"] - report["tasks"]
    parts = [report["subset"]] * bool(report["subset"]) + [f"stopped, {undone} more to come"] * bool(undone)
    return f"{report['tasks']}" + (f"   ({'; '.join(parts)})" if parts else "")


def _passed(of: dict[str, Any]) -> str:
    if not of["tasks"]:
        return "no task"
    shares = f"pass@1 {_of(of, 'pass_at_1')}, pass@2 {_of(of, 'pass_at_2')}"
    return f"{shares} of {of['tasks']} task{'s' * (of['tasks'] != 1)}"


def _then(of: dict[str, Any]) -> str:
    return interval(of, "pass_at_2") if of["tasks"] else "no task"


def _of(report: dict[str, Any], key: str) -> str:
    return f"{100 * report[key]:.2f} %"
