"""trmsolve train at the terminal: what it shows, refuses, and leaves behind. And trmsolve plot."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import signal
import sys
import threading
import types
from xml.dom import minidom

import pytest
from rich.console import Console

from trmsolve.checkpoint import read_header
from trmsolve.cli.run import logged_to
from trmsolve.render.train_panel import ASCII_LEVELS, Curve, TrainPanel, sparkline
from trmsolve.training.config import TrainConfig
from trmsolve.training.metrics import describe_metric

from .conftest import PATIENCE

TINY = ("train", "--task", "sudoku", "--batch-size", 4, "--width", 16, "--no-compile", "--data", "generate:4x4")
MODEL = types.SimpleNamespace(T=1, n=2)
METRICS = {"step": 50, "loss": 0.5, "exact_accuracy": 0.25, "puzzles_per_second": 12.0, "steps_per_second": 3.0}


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set: clock[0] = seconds."""
    now = [0.0]
    monkeypatch.setattr("trmsolve.render.train_panel.time.monotonic", lambda: now[0])
    return now


def panel(encoding: str = "utf-8", height: int = 30, **settings) -> TrainPanel:
    """A panel of a run on a terminal 100 wide."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=stream, force_terminal=True, width=100, height=height, color_system=None)
    shown = TrainPanel(console, 0.0)
    shown.begin("training sudoku", TrainConfig(**settings), MODEL, 0.0, [])
    return shown


def screen(shown: TrainPanel) -> str:
    with shown.console.capture() as capture:
        shown.console.print(shown.render())
    return capture.get()


# -- what it shows ------------------------------------------------------------------------------------------------
def test_the_panel_shows_phase_clock_speed_curves_rate_and_what_was_saved(clock):
    shown = panel(minutes=10)
    shown.set_phase("compiling")
    clock[0] = 2.0
    assert "compiling" in screen(shown) and "2.0 s of 10 min 00 s, 9 min 58 s left" in screen(shown)
    for step in range(1, 51):
        clock[0] = 10.0 + step / 2
        shown.step(step, clock[0], 2.0 / step)
    shown.update(METRICS)
    shown.saved("runs/s", 50)
    shown.evaluated({"step": 50, "seconds": 35.0, "puzzles": 40, "exact_at_16": 0.4, "exact_at_32": 0.5})
    text = screen(shown)
    assert "training" in text and "35.0 s of 10 min 00 s, 9 min 25 s left" in text and "5.8 %" in text
    assert "50, 2 steps/s, 12 puzzles/s" in text
    assert re.search(r"loss +0\.0400 +█▇?[▁▂▃▄▅▆▇]+▁", text) and re.search(r"exact +25\.0%", text)
    assert "at step 50: exact after 32 steps 50.00%, puzzles 40" in text and "runs/s at step 50" in text
    assert re.search(r"learning rate +1\.02e-02", text)


def test_only_the_end_is_100_percent(clock):
    shown = panel(steps=3000)
    shown.step(2999, 1.0, 0.5)
    assert " 99.9 %" in screen(shown)
    shown.step(3000, 1.0, 0.5)
    shown.finish("finished")
    assert "100.0 %" in screen(shown) and "finished" in screen(shown) and "left" not in screen(shown)
    shown = panel(minutes=1)
    clock[0] = 59.99
    assert " 99.9 %" in screen(shown)


def test_the_time_left_of_a_number_of_steps_knows_that_later_steps_are_deeper(clock):
    plain = panel(steps=100)
    deeper = panel(steps=100, depth_curriculum=((0.5, 1, 1),))  # then T 1 and n 2: 3 network calls in place of 2
    for step in range(1, 11):
        clock[0] = float(step)
        plain.step(step, clock[0], 1.0)
        deeper.step(step, clock[0], 1.0)
    assert plain.seconds_left == pytest.approx(90)
    assert deeper.seconds_left == pytest.approx(40 + 50 * 3 / 2, rel=0.02)
    clock[0] = 12.0
    assert plain.seconds_left == pytest.approx(88)


def test_a_low_window_gets_two_lines_and_an_old_one_ascii(clock):
    shown = panel(encoding="ascii", steps=10)
    shown.step(5, 1.0, 0.5)
    shown.message("über")
    assert screen(shown).isascii() and "#" in screen(shown)
    low = panel(height=6, steps=10)
    low.step(5, 1.0, 0.5)
    assert screen(low).count("\n") == 2 and "step 5" in screen(low)


def test_sparklines_and_curves_are_bounded():
    assert sparkline([], 10) == "" and sparkline([1.0], 10) == "▁"
    assert sparkline([0, 1, 2, 3], 4, ASCII_LEVELS) == "_-+#" or len(sparkline([0, 1, 2, 3], 4)) == 4
    assert sparkline([0.0] * 50 + [1.0] * 50, 2) == "▁█"
    curve = Curve()
    for k in range(100_000):
        curve.add(float(k))
    assert len(curve.values) < 2048 and curve.values == sorted(curve.values)
    assert curve.values[-1] == pytest.approx(100_000, rel=0.01)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("seconds", 0.4, "seconds 0.4"),
        ("exact_at_16", 0.4, "exact after 16 steps 40.00%"),
        ("exact_accuracy", 0.4, "exact 40.00%"),
        ("puzzles", 1, "puzzles 1"),
        ("mean_steps", 0.5, "steps per puzzle 0.50"),
        ("something_new", 0.5, "something new 0.5"),
        ("loss_at_16", 0.5, "loss at 16 0.5"),
    ],
)
def test_only_shares_are_percentages(name, value, expected):
    assert describe_metric(name, value) == expected


def test_a_pipe_gets_lines_and_the_last_one_says_how_to_use_the_model(cli, tmp_path):
    held = tmp_path / "held.csv"
    held.write_text(cli("generate", "sudoku", "--size", "4x4", "-n", 4, "--format", "csv").stdout)
    done = cli(*TINY, "--run", tmp_path / "run", "--steps", 4, "--eval", held)
    lines = done.stderr.splitlines()
    assert done.exit_code == 0 and done.stdout == ""
    assert lines[0].startswith("training sudoku in ")
    assert re.match(r"training [\d.]+ m?s, .*step 1, loss \d", lines[1])
    (evaluated,) = [line for line in lines if line.startswith("evaluated ")]
    assert re.match(r"evaluated at step 4: puzzles 4, accepted by the rules after 16 steps [\d.]+%", evaluated)
    path = tmp_path / "run" / "sudoku.safetensors"
    assert lines[-1] == f"use it: trmsolve sudoku FILE --checkpoint {path}"
    assert read_header(path).provenance["history"][0]["step"] == 4
    measured = read_header(path).metrics
    assert measured["held"]["n"] == 4
    assert cli(*TINY, "--run", tmp_path / "run", "--steps", 4).exit_code == 0  # it is finished already
    assert read_header(path).metrics == measured
    quiet = cli(*TINY, "--run", tmp_path / "run", "--steps", 5, "-q").stderr
    assert len(quiet.splitlines()) == 2 and "resuming" in quiet and "finished at step 5" in quiet


def test_warnings_of_the_readers_are_shown(clock):
    """Such as the number of training puzzles that are complete already and left out."""
    shown = panel(steps=3)
    with shown.console.capture() as capture, logged_to(shown.message, logging.WARNING):
        logging.getLogger("trmsolve.tasks.dataset").warning("%s: %d of %d are left out", "d.csv", 2, 5)
    assert capture.get() == "d.csv: 2 of 5 are left out\n"


# -- what it refuses ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [100_000_000, 10_000_000_000])
def test_a_batch_that_does_not_fit_into_memory_is_refused_with_both_figures(cli, tmp_path, size, monkeypatch):
    monkeypatch.setattr("trmsolve.convert.read.available_memory", lambda: 4_000_000_000)
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


def test_tensorboard_is_asked_for_only_where_it_is_installed(cli, tmp_path, monkeypatch):
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


# -- stopping -----------------------------------------------------------------------------------------------------
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_signal_is_acknowledged_and_asks_to_stop_and_a_second_one_insists():
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
def test_a_terminated_run_says_so_at_once_and_saves(start, tmp_path):
    process = start(*TINY, "--run", tmp_path / "run", "--minutes", 60)
    for line in process.stderr:
        if b"loss" in line:
            break
    process.send_signal(signal.SIGTERM)
    _, text = process.communicate(timeout=PATIENCE)
    said = text.decode()
    assert process.returncode == 143, said
    assert "stopping after this step; once more to stop without saving" in said
    step = int(re.search(r"interrupted at step (\d+)", said)[1])
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
def test_an_evaluation_ends_with_the_minutes_of_the_run(clock, minutes, seconds, expected):
    from trmsolve.cli.train_run import Evaluation

    clock[0] = seconds
    evaluation = Evaluation(job_of(1, minutes=minutes), panel(minutes=minutes), None, None)
    assert evaluation.deadline() - seconds == pytest.approx(expected)


def test_an_evaluation_without_time_measures_nothing_and_one_with_some_whole_batches(monkeypatch):
    import time

    import torch

    from trmsolve.inference import held_out
    from trmsolve.model.config import TRMConfig
    from trmsolve.model.trm import TRM
    from trmsolve.tasks.sudoku import TASK

    config = TRMConfig.from_dict({**TASK.model_defaults, "hidden_size": 4, "intermediate_size": 4, "n": 1})
    model, puzzles = TRM(config), job_of(7).held_out["held"]
    monkeypatch.setattr(held_out, "BATCH_SIZE", 3)
    solver = held_out.solver_for(TASK, model, torch.float32)
    reached = []

    def after(number: int):
        """A progress function that uses up the time after this many puzzles."""

        def progress(num_done, total):
            reached.append((num_done, total))
            if num_done > number:
                monkeypatch.setattr(held_out.time, "monotonic", lambda: float("inf"))

        return progress

    real = time.monotonic
    for number, expected in ((0, 0), (3, 3), (100, 7)):
        monkeypatch.setattr(held_out.time, "monotonic", real)
        counts = held_out.measure_single_pass(solver, puzzles, (2,), real() + 1e6, after(number))
        assert counts.puzzles == expected
    assert reached[-1] == (7, 7)
    monkeypatch.setattr(held_out.time, "monotonic", real)
    assert held_out.measure_held_out(TASK, model, {"held": puzzles}, torch.float32, real() - 1) == {}
    whole = held_out.measure_held_out(TASK, model, {"held": puzzles[:2]}, torch.float32)
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


@pytest.mark.parametrize(("text", "message"), [(None, "cannot read"), ("", "holds no metrics"), ("[1]\n", "holds no")])
def test_a_folder_without_metrics_is_refused(cli, tmp_path, text, message):
    if text is not None:
        (tmp_path / "metrics.jsonl").write_text(text)
    done = cli("plot", tmp_path)
    assert done.exit_code == 2 and message in done.stderr
