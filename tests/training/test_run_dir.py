"""The folder of a run: killed runs resume, damaged and foreign states are refused, one process at a time."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from safetensors.torch import save_file

from training.runs import Recorder, make_trainer
from trmsolve.checkpoint import read_header
from trmsolve.errors import TrmsolveError
from trmsolve.training import run_dir
from trmsolve.training.run_dir import RunDir


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_kill_minus_nine_loses_nothing_but_the_last_interval(tmp_path):
    command = [sys.executable, "-m", "trmsolve", "train", "--task", "sudoku", "--data", "generate:4x4", "--run", "run"]
    command += ["--batch-size", "4", "--width", "16", "--no-compile", "--steps", "60", "--save-minutes", "0.0005", "-q"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    state = tmp_path / "run" / "state.safetensors"
    end = time.monotonic() + 300
    while not state.exists() and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with RunDir(tmp_path / "run") as folder:
        tensors, values = folder.load()
    assert 0 < values["step"] < 60 and tensors
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert read_header(tmp_path / "run" / "sudoku.safetensors").provenance["steps"] == 60
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps))


def test_two_processes_cannot_train_in_one_folder(tmp_path):
    with RunDir(tmp_path), pytest.raises(TrmsolveError, match="another process"), RunDir(tmp_path):
        pass
    with RunDir(tmp_path):
        pass  # the lock is released


def test_a_lock_that_a_dying_process_still_holds_is_waited_for(tmp_path, monkeypatch):
    answers = iter([False, False, True])
    monkeypatch.setattr(run_dir, "_lock", lambda file: next(answers))
    with RunDir(tmp_path):
        pass
    assert next(answers, None) is None


def test_a_damaged_state_is_an_error_that_says_so(tmp_path):
    (tmp_path / "state.safetensors").write_bytes(b"not a state")
    with RunDir(tmp_path) as folder, pytest.raises(TrmsolveError, match="not a training state"):
        make_trainer(folder, 5)


def test_a_run_of_version_0_1_is_refused_with_the_release_that_continues_it(tmp_path):
    with RunDir(tmp_path) as folder:
        make_trainer(folder, 1).run(Recorder())
        tensors, values = folder.load()
        save_file(tensors, folder.state_file, {"state": json.dumps({**values, "format_version": 1})})
        with pytest.raises(TrmsolveError, match=r"0\.1\.0"):
            folder.load()


def test_rewind_log_removes_later_steps(tmp_path):
    folder = RunDir(tmp_path)
    for step in (50, 100, 150):
        folder.log({"step": step})
    with folder.metrics_file.open("a") as file:
        file.write('{"step": 2')  # cut short by a crash
    folder.rewind_log(100)
    assert [json.loads(line)["step"] for line in folder.metrics_file.read_text().splitlines()] == [50, 100]
