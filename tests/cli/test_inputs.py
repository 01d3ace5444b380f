"""Input as people type it: puzzles as arguments, pastes, puzzles of another task, numbers, completion of values."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest
from typer.testing import CliRunner

from trmsolve.cli import app

from .conftest import COMMAND, EXAMPLES, SMALL, Terminal

MAZES = EXAMPLES.parent / "maze"
ARC = EXAMPLES.parent / "arc"
MAZE = "#####\n#S G#\n#####"


def test_a_puzzle_may_stand_on_the_command_line(cli):
    done = cli("sudoku", SMALL, "--json")
    assert done.exit_code == 0
    (record,) = json.loads(done.stdout)
    assert record["puzzle"] == SMALL and record["source"] == "argument:1" and record["verified"]


def test_mazes_may_be_typed_as_grids_and_files_may_follow(cli):
    done = cli("maze", MAZE, MAZES / "first.txt", "--format", "jsonl")
    assert done.exit_code == 0
    assert [json.loads(line)["source"] for line in done.stdout.splitlines()] == [
        "argument:1",
        f"{MAZES / 'first.txt'}:1",
    ]


def test_a_file_of_that_name_goes_first(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / SMALL).write_text("1...............\n")
    (record,) = json.loads(cli("sudoku", SMALL, "--json").stdout)
    assert record["puzzle"] == "1..............."


@pytest.mark.parametrize(
    ("argument", "expected"),
    [("4" + "." * 79, "80 characters"), ("puzle.txt", "puzle.txt: no such file"), ("x" * 300, "cannot be opened")],
)
def test_an_argument_that_is_neither_a_file_nor_a_puzzle_is_refused(cli, argument, expected):
    done = cli("sudoku", argument)
    assert done.exit_code == 2 and expected in done.stderr


@pytest.mark.parametrize(
    ("task", "file", "command"),
    [
        ("sudoku", MAZES / "rooms.txt", "trmsolve maze"),
        ("sudoku", MAZES / "several.txt", "trmsolve maze"),
        ("sudoku", ARC / "fall.json", "trmsolve arc"),
        ("maze", EXAMPLES / "hard.txt", "trmsolve sudoku"),
        ("maze", EXAMPLES / "stream.csv", "trmsolve sudoku"),
        ("maze", ARC / "fall.json", "trmsolve arc"),
        ("arc", EXAMPLES / "hard.txt", "trmsolve sudoku"),
        ("arc", MAZES / "first.txt", "trmsolve maze"),
    ],
)
def test_a_file_of_another_task_is_recognised(cli, task, file, command):
    done = cli(task, file)
    assert done.exit_code == 2
    assert f"{command} {file}" in done.stderr and done.stderr.count("the command for it") == 1


def test_typed_and_piped_puzzles_of_another_task_are_recognised(cli):
    assert f"trmsolve sudoku {SMALL}" in cli("maze", SMALL).stderr
    assert "trmsolve maze -" in cli("sudoku", "-", stdin=MAZE).stderr


def test_a_file_that_mixes_tasks_is_read_as_what_it_was_called(cli, tmp_path):
    path = tmp_path / "mixed.txt"
    path.write_text(f"{MAZE.replace('#', '1')}\n\n{SMALL}\n")
    done = cli("sudoku", path, "--format", "line")
    assert done.exit_code == 2 and "the command for it" not in done.stderr and len(done.stdout.split()) == 1


COMPLETIONS = {
    "solve --task ": {"sudoku", "maze", "arc"},
    "train --task s": {"sudoku"},
    "train --recipe trm-mlp": {"trm-mlp-sudoku", "trm-mlp-sudoku-fast"},
    "sudoku --format ": {"grid", "line", "csv", "json", "jsonl"},
    "generate ma": {"maze"},
    "generate maze --kind p": {"perfect"},
    "maze --checkpoint s": {"sudoku"},
    "checkpoints info m": {"maze"},
    "checkpoints import alphaxiv-sudoku-m": {"alphaxiv-sudoku-mlp"},
    "explain m": {"maze"},
    "bench --task m": {"maze"},
    "train --mixer m": {"mlp"},
}


@pytest.mark.parametrize("typed", COMPLETIONS)
def test_values_are_completed(typed):
    environment = {"_TRMSOLVE_COMPLETE": "complete_bash", "COMP_WORDS": f"trmsolve {typed}"}
    environment["COMP_CWORD"] = str(len(f"trmsolve {typed}".split(" ")) - 1)
    done = CliRunner().invoke(app, [], prog_name="trmsolve", env=environment)
    assert COMPLETIONS[typed] <= set(done.stdout.split())
    assert len(done.stdout.split()) < 12


def test_no_puzzle_at_the_prompt_is_an_error(cli, monkeypatch):
    monkeypatch.setattr("trmsolve.cli.inputs._stdin", lambda: "terminal")
    done = cli("sudoku", stdin="")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "paste a Sudoku, end with Ctrl-D" in done.stderr and "is empty" in done.stderr
    assert "paste" not in cli("sudoku", "-q", stdin="").stderr


@pytest.mark.skipif(os.name == "nt", reason="POSIX terminals")
def test_a_bare_command_on_a_terminal_asks_for_a_puzzle_and_numbers_the_answers():
    terminal = Terminal()
    process = subprocess.Popen(
        [*COMMAND, "sudoku"],
        stdin=terminal.theirs,
        stdout=terminal.theirs,
        stderr=terminal.theirs,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        terminal.wait_for("paste a Sudoku, end with Ctrl-D")
        os.write(terminal.ours, f"{SMALL}\n1...............\n".encode())
        terminal.wait_for("1: line 1")
        terminal.wait_for("2: line 2")
        os.write(terminal.ours, b"\x04")
        assert process.wait(300) == 0
    finally:
        process.kill()
        process.wait()
        text = terminal.close()
    assert "2 of 2 solved and verified" in text and text.count("┌") == 2
