"""trmsolve sudoku: what goes in, what comes out, and with which exit code."""

from __future__ import annotations

import csv
import io
import json
import logging

import pytest

from trmsolve.tasks import get
from trmsolve.tasks.base import Line

from .conftest import EASY, EASY_ANSWER, EXAMPLES, HIDDEN, OBVIOUS, OTHER, OTHER_ANSWER, SMALL, TWICE

SHORT = ("--max-steps", 2, "--restarts", 1)
RECORD = ["task", "source", "puzzle", "answer", "solved", "verified", "steps", "restarts", "halt_probability"]
RECORD += ["seconds", "checkpoint", "checkpoint_sha256", "device", "error"]


def drawn(line: str) -> str:
    """The grid of a line."""
    puzzle = next(get("sudoku").read([Line(1, line)], "x"))
    return get("sudoku").format_grid(puzzle.question, "grid")


def answers(text: str, style: str) -> list[str]:
    """The answers in stdout, as lines."""
    if style == "json":
        return [record["answer"] for record in json.loads(text)]
    if style == "jsonl":
        return [json.loads(line)["answer"] for line in text.splitlines()]
    if style == "csv":
        return [row["answer"] for row in csv.DictReader(io.StringIO(text))]
    if style == "line":
        return text.splitlines()
    task = get("sudoku")
    lines = [Line(number, line) for number, line in enumerate(text.splitlines(), 1)]
    return [task.format_line(puzzle.question) for puzzle in task.read(lines, "stdout")]


@pytest.mark.parametrize("style", ["grid", "line", "csv", "json", "jsonl"])
def test_formats(cli, style):
    done = cli("sudoku", "-", "--format", style, stdin=f"{EASY}\n{OTHER}\n")
    assert done.exit_code == 0
    assert answers(done.stdout, style) == [EASY_ANSWER, OTHER_ANSWER]
    assert "2 of 2 solved and verified" in done.stderr


@pytest.mark.parametrize(
    ("text", "style"),
    [
        (f"{EASY}\n", "line"),
        (f"{drawn(EASY)}\n", "grid"),
        (f"id,question\n7,{EASY}\n", "csv"),
        (f"question\n{TWICE}\n{EASY}\n", "csv"),
        (f"{EASY}\r\n", "line"),
        (f"\ufeff# a comment\n{EASY}", "line"),
    ],
)
def test_piped_output_has_the_shape_of_the_input(cli, text, style):
    done = cli("sudoku", stdin=text)
    assert [answer for answer in answers(done.stdout, style) if answer] == [EASY_ANSWER]
    assert ("," in done.stdout) == (style == "csv")


@pytest.mark.parametrize("name", ["easy", "4x4", "6x6"])
def test_examples(cli, name):
    done = cli("sudoku", EXAMPLES / f"{name}.txt")
    assert done.exit_code == 0
    assert done.stdout.startswith("┌")
    assert done.stderr == ""


def test_an_answer_to_16x16_is_verified_or_withheld(cli):
    done = cli("sudoku", EXAMPLES / "16x16.txt", *SHORT, "--json")
    (record,) = json.loads(done.stdout)
    assert done.exit_code == (0 if record["verified"] else 1)
    assert bool(record["answer"]) == record["verified"]


