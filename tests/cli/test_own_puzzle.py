"""A puzzle of one's own from the command line: generated, trained, solved, measured; and a grid learnt from a CSV."""

from __future__ import annotations

import json

import numpy as np
import pytest

from trmsolve import tasks
from trmsolve.checkpoint import read_header

from .conftest import EXAMPLES

FOLDER = EXAMPLES.parent / "tasks"
LATIN, X_SUDOKU = FOLDER / "latin_square.py", FOLDER / "x_sudoku.py"
QUICK = ("--hidden-size", 16, "--n", 1, "--batch-size", 16, "--no-compile", "--quiet", "--seed", 0)


@pytest.fixture
def puzzles(cli, tmp_path):
    """20 Latin squares with their answers."""
    done = cli("generate", LATIN, "--size", "4x4", "-n", 20, "--format", "csv", "-o", tmp_path / "latin.csv")
    assert done.exit_code == 0
    return tmp_path / "latin.csv"


@pytest.fixture
def checkpoint(cli, tmp_path):
    """Hardly trained: the search finds the answers of small puzzles all the same."""
    run = tmp_path / "run"
    done = cli("train", "--task", LATIN, "--data", "generate:4x4", "--steps", 2, "--run", run, *QUICK)
    assert done.exit_code == 0, done.stderr
    return run / "latin_square.safetensors"


def test_a_task_file_is_trained_and_solves(cli, puzzles, checkpoint, tmp_path):
    assert read_header(checkpoint).task == "latin_square"
    questions = "".join(line.split(",")[0] + "\n" for line in puzzles.read_text().splitlines()[1:])
    done = cli("solve", "--task", LATIN, "--checkpoint", checkpoint, "-", stdin=questions)
    assert done.exit_code == 0 and "20 of 20 solved and verified" in done.stderr
    expected = [line.split(",")[1] for line in puzzles.read_text().splitlines()[1:]]
    assert done.stdout.splitlines() == expected
    done = cli("solve", "--task", LATIN, "--checkpoint", checkpoint, "-", "--json", stdin=questions)
    assert [record["answer"] for record in json.loads(done.stdout)] == expected
    first = tmp_path / "first.txt"
    first.write_text(questions.splitlines()[0].replace("/", "\n") + "\n")
    pictures = [tmp_path / name for name in ("a.svg", "a.gif", "a.html")]
    options = [part for path in pictures for part in (f"--{path.suffix[1:]}", path)]
    done = cli("solve", "--task", LATIN, "--checkpoint", checkpoint, first, "--show-steps", *options)
    assert done.exit_code == 0 and done.stdout == expected[0].replace("/", "\n") + "\n"
    assert all(path.stat().st_size > 500 for path in pictures)


def test_a_task_file_is_evaluated(cli, puzzles, checkpoint):
    done = cli("eval", LATIN, puzzles, "--checkpoint", checkpoint, "--limit", 5, "--no-single-pass", "--json")
    report = json.loads(done.stdout)
    assert (done.exit_code, report["task"], report["puzzles"], report["solved"]) == (0, "latin_square", 5, 1.0)


def test_a_checkpoint_never_makes_a_file_run(cli, checkpoint, puzzles, monkeypatch, tmp_path):
    monkeypatch.setattr(tasks, "_registered", {})  # as in another process
    monkeypatch.chdir(FOLDER)
    done = cli("solve", "--checkpoint", checkpoint, puzzles)
    assert done.exit_code == 2 and "is for the task 'latin_square', which is not installed" in done.stderr
    assert "--task FILE.py" in done.stderr


def test_bad_records_of_ones_own_puzzle(cli, checkpoint):
    done = cli(
        "solve", "--task", LATIN, "--checkpoint", checkpoint, "-", stdin="12/3\n\n1...\n.2..\n..3.\n...4\n1x/21\n"
    )
    assert done.exit_code == 2
    assert "stdin:1: row 2 has 1 cells, the first has 2" in done.stderr and "'x' in row 1, column 2" in done.stderr


