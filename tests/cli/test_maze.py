"""trmsolve maze: what goes in, what comes out, and with which exit code; and the other commands, on mazes."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

from trmsolve.checkpoint import bundled_dir
from trmsolve.tasks import get
from trmsolve.tasks.base import Line, Puzzle

from .conftest import EXAMPLES
from .test_solve import RECORD

MAZES = EXAMPLES.parent / "maze"
TASK = get("maze")

needs_checkpoint = pytest.mark.skipif(
    not (bundled_dir() / "maze.safetensors").is_file(), reason="no checkpoint to solve mazes with: maze.safetensors"
)

BEND = "#####\n#S  #\n### #\n#G  #\n#####"  # one way each, so that the answer is known
SQUARE = BEND.replace("\n", "")  # on one line, as Maze-Hard writes it
HOOK = "S##\n #G\n   "
BEND_ANSWER = "#####\n#Soo#\n###o#\n#Goo#\n#####"
HOOK_ANSWER = "S##\no#G\nooo"
TWO_STARTS = "#####\n#S S#\n# #G#\n#   #\n#####"
NO_WAY = "S# \n## \n  G"


def flat(grid: str) -> str:
    """A maze on one line."""
    return grid.replace("\n", "/")


def read(text: str) -> list[Puzzle]:
    """The mazes of a text; what draws a path has it as solution."""
    return list(TASK.read([Line(number, line) for number, line in enumerate(text.splitlines(), 1)], "text"))


# -- answers ----------------------------------------------------------------------------------------------------
@needs_checkpoint
@pytest.mark.parametrize(("name", "number"), [("first", 1), ("rooms", 1), ("several", 3)])
def test_examples(cli, name, number):
    path = MAZES / f"{name}.txt"
    done = cli("maze", path)
    assert done.exit_code == 0
    questions, answers = read(path.read_text(encoding="utf-8")), read(done.stdout)
    assert len(questions) == len(answers) == number
    for question, answer in zip(questions, answers, strict=True):
        assert answer.style == "grid" and TASK.check(question.question, answer.solution) == []
    assert ("3 of 3 solved and verified" in done.stderr) if number > 1 else done.stderr == ""


WRITTEN = {
    "grid": f"{BEND_ANSWER}\n\n{HOOK_ANSWER}\n",
    "line": f"{flat(BEND_ANSWER)}\n{flat(HOOK_ANSWER)}\n",
    "csv": f"question,answer\n{flat(BEND)},{flat(BEND_ANSWER)}\n{flat(HOOK)},{flat(HOOK_ANSWER)}\n",
}


@needs_checkpoint
@pytest.mark.parametrize("style", WRITTEN)
def test_formats(cli, style):
    done = cli("maze", "-", "--format", style, stdin=f"{BEND}\n\n{HOOK}\n")
    assert done.exit_code == 0 and done.stdout == WRITTEN[style]


@needs_checkpoint
@pytest.mark.parametrize("style", ["json", "jsonl"])
def test_json_formats(cli, style):
    done = cli("maze", "-", "--format", style, stdin=f"{BEND}\n\n{HOOK}\n")
    records = json.loads(done.stdout) if style == "json" else [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["answer"] for record in records] == [flat(BEND_ANSWER), flat(HOOK_ANSWER)]
    assert [record["puzzle"] for record in records] == [flat(BEND), flat(HOOK)]


@needs_checkpoint
@pytest.mark.parametrize(
    ("text", "style"),
    [
        (f"{BEND}\n\n{HOOK}\n", "grid"),
        (f"{BEND.replace(' ', '.')}\r\n\r\n{HOOK}".replace("#", "1"), "grid"),
        (f"{flat(BEND)}\n{flat(HOOK)}\n", "line"),
        (f"id,question\n1,{flat(BEND)}\n2,{flat(HOOK)}\n", "csv"),
    ],
)
def test_piped_output_has_the_shape_of_the_input(cli, text, style):
    done = cli("maze", stdin=text)  # no file named
    assert done.exit_code == 0 and done.stdout == WRITTEN[style]


@needs_checkpoint
def test_a_record_holds_the_path_cell_by_cell(cli):
    path = MAZES / "first.txt"
    (record,) = json.loads(cli("maze", path, "--json").stdout)
    before = RECORD.index("checkpoint")
    assert list(record) == [*RECORD[:before], "path", "path_steps", *RECORD[before:]]
    assert record["task"] == record["checkpoint"] == "maze" and record["source"] == f"{path}:1"
    assert record["solved"] is record["verified"] is True and record["error"] is None
    rows, cells = record["answer"].split("/"), record["path"]
    assert [rows[r][c] for r, c in cells] == ["S", *"o" * (len(cells) - 2), "G"]
    assert all(abs(r - below) + abs(c - right) == 1 for (r, c), (below, right) in pairwise(cells))
    assert record["path_steps"] == len(cells) - 1 == record["answer"].count("o") + 1 == 28


@needs_checkpoint
@pytest.mark.parametrize("text", ["###\nSG#\n  #", "S..\nG..\n..."])  # spaces would look like margins
def test_a_goal_beside_the_start_needs_no_cell_between(cli, text):
    done = cli("maze", "-", "--json", stdin=text)
    (record,) = json.loads(done.stdout)
    assert done.exit_code == 0 and record["answer"] == flat(text).replace(".", " ")
    assert record["path_steps"] == 1 and len(record["path"]) == 2
    assert cli("maze", "-", stdin=text).stdout == f"{text}\n"


@needs_checkpoint
def test_generated_mazes_can_be_solved(cli):
    options = ("--size", "7x10", "-n", 3, "--seed", 4, "--min-path", 4)
    for style in ("grid", "line", "csv"):
        text = cli("generate", "maze", *options, "--format", style).stdout
        done = cli("maze", "-", stdin=text)
        assert done.exit_code == 0, done.stderr
        for question, answer in zip(read(text), read(done.stdout), strict=True):
            assert TASK.check(question.question, answer.solution) == [] and answer.style == style


# -- no answers -------------------------------------------------------------------------------------------------
@needs_checkpoint
def test_without_a_way_there_is_no_answer(cli):
    done = cli("maze", MAZES / "no_way.txt")
    assert done.exit_code == 1 and done.stdout == ""
    assert "no_way.txt:1: no solution exists: no path leads from S (r2c2) to G (r4c8)" in done.stderr
    done = cli("maze", "-", "--json", "-q", stdin=f"{NO_WAY}\n\n{BEND}\n")
    none, solved = json.loads(done.stdout)
    assert done.exit_code == 1 and done.stderr == ""
    assert (
        none["answer"] is None
        and none["error"].startswith("no solution exists: no path leads")
        and none["solved"] is False
        and list(none) == RECORD
    )
    assert solved["answer"] == flat(BEND_ANSWER)


def ring() -> np.ndarray:
    """Two ways from S to G, of 46 and 50 steps, that look alike half-way. News travels 16 cells a step, so one step
    cannot tell which to mark there, from whatever side."""
    maze = np.zeros((45, 9), np.uint8)
    maze[1:44, [1, 7]] = maze[[1, 43], 1:8] = 1
    maze[1, 3], maze[43, 3] = 2, 3
    return maze


@needs_checkpoint
@pytest.mark.parametrize(
    ("style", "options", "printed"),
    [
        ("grid", (), ""),
        ("line", ("--restarts", 2), "\n"),
        ("csv", ("--restarts", 0, "--no-verify"), "question,answer\n{},\n"),
    ],
)
def test_a_path_too_long_for_the_steps_is_never_printed(cli, style, options, printed):
    maze = TASK.format_line(ring())
    done = cli("maze", "-", "--max-steps", 1, *options, "--format", style, stdin=maze)
    assert done.exit_code == 1 and done.stdout == printed.format(maze)
    assert "stdin:1: not solved after" in done.stderr and "is not an answer" in done.stderr


@needs_checkpoint
@pytest.mark.parametrize(("allowed", "taken"), [(0, 0), (3, 3), (100, 15)])
def test_each_restart_is_another_view(cli, allowed, taken):
    maze = TASK.format_line(ring())
    done = cli("maze", "-", "--max-steps", 1, "--restarts", allowed, "--json", stdin=maze)
    (record,) = json.loads(done.stdout)
    assert done.exit_code == 1 and list(record) == RECORD
    assert record["answer"] is None and record["solved"] is record["verified"] is False
    assert record["restarts"] == taken and record["steps"] == taken + 1


@needs_checkpoint
def test_without_restarts_a_small_maze_is_solved_all_the_same(cli):
    (record,) = json.loads(cli("maze", "-", "--restarts", 0, "--json", stdin=BEND).stdout)
    assert record["answer"] == flat(BEND_ANSWER) and record["restarts"] == 0


# -- bad input --------------------------------------------------------------------------------------------------
@needs_checkpoint
@pytest.mark.parametrize(
    ("text", "source", "printed"),
    [
        (f"{BEND}\n\n{TWO_STARTS}\n\n{HOOK}\n", "stdin:8: two starts, r2c2 and r2c4", WRITTEN["grid"]),
        (
            f"{flat(BEND)}\n{flat(TWO_STARTS)}\n{flat(HOOK)}\n",
            "stdin:2: two starts, r2c2 and r2c4",
            WRITTEN["line"].replace("\n", "\n\n", 1),
        ),
        (
            f"question\n{flat(BEND)}\n{SQUARE[:-1]}\n{flat(HOOK)}\n",
            "stdin:3: 24 characters",
            WRITTEN["line"].replace("\n", "\n\n", 1),
        ),
        (
            f"id,question\n1,{flat(BEND)}\n2,{SQUARE[:-1]}\n3,{flat(HOOK)}\n",
            "stdin:3: question: 24 characters",
            WRITTEN["csv"].replace(f"{flat(BEND_ANSWER)}\n", f"{flat(BEND_ANSWER)}\n,\n"),
        ),
    ],
)
def test_one_bad_maze_spoils_only_itself(cli, text, source, printed):
    done = cli("maze", "-", stdin=text)
    assert done.exit_code == 2 and done.stdout == printed
    assert source in done.stderr and "2 of 3 solved and verified" in done.stderr and "1 not readable" in done.stderr


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        (TWO_STARTS, ":2", "two starts, r2c2 and r2c4"),
        (BEND.replace("G", " "), ":1", "no goal; expected one S (or A) and one G (or E, B)"),
        (BEND.replace("### #", "### ##"), ":3", "row 3 has 6 cells, the others have 5"),
        (BEND.replace("### #", "###"), ":3", "row 3 has 3 cells, the others have 5; write floor as ."),
        (BEND.replace("G", "x"), ":4", "'x' in row 4, column 2; expected # for wall, a space or . for floor"),
        (BEND.replace("G", "\x1b"), ":4", "U+001B in row 4, column 2"),
        ("####\n" * 4, ":1", "walls only"),
        ("S \n G", ":1", "the smallest maze is 3x3"),
        ("", "", "it is empty"),
        ("\n \n", "", "holds no puzzle"),
    ],
)
def test_malformed_mazes_are_refused(cli, tmp_path, text, line, expected):
    path = tmp_path / "m.txt"
    path.write_text(text, encoding="utf-8")
    done = cli("maze", path)
    assert done.exit_code == 2 and done.stdout == ""
    assert f"{path}{line}: " in done.stderr and expected in done.stderr and "\x1b" not in done.stderr
    (record,) = json.loads(cli("maze", path, "--json").stdout)
    assert expected in record["error"] and record["answer"] is None and record["source"] == f"{path}{line}"


@pytest.mark.parametrize("width", [1000, 1_000_000, 2_000_000])
def test_a_maze_of_megabytes_is_refused_with_the_limit_and_the_memory(cli, tmp_path, width):
    path = tmp_path / "m.txt"
    wall, row = "#" * width, "#" + " " * (width - 2) + "#"
    rows = [wall, row.replace(" ", "S", 1), *[row] * (1_000_000 // width), row.replace(" ", "G", 1), wall]
    path.write_text("\n".join(rows))
    done = cli("maze", path)
    assert done.exit_code == 2 and done.stdout == "" and len(done.stderr) < 1000
    assert f"{path}:" in done.stderr and "at most 255 rows of 255 cells (260 MB to solve)" in done.stderr


# -- pictures and steps -----------------------------------------------------------------------------------------
@needs_checkpoint
def test_pictures(cli, tmp_path):
    svg, gif, html = (tmp_path / f"a.{kind}" for kind in ("svg", "gif", "html"))
    options = ("--svg", svg, "--gif", gif, "--html", html)
    done = cli("maze", "-", *options, stdin=BEND)
    assert done.exit_code == 0 and done.stdout == f"{BEND_ANSWER}\n"
    assert "<svg" in svg.read_text(encoding="utf-8")[:200]
    assert gif.read_bytes().startswith(b"GIF8")
    page = html.read_text(encoding="utf-8")
    assert "<html" in page.lower() and "src=" not in page
    again = cli("maze", "-", *options, stdin=BEND)
    assert again.exit_code == 2 and "--force" in again.stderr
    assert cli("maze", MAZES / "no_way.txt", "--svg", svg, "--force").exit_code == 1  # the question's picture


@needs_checkpoint
def test_show_steps_in_a_pipe(cli):
    done = cli("maze", "-", "--show-steps", stdin=f"{BEND}\n\n{HOOK}\n")
    assert done.exit_code == 0 and done.stdout == WRITTEN["grid"]
    assert "step 1" in done.stderr and "\x1b" not in done.stderr
    assert "o#G" in done.stderr  # the answer, framed


# -- eval, generate and train -----------------------------------------------------------------------------------
@needs_checkpoint
def test_eval(cli, tmp_path):
    path = tmp_path / "m.csv"
    text = cli("generate", "maze", "--size", "6x7", "-n", 4, "--format", "csv").stdout
    path.write_text(f"{text}{flat(NO_WAY)},\n")
    report = json.loads(cli("eval", "maze", path, "--no-single-pass", "--json").stdout)
    assert report["task"] == report["checkpoint"] == "maze" and report["puzzles"] == 5
    assert set(report["strata"]) == {"0 to 49 steps", "no path"}
    assert report["strata"]["0 to 49 steps"]["puzzles"] == 4 and report["strata"]["no path"]["solved"] == 0
    assert 0 < report["solved"] <= report["valid_path"] <= 0.8
    assert 0 <= report["equal_to_given_answer"] <= 1  # of the four that came with one
    for share in ("solved", "valid_path", "equal_to_given_answer"):
        low, high = report[f"{share}_interval_95"]
        assert low <= report[share] <= high
    table = cli("eval", "maze", path, "--limit", 4).stdout
    for row in ("solved and verified", "valid path", "equal to given answer", "single pass, 16 steps, accepted"):
        assert row in table
    assert "no path" not in table


def test_a_table_of_mazes_that_cannot_be_made_has_no_header(cli):
    done = cli("generate", "maze", "--size", "5x5", "--min-path", 20, "--format", "csv")
    assert done.exit_code == 2 and done.stdout == "" and "the longest path had" in done.stderr


def test_train_resume_and_solve_with_the_result(cli, tmp_path):
    tiny = ("train", "--task", "maze", "--batch-size", 4, "--width", 8, "--no-compile", "--data", "generate:5-7")
    run, out = tmp_path / "run", tmp_path / "mine.safetensors"
    done = cli(*tiny, "--run", run, "--steps", 3, "--off-path", 0.5)
    assert done.exit_code == 0 and done.stdout == "" and "finished at step 3" in done.stderr
    done = cli(*tiny, "--run", run, "--steps", 6, "-o", out)
    assert done.exit_code == 0 and "resuming from step 3" in done.stderr and "finished at step 6" in done.stderr
    info = json.loads(cli("checkpoints", "info", out, "--json").stdout)
    assert info["task"] == "maze" and info["model"]["hidden_size"] == 8 and info["provenance"]["steps"] == 6
    solved = cli("maze", "-", "--checkpoint", out, "--max-steps", 2, "--restarts", 1, stdin=f"{BEND}\n\n{HOOK}\n")
    assert solved.exit_code in (0, 1) and "of 2 solved and verified" in solved.stderr
    other = cli("sudoku", EXAMPLES / "easy.txt", "--checkpoint", out)
    assert other.exit_code == 2 and "maze checkpoint, expected sudoku" in other.stderr
    own = tmp_path / "own.csv"
    own.write_text(f"question,answer\n{flat(BEND)},{flat(BEND_ANSWER)}\n{flat(HOOK)},\n")
    fine = cli(*tiny[:-2], "--from", out, "--data", own, "--run", tmp_path / "b", "--steps", 1)
    assert fine.exit_code == 0 and (tmp_path / "b" / "maze.safetensors").is_file()


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--task", "maze", "--easier", 0.5], "--hint-prob: not for --task maze"),
        (["--task", "maze", "--easier-most", 0.5, "--wrong", 0], "--hint-max, --unsolvable-prob: not for --task maze"),
        (["--task", "sudoku", "--off-path", 0.5], "--off-path: not for --task sudoku"),
        (["--task", "maze", "--data", "generate:300"], "expected generate:[KIND:]SIDE[-SIDE], sides 3 to 255"),
        (["--task", "maze", "--data", "none.csv"], "none.csv: no such file"),
    ],
)
def test_options_that_do_not_fit_the_task_are_refused(cli, tmp_path, args, expected):
    done = cli("train", *args, "--run", tmp_path / "run", "--steps", 1)
    assert done.exit_code == 2 and done.stdout == "" and expected in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [(TWO_STARTS, "two starts"), (NO_WAY, "no path leads from S to G\n  remove it: training needs mazes with a path")],
)
def test_bad_training_mazes(cli, tmp_path, content, expected):
    path = tmp_path / "m.txt"
    path.write_text(f"{BEND}\n\n{content}\n")
    done = cli("train", "--task", "maze", "--data", path, "--run", tmp_path / "run", "--steps", 1)
    assert done.exit_code == 2 and f"error: {path}:" in done.stderr and expected in done.stderr
