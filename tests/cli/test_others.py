"""trmsolve generate, eval, bench and train, small."""

from __future__ import annotations

import json

import pytest

from trmsolve.tasks import get
from trmsolve.tasks.base import Line

from .conftest import EXAMPLES, TWICE


# -- generate ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", ["4x4", "6", "9x9"])
@pytest.mark.parametrize("style", ["grid", "line", "csv"])
def test_generated_puzzles_can_be_read_back(cli, size, style):
    done = cli("generate", "sudoku", "--size", size, "-n", 3, "--seed", 5, "--format", style)
    assert done.exit_code == 0 and done.stderr == ""
    lines = [Line(number, text) for number, text in enumerate(done.stdout.splitlines(), 1)]
    puzzles = list(get("sudoku").read(lines, "x"))
    assert [len(puzzle.question) for puzzle in puzzles] == [int(size[0])] * 3
    again = cli("generate", "sudoku", "--size", size, "-n", 3, "--seed", 5, "--json")
    lines = [get("sudoku").format_line(puzzle.question) for puzzle in puzzles]
    assert [record["puzzle"] for record in json.loads(again.stdout)] == lines


def test_generated_records(cli, tmp_path):
    path = tmp_path / "p.jsonl"
    options = ("--size", "4x4", "-n", 2, "--format", "jsonl", "-o", path)
    assert cli("generate", "sudoku", *options).stdout == ""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [record["index"] for record in records] == [0, 1]
    assert set(records[0]) == {"puzzle", "answer", "branches", "givens", "seed", "index"}
    assert cli("generate", "sudoku", *options).exit_code == 2
    extra = json.loads(cli("generate", "sudoku", "--size", "4x4", "--extra", 2, "--json").stdout)
    assert extra[0]["givens"] == records[0]["givens"] + 2


def test_generated_16x16(cli):
    done = cli("generate", "sudoku", "--size", "16x16", "--no-minimal")
    assert len(done.stdout.strip()) == 256


# -- eval and bench ---------------------------------------------------------------------------------------------
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


# -- train ------------------------------------------------------------------------------------------------------
TINY = ("train", "--task", "sudoku", "--batch-size", 4, "--width", 16, "--no-compile", "--data", "generate:4x4")


def test_train_and_go_on(cli, tmp_path):
    run, out = tmp_path / "run", tmp_path / "mine.safetensors"
    done = cli(*TINY, "--run", run, "--steps", 3)
    assert done.exit_code == 0 and done.stdout == "" and "finished at step 3" in done.stderr
    done = cli(*TINY, "--run", run, "--steps", 6, "-o", out)
    assert done.exit_code == 0 and "resuming from step 3" in done.stderr and "finished at step 6" in done.stderr
    info = json.loads(cli("checkpoints", "info", out, "--json").stdout)
    assert info["model"]["hidden_size"] == 16 and info["provenance"]["steps"] == 6
    assert cli(*TINY, "--run", run, "--steps", 6, "-o", out).exit_code == 2  # would overwrite
    other = cli(*TINY, "--width", 8, "--run", run, "--steps", 9)
    assert other.exit_code == 2 and "another model" in other.stderr
    solved = cli("sudoku", "-", "--checkpoint", out, "--max-steps", 1, "--restarts", 0, stdin="4..3....1....2.4")
    assert solved.exit_code in (0, 1)
    fine = cli(*TINY, "--from", out, "--run", tmp_path / "b", "--steps", 1)
    assert fine.exit_code == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        (f"question,answer\n{TWICE},\n", "row 1 holds 1 twice"),
        ("4..3....1....2.4\n", "the answer is missing"),
        ("question,answer\n4..3....1....2.4,1111111111111111\n", "the answer is wrong"),
    ],
)
def test_bad_training_data(cli, tmp_path, content, said):
    path = tmp_path / "d.csv"
    if content:
        path.write_text(content)
    done = cli("train", "--task", "sudoku", "--data", path, "--run", tmp_path / "run", "--steps", 1)
    assert done.exit_code == 2 and said in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("spec", ["generate:nonsense", "generate:5x5", "generate:9x9=much", "no.npz"])
def test_bad_data_specs(cli, tmp_path, spec):
    done = cli("train", "--task", "sudoku", "--data", spec, "--run", tmp_path / "run", "--steps", 1)
    assert done.exit_code == 2 and done.stderr.startswith("error: ")


def test_a_run_folder_belongs_to_one_process(cli, tmp_path):
    from trmsolve.training.run_dir import RunDir

    with RunDir(tmp_path / "run"):
        done = cli(*TINY, "--run", tmp_path / "run", "--steps", 1)
    assert done.exit_code == 2 and "another process is training here" in done.stderr
    (tmp_path / "run" / "state.safetensors").write_bytes(b"nonsense")
    done = cli(*TINY, "--run", tmp_path / "run", "--steps", 1)
    assert done.exit_code == 2 and "not a training state" in done.stderr
