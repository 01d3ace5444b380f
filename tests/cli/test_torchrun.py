"""Two processes of torchrun's do what one does: the same bytes, apart from the time taken."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from .conftest import EASY, EXAMPLES, HIDDEN, PATIENCE, SMALL, TWICE

pytestmark = pytest.mark.skipif(os.name == "nt", reason="torch for Windows comes without libuv, which torchrun wants")

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "trmsolve"]
BAD = ["no puzzle", EASY[:70], EASY + EASY, TWICE, EASY[:40] + "\x00" + EASY[41:], "." * 100]
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
TIMES = re.compile(r'"(seconds|puzzles_per_second)": [\d.]+|[\d.]+ s, [\d.]+ puzzles/s')


def puzzles() -> str:
    """Lines with bad ones and one without a solution among them."""
    good = (EXAMPLES / "stream.txt").read_text().splitlines()[1:6]
    lines = [*good[:2], BAD[0], BAD[1], HIDDEN, good[2], *BAD[2:], *good[3:], SMALL, EASY]
    return "\n".join(lines) + "\n"


def without_times(text: str) -> str:
    return TIMES.sub("", text)


def own_stderr(text: str) -> str:
    """The messages of the command itself: torchrun's log, and its traceback for every exit code but 0, left out."""
    lines = text.split("Traceback")[0].splitlines()
    return without_times("\n".join(line for line in lines if not re.match(r"[IWE]\d{4} ", line)))


@pytest.fixture
def two():
    """Calls the command line in two processes; one thread each."""

    def call(*args: object, stdin: str = "") -> subprocess.CompletedProcess:
        command = [*TORCHRUN, *map(str, args)]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=PATIENCE, env=ONE_THREAD)

    return call


def test_a_stream_with_bad_puzzles(cli, two):
    options = ("sudoku", "-", "--format", "jsonl", "--restarts", 4, "--device", "cpu")
    one, shared = cli(*options, stdin=puzzles()), two(*options, stdin=puzzles())
    assert one.exit_code == 2 and shared.returncode == 1  # torchrun makes 1 of every failure, and names ours
    assert re.search(r"exitcode +: 2 ", shared.stderr)
    assert without_times(shared.stdout) == without_times(one.stdout)
    assert own_stderr(shared.stderr) == without_times(one.stderr).rstrip("\n")
    assert len(one.stdout.splitlines()) == len(puzzles().splitlines())


def test_eval_reports_the_same(cli, two, tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("".join((EXAMPLES / "stream.csv").read_text().splitlines(True)[:6]) + "x,y\n")
    options = (
        "eval",
        "sudoku",
        path,
        "--restarts",
        1,
        "--max-steps",
        2,
        "--batch-size",
        2,
        "--device",
        "cpu",
        "--json",
    )
    one, shared = cli(*options), two(*options)
    assert one.exit_code == 2 and json.loads(one.stdout)["puzzles"] >= 4
    assert without_times(shared.stdout) == without_times(one.stdout)
    assert own_stderr(shared.stderr) == one.stderr.rstrip("\n")


def test_a_killed_process_ends_all():
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    program = [*TORCHRUN, "sudoku", "-", "--format", "line"]
    with subprocess.Popen(program, **pipes, text=True, env=ONE_THREAD) as process:
        process.stdin.write(f"{SMALL}\n{SMALL}\n")
        process.stdin.flush()
        assert [len(process.stdout.readline()) for _ in range(2)] == [17, 17]
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True).stdout
        rows = [tuple(map(int, line.split())) for line in listed.splitlines()]
        os.kill(max(child for child, parent in rows if parent == process.pid), signal.SIGKILL)  # started last
        assert process.wait(PATIENCE) == 1
        text = process.stderr.read()
    assert "SIGKILL" in text and "Exception in thread" not in text  # torchrun names the signal and ends the others


def test_a_command_that_is_not_distributed_runs_once(two):
    done = two("generate", "sudoku", "--size", "4x4", "-n", 2)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 2
    assert own_stderr(done.stderr) == "this command uses one process; 1 of 2 stay idle"