def test_json_record(cli, tmp_path):
    path = tmp_path / "p.txt"
    path.write_text(f"# one\n{EASY}\n{TWICE}\n")
    done = cli("sudoku", path, "--json")
    good, bad = json.loads(done.stdout)
    assert list(good) == list(bad) == RECORD
    assert good["source"] == f"{path}:2"
    assert good["puzzle"] == EASY and good["answer"] == EASY_ANSWER
    assert good["solved"] is good["verified"] is True and good["error"] is None
    assert good["checkpoint"] == "sudoku" and len(good["checkpoint_sha256"]) == 64
    assert good["steps"] >= 1 and 0 <= good["halt_probability"] <= 1
    assert bad["source"] == f"{path}:3" and "row 1 holds 1 twice" in bad["error"] and bad["answer"] is None


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (TWICE, "row 1 holds 1 twice, columns 1 and 9"),
        (EASY[:80], "80 characters"),
        (EASY + "1", "82 characters"),
        ("x" + EASY[1:], "'x'"),
        ("\ufffd" + EASY[1:], "UTF-8"),
    ],
)
def test_one_bad_puzzle_spoils_only_itself(cli, bad, expected):
    done = cli("sudoku", "-", "--format", "line", stdin=f"{EASY}\n{bad}\n{OTHER}\n")
    assert done.stdout.splitlines() == [EASY_ANSWER, "", OTHER_ANSWER]
    assert done.exit_code == 2
    assert "stdin:2" in done.stderr and expected in done.stderr and "1 not readable" in done.stderr


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty"),
        (b"hello world\n", "no puzzle"),
        (b"# nothing\n", "holds no puzzle"),
        (b"\x7fELF\0\0\1", "binary"),
        (b"\xff\xfe1\0", "UTF-16"),
        (b"1" * 10_000_000, "more than"),
        (None, "is a directory"),
    ],
)
@pytest.mark.parametrize("style", ["line", "json"])
def test_files_without_a_puzzle(cli, tmp_path, content, expected, style):
    path = tmp_path / "in"
    path.mkdir() if content is None else path.write_bytes(content)
    done = cli("sudoku", path, "--format", style)
    assert done.exit_code == 2
    assert expected in done.stderr and str(path) in done.stderr
    if style == "json":
        assert expected in json.loads(done.stdout)[0]["error"]
    else:
        assert done.stdout.strip() == ""


def test_a_missing_file_spoils_only_itself(cli, tmp_path):
    done = cli("sudoku", tmp_path / "nothing.txt", EXAMPLES / "easy.txt")
    assert done.exit_code == 2
    assert done.stdout.startswith("┌")
    assert "nothing.txt: no such file" in done.stderr
    assert "did you mean" in cli("sudoku", EXAMPLES / "esy.txt").stderr


@pytest.mark.parametrize("puzzle", [HIDDEN, OBVIOUS])
@pytest.mark.parametrize("verify", ["--verify", "--no-verify"])
def test_without_a_solution_there_is_no_answer(cli, puzzle, verify):
    done = cli("sudoku", "-", "--format", "line", *SHORT, verify, stdin=f"{puzzle}\n{SMALL}\n")
    assert done.exit_code == 1
    first, second = done.stdout.splitlines()
    assert first == "" and len(second) == 16
    assert "stdin:1: no solution exists: " in done.stderr
    done = cli("sudoku", "-", "--format", "grid", *SHORT, verify, stdin=puzzle)
    assert done.stdout == "" and done.exit_code == 1
    done = cli("sudoku", "-", "--json", *SHORT, verify, "-q", stdin=puzzle)
    (record,) = json.loads(done.stdout)
    assert record["answer"] is None and record["solved"] is False
    assert record["error"].startswith("no solution exists: ")
    assert done.stderr == ""


def test_complete_grids(cli):
    wrong = EASY_ANSWER[1::-1] + EASY_ANSWER[2:]
    done = cli("sudoku", "-", stdin=f"{EASY_ANSWER}\n{wrong}\n")
    assert done.stdout.splitlines() == [EASY_ANSWER, ""]
    assert done.exit_code in (1, 2)


def test_batch_size_and_order_do_not_matter(cli):
    text = "\n".join((EXAMPLES / "stream.txt").read_text().splitlines()[1:6])
    runs = []
    for size in (1, 3):
        done = cli("sudoku", "-", "--json", "--batch-size", size, *SHORT, stdin=text)
        runs.append([(r["puzzle"], r["answer"], r["steps"], r["restarts"]) for r in json.loads(done.stdout)])
    assert runs[0] == runs[1]
    assert [run[0] for run in runs[0]] == text.splitlines()


