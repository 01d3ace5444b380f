"""Reports of `trmsolve eval` for people: one as a list of figures, several as the rows of a table, and as a chart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from trmsolve.render.caption import printable, shorten

LISTED = ("solved", "solved_without_restarts")  # shares with rows of their own
WIDTH = 100  # characters of the comparison at most
LEAST_NAME = 10  # heading of the column of names


def figures(report: dict[str, Any]) -> str:
    """One report, a figure a line."""
    share = lambda key: f"{100 * report[key]:.2f} %"  # noqa: E731
    with_interval = lambda key: interval(report, key)  # noqa: E731

    interrupted = report.get("interrupted")
    rows = [("puzzles", f"{report['puzzles']}" + (f" of {interrupted['puzzles']}, interrupted" if interrupted else ""))]
    if report["refused"]:
        rows.append(("  refused, unsolved", f"{report['refused']}: {report['refusal']}"))
    rows += [
        (report.get("solved_means", "solved and verified"), with_interval("solved")),
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
        if interrupted:
            rows.append(("single pass, puzzles", f"{interrupted['single_pass']}"))
        rows += [(f"single pass, {k} steps, accepted", with_interval(f"accepted_at_{k}")) for k in (16, 64)]
        rows += [(f"single pass, {k} steps, exact", with_interval(f"exact_at_{k}")) for k in (16, 64)]
        rows += [(f"single pass, {k} steps, cells", share(f"cell_accuracy_at_{k}")) for k in (16, 64)]
        rows += [(f"halting head right at {k} steps", share(f"halting_right_at_{k}")) for k in (16, 64)]
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
    return aligned(rows)


def interval(report: dict[str, Any], key: str) -> str:
    """A share of a report with its 95 % interval."""
    low, high = report[f"{key}_interval_95"]
    return f"{100 * report[key]:.2f} %   (95 %: {100 * low:.1f} to {100 * high:.1f})"


def aligned(rows: Sequence[tuple[str, str]]) -> str:
    """Names and what there is to say of each, in two columns."""
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


class Comparison:
    """A table with a row for each checkpoint, to be written row by row: measuring the next one may take hours."""

    def __init__(self, names: Sequence[str], single_pass: bool, refusing: bool) -> None:
        """names: of all checkpoints. single_pass: there are single passes. refusing: some puzzle is refused by
        somebody.
        """
        self.columns = [("parameters", lambda r: f"{r['parameters']:,}")]
        if single_pass:
            self.columns += [(f"exact@{k}", _share(f"exact_at_{k}")) for k in (16, 64)]
        self.columns += [
            ("solved", _share("solved")),
            ("FLOP/puzzle", lambda r: in_thousands(r["flops_per_puzzle"])),
            ("puzzles/s", lambda r: f"{r['puzzles_per_second']:.1f}"),
        ]
        if single_pass:
            self.columns.append(("halting@16", _share("halting_right_at_16")))
        if refusing:
            self.columns.append(("refused", lambda r: f"{r['refused']}"))
        self.widths = [max(len(head), 7) for head, _ in self.columns]
        room = WIDTH - sum(self.widths) - 2 * len(self.widths)
        self.names = labels(names, room)
        self.name_width = max(LEAST_NAME, *map(len, self.names))

    def head(self) -> str:
        """The line above the rows."""
        return self._line("checkpoint", [head for head, _ in self.columns])

    def row(self, index: int, report: dict[str, Any]) -> str:
        """Of checkpoint number `index`, from 0."""
        return self._line(self.names[index], [text(report) for _, text in self.columns])

    def _line(self, name: str, values: Sequence[str]) -> str:
        cells = (f"{value:>{width}}" for value, width in zip(values, self.widths, strict=True))
        return "  ".join((f"{name:<{self.name_width}}", *cells))


def below(report: dict[str, Any]) -> str:
    """What the columns mean, from any report of the comparison."""
    first = f"{report['puzzles']} puzzles, {report['device']}, {report['dtype']}; "
    words = [first + "solved: verified, with restarts; FLOP and puzzles/s: of solving"]
    if "exact_at_16" in report:
        words.append("exact@K: the given answer, or where none is given a right one, after K plain steps")
        words.append("halting@16: the halting head is right about the answer after 16 of them")
    return "\n".join([*words, "refused puzzles count as unsolved; 95 % intervals and more: --json"])


def _share(key: str) -> Any:
    return lambda report: f"{100 * report[key]:.1f} %"


def in_thousands(value: float) -> str:
    """12345678 -> 12.3 M."""
    for unit in ("", "k", "M", "G", "T"):
        if value < 999.5:
            return f"{value:.3g} {unit}".rstrip()
        value /= 1000
    return f"{value:.3g} P"


def labels(names: Sequence[str], length: int) -> list[str]:
    """Names of checkpoints in at most so many letters, no two alike: a long one goes by its file's name, or its end."""
    short = [_label(printable(name).removesuffix(".safetensors"), length) for name in names]
    if len(set(short)) == len(short):
        return short
    return [f"{i}: {shorten(name, length - len(f'{i}: '))}" for i, name in enumerate(short, 1)]


def _label(name: str, length: int) -> str:
    return name if len(name) <= length else shorten(PurePath(name).name, length)


def drawn(reports: Sequence[dict[str, Any]]) -> str:
    """The chart of one report or several, as SVG."""
    from trmsolve.inference.evaluate import CURVE, HALTING_AT
    from trmsolve.render.chart import NAME, Curves, Spot, chart

    def curves(name: str, report: dict[str, Any]) -> Curves:
        accepted, exact = ({k: report[f"{name}_at_{k}"] for k in CURVE} for name in ("accepted", "exact"))
        spots = [Spot(b["predicted"], b["right"], b["puzzles"]) for b in report[f"calibration_at_{HALTING_AT}"]]
        given = "equal_to_given_answer" in report
        error = report[f"calibration_error_at_{HALTING_AT}"]
        return Curves(name, accepted, exact if given else None, spots, error)

    first, names = reports[0], labels([report["checkpoint"] for report in reports], NAME)
    files = ", ".join("stdin" if file == "-" else PurePath(file).name for file in first["files"])
    heading = f"{first['task']}: {first['puzzles']} puzzles of {files}"
    return chart(heading, HALTING_AT, [curves(*pair) for pair in zip(names, reports, strict=True)])
