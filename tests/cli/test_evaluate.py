"""trmsolve eval on puzzles: the report of one checkpoint, and of several on the same puzzles."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch

from networks import SUDOKU_MODEL
from trmsolve import checkpoint as checkpoints
from trmsolve.cli.tables import WIDTH, Comparison, in_thousands, shortened_names
from trmsolve.inference.evaluate import Measurement
from trmsolve.model.config import TRMConfig
from trmsolve.model.sequence_model import official
from trmsolve.model.trm import TRM
from trmsolve.tasks import get
from trmsolve.tasks.base import Puzzle
from trmsolve.tasks.sudoku.generate import generate

from .conftest import EXAMPLES, TWICE

NINE = [Puzzle(question, solution=solution) for question, solution, _ in (generate(5, index, 9) for index in range(2))]
FOUR = Puzzle(generate(5, 0, 4)[0])
ANY_SIZE = TRMConfig(**SUDOKU_MODEL | {"hidden_size": 8, "intermediate_size": 8, "n": 1})


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


# -- several checkpoints ---------------------------------------------------------------------------------------
@pytest.fixture
def own(tmp_path):
    """A random checkpoint for Sudoku of any size."""
    return _saved(tmp_path / "own.safetensors", ANY_SIZE, "sudoku")


@pytest.fixture
def fixed(tmp_path):
    """A random checkpoint of a published network, which supports 9x9 only."""
    return _saved(tmp_path / "fixed.safetensors", official("mlp", 11, 81, hidden_size=8, T=1, n=1), "sudoku")


def _saved(path, config, task):
    torch.manual_seed(0)
    checkpoints.save(path, TRM(config).state_dict(), task, config.to_dict(), {}, {})
    return path


@pytest.fixture
def puzzles(tmp_path):
    """Two of 9x9 and one of 4x4."""
    path = tmp_path / "p.csv"
    rows = [f"{get('sudoku').format_line(p.question)},{get('sudoku').format_line(p.solution)}" for p in NINE]
    path.write_text("\n".join(["question,answer", *rows, f"{get('sudoku').format_line(FOUR.question)},"]) + "\n")
    return path


@pytest.fixture
def call(cli):
    """Evaluates quickly, with these arguments."""
    quick = ("--restarts", "1", "--max-steps", "2", "--device", "cpu")
    return lambda *args: cli("eval", "sudoku", *args, *quick)


def test_a_row_for_each_checkpoint(call, own, fixed, puzzles):
    done = call(puzzles, "--checkpoint", own, "--checkpoint", fixed)
    assert done.exit_code == 0
    head, first, second, *_ = lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert head.split()[:4] == ["checkpoint", "parameters", "exact@16", "exact@64"]
    for row, path in ((first, own), (second, fixed)):
        tensors, fixed_ones = checkpoints.read_header(path).tensors, ("y_init", "z_init", "embed.puzzle_table")
        trained = sum(int(np.prod(shape)) for name, (_, shape) in tensors.items() if name not in fixed_ones)
        assert {"y_init", "z_init"} <= set(tensors) and f" {trained:,} " in row and path.stem in row
    assert first.split()[-1] == "0" and second.split()[-1] == "1"  # refused


def test_json_of_several_and_of_one(call, own, fixed, puzzles):
    report = json.loads(call(puzzles, "--checkpoint", own, "--checkpoint", fixed, "--json").stdout)
    assert report["task"] == "sudoku" and report["files"] == [str(puzzles)]
    names = [one["checkpoint"] for one in report["checkpoints"]]
    assert names == [str(own), str(fixed)] and [one["puzzles"] for one in report["checkpoints"]] == [3, 3]
    assert [one["refused"] for one in report["checkpoints"]] == [0, 1]
    assert "supports 9x9 only" in report["checkpoints"][1]["refusal"]
    one = json.loads(call(puzzles, "--checkpoint", fixed, "--json").stdout)
    assert one["checkpoint"] == str(fixed) and set(one) == set(report["checkpoints"][1])
    assert one["flops_per_puzzle"] == pytest.approx(one["flops_per_step"] * one["mean_steps"]) and one["mean_steps"] > 0
    text = call(puzzles, "--checkpoint", fixed).stdout
    assert "1: this checkpoint supports 9x9 only, not 4x4" in text and "FLOP per puzzle" in text


def test_without_the_single_pass(call, own, fixed, puzzles):
    done = call(puzzles, "--checkpoint", own, "--checkpoint", fixed, "--no-single-pass")
    assert done.exit_code == 0 and "exact" not in done.stdout and "halting" not in done.stdout


def test_the_same_checkpoint_is_measured_once(call, own, puzzles, tmp_path):
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(own.read_bytes())
    done = call(puzzles, "--checkpoint", own, "--checkpoint", own, "--checkpoint", copy, "--json")
    assert [one["checkpoint"] for one in json.loads(done.stdout)["checkpoints"]] == [str(own)]
    assert done.stderr.count("measured once") == 1 and str(copy) in done.stderr


def test_invalid_arguments_are_rejected_before_measuring(call, own, fixed, puzzles, tmp_path):
    def refused(*args):
        done = call(*args)
        assert done.exit_code == 2 and done.stdout == ""
        return done.stderr

    two = (puzzles, "--checkpoint", own, "--checkpoint")
    assert "no checkpoint file" in refused(*two, tmp_path / "missing.safetensors")
    maze = _saved(tmp_path / "m.safetensors", ANY_SIZE, "maze")
    assert "is a maze checkpoint, expected sudoku" in refused(*two, maze)
    small = tmp_path / "small.txt"
    small.write_text(get("sudoku").format_line(FOUR.question) + "\n")
    assert "supports none of the 1 puzzles" in refused(small, "--checkpoint", own, "--checkpoint", fixed)
    there = tmp_path / "there.svg"
    there.write_text("old")
    assert "--force" in refused(*two, fixed, "--plot", there) and there.read_text() == "old"
    assert "writes SVG" in refused(*two, fixed, "--plot", tmp_path / "a.png")
    assert "--no-single-pass" in refused(*two, fixed, "--plot", tmp_path / "a.svg", "--no-single-pass")
    assert "does not exist" in refused(*two, fixed, "--plot", tmp_path / "nowhere" / "a.svg")


def test_a_plot_of_several_and_of_one(call, own, fixed, puzzles, tmp_path):
    path = tmp_path / "a.svg"
    assert call(puzzles, "--checkpoint", own, "--checkpoint", fixed, "--plot", path).exit_code == 0
    text = path.read_text()
    assert "own (" in text and "fixed (" in text and "3 puzzles of p.csv" in text
    assert call(puzzles, "--checkpoint", own, "--plot", path, "--force").exit_code == 0
    assert "fixed (" not in path.read_text()


@pytest.fixture
def interrupted(monkeypatch):
    """Ctrl-C after this number of progress reports of an activity, counting all checkpoints."""

    def at(what: str, number: int) -> None:
        run, activities = Measurement.run, []

        def until(self, progress):
            def reports(doing, done, of):
                activities.append(doing)
                if doing == what and activities.count(what) == number:
                    raise KeyboardInterrupt
                progress(doing, done, of)

            run(self, reports)

        monkeypatch.setattr(Measurement, "run", until)

    return at


def test_an_interruption_loses_only_the_current_checkpoint(call, own, fixed, puzzles, interrupted, tmp_path):
    interrupted("solving", 5)  # the second puzzle of the second checkpoint
    path = tmp_path / "a.svg"
    done = call(puzzles, "--checkpoint", own, "--checkpoint", fixed, "--json", "--plot", path)
    assert done.exit_code == 130
    assert [one["checkpoint"] for one in json.loads(done.stdout)["checkpoints"]] == [str(own)]
    assert "own (" in path.read_text()


def test_an_interruption_keeps_the_partial_report_of_one_checkpoint(call, own, puzzles, interrupted, tmp_path):
    whole = json.loads(call(puzzles, "--checkpoint", own, "--limit", 2, "--json").stdout)
    interrupted("solving", 2)
    path = tmp_path / "a.svg"
    done = call(puzzles, "--checkpoint", own, "--json", "--plot", path)
    report = json.loads(done.stdout)
    assert done.exit_code == 130 and not path.exists()
    assert report["puzzles"] == 2 and report["interrupted"] == {"puzzles": 3, "single_pass": 0}
    assert all(report[key] == whole[key] for key in ("solved", "mean_steps", "mean_restarts", "strata"))
    assert not any(key.startswith(("exact_at", "flops")) for key in report)


def test_an_interrupted_report_as_text(call, own, puzzles, interrupted):
    interrupted("single pass", 1)
    done = call(puzzles, "--checkpoint", own)
    assert done.exit_code == 130
    assert re.search(r"^puzzles +3 of 3, interrupted$", done.stdout, re.M) and "mean steps" in done.stdout
    assert "single pass" not in done.stdout and "interrupted" in done.stderr


# -- tables -----------------------------------------------------------------------------------------------------
def test_long_names_are_shortened_to_distinct_ones():
    names = ["sudoku", "a/" * 40 + "step_7.safetensors", "x/" * 40 + "same", "y/" * 40 + "same", "z" * 90]
    for length in (12, 23, 46):
        short = shortened_names(names[:3], length)
        assert short[0] == "sudoku" and short[1] == "step_7" and short[2] == "same"
        every = shortened_names(names, length)
        assert len(set(every)) == len(names) and max(map(len, every)) <= length


def test_the_table_keeps_its_width_whatever_the_names():
    table = Comparison(["n" * 300, "sudoku"], single_pass=True, refusing=True)
    found = {"parameters": 27_275_266, "solved": 1.0, "flops_per_puzzle": 9.99e14, "puzzles_per_second": 1234.5}
    found |= {"exact_at_16": 1.0, "exact_at_64": 1.0, "halting_right_at_16": 1.0, "refused": 123}
    lines = [table.head(), table.row(0, found), table.row(1, found)]
    assert {len(line) for line in lines} == {WIDTH}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (999, "999"), (999.7, "1 k"), (12_345_678, "12.3 M"), (7.61e9, "7.61 G"), (3e12, "3 T"), (5e15, "5 P")],
)
def test_thousands(value, text):
    assert in_thousands(value) == text