def test_limit(cli):
    done = cli("sudoku", EXAMPLES / "stream.csv", "--limit", 1, "--format", "line")
    assert done.stdout == f"{EASY_ANSWER}\n" and done.exit_code == 0


# -- files and pictures -----------------------------------------------------------------------------------------
def test_output_file(cli, tmp_path):
    path = tmp_path / "answers.txt"
    assert cli("sudoku", "-", "-o", path, stdin=EASY).stdout == ""
    assert path.read_text() == f"{EASY_ANSWER}\n"
    again = cli("sudoku", "-", "-o", path, stdin=OTHER)
    assert again.exit_code == 2 and "--force" in again.stderr
    assert path.read_text() == f"{EASY_ANSWER}\n"
    failed = cli("sudoku", "-", "-o", path, "--force", "--checkpoint", "nothing", stdin=OTHER)
    assert failed.exit_code == 2
    assert path.read_text() == f"{EASY_ANSWER}\n"
    assert cli("sudoku", "-", "--output", path, "--force", "--json", stdin=OTHER).exit_code == 0
    assert json.loads(path.read_text())[0]["answer"] == OTHER_ANSWER
    assert [entry.name for entry in tmp_path.iterdir()] == ["answers.txt"]


def test_output_into_nowhere(cli, tmp_path):
    done = cli("sudoku", "-", "-o", tmp_path / "no" / "a.txt", stdin=EASY)
    assert done.exit_code == 2 and "does not exist" in done.stderr
    assert cli("sudoku", "-", "-o", "/dev/null", stdin=EASY).exit_code == 0


def test_pictures(cli, tmp_path):
    svg, gif, html = (tmp_path / f"a.{kind}" for kind in ("svg", "gif", "html"))
    options = ("--svg", svg, "--gif", gif, "--html", html)
    done = cli("sudoku", "-", *options, stdin=EASY)
    assert done.exit_code == 0 and done.stdout == f"{EASY_ANSWER}\n"
    assert svg.read_text().startswith("<svg") or "<svg" in svg.read_text()[:200]
    assert gif.read_bytes().startswith(b"GIF8")
    assert "<html" in html.read_text().lower() and "src=" not in html.read_text()
    again = cli("sudoku", "-", *options, stdin=EASY)
    assert again.exit_code == 2 and "--force" in again.stderr
    more = cli("sudoku", "-", "--svg", svg, "--force", stdin=f"{EASY}\n{OTHER}\n")
    assert more.exit_code == 2 and "--limit 1" in more.stderr


# -- messages ------------------------------------------------------------------------------------
def test_show_steps_in_a_pipe(cli):
    done = cli("sudoku", "-", "--show-steps", stdin=f"{EASY}\n{OTHER}\n")
    assert done.exit_code == 0
    assert done.stdout == f"{EASY_ANSWER}\n{OTHER_ANSWER}\n"
    assert "step 1" in done.stderr and "\x1b" not in done.stderr


def test_quiet_and_verbose(cli):
    assert cli("sudoku", "-", "-q", stdin=f"{EASY}\n{OTHER}\n").stderr == ""
    done = cli("sudoku", "-", "-v", "--device", "cpu", stdin=EASY)
    assert done.stderr.count("device: cpu") == 1 and "checkpoint: " in done.stderr
    assert done.stdout == f"{EASY_ANSWER}\n"


def test_verbose_logging_ends_with_the_command(cli):
    verbose = cli("sudoku", "-", "-v", "--device", "cpu", stdin=EASY)
    assert "device: " in verbose.stderr and "device: " not in cli("sudoku", "-", "--device", "cpu", stdin=EASY).stderr
    assert logging.getLogger("trmsolve").handlers == []


def test_timeout_keeps_stdout_whole(cli, tmp_path):
    path = tmp_path / "a.json"
    done = cli("sudoku", "-", "--json", "--timeout", 0, stdin=f"{HIDDEN}\n")
    assert done.exit_code == 124 and json.loads(done.stdout) == []
    assert "out of time" in done.stderr
    assert cli("sudoku", "-", "--json", "--timeout", 0, "-o", path, stdin=HIDDEN).exit_code == 124
    assert json.loads(path.read_text()) == []


