"""Reports of `trmsolve eval` as text: one as a list of figures, several as the rows of a table; and as a chart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Any

from trmsolve.cli.output import aligned
from trmsolve.render.caption import count, duration, shorten_start
from trmsolve.text_io import printable

LISTED = ("solved", "solved_without_restarts")  # shares that figures() prints first
WIDTH = 100  # maximum characters of a line of the comparison
LEAST_NAME = 10  # minimum width of the column of names: its heading
LONGEST_TASK_NAME = 40
TASK_COLUMNS = ("pass@1", "pass@2", "confidence", "steps", "seconds")


def figures(report: dict[str, Any]) -> str:
    """One report as text, one figure per line."""
    interrupted = report.get("interrupted")
    rows = [("puzzles", f"{report['puzzles']}" + (f" of {interrupted['puzzles']}, interrupted" if interrupted else ""))]
    if report["refused"]:
        rows.append(("  not supported, unsolved", f"{report['refused']}: {report['refusal']}"))
    rows += [
        (report.get("solved_means", "solved and verified"), interval(report, "solved")),
        ("  without restarts", interval(report, "solved_without_restarts")),
    ]
    metrics = [key for key in report if f"{key}_interval_95" in report and key not in LISTED and "_at_" not in key]
    rows += [(f"  {key.replace('_', ' ')}", interval(report, key)) for key in metrics]
    if len(report["strata"]) > 1:
        for name, group in report["strata"].items():
            solved, plain = _percent(group, "solved"), _percent(group, "solved_without_restarts")
            text = f"{solved} of {group['puzzles']}, {plain} without restarts, {group['mean_steps']:.1f} steps"
            rows.append((f"  {name}", text))
    if "exact_at_16" in report:
        if interrupted:
            rows.append(("single pass, puzzles", f"{interrupted['single_pass']}"))
        rows += [(f"single pass, {k} steps, accepted", interval(report, f"accepted_at_{k}")) for k in (16, 64)]
        rows += [(f"single pass, {k} steps, exact", interval(report, f"exact_at_{k}")) for k in (16, 64)]
        rows += [(f"single pass, {k} steps, cells", _percent(report, f"cell_accuracy_at_{k}")) for k in (16, 64)]
        rows += [(f"halting head correct at {k} steps", _percent(report, f"halting_right_at_{k}")) for k in (16, 64)]
    rows += [
        ("mean steps", f"{report['mean_steps']:.1f}"),
        ("mean restarts", f"{report['mean_restarts']:.2f}"),
    ]
    if "flops_per_puzzle" in report:
        rows.append(("FLOP per puzzle", in_thousands(report["flops_per_puzzle"])))
    rows += [
        ("puzzles/s", f"{report['puzzles_per_second']:.1f}   ({report['device']}, {report['dtype']})"),
        ("parameters", f"{report['parameters']:,}"),
        ("checkpoint", f"{report['checkpoint']} ({report['checkpoint_sha256'][:12]})"),
    ]
    return "\n".join(aligned(rows))


def interval(report: dict[str, Any], key: str) -> str:
    """A share of a report with its 95 % interval."""
    low, high = report[f"{key}_interval_95"]
    return f"{_percent(report, key)}   (95 %: {100 * low:.1f} to {100 * high:.1f})"


def _percent(report: dict[str, Any], key: str) -> str:
    return f"{100 * report[key]:.2f} %"


def few_shot_figures(report: dict[str, Any]) -> str:
    """A report on few-shot tasks (inference/metrics.py, and cli/evaluate.py) as text, one figure per line."""
    unfinished = report["chosen"] - report["tasks"]
    notes = [report["subset"]] * bool(report["subset"]) + [f"stopped, {unfinished} not measured"] * bool(unfinished)
    rows = [("tasks", f"{report['tasks']}" + (f"   ({'; '.join(notes)})" if notes else ""))]
    if report["errors"]:
        rows.append(("  failed, unsolved", f"{report['errors']}"))
    rows += [
        ("pass@1", interval(report, "pass_at_1")),
        ("pass@2", interval(report, "pass_at_2")),
        ("  right among all votes", interval(report, "pass_at_any")),
        (f"pass@1 of {report['tests']} tests", interval(report, "test_pass_at_1")),
        (f"pass@2 of {report['tests']} tests", interval(report, "test_pass_at_2")),
    ]
    smallest = 1
    for name, group in report["sides"].items():
        label = f"  grids up to {name}" if smallest == 1 else f"  grids of {smallest} to {name}"
        rows.append((label, _pass_rates(group)))
        smallest = int(name) + 1
    rows += [(f"  outputs of {name} size", _pass_rates(report["sizes"][name])) for name in ("same", "other")]
    rows.append(("demonstrations reproduced", interval(report, "reproduced")))
    for label, key in (
        ("  pass@2 of these", "solved_when_reproduced"),
        ("  pass@2 of the others", "solved_when_not_reproduced"),
    ):
        rows.append((label, interval(report[key], "pass_at_2") if report[key]["tasks"] else "no task"))
    for bin_ in report["calibration"]:
        label = f"confidence {100 * bin_['low']:.0f} to {100 * bin_['high']:.0f} %"
        right, predicted = 100 * bin_["right"], 100 * bin_["predicted"]
        rows.append((label, f"{right:.1f} % of {count(bin_['tests'], 'test')} right, {predicted:.1f} % predicted"))
    options = report["options"]
    memory = f"{report['memory_bytes'] / 1e6:,.0f} MB" if report["memory_bytes"] else "unknown"
    rows += [
        ("per task", f"{duration(report['mean_seconds'])}, {report['mean_steps']:.0f} optimizer steps"),
        ("peak memory", f"{memory}   ({report['device']}, {report['dtype']})"),
        ("options", ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in options.items() if v is not None)),
        ("checkpoint", f"{report['checkpoint']} ({report['checkpoint_sha256'][:12]})"),
    ]
    return "\n".join(aligned(rows))


def _pass_rates(group: dict[str, Any]) -> str:
    if not group["tasks"]:
        return "no task"
    tasks = count(group["tasks"], "task")
    return f"pass@1 {_percent(group, 'pass_at_1')}, pass@2 {_percent(group, 'pass_at_2')} of {tasks}"


class _RowTable:
    """A table that is printed row by row: measuring the next one may take hours."""

    def __init__(self, heading: str, name_width: int, columns: Sequence[str], widths: Sequence[int]) -> None:
        self.heading, self.name_width, self.columns, self.widths = heading, name_width, columns, widths

    def head(self) -> str:
        """The line above the rows."""
        return self._line(self.heading, self.columns)

    def _line(self, name: str, values: Sequence[str]) -> str:
        cells = (f"{value:>{width}}" for value, width in zip(values, self.widths, strict=True))
        return "  ".join((f"{name:<{self.name_width}}", *cells))


class TaskTable(_RowTable):
    """A row for each few-shot task."""

    def __init__(self, names: Sequence[str]) -> None:
        width = max(4, *(min(len(name), LONGEST_TASK_NAME) for name in names))
        super().__init__("task", width, TASK_COLUMNS, [len(column) for column in TASK_COLUMNS])

    def row(self, values: dict[str, Any]) -> str:
        """The row of a task, from metrics.row()."""
        name = shorten_start(values["name"], self.name_width)
        if values["error"]:
            return f"{name:<{self.name_width}}  {values['error']}"
        shares = [f"{100 * values[key]:.0f} %" for key in ("pass_at_1", "pass_at_2", "confidence")]
        return self._line(name, (*shares, f"{values['steps']}", f"{values['seconds']:.1f}"))


class Comparison(_RowTable):
    """A row for each checkpoint."""

    def __init__(self, names: Sequence[str], single_pass: bool, refusing: bool) -> None:
        """single_pass: reports contain one. refusing: some checkpoint does not support some puzzle."""
        self.values: dict[str, Callable[[dict[str, Any]], str]] = {"parameters": lambda r: f"{r['parameters']:,}"}
        if single_pass:
            self.values |= {f"exact@{k}": _share(f"exact_at_{k}") for k in (16, 64)}
        self.values["solved"] = _share("solved")
        self.values["FLOP/puzzle"] = lambda r: in_thousands(r["flops_per_puzzle"])
        self.values["puzzles/s"] = lambda r: f"{r['puzzles_per_second']:.1f}"
        if single_pass:
            self.values["halting@16"] = _share("halting_right_at_16")
        if refusing:
            self.values["refused"] = lambda r: f"{r['refused']}"
        widths = [max(len(column), 7) for column in self.values]
        self.names = shortened_names(names, WIDTH - sum(widths) - 2 * len(widths))
        super().__init__("checkpoint", max(LEAST_NAME, *map(len, self.names)), list(self.values), widths)

    def row(self, index: int, report: dict[str, Any]) -> str:
        """The row of checkpoint number `index`, from 0."""
        return self._line(self.names[index], [text(report) for text in self.values.values()])


def column_notes(report: dict[str, Any]) -> str:
    """An explanation of the columns. report: any one of the comparison."""
    first = f"{report['puzzles']} puzzles, {report['device']}, {report['dtype']}; "
    notes = [first + "solved: verified, with restarts; FLOP and puzzles/s: of solving"]
    if "exact_at_16" in report:
        notes.append(
            "exact@K: correct after K steps without restarts (equal to the answer in the file, if there is one)"
        )
        notes.append("halting@16: the halting head correctly predicts whether the answer after 16 steps is right")
    return "\n".join([*notes, "puzzles of unsupported sizes count as unsolved; --json adds 95 % intervals"])


def _share(key: str) -> Callable[[dict[str, Any]], str]:
    return lambda report: f"{100 * report[key]:.1f} %"


def in_thousands(value: float) -> str:
    """12345678 -> 12.3 M."""
    for unit in ("", "k", "M", "G", "T"):
        if value < 999.5:
            return f"{value:.3g} {unit}".rstrip()
        value /= 1000
    return f"{value:.3g} P"


def shortened_names(names: Sequence[str], length: int) -> list[str]:
    """Distinct names of checkpoints, at most `length` characters each. A long path is cut to the file's name."""
    short = [_label(printable(name).removesuffix(".safetensors"), length) for name in names]
    if len(set(short)) == len(short):
        return short
    return [f"{i}: {shorten_start(name, length - len(f'{i}: '))}" for i, name in enumerate(short, 1)]


def _label(name: str, length: int) -> str:
    return name if len(name) <= length else shorten_start(PurePath(name).name, length)


def chart_svg(reports: Sequence[dict[str, Any]]) -> str:
    """The chart of one report or several, as SVG."""
    from trmsolve.inference.evaluate import CURVE, HALTING_AT
    from trmsolve.render.chart import NAME, Curves, Spot, chart

    def curves(name: str, report: dict[str, Any]) -> Curves:
        accepted, exact = ({k: report[f"{name}_at_{k}"] for k in CURVE} for name in ("accepted", "exact"))
        spots = [Spot(b["predicted"], b["right"], b["puzzles"]) for b in report[f"calibration_at_{HALTING_AT}"]]
        given = "equal_to_given_answer" in report
        error = report[f"calibration_error_at_{HALTING_AT}"]
        return Curves(name, accepted, exact if given else None, spots, error)

    first, names = reports[0], shortened_names([report["checkpoint"] for report in reports], NAME)
    files = ", ".join("stdin" if file == "-" else PurePath(file).name for file in first["files"])
    heading = f"{first['task']}: {first['puzzles']} puzzles of {files}"
    return chart(heading, HALTING_AT, [curves(*pair) for pair in zip(names, reports, strict=True)])
