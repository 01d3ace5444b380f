"""train --task arc: a row of the puzzle table for each task; options of other tasks are refused."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from training.runs import arc_file
from trmsolve.checkpoint import load_tensors, read_header, save
from trmsolve.model.config import TRMConfig
from trmsolve.model.sequence_model import official
from trmsolve.model.trm import TRM
from trmsolve.tasks import get
from trmsolve.training.run_dir import RunDir

ARC = ("train", "--task", "arc", "--batch-size", "2", "--width", "8", "--n", "1", "--n-sup", "2", "--no-compile", "-q")


@pytest.fixture
def run(cli):
    """Trains; returns the messages of a run that ends well."""

    def call(*args: object) -> str:
        result = cli(*ARC, *args)
        assert result.exit_code == 0, result.stderr
        return result.stderr

    return call


@pytest.fixture
def refused(cli):
    """Calls a command that is refused; returns the error."""

    def call(*args: object) -> str:
        result = cli(*args)
        assert result.exit_code == 2 and result.stderr.startswith("error: "), result.stderr
        return result.stderr

    return call


def test_state_stores_the_puzzle_table_once_and_the_checkpoint_its_mean_row(cli, run, tmp_path):
    path = tmp_path / "mine.safetensors"
    run("--data", arc_file(tmp_path / "a.json"), "--run", tmp_path / "run", "--steps", "3", "-o", path)
    with RunDir(tmp_path / "run") as folder:
        tensors, values = folder.load()
    table = tensors["model/embed.puzzle_table"]
    assert len(table) == values["model"]["num_puzzles"] > 1
    assert [name for name, tensor in tensors.items() if tensor.shape == table.shape] == ["model/embed.puzzle_table"]

    header, weights = read_header(path), load_tensors(path)
    assert header.task == "arc" and header.puzzle_table == (1, table.shape[1])
    config = TRMConfig.from_dict(header.model)
    assert (config.hidden_size, config.intermediate_size) == (8, 16)
    assert config.feature_sizes == get("arc").model_defaults["feature_sizes"]
    shipped = TRM(config)
    shipped.load_state_dict(weights)
    trained = TRM(replace(config, num_puzzles=len(table)))
    trained.embed.puzzle_table.copy_(table)
    torch.testing.assert_close(shipped.embed.mean_row(), trained.embed.mean_row())
    for name, parameter in shipped.named_parameters():  # the averaged ones
        assert torch.equal(parameter, tensors[f"ema/{name}"]), name
    info = cli("checkpoints", "info", path, "--json")
    assert json.loads(info.stdout)["puzzle_table"] == [1, table.shape[1]]


def test_state_with_the_table_stored_twice_is_loaded(run, tmp_path):
    """As in states of earlier versions."""
    run("--data", arc_file(tmp_path / "a.json"), "--run", tmp_path, "--steps", "2")
    with RunDir(tmp_path) as folder:
        tensors, values = folder.load()
        buffers = ("embed.puzzle_table", "y_init", "z_init")
        folder.save(tensors | {f"ema/{name}": tensors[f"model/{name}"] for name in buffers}, values)
    assert "finished at step 3" not in run("--data", tmp_path / "a.json", "--run", tmp_path, "--steps", "2")
    run("--data", tmp_path / "a.json", "--run", tmp_path, "--steps", "3")
    with RunDir(tmp_path) as folder:
        tensors, values = folder.load()
    assert values["step"] == 3 and "ema/embed.puzzle_table" not in tensors


def test_a_new_run_from_a_checkpoint_has_rows_for_its_own_tasks(cli, run, tmp_path):
    start = tmp_path / "start.safetensors"
    run("--data", arc_file(tmp_path / "a.json"), "--run", tmp_path / "a", "--steps", "2", "-o", start)
    # With learning rates of 0, rows and weights keep their initial values.
    still = ("--lr", "0", "--adam-lr", "0", "--set", "train.puzzle_lr=0", "--set", "train.puzzle_weight_decay=0")
    b = arc_file(tmp_path / "b.json", 4)
    words = [word for word in ARC if word not in ("--width", "8")]
    result = cli(*words, "--data", b, "--run", tmp_path / "b", "--from", start, "--steps", "1", *still)
    assert result.exit_code == 0, result.stderr
    with RunDir(tmp_path / "b") as folder:
        tensors, values = folder.load()
    before, after = (TRM(TRMConfig.from_dict({**values["model"], "num_puzzles": number})) for number in (1, 4))
    before.load_state_dict(load_tensors(start))
    after.load_state_dict({name.removeprefix("model/"): t for name, t in tensors.items() if name.startswith("model/")})
    assert values["note"]["sessions"][0]["from"] == str(start)
    torch.testing.assert_close(after.embed.mean_row(), before.embed.mean_row())
    assert len(after.embed.puzzle_table.unique(dim=0)) == 4
    for name, parameter in before.named_parameters():
        assert torch.equal(dict(after.named_parameters())[name], parameter), name


def test_resume_with_other_tasks_or_another_model_is_refused(run, refused, tmp_path):
    a, b = arc_file(tmp_path / "a.json"), arc_file(tmp_path / "b.json", 4)
    run("--data", a, "--run", tmp_path / "run", "--steps", "1")
    message = refused(*ARC, "--data", b, "--run", tmp_path / "run", "--steps", "2")
    assert "a table of 3 rows, but these data need 4" in message and "--from" in message
    message = refused(*ARC, "--data", a, "--run", tmp_path / "run", "--steps", "2", "--width", "12")
    assert re.search(r"a run of another model: hidden_size \d+, not 12(; intermediate_size \d+, not 24)?\n", message)


def test_provenance_marks_sources_used_for_demonstrations_only(run, tmp_path):
    a, b = arc_file(tmp_path / "a.json"), arc_file(tmp_path / "b_evaluation.json")
    path = tmp_path / "m.safetensors"
    run("--data", a, "--data", f"demonstrations:{b}=1", "--run", tmp_path / "run", "--steps", "1", "-o", path)
    (session,) = read_header(path).provenance["sessions"]
    assert [(source["name"], source["pairs"]) for source in session["data"]] == [
        ("a.json", "all"),
        ("b_evaluation.json", "demonstrations"),
    ]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--eval", "a.json"], "trmsolve eval arc FILE"),
        (["--easier", "0.5"], "--hint-prob: not for --task arc"),
        (["--set", "data.rows_per_task=0"], "data.rows_per_task: found 0, expected a number from 1 to inf"),
        (["--set", "data.most=1"], "raise data.most"),
        (["--set", "data.held_out=1"], "lower --set data.held_out"),
        (["--data", "generate:9x9"], "generate:9x9: no such file"),
        (["--data", "b_evaluation.json"], "--data demonstrations:b_evaluation.json"),
        (["--recipe", "hrm-sudoku"], "is for sudoku, not for arc"),
        (["--from", "sudoku"], "expected arc"),
    ],
)
def test_options_that_arc_does_not_support_are_refused(refused, tmp_path, monkeypatch, more, message):
    monkeypatch.chdir(tmp_path)
    for name in ("a.json", "b_evaluation.json"):
        arc_file(Path(name))
    assert message in refused(*ARC, "--data", "a.json", "--steps", "1", *more)
    assert not Path("runs").exists()


def test_arc_needs_data(refused):
    assert "ARC has no generator" in refused(*ARC, "--steps", "1")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("generate", "arc"), "the task has no generator\n  tasks with one: sudoku, maze"),
        (("generate", "acr"), "did you mean 'arc'"),
    ],
)
def test_other_commands_refuse_arc(refused, command, message):
    assert message in refused(*command)


def test_training_a_published_arc_network_is_refused(refused, tmp_path):
    path = tmp_path / "att.safetensors"
    config = official(cells=4, mixer="attention", vocab_size=12, hidden_size=8, num_heads=2)
    save(path, TRM(config).state_dict(), "arc", config.to_dict(), {}, {})
    message = refused("train", "--task", "arc", "--from", path, "--data", arc_file(tmp_path / "a.json"), "--steps", "1")
    assert "refine" in message