def test_no_input_at_all(cli, monkeypatch):
    monkeypatch.setattr("trmsolve.cli.solve.prompted_files", lambda *_: [])  # stdin is closed
    done = cli("sudoku")
    assert done.exit_code == 2 and done.stdout == "" and "Usage: trmsolve sudoku" in done.stderr


def test_answers_so_far_are_kept_when_interrupted(cli, tmp_path, monkeypatch):
    """Ctrl-C after the first answer: the file has it, as at a timeout. Before any answer, an older file stays."""
    from trmsolve.api import Model

    solve, allowed = Model.solve, 1

    def interrupted(self, *args, **kwargs):
        for number, result in enumerate(solve(self, *args, **kwargs)):
            if number == allowed:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(Model, "solve", interrupted)
    path = tmp_path / "answers.json"
    done = cli("sudoku", "-", "--json", "-o", path, stdin=f"{EASY}\n{OTHER}\n")
    assert done.exit_code == 130 and "interrupted: 1 of 1 solved" in done.stderr
    assert [record["answer"] for record in json.loads(path.read_text())] == [EASY_ANSWER]
    before, allowed = path.read_text(), 0
    done = cli("sudoku", "-", "--json", "-o", path, "--force", stdin=f"{EASY}\n")
    assert done.exit_code == 130 and path.read_text() == before


def test_a_timeout_before_the_first_answer_does_not_count_to_zero(cli):
    done = cli("sudoku", "-", "--timeout", 0, stdin=HIDDEN)
    assert done.exit_code == 124 and "0 of 0" not in done.stderr and "out of time after 0 s" in done.stderr


@pytest.mark.parametrize("other", ["--svg", "--gif", "--html"])
def test_two_outputs_never_share_a_file(cli, tmp_path, other):
    path = tmp_path / "a"
    done = cli("sudoku", "-", "-o", path, other, tmp_path / "." / "a", stdin=EASY)
    assert done.exit_code == 2 and "-o" in done.stderr and f"{other} name the same file" in done.stderr
    assert not path.exists()


def test_an_ambiguous_puzzle_is_noted_at_once_and_in_json(cli, monkeypatch):
    from trmsolve.tasks.sudoku import Sudoku

    reason = "several answers: 1 given"
    monkeypatch.setattr(Sudoku, "ambiguity_reason", lambda self, question: reason if (question > 0).sum() == 1 else "")
    text = f"{'1' + '.' * 80}\n{EASY}\n"
    done = cli("sudoku", "-", "--json", "--max-steps", 1, "--restarts", 0, stdin=text)
    first, second = json.loads(done.stdout)
    assert first["note"] == reason and (first["error"] == reason) == (not first["solved"])
    assert "note" not in second and f"stdin:1: note: {reason}" in done.stderr
    assert "note" not in cli("sudoku", "-", "-q", "--max-steps", 1, "--restarts", 0, stdin=text).stderr


def test_an_option_of_another_capability_is_refused(cli):
    done = cli("solve", "--task", "sudoku", "-", "--budget", "5s", stdin=EASY)
    assert done.exit_code == 2 and "--budget has no effect on sudoku" in done.stderr
    done = cli("solve", "--task", "arc", "-", "--restarts", 1, stdin="{}")
    assert done.exit_code == 2 and "--restarts has no effect on arc" in done.stderr
    assert "no such option: --budget" in cli("sudoku", "--budget", "5s").stderr.lower()


def test_an_input_is_not_overwritten_by_its_answers(cli, tmp_path):
    path = tmp_path / "puzzles.txt"
    path.write_text(EASY)
    done = cli("sudoku", path, "-o", path, "--force")
    assert done.exit_code == 2 and f"FILE and -o name the same file: {path}" in done.stderr
    assert path.read_text() == EASY
