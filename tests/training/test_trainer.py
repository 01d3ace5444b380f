"""The training loop: it learns, resumes exactly, and stops when it should."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import trmsolve
from networks import SUDOKU_MODEL
from training.runs import Recorder, all_weights, arc_file, make_trainer
from trmsolve.checkpoint import read_header
from trmsolve.cli import app
from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.tasks import get
from trmsolve.tasks.base import Puzzle
from trmsolve.tasks.sudoku import TASK
from trmsolve.tasks.sudoku.generate import generate
from trmsolve.training.batch import SamplePrefetcher
from trmsolve.training.config import TrainConfig
from trmsolve.training.run_dir import RunDir, export_checkpoint
from trmsolve.training.trainer import Trainer


def test_it_learns_to_solve_small_puzzles_it_has_not_seen(tmp_path):
    with RunDir(tmp_path) as folder:
        session = make_trainer(folder, 250, batch_size=16)
        report = Recorder()
        assert session.run(report) == "finished"
        path = export_checkpoint(session, "sudoku", tmp_path / "small.safetensors")
    assert report.updates[-1]["loss"] < report.updates[0]["loss"]
    fresh = [Puzzle(generate(77, i, 4)[0]) for i in range(20)]  # another seed than the training's
    solved = sum(r.solved for r in trmsolve.load(path).solve(fresh, restarts=0))
    assert solved >= 15, f"{solved} of 20 solved"
    header = read_header(path)
    assert header.task == "sudoku" and header.provenance["steps"] == 250
    assert header.provenance["supervised_puzzles"] == 250 * 16


@pytest.mark.parametrize("window", [1, 3])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, window):
    with RunDir(tmp_path / "whole") as folder:
        whole = make_trainer(folder, 24, bptt_steps=window)
        whole.run(Recorder())
    with RunDir(tmp_path / "parts") as folder:
        make_trainer(folder, 24, bptt_steps=window).run(Recorder(), stop=iter([False] * 10 + [True]).__next__)
    with RunDir(tmp_path / "parts") as folder:
        parts = make_trainer(folder, 24, bptt_steps=window)
        assert parts.step == 11
        parts.run(Recorder())
    assert parts.step == whole.step == 24 and parts.supervised == whole.supervised == 24 * 8 * window
    expected = all_weights(whole)
    assert all_weights(parts).keys() == expected.keys()
    for name, value in all_weights(parts).items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize("before", [False, True])
def test_resume_in_another_dtype(tmp_path, before):
    """A run that starts under autocast resumes without it, and the other way round."""
    for autocast, steps in ((before, 3), (not before, 6)):
        with RunDir(tmp_path / "run") as folder:
            run = make_trainer(folder, steps, autocast=autocast)
            expected = torch.bfloat16 if autocast else torch.float32
            assert {states.dtype for part in run.batch.micro_batches for states in (part.y, part.z)} == {expected}
            run.run(Recorder())
            assert run.step == steps and {part.y.dtype for part in run.batch.micro_batches} == {expected}


def test_resumed_run_has_the_same_puzzle_table(tmp_path):
    data = get("arc").training_data([str(arc_file(tmp_path / "a.json"))])
    config = TRMConfig.from_dict(
        {
            **get("arc").model_defaults,
            "hidden_size": 8,
            "intermediate_size": 16,
            "n": 1,
            "N_sup": 2,
            "num_puzzles": data.num_rows,
        }
    )

    def trained(name: str, stops: int) -> torch.Tensor:
        """The table after six steps of a run that was stopped and resumed."""
        for stop in ([False] * (stops - 1) + [True], [False] * 9):
            with RunDir(tmp_path / name) as folder:
                session = Trainer(TrainConfig(batch_size=2, steps=6, warmup=1), config, data.draw, folder)
                session.run(Recorder(), stop=iter(stop).__next__)
        assert session.step == 6 and session.ema.model.embed.puzzle_table is session.model.embed.puzzle_table
        return session.model.embed.puzzle_table

    whole, parts = trained("whole", 6), trained("parts", 3)
    assert len(whole) == 3 and torch.equal(whole, parts)


def test_prefetching_does_not_change_a_run_and_raises_errors_of_draw(tmp_path, monkeypatch):
    def run(name: str, data=None) -> Trainer:
        with RunDir(tmp_path / name) as folder:
            session = make_trainer(folder, 20, data)
            session.run(Recorder())
        return session

    class Broken:
        def draw(self, index):
            if index == 30:
                raise TrmsolveError("sample 30 is broken")
            return TASK.training_data(["generate:4x4"], 3).draw(index)

    ahead = all_weights(run("ahead"))
    with pytest.raises(TrmsolveError, match="sample 30 is broken"):
        run("broken", Broken())
    monkeypatch.setattr(SamplePrefetcher, "running", lambda self, index: nullcontext())
    for name, value in all_weights(run("plain")).items():
        assert torch.equal(value, ahead[name]), name


def test_divergence_stops_the_run_and_keeps_the_last_good_state(tmp_path):
    with RunDir(tmp_path) as folder:
        session = make_trainer(folder, 10)
        session.run(Recorder())
        good = folder.load()
        again = make_trainer(folder, 20)
        with torch.no_grad():
            again.model.answer_head.weight.fill_(float("nan"))
        report = Recorder()
        assert again.run(report) == "diverged"
        assert "diverged" in report.messages[0]
        kept = folder.load()
    assert kept[1]["step"] == good[1]["step"] == 10
    assert all(torch.equal(kept[0][name], value) for name, value in good[0].items())


def test_a_run_of_another_model_is_refused(tmp_path):
    with RunDir(tmp_path) as folder:
        make_trainer(folder, 2).run(Recorder())
        with pytest.raises(TrmsolveError, match="another model"):
            Trainer(
                TrainConfig(steps=3, batch_size=8),
                TRMConfig(**SUDOKU_MODEL | {"hidden_size": 24}),
                TASK.training_data(["generate:4x4"]).draw,
                folder,
            )


def test_a_finished_run_is_measured_on_its_held_out_puzzles(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = ["question,answer"]
    for index in range(4):
        question, solution, _ = generate(21, index, 4)
        rows.append(f"{TASK.format_line(question)},{TASK.format_line(solution)}")
    Path("held.csv").write_text("\n".join(rows))
    command = ["train", "--task", "sudoku", "--data", "generate:4x4", "--eval", "held.csv", "--steps", "4"]
    command += ["--batch-size", "4", "--width", "16", "--no-compile", "-q"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    header = read_header("runs/sudoku/sudoku.safetensors")
    assert header.metrics["held"]["n"] == 4 and 0 <= header.metrics["held"]["solved"] <= 1
    assert header.provenance["sessions"][0]["data"][0]["name"] == "generate:4x4"
