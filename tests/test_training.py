"""Training: it learns, it resumes exactly, it stops when it should."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import trmsolve
from trmsolve.cli import app
from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.store import read_header
from trmsolve.tasks.base import Puzzle
from trmsolve.tasks.sudoku import TASK
from trmsolve.tasks.sudoku.encode import encode, target
from trmsolve.tasks.sudoku.generate import generate
from trmsolve.training.config import TrainConfig
from trmsolve.training.finish import finish
from trmsolve.training.optim import EMA
from trmsolve.training.runfolder import RunFolder
from trmsolve.training.trainer import Trainer

TINY = TRMConfig(width=16, hidden=32, n=2, N_sup=4)


class Silent:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.updates, self.evaluations, self.messages, self.saves = [], [], [], 0

    def update(self, metrics):
        self.updates.append(metrics)

    def evaluated(self, metrics):
        self.evaluations.append(metrics)

    def saved(self, path, step):
        self.saves += 1

    def message(self, text):
        self.messages.append(text)


def trainer(folder: RunFolder, steps: int, data=None, **changes) -> Trainer:
    config = TrainConfig(**{"batch": 8, "steps": steps, "seed": 3, "warmup": 5} | changes)
    data = data or TASK.data(["generate:4x4"], 3)
    return Trainer(config, TINY, data.draw, folder, autocast=changes.pop("autocast", True))


def weights(made: Trainer) -> dict[str, torch.Tensor]:
    state = {f"model.{k}": v for k, v in made.model.state_dict().items()}
    state |= {f"ema.{k}": v for k, v in made.ema.model.state_dict().items()}
    return state | {f"optimizer.{k}": v for k, v in made.optimizers.state().items()}


def test_it_learns_to_solve_small_puzzles_it_has_not_seen(tmp_path):
    with RunFolder(tmp_path) as folder:
        made = trainer(folder, 250, batch=16)
        report = Silent()
        assert made.run(report) == "finished"
        path = finish(made, "sudoku", tmp_path / "small.safetensors")
    assert report.updates[-1]["loss"] < report.updates[0]["loss"]
    fresh = [Puzzle(generate(77, i, 4)[0]) for i in range(20)]  # another seed than the training's
    solved = sum(r.solved for r in trmsolve.load(path).solve(fresh, restarts=0))
    assert solved >= 15, f"{solved} of 20 solved"
    header = read_header(path)
    assert header.task == "sudoku" and header.provenance["steps"] == 250
    assert header.provenance["supervised_puzzles"] == 250 * 16


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    with RunFolder(tmp_path / "whole") as folder:
        whole = trainer(folder, 24)
        whole.run(Silent())
    with RunFolder(tmp_path / "parts") as folder:
        trainer(folder, 24).run(Silent(), stop=iter([False] * 11 + [True]).__next__)
    with RunFolder(tmp_path / "parts") as folder:
        parts = trainer(folder, 24)
        assert parts.step == 11
        parts.run(Silent())
    assert parts.step == whole.step == 24
    expected = weights(whole)
    assert weights(parts).keys() == expected.keys()
    for name, value in weights(parts).items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_kill_minus_nine_loses_nothing_but_the_last_interval(tmp_path):
    command = [sys.executable, "-m", "trmsolve", "train", "--task", "sudoku", "--data", "generate:4x4", "--run", "run"]
    command += [
        "--batch-size",
        "4",
        "--width",
        "16",
        "--no-compile",
        "--steps",
        "150",
        "--save-minutes",
        "0.0005",
        "-q",
    ]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    state = tmp_path / "run" / "state.safetensors"
    end = time.monotonic() + 300
    while not state.exists() and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with RunFolder(tmp_path / "run") as folder:
        tensors, values = folder.load()
    assert 0 < values["step"] < 150 and tensors
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert read_header(tmp_path / "run" / "sudoku.safetensors").provenance["steps"] == 150
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps))


def test_two_processes_cannot_train_in_one_folder(tmp_path):
    with RunFolder(tmp_path), pytest.raises(TrmsolveError, match="another process"), RunFolder(tmp_path):
        pass
    with RunFolder(tmp_path):
        pass  # the lock goes with its holder


def test_divergence_stops_the_run_and_keeps_the_last_good_state(tmp_path):
    with RunFolder(tmp_path) as folder:
        made = trainer(folder, 10)
        made.run(Silent())
        good = folder.load()
        again = trainer(folder, 20)
        with torch.no_grad():
            again.model.answer_head.weight.fill_(float("nan"))
        report = Silent()
        assert again.run(report) == "diverged"
        assert "diverged" in report.messages[0]
        kept = folder.load()
    assert kept[1]["step"] == good[1]["step"] == 10
    assert all(torch.equal(kept[0][name], value) for name, value in good[0].items())


def test_a_damaged_state_is_an_error_that_says_so(tmp_path):
    (tmp_path / "state.safetensors").write_bytes(b"not a state")
    with RunFolder(tmp_path) as folder, pytest.raises(TrmsolveError, match="not a training state"):
        trainer(folder, 5)


def test_a_run_of_another_model_is_refused(tmp_path):
    with RunFolder(tmp_path) as folder:
        trainer(folder, 2).run(Silent())
        with pytest.raises(TrmsolveError, match="another model"):
            Trainer(TrainConfig(steps=3, batch=8), TRMConfig(width=24), TASK.data(["generate:4x4"]).draw, folder)


def test_the_log_forgets_steps_that_will_be_taken_again(tmp_path):
    folder = RunFolder(tmp_path)
    for step in (50, 100, 150):
        folder.log({"step": step})
    with folder.metrics_file.open("a") as file:
        file.write('{"step": 2')  # cut short by a crash
    folder.rewind_log(100)
    assert [json.loads(line)["step"] for line in folder.metrics_file.read_text().splitlines()] == [50, 100]


@pytest.mark.parametrize(
    ("steps", "minutes", "step", "seconds", "expected"),
    [
        (1000, None, 0, 0, 1 / 100),  # warm-up
        (1000, None, 200, 0, 1.0),  # held
        (1000, None, 650, 0, 0.5),  # falling linearly from 0.3
        (1000, None, 1000, 0, 0.01),  # the floor
        (None, 10, 5000, 390, 0.5),
    ],
)
def test_the_learning_rate_warms_up_holds_and_falls(steps, minutes, step, seconds, expected):
    assert TrainConfig(steps=steps, minutes=minutes).rate(step, seconds) == pytest.approx(expected)


def test_the_average_is_kept_in_fp32_and_moves():
    model = torch.nn.Linear(4, 4)
    ema = EMA(model, 0.999)
    before = ema.model.weight.clone()
    with torch.no_grad():
        model.weight += 1e-3
    for step in range(1, 200):
        ema.update(model, step)
    assert ema.model.weight.dtype == torch.float32
    assert (ema.model.weight > before).all() and (ema.model.weight <= model.weight + 1e-6).all()


# -- data -------------------------------------------------------------------------------------------------------
def test_a_draw_depends_on_seed_and_index_alone():
    first, second = (TASK.data(["generate:9x9"], 5, wrong=0.3) for _ in range(2))
    for index in (0, 7, 300):
        a, b = first.draw(index), second.draw(index)
        assert (a.encoded.meanings == b.encoded.meanings).all() and (a.target == b.target).all()
        assert a.solvable == b.solvable
    other = TASK.data(["generate:9x9"], 6).draw(7)
    assert (
        len(other.encoded.x) != len(first.draw(7).encoded.x)
        or (other.encoded.meanings != first.draw(7).encoded.meanings).any()
    )


def test_misled_samples_have_no_solution_and_the_others_have_their_target():
    from trmsolve.tasks.sudoku.data import _mislead, _reveal
    from trmsolve.tasks.sudoku.exact import solutions

    rng = np.random.default_rng(0)
    for index in range(5):
        question, answer, _ = generate(11, index, 9)
        misled = _mislead(question, answer, rng)
        assert misled is not None and solutions(misled, 1)[0] == []
        easier = _reveal(question, answer, 0.5, rng)
        assert ((easier == answer) | (easier == 0)).all() and (easier > 0).sum() > (question > 0).sum()
        assert len(target(easier, answer)) == encode(easier).choices


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("question,answer\n1234,1234\n", "characters"),
        ("1...\n.2..\n....\n....\n", "without its answer"),
        ("question,answer\n1...............,1234341243212144\n", "the answer is wrong"),
    ],
)
def test_bad_training_data_is_named(tmp_path, text, message):
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(TrmsolveError, match=message) as caught:
        TASK.data([str(path)])
    assert Path(caught.value.message.split(":")[0]).name == "data.csv"


def test_a_finished_run_is_measured_on_its_held_out_puzzles(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = ["question,answer"]
    for index in range(4):
        question, solution, _ = generate(21, index, 4)
        rows.append(f"{TASK.line(question)},{TASK.line(solution)}")
    Path("held.csv").write_text("\n".join(rows))
    command = ["train", "--task", "sudoku", "--data", "generate:4x4", "--eval", "held.csv", "--steps", "4"]
    command += ["--batch-size", "4", "--width", "16", "--no-compile", "-q"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    header = read_header("runs/sudoku/sudoku.safetensors")
    assert header.metrics["held"]["n"] == 4 and 0 <= header.metrics["held"]["solved"] <= 1
    assert header.provenance["sessions"][0]["data"][0]["name"] == "generate:4x4"