def test_without_a_checkpoint_the_next_command_is_named(cli):
    done = cli("solve", "--task", LATIN, "-", stdin="1.../..../..../....\n")
    assert done.exit_code == 2 and "no checkpoint of latin_square is installed" in done.stderr
    assert f"trmsolve train --task {LATIN}" in done.stderr.replace("\n", "")


def test_bundled_weights_solve_a_sudoku_with_diagonals(cli, tmp_path):
    path = tmp_path / "x.csv"
    assert cli("generate", X_SUDOKU, "-n", 1, "--format", "csv", "-o", path).exit_code == 0
    question, answer = path.read_text().splitlines()[1].split(",")
    easy = "".join(a if i % 3 else q for i, (q, a) in enumerate(zip(question, answer, strict=True)))
    done = cli("solve", "--task", X_SUDOKU, "-", stdin=f"{easy}\n")
    assert (done.exit_code, done.stdout) == (0, f"{answer}\n")


def test_check_task(cli, tmp_path):
    done = cli("check-task", LATIN, "-n", 3)
    assert (done.exit_code, done.stdout) == (0, "latin_square: 3 generated puzzles, no contradiction\n")
    path = tmp_path / "wrong.py"
    path.write_text(LATIN.read_text().replace("solution), solution", "solution), empty"))
    done = cli("check-task", path)
    assert done.exit_code == 2 and f"{path}: puzzle 0: check() rejects the generator's own solution" in done.stderr


@pytest.mark.parametrize(
    ("method", "problem"),
    [
        ("def invalid_reason(self, grid):\n        raise SystemExit(0)", "SystemExit: 0"),
        (
            "def further_violations(self, question, answer):\n        return 1 / 0",
            "ZeroDivisionError: division by zero",
        ),
        ("def format_line(self, grid):\n        return grid.nothing", "AttributeError: "),
    ],
)
def test_what_fails_inside_a_task_file_is_an_error_with_its_line(cli, checkpoint, tmp_path, method, problem):
    """Nor does a task file choose the exit code."""
    path = tmp_path / "task.py"
    text = LATIN.read_text().replace("def invalid_reason", "def other_reason") + f"\n    {method}\n"
    path.write_text(text)
    line = text.count("\n")
    done = cli("solve", "--task", path, "--checkpoint", checkpoint, "-", "--json", stdin="1.../..../..../....\n")
    assert done.exit_code == 2 and f"error: {path}:{line}: {problem}" in done.stderr


def test_an_error_beside_a_task_file_names_the_command_that_checks_it(cli, checkpoint, tmp_path):
    path = tmp_path / "task.py"
    path.write_text(LATIN.read_text() + "\n    def format_line(self, grid):\n        return {1, 2}\n")
    done = cli("solve", "--task", path, "--checkpoint", checkpoint, "-", "--json", stdin="1.../..../..../....\n")
    assert done.exit_code == 2 and f"trmsolve check-task {path}" in done.stderr


# -- a grid learnt from a CSV -----------------------------------------------------------------------------------------
SYMBOLS = "01ab"  # a bit; a bit with a mark


def one_step_backwards(number: int) -> str:
    """A CSV of a reversible cellular automaton: a step flips each bit whose left neighbour has a mark."""
    rng, rows = np.random.default_rng(0), ["question,answer"]
    for _ in range(number):
        bit, mark = rng.integers(0, 2, (2, *rng.integers(3, 6, 2)))
        after = bit ^ np.pad(mark, ((0, 0), (1, 0)))[:, :-1]
        grids = (["".join(SYMBOLS[v] for v in row) for row in 2 * mark + bits] for bits in (after, bit))
        rows.append(",".join("/".join(grid) for grid in grids))
    return "\n".join(rows) + "\n"


