"""trmsolve train at the terminal: what it shows, refuses, and leaves behind. And trmsolve plot."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import sys
import threading
import time
import types
from types import SimpleNamespace
from typing import Any
from xml.dom import minidom

import pytest
import torch
from PIL import Image
from rich.console import Console

from trmsolve.checkpoint import read_header
from trmsolve.cli.run import logged_to
from trmsolve.cli.train_run import Evaluation, StopRequests
from trmsolve.render.train_panel import TrainPanel
from trmsolve.training.config import TrainConfig

from .conftest import PATIENCE, TWICE

TINY = ("train", "--task", "sudoku", "--batch-size", 4, "--width", 16, "--no-compile", "--data", "generate:4x4")


# -- what it shows ------------------------------------------------------------------------------------------------
def test_a_pipe_gets_lines_and_the_last_one_says_how_to_use_the_model(cli, tmp_path):
    held = tmp_path / "held.csv"
    held.write_text(cli("generate", "sudoku", "--size", "4x4", "-n", 4, "--format", "csv").stdout)
    done = cli(*TINY, "--run", tmp_path / "run", "--steps", 4, "--eval", held)
    lines = done.stderr.splitlines()
    assert done.exit_code == 0 and done.stdout == ""
    assert lines[0].startswith("training sudoku in ")
    assert re.match(r"training [\d.]+ m?s, .*step 1, loss \d", lines[1])
    (evaluated,) = [line for line in lines if line.startswith("evaluated ")]
    assert re.match(r"evaluated at step 4: puzzles 4, accepted after 16 steps [\d.]+%", evaluated)
    path = tmp_path / "run" / "sudoku.safetensors"
    assert lines[-1] == f"use it: trmsolve sudoku FILE --checkpoint {path}"
    assert read_header(path).provenance["history"][0]["step"] == 4
    measured = read_header(path).metrics
    assert measured["held"]["n"] == 4
    assert cli(*TINY, "--run", tmp_path / "run", "--steps", 4).exit_code == 0  # it is finished already
    assert read_header(path).metrics == measured
    quiet = cli(*TINY, "--run", tmp_path / "run", "--steps", 5, "-q").stderr
    assert len(quiet.splitlines()) == 2 and "resuming" in quiet and "finished at step 5" in quiet


def test_warnings_of_the_library_are_shown():
    """Such as the number of training puzzles that are complete already and left out."""
    messages = []
    logger = logging.getLogger("trmsolve.tasks.dataset")
    with logged_to(messages.append, logging.WARNING):
        logger.warning("%s: %d of %d are left out", "d.csv", 2, 5)
        logger.info("not shown")
    logger.warning("not shown")
    assert messages == ["d.csv: 2 of 5 are left out"]


# -- what it refuses ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [100_000_000, 10_000_000_000])
def test_a_batch_that_does_not_fit_into_memory_is_refused_with_both_figures(cli, tmp_path, size, monkeypatch):
    monkeypatch.setattr("trmsolve.training.memory.available_memory", lambda: 4_000_000_000)
    done = cli(*TINY, "--batch-size", size, "--run", tmp_path / "run", "--steps", 1)
    assert done.exit_code == 2
    assert re.search(rf"--batch-size {size} needs about [\d,.]+ GB of memory, 4\.0 GB are available", done.stderr)
    (fits,) = re.findall(r"use --batch-size (\d+) or less", done.stderr)
    assert 10 < int(fits) < 1_000_000 and not (tmp_path / "run" / "state.safetensors").exists()


def test_a_model_that_does_not_fit_is_refused_before_it_is_built(cli, tmp_path):
    sizes = [word for name in ("hidden_size=16384", "num_layers=256") for word in ("--set", f"model.{name}")]
    done = cli("train", "--task", "sudoku", *sizes, "--steps", 1, "--run", tmp_path / "run")
    assert done.exit_code == 2 and re.search(r"needs about [\d,.]+ GB of memory, [\d,.]+ GB are available", done.stderr)


def test_more_threads_than_cores_are_refused(cli, tmp_path):
    done = cli(*TINY, "--threads", 100_000, "--steps", 1, "--run", tmp_path / "run")
    assert done.exit_code == 2 and re.search(r"--threads 100000: this machine has \d+ core", done.stderr)
    assert not (tmp_path / "run").exists()


def test_tensorboard_must_be_installed_and_receives_metrics(cli, tmp_path, monkeypatch):
    monkeypatch.setattr("trmsolve.cli.train.find_spec", lambda name: None)
    done = cli(*TINY, "--tensorboard", "--steps", 1, "--run", tmp_path / "run")
    assert done.exit_code == 2 and "pip install tensorboard" in done.stderr
    events = []

    class Writer:
        def __init__(self, folder):
            assert folder == str(tmp_path / "run" / "tensorboard")

        def __enter__(self):
            return self

        def __exit__(self, *_): ...
        def flush(self): ...
        def add_scalar(self, name, value, step):
            events.append((name, step))

    monkeypatch.setattr("trmsolve.cli.train.find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))
    assert cli(*TINY, "--tensorboard", "--steps", 2, "--run", tmp_path / "run").exit_code == 0
    assert ("train/loss", 2) in events


# -- the checkpoint and the state ---------------------------------------------------------------------------------
def test_the_checkpoint_is_as_new_as_the_state(cli, tmp_path, monkeypatch):
    from trmsolve.training.trainer import Trainer

    run = tmp_path / "run"
    own, seen, save = run / "sudoku.safetensors", [], Trainer._save

    def saving(trainer, *args):
        save(trainer, *args)
        seen.append((trainer.step, read_header(own).provenance["steps"]))

    monkeypatch.setattr(Trainer, "_save", saving)
    assert cli(*TINY, "--run", run, "--steps", 4, "--save-minutes", 0).exit_code == 0
    assert seen == [(k, k) for k in (1, 2, 3, 4)]
    own.unlink()  # as after a crash between the two files
    output = tmp_path / "out.safetensors"
    assert cli(*TINY, "--run", run, "--steps", 6, "-o", output).exit_code == 0
    assert read_header(own).provenance["steps"] == read_header(output).provenance["steps"] == 6


# -- runs ---------------------------------------------------------------------------------------------------------
def test_train_and_resume(cli, tmp_path):
    run, out = tmp_path / "run", tmp_path / "mine.safetensors"
    done = cli(*TINY, "--run", run, "--steps", 3)
    assert done.exit_code == 0 and done.stdout == "" and "finished at step 3" in done.stderr
    done = cli(*TINY, "--run", run, "--steps", 6, "-o", out)
    assert done.exit_code == 0 and "resuming from step 3" in done.stderr and "finished at step 6" in done.stderr
    assert "the run was complete" not in done.stderr
    info = json.loads(cli("checkpoints", "info", out, "--json").stdout)
    assert info["model"]["hidden_size"] == 16 and info["provenance"]["steps"] == 6
    assert cli(*TINY, "--run", run, "--steps", 6, "-o", out).exit_code == 2  # would overwrite
    again = cli(*TINY, "--run", run, "--steps", 6)
    assert again.exit_code == 0 and "the run was complete: raise --minutes or --steps" in again.stderr
    other = cli(*TINY, "--width", 8, "--run", run, "--steps", 9)
    assert other.exit_code == 2 and "another model" in other.stderr
    solved = cli("sudoku", "-", "--checkpoint", out, "--max-steps", 1, "--restarts", 0, stdin="4..3....1....2.4")
    assert solved.exit_code in (0, 1)
    fine = cli(*TINY, "--from", out, "--run", tmp_path / "b", "--steps", 1)
    assert fine.exit_code == 0


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "no such file"),
        (f"question,answer\n{TWICE},\n", "row 1 holds 1 twice"),
        ("4..3....1....2.4\n", "the answer is missing"),
        ("question,answer\n4..3....1....2.4,1111111111111111\n", "the answer is wrong"),
    ],
)
def test_bad_training_data(cli, tmp_path, content, expected):
    path = tmp_path / "d.csv"
    if content:
        path.write_text(content)
    done = cli("train", "--task", "sudoku", "--data", path, "--run", tmp_path / "run", "--steps", 1)
    assert done.exit_code == 2 and expected in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("spec", ["generate:nonsense", "generate:5x5", "generate:9x9=much", "no.npz"])
def test_bad_data_specs(cli, tmp_path, spec):
    done = cli("train", "--task", "sudoku", "--data", spec, "--run", tmp_path / "run", "--steps", 1)
    assert done.exit_code == 2 and done.stderr.startswith("error: ")


def test_a_run_folder_belongs_to_one_process(cli, tmp_path):
    from trmsolve.training.run_dir import RunDir

    with RunDir(tmp_path / "run"):
        done = cli(*TINY, "--run", tmp_path / "run", "--steps", 1)
    assert done.exit_code == 2 and "another process is training here" in done.stderr
    (tmp_path / "run" / "state.safetensors").write_bytes(b"nonsense")
    done = cli(*TINY, "--run", tmp_path / "run", "--steps", 1)
    assert done.exit_code == 2 and "not a training state" in done.stderr


@pytest.mark.parametrize("name", ["state.safetensors", "metrics.jsonl", "lock"])
def test_a_pipe_in_a_run_folder_is_refused(cli, tmp_path, name):
    os.mkfifo(tmp_path / name)
    done = cli(*TINY, "--run", tmp_path, "--steps", 1)
    assert done.exit_code == 2 and f"{name}: not a regular file" in done.stderr


def test_a_checkpoint_without_its_state_is_not_overwritten(cli, tmp_path):
    assert cli(*TINY, "--run", tmp_path, "--steps", 1).exit_code == 0
    (tmp_path / "state.safetensors").unlink()
    done = cli(*TINY, "--run", tmp_path, "--steps", 2)
    assert done.exit_code == 2 and "has a checkpoint, sudoku.safetensors, but no training state" in done.stderr
    assert cli(*TINY, "--run", tmp_path, "--steps", 2, "--force").exit_code == 0


# -- stopping -----------------------------------------------------------------------------------------------------
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_signal_requests_a_stop_and_a_second_one_aborts():
    from trmsolve.cli.train_run import StopRequests

    acknowledged, announced = [], threading.Event()
    handler = signal.getsignal(signal.SIGINT)
    stop = StopRequests(lambda text: (acknowledged.append(text), announced.set()))
    with stop.handled(), pytest.raises(KeyboardInterrupt):  # nothing can be lost yet
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(10)
    assert announced.wait(10) and acknowledged == ["stopping"]
    stop = StopRequests(acknowledged.append)
    stop.may_abort = False
    with stop.handled():
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()
        with stop.abortable(), pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is handler, "the handler before is back"


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 143)])
def test_a_stopped_run_acknowledges_the_signal_and_saves(start, tmp_path, number, code):
    process = start(*TINY, "--run", tmp_path / "run", "--minutes", 60)
    for line in process.stderr:
        if b"loss" in line:  # the first line of progress
            break
    process.send_signal(getattr(signal, number))
    stdout, stderr = (stream.decode() for stream in process.communicate(timeout=PATIENCE))
    assert (process.returncode, stdout) == (code, ""), stderr
    assert "stopping after this step; once more to stop without saving" in stderr
    assert "resume with the same command" in stderr
    step = int(re.search(r"interrupted at step (\d+)", stderr)[1])
    assert read_header(tmp_path / "run" / "sudoku.safetensors").provenance["steps"] == step


# -- evaluation ---------------------------------------------------------------------------------------------------
def job_of(puzzles: int, **settings):
    from trmsolve.cli.train import TrainArgs
    from trmsolve.cli.train_run import TrainJob
    from trmsolve.tasks.base import Puzzle
    from trmsolve.tasks.sudoku import TASK
    from trmsolve.tasks.sudoku.generate import generate

    recipe = types.SimpleNamespace(train=TrainConfig(**settings), task="sudoku")
    held_out = {"held": [Puzzle(*generate(1, index, 4)[:2]) for index in range(puzzles)]}
    return TrainJob(TrainArgs(), recipe, TASK, None, held_out, None, None)


@pytest.mark.parametrize(("minutes", "seconds", "expected"), [(1, 30, 38), (1, 60, 8), (1, 80, 0), (100, 6000, 298)])
def test_an_evaluation_ends_with_the_minutes_of_the_run(monkeypatch, minutes, seconds, expected):
    import time

    from trmsolve.cli.train_run import Evaluation

    monkeypatch.setattr(time, "monotonic", lambda: 5.0)
    evaluation = Evaluation(job_of(1, minutes=minutes), types.SimpleNamespace(seconds=seconds), None, None)
    assert evaluation.deadline() - 5.0 == pytest.approx(expected)


def test_an_evaluation_without_time_measures_nothing_and_one_with_some_whole_batches(monkeypatch):
    import time

    import torch

    from trmsolve.inference import evaluate
    from trmsolve.model.config import TRMConfig
    from trmsolve.model.trm import TRM
    from trmsolve.tasks.sudoku import TASK

    config = TRMConfig.from_dict({**TASK.model_defaults, "hidden_size": 4, "intermediate_size": 4, "n": 1})
    model, puzzles = TRM(config), job_of(7).held_out["held"]
    monkeypatch.setattr(evaluate, "BATCH_SIZE", 3)
    solver = evaluate.solver_for(TASK, model, torch.float32)
    reached = []

    def after(number: int):
        """A progress function that uses up the time after this many puzzles."""

        def progress(num_done, total):
            reached.append((num_done, total))
            if num_done > number:
                monkeypatch.setattr(evaluate.time, "monotonic", lambda: float("inf"))

        return progress

    real = time.monotonic
    for number, expected in ((0, 0), (3, 3), (100, 7)):
        monkeypatch.setattr(evaluate.time, "monotonic", real)
        counts = evaluate.measure_single_pass(solver, puzzles, (2,), real() + 1e6, after(number))
        assert counts.puzzles == expected
    assert reached[-1] == (7, 7)
    monkeypatch.setattr(evaluate.time, "monotonic", real)
    assert evaluate.measure_held_out(TASK, model, {"held": puzzles}, torch.float32, real() - 1) == {}
    whole = evaluate.measure_held_out(TASK, model, {"held": puzzles[:2]}, torch.float32)
    assert whole["held"]["n"] == 2 and "of" not in whole["held"]


# -- plot ---------------------------------------------------------------------------------------------------------
def log(folder, steps: int, **values) -> None:
    folder.mkdir()
    with (folder / "metrics.jsonl").open("w") as file:
        for step in range(10, steps, 10):
            record = {"step": step, "loss": 1 / step, "exact_accuracy": step / steps, "lr": 1e-3} | values
            file.write(json.dumps(record) + "\n")
        file.write(json.dumps({"step": steps, "kind": "evaluation", "exact_at_16": 0.4, "exact_at_32": 0.5}) + "\n")
        file.write('{"step": 5')  # cut short


def test_runs_are_drawn_into_one_picture(cli, tmp_path):
    log(tmp_path / "one", 20_000)
    log(tmp_path / "two", 300, loss=float("nan"))
    log(tmp_path / "<&\x1b", 200)
    done = cli("plot", tmp_path / "one", tmp_path / "two", tmp_path / "<&\x1b")
    path = tmp_path / "one" / "plot.svg"
    assert done.exit_code == 0 and done.stdout == f"{path}\n"
    text = path.read_text()
    picture = minidom.parseString(text)
    assert len(picture.documentElement.getElementsByTagName("svg")) == 3
    for words in ("loss", "exact accuracy, %", "learning rate", "one, held out", "two", "&lt;&amp;"):
        assert f">{words}" in text, words
    assert "<script" not in text and len(text) < 1_000_000
    assert cli("plot", tmp_path / "one").exit_code == 0  # its own file is replaced
    other = tmp_path / "other.svg"
    assert cli("plot", tmp_path / "one" / "metrics.jsonl", "-o", other).exit_code == 0
    assert cli("plot", tmp_path / "one", "-o", other).exit_code == 2


def test_runs_are_drawn_as_png(cli, tmp_path, monkeypatch):
    log(tmp_path / "one", 200)
    assert cli("plot", tmp_path / "one", "--png").stdout == f"{tmp_path / 'one' / 'plot.png'}\n"
    assert cli("plot", tmp_path / "one", "-o", tmp_path / "other.png").exit_code == 0
    for path in (tmp_path / "one" / "plot.png", tmp_path / "other.png"):
        with Image.open(path) as image:
            assert image.format == "PNG" and image.size == (900, 900) and len(image.getcolors(10**6)) > 10
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    refused = cli("plot", tmp_path / "one", "--png")
    assert refused.exit_code == 2 and "pip install resvg-py" in refused.stderr


@pytest.mark.parametrize(("text", "message"), [(None, "cannot read"), ("", "holds no metrics"), ("[1]\n", "holds no")])
def test_a_folder_without_metrics_is_refused(cli, tmp_path, text, message):
    if text is not None:
        (tmp_path / "metrics.jsonl").write_text(text)
    done = cli("plot", tmp_path)
    assert done.exit_code == 2 and message in done.stderr


def test_only_an_evaluation_during_a_run_says_that_there_was_no_time(monkeypatch):
    """At the end of a run the report on the held-out puzzles says how many were measured."""
    monkeypatch.setattr("trmsolve.inference.evaluate.solver_for", lambda *_: None)
    monkeypatch.setattr("trmsolve.inference.evaluate.measure_single_pass", lambda *_: SimpleNamespace(puzzles=0))
    for minutes, number in ((0.1, 0), (1000.0, 1)):
        recipe, args = SimpleNamespace(train=SimpleNamespace(minutes=minutes)), SimpleNamespace(eval_minutes=10.0)
        job: Any = SimpleNamespace(recipe=recipe, args=args, held_out={}, task=None)
        panel, messages = TrainPanel(Console(), time.monotonic(), quiet=True), []
        panel.message = messages.append  # type: ignore[method-assign]
        assert Evaluation(job, panel, StopRequests(messages.append), torch.float32)(None) == {}
        assert len(messages) == number
