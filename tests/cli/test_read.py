"""trmsolve read shows what is understood of a file, and how."""

import json

import pytest

from .conftest import EASY, EXAMPLES

MAZE = "#####\n#S.G#\n#####\n"


def test_a_sudoku_is_shown_with_its_place_and_format(cli, tmp_path):
    path = tmp_path / "p.csv"
    path.write_text(f"question,rating\n{EASY},3\nnonsense,1\n")
    done = cli("read", path)
    assert done.exit_code == 2
    first = done.stdout.splitlines()[0]
    assert f"{path}:2: sudoku 9x9" in first and "csv" in first.lower()
    assert f"{path}:3: " in done.stderr
    done = cli("read", path, "--format", "jsonl")
    good, bad = map(json.loads, done.stdout.splitlines())
    assert (good["task"], good["size"], good["puzzle"], good["error"]) == ("sudoku", [9, 9], EASY, None)
    assert bad["puzzle"] is None and bad["text"] and bad["error"]


@pytest.mark.parametrize(("name", "text", "task"), [("m", MAZE, "maze"), ("s", f"{EASY}\n", "sudoku")])
def test_the_task_is_recognised_by_the_content(cli, tmp_path, name, text, task):
    path = tmp_path / name
    path.write_text(text)
    (record,) = json.loads(cli("read", path, "--json").stdout)
    assert record["task"] == task and record["error"] is None


def test_arc_tasks_are_listed_with_the_sizes_of_their_grids(cli, tmp_path):
    done = cli("read", EXAMPLES.parent / "arc" / "recolour.json")
    assert done.exit_code == 0 and "recolour: demonstrations " in done.stdout and "; tests " in done.stdout
    path = tmp_path / "two.json"
    task = {"train": [{"input": [[1, 2]], "output": [[2, 1]]}], "test": [{"input": [[3, 4]], "output": [[4, 3]]}]}
    path.write_text(json.dumps({"good": task, "bad": {**task, "test": [{"input": [[11]]}]}}))
    done = cli("read", path, "--json")
    (content,) = json.loads(done.stdout)
    (good,) = content["tasks"]
    assert (good["name"], good["demonstrations"], good["tests"], good["answers"]) == (
        "good",
        ["1x2 -> 1x2"],
        ["1x2"],
        ["1x2"],
    )
    assert len(content["errors"]) == 1 and done.exit_code == 2


def test_a_task_of_ones_own_reads_by_its_file(cli, tmp_path):
    path = tmp_path / "latin.txt"
    path.write_text("12./.31/3.2\n")
    done = cli("read", path, "--task", EXAMPLES.parent / "tasks" / "latin_square.py", "--json")
    (record,) = json.loads(done.stdout)
    assert (record["task"], record["size"]) == ("latin_square", [3, 3]) and done.exit_code == 0


def test_stdin_needs_the_task(cli):
    done = cli("read", "-", stdin=MAZE)
    assert done.exit_code == 2 and "add --task sudoku or --task maze or --task arc" in done.stderr
    assert cli("read", "-", "--task", "maze", stdin=MAZE).exit_code == 0


def test_an_unknown_format_is_refused(cli):
    done = cli("read", EXAMPLES / "hard.txt", "--format", "grids")
    assert done.exit_code == 2 and "did you mean 'grid'" in done.stderr


def test_a_table_for_the_task_grid_is_read_with_its_own_symbols(cli, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("question,answer\nab/ba,ba/ab\n")
    done = cli("read", "--task", "grid", path)
    assert done.exit_code == 0 and done.stdout == f"{path}:2: grid 2x2, csv, with its solution\nab\nba\n\n"
    done = cli("read", "--task", "grid", "-", stdin="question,answer\nab/ba,ba/ab\n")
    assert done.exit_code == 2 and "takes its symbols from its data" in done.stderr
