"""The command line, called in this process (fast) or as a process of its own (pipes, signals, terminals)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trmsolve import tasks
from trmsolve.cli import app

EXAMPLES = Path(__file__).parents[2] / "examples" / "sudoku"
COMMAND = [sys.executable, "-m", "trmsolve"]
PATIENCE = 300  # seconds: a limit for hanging, not a measure of speed

EASY, OTHER = (line.split(",")[0] for line in (EXAMPLES / "stream.csv").read_text().splitlines()[1:5:3])
EASY_ANSWER, OTHER_ANSWER = (line.split(",")[1] for line in (EXAMPLES / "stream.csv").read_text().splitlines()[1:5:3])
TWICE = EASY[:8] + "1" + EASY[9:]  # row 1 holds 1 twice, columns 1 and 9
SMALL = "4..3....1....2.4"
HIDDEN = "1...4.....3...41"  # no solution, though every open cell and unit has something left
OBVIOUS = "123....4........"  # no solution: row 1, column 4 has nothing left


class Terminal:
    """A terminal of 100 x 40; what is written to it can be waited for."""

    def __init__(self) -> None:
        import fcntl
        import struct
        import termios

        self.ours, self.theirs = os.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self.text = ""
        self.more = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        try:
            while data := os.read(self.ours, 65536):
                with self.more:
                    self.text += data.decode(errors="replace")
                    self.more.notify_all()
        except OSError:  # the other end has closed
            pass

    def wait_for(self, text: str) -> None:
        with self.more:
            assert self.more.wait_for(lambda: text in self.text, PATIENCE), self.text

    def close(self) -> str:
        """Everything that was written."""
        os.close(self.theirs)
        self.reader.join(PATIENCE)
        os.close(self.ours)
        return self.text


@pytest.fixture(scope="session")
def tiny_arc_checkpoint(tmp_path_factory):
    """An untrained ARC network, as small as possible."""
    import torch

    from trmsolve.checkpoint import save
    from trmsolve.model.config import TRMConfig
    from trmsolve.model.trm import TRM
    from trmsolve.tasks.arc import TASK

    torch.manual_seed(1)
    config = TRMConfig.from_dict({**TASK.model_defaults, "hidden_size": 16, "intermediate_size": 16, "num_puzzles": 1})
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors"
    save(path, TRM(config).state_dict(), "arc", config.to_dict(), {}, {})
    return path


@pytest.fixture(autouse=True)
def separate_registry(monkeypatch):
    """Tasks that a test loads from files are unknown to the next one."""
    monkeypatch.setattr(tasks, "_registered", {})
    monkeypatch.setattr(tasks, "_files", {})


@pytest.fixture
def cli():
    """Calls the command line; the result has exit_code, stdout and stderr."""

    def call(*args: object, stdin: str | bytes | None = None):
        result = CliRunner().invoke(app, [str(arg) for arg in args], input=stdin, prog_name="trmsolve")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.stderr and "internal error" not in result.stderr, result.stderr
        return result

    return call


@pytest.fixture
def start():
    """Starts the command line as a process; what is left of it at the end of the test is killed."""
    running: list[subprocess.Popen] = []

    def go(*args: object, **how) -> subprocess.Popen:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        environment = {**os.environ, **how.pop("env", {})}
        if os.name == "posix":  # a shell's background job, as CI may be, hands down that Ctrl-C is to be ignored
            how.setdefault("preexec_fn", lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        process = subprocess.Popen([*COMMAND, *map(str, args)], **{**pipes, **how}, env=environment)
        running.append(process)
        return process

    yield go
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()
