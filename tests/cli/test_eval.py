"""trmsolve eval on puzzles: the report as text and as JSON."""

from __future__ import annotations

import json

from .conftest import EXAMPLES, TWICE


def test_eval(cli):
    options = ("--limit", 2, "--max-steps", 2, "--restarts", 1)
    done = cli("eval", "sudoku", EXAMPLES / "stream.csv", *options)
    assert done.exit_code == 0
    for row in ("solved and verified", "single pass, 16 steps, exact", "halting head correct", "puzzles/s", "95 %"):
        assert row in done.stdout
    report = json.loads(cli("eval", "sudoku", EXAMPLES / "stream.csv", *options, "--no-single-pass", "--json").stdout)
    assert report["puzzles"] == 2 and report["solved_without_restarts"] <= report["solved"] <= 1
    low, high = report["solved_interval_95"]
    assert low <= report["solved"] <= high + 1e-9 and "exact_at_16" not in report


def test_eval_of_bad_input(cli):
    text = f"question\n{TWICE}\n"
    done = cli("eval", "sudoku", stdin=text)
    assert done.exit_code == 2 and "stdin:2: row 1 holds 1 twice" in done.stderr and done.stdout == ""


def test_bench_without_puzzles(cli, tmp_path):
    (tmp_path / "empty").touch()
    assert cli("bench", tmp_path / "empty").exit_code == 2
