"""What only a process of its own shows: imports, pipes, signals, terminals. Few, for each has to import torch."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trmsolve.cli.run import alarm
from trmsolve.errors import DeadlineExceeded

from .conftest import COMMAND, EASY, EASY_ANSWER, EXAMPLES, PATIENCE, SMALL, TWICE, Terminal

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals and terminals")

LIGHT = """
import sys
from typer.testing import CliRunner
from trmsolve.cli import app
for line in sys.stdin:
    expected, *arguments = line.split()
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == int(expected), (line, done.output)
    heavy = {"torch", "huggingface_hub", "PIL"} & set(sys.modules)
    assert not heavy, (line, heavy)
"""


def send(process: subprocess.Popen, text: str) -> None:
    process.stdin.write(text.encode())
    process.stdin.flush()


def ended(process: subprocess.Popen) -> tuple[int, str, str]:
    """Exit code and the rest of stdout and stderr, of a process whose stdin stays open."""
    code = process.wait(PATIENCE)
    return code, process.stdout.read().decode(), process.stderr.read().decode()


def test_light_commands_import_nothing_heavy(tmp_path):
    (tmp_path / "bad.json").write_text("{}")
    commands = ["--version", "--help", "checkpoints list", "checkpoints info sudoku", "generate sudoku --size 4x4"]
    names = ("sudoku", "arc", "train", "eval", "generate", "bench", "doctor", "checkpoints", "explain", "replay")
    lines = [f"0 {command}" for command in (*commands, *(f"{name} --help" for name in names))]
    lines.append(f"2 arc {tmp_path / 'bad.json'}")  # a malformed task needs no model
    done = subprocess.run([sys.executable, "-c", LIGHT], input="\n".join(lines), text=True, timeout=PATIENCE)
    assert done.returncode == 0


def test_a_command_imports_no_other_command():
    program = "import sys; from typer.testing import CliRunner; from trmsolve.cli import app; "
    program += "CliRunner().invoke(app, ['sudoku', '--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE)
    modules = set(done.stdout.split())
    others = ("train", "evaluate", "bench", "explain", "generate", "plot", "checkpoints", "read", "doctor")
    assert "trmsolve.cli.solve" in modules and not {f"trmsolve.cli.{name}" for name in others} & modules


def test_the_first_answer_comes_before_the_input_ends(start):
    process = start("sudoku", "--format", "jsonl")
    send(process, f"{TWICE}\n{EASY}\n")
    assert "row 1 holds 1 twice" in json.loads(process.stdout.readline())["error"]
    assert json.loads(process.stdout.readline())["answer"] == EASY_ANSWER
    send(process, f"{SMALL}\n")
    assert json.loads(process.stdout.readline())["verified"]
    process.send_signal(signal.SIGTERM)
    code, rest, stderr = ended(process)
    assert (code, rest) == (143, "")
    assert "terminated" in stderr and "Traceback" not in stderr and "Fatal" not in stderr


def test_interrupted_json_is_valid(start):
    process = start("sudoku", "-", "--json")
    send(process, f"{SMALL}\n")
    seen = ""
    while "\n}" not in seen:
        seen += process.stdout.read1(1).decode()
    process.send_signal(signal.SIGINT)
    code, rest, stderr = ended(process)
    assert code == 130
    assert len(json.loads(seen + rest)) == 1
    assert "interrupted" in stderr and "Traceback" not in stderr and "Fatal" not in stderr


def test_timeout_also_while_waiting_for_input(start):
    process = start("sudoku", "-", "--json", "--timeout", 0.5)
    code, text, stderr = ended(process)
    assert (code, json.loads(text)) == (124, [])
    assert "out of time" in stderr and "Fatal" not in stderr


def test_a_reader_that_goes_away_is_no_failure():
    command = f"yes {SMALL} | {{ {' '.join(COMMAND)} sudoku - --format line; echo $? >&2; }} | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=PATIENCE)
    assert len(done.stdout) == 17
    assert done.stderr == "0\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_closed_stdin_that_is_named():
    line = [*COMMAND, "sudoku", "-", EASY]
    done = subprocess.run(["sh", "-c", '"$@" <&-', "sh", *line], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2 and EASY_ANSWER in done.stdout, done.stderr
    assert "stdin: is closed, expected puzzles" in done.stderr


@pytest.mark.parametrize("args", [["generate", "sudoku", "--size", "4x4"], ["--version"], ["checkpoints", "list"]])
def test_a_closed_stdout(args):
    line = ["sh", "-c", '"$@" >&-', "sh", *COMMAND, *args]
    done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (2, "error: cannot write the answers: Bad file descriptor\n")


def test_a_full_disk():
    with Path("/dev/full").open("w") as full:
        command = [*COMMAND, "generate", "sudoku", "--size", "4x4"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot write the answers: No space left")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("args", [["--version"], ["--help"], ["sudoku", "--help"]])
def test_a_full_disk_for_version_and_help(args):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*COMMAND, *args], stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (2, "error: cannot write the answers: No space left on device\n")


def test_an_interrupt_while_commands_are_imported(tmp_path):
    """Ctrl-C in the first half second. A module that stands for a slow import raises it."""
    program = "import sys; sys.argv = ['trmsolve', '--version']; from trmsolve.cli import main; "
    program += "import builtins; real = builtins.__import__\n"
    program += "def slow(name, *args):\n    if name == 'typer': raise KeyboardInterrupt\n    return real(name, *args)\n"
    program += "builtins.__import__ = slow; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_live_view(start):
    terminal = Terminal()
    process = start("sudoku", EXAMPLES / "easy.txt", "--format", "line", stderr=terminal.theirs, env={"TERM": "xterm"})
    assert process.wait(PATIENCE) == 0
    assert process.stdout.read().decode() == f"{EASY_ANSWER}\n"
    shown = terminal.close()
    assert "\x1b[?25l" in shown and shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
    assert re.search(r"\x1b\[[0-9;]*3[0-9]", shown)  # colour
    last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown[shown.rindex("\x1b[1A") :])
    rows = ["".join(re.findall("[1-9]", line))[:9] for line in last.splitlines() if line.count("│") >= 4]
    assert "".join(rows) == EASY_ANSWER  # the solved grid is what stays


def test_interrupted_live_view(start):
    terminal = Terminal()
    environment = {"TERM": "xterm", "NO_COLOR": "1"}
    process = start(
        "sudoku", EXAMPLES / "easy.txt", "--show-steps", "--pace", 600, stderr=terminal.theirs, env=environment
    )
    terminal.wait_for("\x1b[?25l")
    terminal.wait_for("┌")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130
    assert process.stdout.read() == b""
    shown = terminal.close()
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
    assert "interrupted" in shown and "Traceback" not in shown
    assert not re.search(r"\x1b\[([0-9;]*;)?(3[0-7]|9[0-7])m", shown)


def test_completion():
    shown = subprocess.run([*COMMAND, "--show-completion", "bash"], capture_output=True, text=True, timeout=PATIENCE)
    assert shown.returncode == 0 and "complete -o default -F" in shown.stdout
    environment = {**os.environ, "_TRMSOLVE_COMPLETE": "complete_bash", "COMP_WORDS": "trmsolve su", "COMP_CWORD": "1"}
    program = "import sys; sys.argv[0] = 'trmsolve'; from trmsolve.cli import main; main()"
    process = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=60
    )
    assert process.stdout.split() == ["sudoku"]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timer on this system")
def test_the_deadline_also_ends_the_building_of_a_model():
    until = time.monotonic() + 60.0
    with pytest.raises(DeadlineExceeded), alarm(time.monotonic() + 0.05):
        while time.monotonic() < until:  # as the import of torch, it does not look at the deadline
            pass
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0, "the timer is off again"
