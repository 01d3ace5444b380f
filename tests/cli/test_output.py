"""Progress of what goes to a file: on a terminal's stderr alone, with number, rate, share and time left."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from trmsolve.cli import evaluate, output, run
from trmsolve.cli.output import LineShare, Progress, file_progress

from .conftest import EASY, PATIENCE, SMALL, Terminal


def test_the_line_has_number_rate_share_and_time_left():
    shown = Progress(lambda text: None, "puzzles", total=5000)
    shown.number = 1250
    assert shown.text(10.0) == "1,250 of 5,000 puzzles, 125.0/s, 25%, 30.0 s left"
    assert Progress(lambda text: None, "puzzles").text(1.0) == "0 puzzles, 0.0/s"
    assert "50%, 10.0 s left" in shown.text(10.0, 0.5)  # the file ends before --limit


def test_the_share_of_files_is_that_of_their_lines(tmp_path):
    a, b = tmp_path / "a.txt", tmp_path / "b.txt"
    a.write_text(f"{SMALL}\n" * 9)
    b.write_text(f"{SMALL}\n" * 9)
    share = LineShare([str(a), str(b)])
    assert share.at(f"{a}:5") == 5 / 20 and share.at(f"{b}:5") == 15 / 20
    assert LineShare(["-"]).at("stdin:3") is None and share.at("argument:1") is None


def test_nothing_is_shown_in_pipes(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(output, "DELAY", 0.0)
    (tmp_path / "in.txt").write_text(f"{EASY}\n{SMALL}\n")
    done = cli("sudoku", tmp_path / "in.txt", "-o", tmp_path / "out.txt")
    assert done.exit_code == 0 and "/s, " not in done.stderr and "\r" not in done.stderr
    done = cli("generate", "sudoku", "--size", "4x4", "-n", 3, "-o", tmp_path / "made.txt")
    assert done.stderr == "" and len((tmp_path / "made.txt").read_text().splitlines()) == 3


def test_messages_do_not_stand_behind_the_line_of_progress(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(output, "DELAY", 0.0)
    monkeypatch.setattr(output, "REDRAW_SECONDS", 0.0)
    monkeypatch.setattr(output, "is_terminal", lambda stream: True)
    with file_progress(tmp_path / "out", "puzzles", 3) as shown:
        shown.add()
        shown.add()
        run.echo_err("a message")
    run.echo_err("the end")
    text = capsys.readouterr().err
    assert re.search(r"\r\x1b\[K2 of 3 puzzles, [\d,.]+/s, 67%, \S+ \S+ left\r\x1b\[Ka message\n", text)
    assert text.endswith("\r\x1b[Kthe end\n")


def test_an_evaluation_shows_its_speed_and_the_time_left_of_each_part(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(output, "is_terminal", lambda stream: True)
    monkeypatch.setattr("trmsolve.cli.evaluate.time.monotonic", lambda: now[0])
    with evaluate._progress("m (1 of 2): ", True) as progress:
        now[0] = 102.0  # a batch of results comes at once
        for done in (1, 64):
            progress("solving", done, 1000)
        for now[0], done in ((200.0, 0), (210.0, 500)):
            progress("single pass", done, 1000)
    lines = capsys.readouterr().err.split(output.CLEAR_LINE)
    assert "m (1 of 2): solving, 64 of 1,000 puzzles, 32.0/s, 29.2 s left" in lines
    assert "m (1 of 2): single pass, 0 of 1,000 puzzles" in lines
    assert "m (1 of 2): single pass, 500 of 1,000 puzzles, 50.0/s, 10.0 s left" in lines


SLOW = """
import sys
from trmsolve.cli import output
output.DELAY = output.REDRAW_SECONDS = 0.0
from trmsolve.cli import main
sys.argv = ["trmsolve", *sys.argv[1:]]
main()
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX terminals")
def test_on_a_terminal_a_stream_to_a_file_shows_its_share(tmp_path):
    (tmp_path / "in.txt").write_text(f"{SMALL}\n" * 40)
    terminal = Terminal()
    arguments = [sys.executable, "-c", SLOW, "sudoku", str(tmp_path / "in.txt"), "--format", "line"]
    with (tmp_path / "out.txt").open("w") as stdout:
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=stdout, stderr=terminal.theirs)
        assert process.wait(PATIENCE) == 0
    text = terminal.close()
    assert re.search(r"40 puzzles, [\d,.]+/s, 98%, ", text) and "40 of 40 solved and verified" in text
    assert "\r\x1b[Kloading the model\r\x1b[K" in text  # with a delay of 0 seconds


def test_a_model_that_loads_quickly_is_not_announced(monkeypatch, capsys):
    monkeypatch.setattr(output, "is_terminal", lambda stream: True)
    with output.delayed_status("loading the model"):
        pass
    assert "loading" not in capsys.readouterr().err
    monkeypatch.setattr(output, "is_terminal", lambda stream: False)
    monkeypatch.setattr(output, "DELAY", 0.0)
    with output.delayed_status("loading the model"):
        pass
    assert capsys.readouterr().err == ""
