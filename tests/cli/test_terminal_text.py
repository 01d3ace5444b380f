"""Untrusted text (file names, headers, task names, input) reaches the terminal through text_io.printable alone."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

import trmsolve
from tasks.arc import examples

SOURCE = Path(trmsolve.__file__).parent
WRITERS = {  # the files that may write to a terminal, and why that is safe
    "cli/output.py",  # put, status_line: through printable
    "cli/run.py",  # echo_err: through printable
    "cli/report.py",  # pictures of grids; titles through printable
    "cli/commands.py",  # the version
    "cli/explain.py",  # its own texts and puzzles
    "cli/__init__.py",  # two fixed messages
    "render/terminal.py",  # frames, whose texts render/caption.py makes printable
    "render/notebook.py",  # through printable
    "cli/reference.py",  # the help texts
    "render/train_panel.py",  # through printable
    "distributed.py",  # the watchdog's last message
    "tasks/__init__.py",  # what a task file, code that the user named, prints
}
OF_OTHERS = {"cli/checkpoints.py", "cli/doctor.py", "cli/train.py", "cli/train_run.py"}  # print(printable(...))
ESCAPE = "\x1b[2J\u202e"


def terminal_calls(path: Path) -> list[int]:
    """Lines of a module that print, or write to a standard stream."""
    lines = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name == "print" or name.endswith((".echo", "stdout.write", "stderr.write", "console.print", "os.write")):
                lines.append(node.lineno)
    return lines


def test_only_these_files_write_to_a_terminal():
    writers = {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if terminal_calls(path)}
    assert writers <= WRITERS | OF_OTHERS


@pytest.mark.parametrize(
    "args",
    [
        ("sudoku", f"{ESCAPE}.txt"),
        ("arc", f"{ESCAPE}.json"),
        ("eval", "sudoku", f"{ESCAPE}.txt"),
        ("sudoku", "-", "--checkpoint", f"{ESCAPE}"),
        ("sudoku", "-", "--format", f"{ESCAPE}"),
        ("solve", "--task", f"{ESCAPE}", "-"),
        ("solve", "--task", f"{ESCAPE}.py", "-"),
        ("sudoku", "-", "-o", f"no/{ESCAPE}"),
    ],
)
def test_control_characters_are_made_visible(cli, args):
    done = cli(*args, stdin="4..3....1....2.4")
    assert done.exit_code == 2
    assert "\x1b" not in done.stderr + done.stdout and "\u202e" not in done.stderr + done.stdout
    assert "\\x1b[2J\\u202e" in done.stderr


def test_names_of_tasks_are_made_visible(cli):
    done = cli("arc", "-", stdin=json.dumps({ESCAPE: examples.value(), f"b{ESCAPE}": {"train": []}}))
    assert done.exit_code == 2 and "\x1b" not in done.stderr + done.stdout
