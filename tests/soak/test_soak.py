"""The soak in its short form. TRMSOLVE_SOAK_MINUTES makes it as long as you like."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trmsolve.cli import app

from . import killed
from .room import room
from .stream import GROWTH, Stream

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals, limits and ps")

MINUTES = float(os.environ.get("TRMSOLVE_SOAK_MINUTES", "0.2"))
EASY = "1.54.9....4.5..9..83.....45.8...719...7..85..5.1.6.2.73..7....995..4.371.18..64..\n"


def call(*args: object, stdin: str | None = None):
    done = CliRunner().invoke(app, [str(arg) for arg in args], input=stdin, prog_name="trmsolve")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert "Traceback" not in done.stderr and "internal error" not in done.stderr, done.stderr
    return done


def test_a_long_stream(tmp_path):
    outcome = Stream(tmp_path, 60 * MINUTES, bad=0.7).run()
    bad = outcome.records - sum(outcome.kinds[kind] for kind in ("6x6", "9x9", "unsolvable"))
    assert outcome.code == 2 and f"{bad} not readable" in outcome.said and f" of {outcome.records} " in outcome.said
    assert outcome.replaced >= 5 and len(outcome.kinds) >= 8
    assert outcome.growth < GROWTH, outcome


# -- training ---------------------------------------------------------------------------------------------------
@pytest.fixture
def one_thread():
    """In this process as in those that are killed: sums differ with the number of threads."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_killed_training_equals_an_uninterrupted_run(tmp_path, one_thread):
    one, other, steps = tmp_path / "left_alone", tmp_path / "killed", 60
    assert call(*killed.arguments(one, steps)).exit_code == 0
    assert len(killed.killed(other, steps, kills=2)) == 2

    def second() -> None:
        refused = call(*killed.arguments(other, steps))
        assert refused.exit_code == 2 and "another process is training here" in refused.stderr
        assert "name another --run" in refused.stderr

    code, said = killed.terminated(other, steps, second)
    assert code == 143 and "interrupted at step" in said and "resume with the same command" in said
    killed.finished(other, steps)
    assert killed.differences(one, other) == []
    lines = [json.loads(line) for line in (other / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["step"] == 50] == [50]  # once; more lines on a slow machine


# -- a full disk ------------------------------------------------------------------------------------------------
@pytest.fixture
def folder(tmp_path):
    """A folder with an old file; at the end nothing has been left there by halves."""
    (tmp_path / "old").write_text("old")
    yield tmp_path
    assert (tmp_path / "old").read_text() == "old"
    assert not [path.name for path in tmp_path.rglob("*") if path.name.endswith((".part", ".tmp"))]


@pytest.mark.parametrize(
    "command",
    [
        ("sudoku", "-", "--json", "--force", "-o"),
        ("sudoku", "-", "--force", "--svg"),
        ("sudoku", "-", "--force", "--gif"),
        ("eval", "sudoku", "-", "--force", "--plot"),
        ("generate", "sudoku", "-n", 20, "--force", "-o"),
    ],
)
def test_no_room_for_a_file(folder, command):
    path = folder / "old"
    if "--plot" in command:
        path = (folder / "old").with_suffix(".svg")
        path.write_text("old")
    with room(200):
        done = call(*command, path, stdin=EASY)
    assert done.exit_code == 2 and f"error: cannot write {path}: File too large" in done.stderr
    assert path.read_text() == "old"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_no_room_on_the_device(folder):
    done = call("sudoku", "-", "-o", "/dev/full", "--force", stdin=EASY)
    assert done.exit_code == 2 and "error: cannot write /dev/full: No space left" in done.stderr


def test_no_room_for_a_run(folder, one_thread):
    run = folder / "run"
    assert call(*killed.arguments(run, 2)).exit_code == 0
    state, checkpoint = (run / killed.STATE).read_bytes(), (run / killed.CHECKPOINT).read_bytes()
    with room(len(state) // 2):
        done = call(*killed.arguments(run, 4))
    assert done.exit_code == 2 and f"error: {run}: the run cannot be saved: " in done.stderr
    assert "File too large" in done.stderr and "resumes from the last save" in done.stderr
    assert (run / killed.STATE).read_bytes() == state and (run / killed.CHECKPOINT).read_bytes() == checkpoint
    assert call(*killed.arguments(run, 4)).exit_code == 0 and killed.step_of(run) == 4


def test_no_room_for_a_submission(folder, one_thread):
    from trmsolve.checkpoint import save
    from trmsolve.model.config import TRMConfig
    from trmsolve.model.trm import TRM
    from trmsolve.tasks.arc import TASK

    config = TRMConfig.from_dict({**TASK.model_defaults, "hidden_size": 16, "intermediate_size": 16, "num_puzzles": 1})
    tiny, task = folder / "tiny.safetensors", {"input": [[1, 2]], "output": [[2, 1]]}
    save(tiny, TRM(config).state_dict(), "arc", config.to_dict(), {}, {})
    (folder / "task.json").write_text(json.dumps({"train": [task] * 2, "test": [{"input": [[3, 4]]}]}))
    quick = ("--steps", 1, "--votes", 1, "--max-steps", 1, "--device", "cpu", "--checkpoint", tiny)
    with room(10):
        done = call("arc", folder / "task.json", *quick, "--force", "--submission", folder / "old")
    assert done.exit_code == 2 and f"error: cannot write {folder / 'old'}: File too large" in done.stderr