def test_a_cellular_automaton_is_learnt_backwards_from_a_csv(cli, tmp_path):
    path, checkpoint = tmp_path / "automaton.csv", tmp_path / "run" / "grid.safetensors"
    path.write_text(one_step_backwards(300))
    heads = ("train.adam_lr=0.02", "train.halt_weight=0.5", "train.bptt_steps=1", "train.warmup=10")
    settings = [part for setting in heads for part in ("--set", setting)]
    options = ("--mixer", "grid", "--steps", 150, "--lr", 0.02, "--n-sup", 4, "--run", tmp_path / "run")
    done = cli("train", "--task", "grid", "--data", path, *options, *settings, *QUICK)
    assert done.exit_code == 0, done.stderr
    assert read_header(checkpoint).settings["symbols"] == list("01ab")

    done = cli("eval", "grid", path, "--held-out", "--checkpoint", checkpoint, "--json")
    report = json.loads(done.stdout)
    assert 15 < report["puzzles"] < 60 and report["solved"] >= 0.9 and report["cell_accuracy_at_1"] > 0.99
    assert report["solved_means"] == "halted, equal to the known answer"

    question, answer = path.read_text().splitlines()[1].split(",")
    done = cli("solve", "--checkpoint", checkpoint, "-", stdin=f"{question}\n")
    assert (done.exit_code, done.stdout) == (1, f"{answer}\n") and "not checked" in done.stderr
    assert cli("grid", "--checkpoint", checkpoint, "-", stdin=f"{question}\n").stdout == f"{answer}\n"
    done = cli("solve", "--checkpoint", checkpoint, "-", "--json", stdin=f"{question}\n")
    (record,) = json.loads(done.stdout)
    assert (record["answer"], record["solved"], record["verified"], record["checked"]) == (answer, False, False, False)
    done = cli("solve", "--checkpoint", checkpoint, "-", "--svg", tmp_path / "a.svg", stdin=f"{question}\n")
    assert done.exit_code == 1 and "<svg" in (tmp_path / "a.svg").read_text()
    done = cli("solve", "--checkpoint", checkpoint, "-", stdin="01/0x\n")
    assert done.exit_code == 2 and "'x' in row 2, column 2; expected cells out of 01ab" in done.stderr


def test_a_folder_of_the_published_code_is_trained_on_evaluated_and_solved(cli, tmp_path):
    data, run = tmp_path / "data", tmp_path / "run"
    (data / "train").mkdir(parents=True)
    questions = np.random.default_rng(0).integers(1, 4, (60, 9))
    for name, array in (("inputs", questions), ("labels", 4 - questions)):
        np.save(data / "train" / f"all__{name}.npy", array.astype(np.int32))
    done = cli("train", "--task", "grid", "--data", data, "--steps", 2, "--run", run, *QUICK)
    assert done.exit_code == 0, done.stderr
    done = cli("eval", "grid", data, "--held-out", "--checkpoint", run / "grid.safetensors", "--json")
    assert done.exit_code == 0 and 1 <= json.loads(done.stdout)["puzzles"] < 30
    done = cli("grid", data, "--checkpoint", run / "grid.safetensors", "--limit", 2, "--json")
    assert [record["source"] for record in json.loads(done.stdout)] == [f"{data}:1", f"{data}:2"]
    other = (data / "train").rename(tmp_path / "other")
    np.save(other / "all__inputs.npy", questions.astype(np.int32) + 5)
    done = cli("eval", "grid", other, "--checkpoint", run / "grid.safetensors")
    assert done.exit_code == 2 and f"{other}: the model has no symbol" in done.stderr


def test_the_task_grid_needs_data_or_a_checkpoint(cli):
    for arguments in (("solve", "--task", "grid", "-"), ("grid", "-"), ("eval", "grid", "-")):
        done = cli(*arguments, stdin="01/10\n")
        assert done.exit_code == 2 and "takes its settings from a trained checkpoint" in done.stderr
    done = cli("train", "--task", "grid")
    assert done.exit_code == 2 and "add --data FILE.csv" in done.stderr
