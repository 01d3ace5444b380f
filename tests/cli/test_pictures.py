"""trmsolve replay: a recorded refinement, shown and drawn again."""

from __future__ import annotations

import os
import select
import subprocess
import sys

import pytest

from render.fake import refinement
from trmsolve.render.trace import save_trace

from .conftest import COMMAND, PATIENCE


def test_a_solve_is_recorded_and_replayed(cli, tmp_path):
    trace = tmp_path / "run.jsonl"
    (tmp_path / "puzzle.txt").write_text("4..3....1....2.4\n")
    solved = cli("sudoku", tmp_path / "puzzle.txt", "--trace", trace, "--format", "line", "--no-show-steps")
    assert solved.exit_code == 0 and len(solved.stdout.strip()) == 16
    shown = cli("replay", trace)
    assert shown.exit_code == 0 and shown.stdout == ""
    assert "solved at step" in shown.stderr and "┌" in shown.stderr


def test_a_trace_is_drawn_into_files_and_never_over_one(cli, tmp_path):
    trace, page, image = save_trace(refinement(4), tmp_path / "a.jsonl"), tmp_path / "a.html", tmp_path / "a.gif"
    assert cli("replay", trace, "--html", page, "--gif", image).stderr == ""
    assert "solved at step 6" in page.read_text(encoding="utf-8") and image.read_bytes()[:3] == b"GIF"
    again = cli("replay", trace, "--html", page)
    assert again.exit_code == 2 and "already exists" in again.stderr and "--force" in again.stderr


def test_on_a_terminal_the_files_are_named(cli, tmp_path, monkeypatch):
    monkeypatch.setattr("trmsolve.cli.pictures.is_terminal", lambda stream: True)
    trace, page = save_trace(refinement(4), tmp_path / "a.jsonl"), tmp_path / "a.html"
    assert cli("replay", trace, "--html", page).stderr == f"wrote {page}\n"


def test_a_file_that_is_no_trace_is_refused(cli, tmp_path):
    (tmp_path / "a.txt").write_text("hello\n")
    done = cli("replay", tmp_path / "a.txt")
    assert done.exit_code == 2 and "a.txt:1: not JSON" in done.stderr and "--trace" in done.stderr
    assert cli("replay", tmp_path / "missing").exit_code == 2


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")
def test_on_a_terminal_keys_step_and_end_the_view_and_the_terminal_is_restored(tmp_path):
    import fcntl
    import termios

    trace = save_trace(refinement(4), tmp_path / "a.jsonl")
    ours, theirs = os.openpty()
    before = termios.tcgetattr(theirs)

    def own_terminal() -> None:
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [*COMMAND, "replay", str(trace), "--pace", "0"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"},
        preexec_fn=own_terminal,
    )
    text = ""

    def wait_for(words: str) -> None:
        nonlocal text
        while words not in text:
            assert select.select([ours], [], [], PATIENCE)[0], text
            text += os.read(ours, 65536).decode("utf-8", "replace")

    wait_for("space replays")
    os.write(ours, b"\x1b[D")
    wait_for("paused at 5 of 6")
    os.write(ours, b"q")
    assert process.wait(PATIENCE) == 0
    assert termios.tcgetattr(theirs) == before
    os.close(theirs)
    os.close(ours)
