"""Recipes: what the published networks are trained with, read, changed by flags, printed, and run."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

import trmsolve
from training.runs import Recorder
from trmsolve.checkpoint import read_header
from trmsolve.cli import app
from trmsolve.errors import TrmsolveError
from trmsolve.model.trm import TRM, num_parameters
from trmsolve.training import recipe as recipes
from trmsolve.training.config import TrainConfig
from trmsolve.training.run_dir import RunDir
from trmsolve.training.trainer import Trainer

PUBLISHED = ["trm-mlp-sudoku", "trm-att-sudoku", "trm-att-maze", "hrm-sudoku", "hrm-maze"]
SMALL = ["model.hidden_size=32", "model.cells=16", "model.num_heads=2", "train.batch_size=8", "train.warmup=5"]


def recipe_of(name: str, *settings: str) -> recipes.Recipe:
    return recipes.build(recipes.with_settings(recipes.read(name), settings))


def small(name: str, *settings: str) -> recipes.Recipe:
    """At a size that trains within seconds: 4x4."""
    source = "generate:4x4" if "sudoku" in name else "generate:4"
    return recipe_of(name, *SMALL, f"data.sources=[{source}]", *settings)


def trainer(recipe: recipes.Recipe, folder: RunDir) -> Trainer:
    return Trainer(recipe.train, recipe.config, recipe.data().draw, folder, autocast=False)


# -- what they say ------------------------------------------------------------------------------------------------


def test_every_published_network_has_a_recipe_and_a_fast_one():
    fast = [f"{name}-fast" for name in PUBLISHED]
    assert recipes.names() == sorted([*PUBLISHED, *fast, "sudoku-from-scratch"])


def test_the_recipe_from_scratch_trains_with_one_recursion_and_answers_with_two():
    recipe = recipe_of("sudoku-from-scratch")
    assert recipe.config == dataclasses.replace(recipes.build(recipes.of_task("sudoku")).config, T=2, N_sup=24)
    assert [recipe.train.depth(recipe.config, 0, 60.0 * minute) for minute in (0, 12, 24.9)] == [(1, 3)] * 3


@pytest.mark.parametrize(
    ("name", "count", "T", "n", "steps"),
    [
        ("trm-mlp-sudoku", 5_028_866, 3, 6, 65_104),
        ("trm-att-sudoku", 6_828_034, 3, 6, 65_104),
        ("trm-att-maze", 6_822_914, 3, 4, 65_104),
        ("hrm-sudoku", 27_275_266, 2, 2, 26_041),
        ("hrm-maze", 27_270_146, 2, 2, 26_041),
    ],
)
def test_the_published_recipes_say_what_was_published(name, count, T, n, steps):
    recipe = recipe_of(name)
    assert num_parameters(TRM(recipe.config)) == count
    assert (recipe.config.T, recipe.config.n, recipe.config.N_sup) == (T, n, 16)
    train = recipe.train
    assert (train.optimizer, train.loss, train.batch_size, train.steps) == ("adam-atan2", "stablemax", 768, steps)
    assert (train.lr, train.weight_decay, train.puzzle_lr, train.puzzle_weight_decay) == (1e-4, 1.0, 1e-4, 1.0)
    assert (train.warmup, train.halt_weight, train.solvable_weight, train.grad_clip) == (2000, 0.5, 0.0, 0.0)
    assert (train.ema, train.continue_weight) == ((0.0, 0.5) if name.startswith("hrm") else (0.999, 0.0))
    assert [train.rate(step, 0.0) for step in (1999, 30_000, steps)] == [1.0] * 3
    assert not train.depth_curriculum


def test_fast_recipes_differ_only_in_optimizer_and_window():
    for name in PUBLISHED:
        fast = recipe_of(f"{name}-fast")
        assert (fast.config.prefix_len, fast.config.num_puzzles, fast.config.gate) == (0, 0, "normalised")
        assert fast.train.optimizer == "muon" and fast.train.steps == 8000 and fast.train.rate(8000, 0.0) == 0.0
    fast = recipe_of("trm-mlp-sudoku-fast")
    assert [fast.train.depth(fast.config, step, 0.0) for step in (0, 2399, 2400, 4800)] == [(1, 2)] * 2 + [
        (2, 4),
        (3, 6),
    ]


@pytest.mark.parametrize("name", [*PUBLISHED, *(f"{name}-fast" for name in PUBLISHED)])
def test_print_config_round_trip(name, tmp_path):
    recipe = recipe_of(name, "train.lr=3e-4")
    file = tmp_path / "mine.yaml"
    file.write_text(recipe.text())
    assert recipes.build(recipes.read(str(file))) == recipe
    assert recipe.train.lr == 3e-4


def test_base_recipe_is_merged_and_null_removes_a_setting(tmp_path):
    (tmp_path / "a.yaml").write_text("base: trm-mlp-sudoku-fast\nmodel: {hidden_size: 64}\ndata: {hint_prob: null}\n")
    (tmp_path / "b.yaml").write_text("base: a.yaml\ntrain: {batch_size: 16}\n")
    recipe = recipes.build(recipes.read(str(tmp_path / "b.yaml")))
    assert (recipe.config.hidden_size, recipe.train.batch_size, recipe.train.optimizer) == (64, 16, "muon")
    assert set(recipe.data_options) == {"hint_max", "symmetries"}


def test_the_tasks_own_models_are_recipes_too():
    assert [num_parameters(TRM(recipes.build(recipes.of_task(task)).config)) for task in ("sudoku", "maze")] == [
        148_291,
        68_307,
    ]


def test_the_flags_of_arc_and_its_rows():
    printed = CliRunner().invoke(app, ["train", "--task", "arc", "--width", "96", "--n-sup", "4", "--print-config"])
    model = yaml.safe_load(printed.output)["model"]
    assert (model["hidden_size"], model["intermediate_size"], model["N_sup"], model["mixer"]) == (
        96,
        192,
        4,
        "relational",
    )
    printed = CliRunner().invoke(
        app, ["train", "--task", "arc", "--width", "96", "--hidden", "96", "--print-config", "--seed", "4"]
    )
    assert yaml.safe_load(printed.output)["model"]["intermediate_size"] == 96
    example = Path(__file__).parents[2] / "examples" / "arc" / "mirror.json"
    values = over_sources(recipes.of_task("arc"), str(example))
    recipe = recipes.build(recipes.with_settings(values, ["data.rows_per_task=3"]))
    assert recipe.config.num_puzzles == 0 and recipe.config_for(recipe.data()).num_puzzles == 3
    assert recipes.build(yaml.safe_load(recipe.text())) == recipe


def over_sources(values: recipes.Values, *sources: str) -> recipes.Values:
    return recipes.over(values, {"data": {"sources": list(sources)}})


# -- what is wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task: sudok", "unknown task 'sudok'"),
        ("model: {}", "has no task"),
        ("task: sudoku\ntrian: {lr: 1}", "trian: not a section of a recipe\n  did you mean 'train'"),
        ("task: sudoku\ntrain: {learning: 1}", "train.learning: no such setting"),
        ("task: sudoku\ntrain: {lr: fast}", "train.lr: found 'fast', expected a number"),
        ("task: sudoku\ntrain: {batch_size: 1.5}", "train.batch_size: found 1.5, expected an integer from 1"),
        ("task: sudoku\ntrain: {batch_size: 0}", "train.batch_size: found 0, expected an integer from 1 to 1,099,511"),
        ("task: sudoku\ntrain: {lr: -1}", r"train.lr: found -1.0, expected a number from 0 to 1,000"),
        ("task: sudoku\ntrain: {lr: .nan}", "train.lr: found nan, expected a number from 0 to 1,000"),
        ("task: sudoku\nmodel: {hidden_size: 0}", "model.hidden_size: found 0, expected an integer from 1 to 16,384"),
        ("task: sudoku\ntrain: {optimizer: sgd}", "train.optimizer: unknown value 'sgd'"),
        (
            "task: sudoku\ntrain: {depth_curriculum: [1, 2]}",
            r"train.depth_curriculum: found .*, expected rows of \[share, T, n\]",
        ),
        ("task: sudoku\ntrain: 7", "train: found 7, expected settings by name"),
        ("task: sudoku\nmodel: {cells: 81}", "model.mixer: missing, but needed with model.cells"),
        ("task: sudoku\ndata: {sources: puzzles.csv}", "data.sources: found .*, expected a list"),
        ("- task", "no settings by name"),
        ("task: [", "cannot read"),
        ("base: nowhere\ntask: sudoku", "no recipe nowhere"),
    ],
)
def test_invalid_settings_are_refused_by_name(text, message, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(TrmsolveError, match=message):
        recipes.build(recipes.read(str(file)))


def test_cyclic_bases_are_refused(tmp_path):
    for name, base in (("a", "b.yaml"), ("b", "a.yaml")):
        (tmp_path / f"{name}.yaml").write_text(f"base: {base}\n")
    with pytest.raises(TrmsolveError, match="its bases form a cycle"):
        recipes.read(str(tmp_path / "a.yaml"))


@pytest.mark.parametrize("setting", ["lr=1", "train.lr", "tarin.lr=1", "train.=1"])
def test_set_option_needs_section_key_value(setting):
    with pytest.raises(TrmsolveError, match=r"expected SECTION\.KEY=VALUE"):
        recipes.with_settings({}, [setting])


def test_a_mixture_that_the_task_does_not_know_is_refused():
    with pytest.raises(TrmsolveError, match=r"data\.unsolvable_prob: not an option of sudoku with this model"):
        recipe_of("trm-mlp-sudoku", "data.unsolvable_prob=0.1").data()


def test_networks_of_another_task_or_shape_are_refused():
    with pytest.raises(TrmsolveError, match="sudoku has 11 token ids, this network 6"):
        _ = recipe_of("trm-mlp-sudoku", "model.vocab_size=6").task_for_model
    with pytest.raises(TrmsolveError, match="80 cells make no square grid"):
        _ = recipe_of("trm-mlp-sudoku", "model.cells=80").task_for_model


# -- what they do -------------------------------------------------------------------------------------------------


def test_a_published_network_asks_for_every_cell_of_a_puzzle_under_symmetries():
    data = recipe_of("trm-mlp-sudoku", "data.sources=[generate:9x9]").data()
    seen = set()
    for index in range(6):
        sample = data.draw(index)
        question, answer = sample.encoded.x[16:], sample.target
        assert sample.encoded.x[0] == 11 and (sample.encoded.x[1:16] == -1).all()
        assert ((question == 1) | (question == answer)).all() and (question == 1).any()
        grid = answer.reshape(9, 9)
        assert all(sorted(line) == list(range(2, 11)) for line in (*grid, *grid.T))
        seen.add(answer.tobytes())
        again = data.draw(index)
        assert (again.encoded.x == sample.encoded.x).all()
    assert len(seen) == 6


def test_mazes_come_with_the_path_that_was_given_or_the_canonical_one(tmp_path):
    maze = ["S  #", "    ", "#   ", "   G"]
    path = ["S  #", "oo  ", "#oo ", "  oG"]
    rows = "".join(maze), "".join(path)
    (tmp_path / "m.csv").write_text("question,answer\n{},{}\n".format(*rows))
    settings = (f"data.sources=[{tmp_path / 'm.csv'}]", "data.symmetries=false")
    tokens = {mark: token for token, mark in enumerate("# SGo", 1)}
    given = small("trm-att-maze", *settings, "data.given=true").data().draw(0)
    assert given.target.tolist() == [tokens[mark] for mark in rows[1]]
    canonical = small("trm-att-maze", *settings).data().draw(0)
    assert (canonical.target == tokens["o"]).sum() == 5 and not (canonical.target == given.target).all()
    weighted = small("trm-att-maze", *settings, "data.off_path=0.25").data().draw(0)
    assert weighted.weight.tolist() == [1.0 if t == tokens["o"] else 0.25 for t in canonical.target]


def test_training_data_of_another_size_are_refused_before_anything_runs():
    result = CliRunner().invoke(app, ["train", "--recipe", "trm-mlp-sudoku", "--data", "generate:4x4", "--steps", "1"])
    assert result.exit_code == 2
    assert "supports 9x9 only, not 4x4" in result.output


@pytest.mark.parametrize("name", [*PUBLISHED, *(f"{name}-fast" for name in PUBLISHED)])
def test_every_recipe_learns(name, tmp_path):
    """At 4x4 and width 32; the published learning rate is too small for so few steps."""
    recipe = small(name, "train.steps=40", "train.lr=0.003" if "fast" not in name else "train.lr=0.02")
    with RunDir(tmp_path) as folder:
        run = trainer(recipe, folder)
        losses = []
        for _ in range(40):
            losses.append(run.train_step()["loss"])
        table = run.model.embed.puzzle_table
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:3]), losses
    assert table is None or (table != 0).any()  # the puzzle's embedding takes part


@pytest.mark.parametrize("name", ["trm-mlp-sudoku", "hrm-sudoku", "trm-att-maze-fast"])
def test_a_resumed_run_equals_an_uninterrupted_one(name, tmp_path):
    recipe = small(name, "train.steps=12")
    with RunDir(tmp_path / "whole") as folder:
        whole = trainer(recipe, folder)
        whole.run(Recorder())
    with RunDir(tmp_path / "parts") as folder:
        trainer(recipe, folder).run(Recorder(), stop=iter([False] * 4 + [True]).__next__)
    with RunDir(tmp_path / "parts") as folder:
        parts = trainer(recipe, folder)
        assert parts.step == 5
        parts.run(Recorder())
    for key, value in whole.ema.model.state_dict().items():
        assert torch.equal(value, parts.ema.model.state_dict()[key]), key


def test_the_depth_grows_and_the_checkpoint_has_the_whole_of_it(tmp_path):
    recipe = small("trm-mlp-sudoku-fast", "train.steps=10", "train.depth_curriculum=[[0.5, 1, 1], [0.8, 2, 2]]")
    with RunDir(tmp_path) as folder:
        run = trainer(recipe, folder)
        depths = []
        for _ in range(10):
            run.train_step()
            depths.append((run.model.config.T, run.model.config.n))
        assert depths == [(1, 1)] * 5 + [(2, 2)] * 3 + [(3, 6)] * 2
        assert (run.ema.model.config.T, run.ema.model.config.n) == (3, 6)


def test_from_the_command_line_to_a_checkpoint_that_solves(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    settings = [word for setting in SMALL for word in ("--set", setting)]
    command = ["train", "--recipe", "trm-mlp-sudoku-fast", "--data", "generate:4x4", *settings, "--T", "1", "--n", "2"]
    command += ["--set", "train.depth_curriculum=[]", "--set", "train.batch_size=32", "--easier", "0.8"]
    printed = runner.invoke(app, [*command, "--print-config", "--steps", "150", "--batch-size", "16"])
    assert printed.exit_code == 0
    assert yaml.safe_load(printed.output)["train"]["batch_size"] == 32  # --set has the last word
    Path("mine.yaml").write_text(printed.output)
    done = runner.invoke(app, ["train", "--recipe", "mine.yaml", "--no-compile", "-o", "mine.safetensors", "-q"])
    assert done.exit_code == 0, done.output
    assert Path("runs/mine/state.safetensors").exists()
    header = read_header(Path("mine.safetensors"))
    assert header.provenance["steps"] == 150 and header.model["seq_len"] == 16
    puzzles = runner.invoke(app, ["generate", "sudoku", "--size", "4x4", "-n", "8", "--seed", "5", "--format", "line"])
    model = trmsolve.load("mine.safetensors")
    results = list(model.solve(puzzles.output.split(), restarts=32))
    assert sum(r.solved for r in results) >= 6
    wider = [*command, "--from", "mine.safetensors", "--set", "model.hidden_size=64", "--run", "wider", "--no-compile"]
    refused = runner.invoke(app, wider)
    assert refused.exit_code == 2 and "do not fit" in refused.output
    alone = ["train", "--task", "sudoku", "--from", "mine.safetensors", "--minutes", "1", "--print-config"]
    train = yaml.safe_load(runner.invoke(app, alone).output)["train"]
    assert (train["optimizer"], train["lr"], train["batch_size"]) == ("adam-atan2", 1e-4, 32)
    further = ["train", "--recipe", "mine.yaml", "--from", "mine.safetensors", "--steps", "3", "--run", "further"]
    assert runner.invoke(app, [*further, "--no-compile", "-q"]).exit_code == 0
    assert read_header(Path("further/sudoku.safetensors")).model == header.model


def test_tasks_and_recipes_must_agree():
    result = CliRunner().invoke(app, ["train", "--task", "maze", "--recipe", "hrm-sudoku", "--print-config"])
    assert result.exit_code == 2 and "is for sudoku, not for maze" in result.output
    result = CliRunner().invoke(app, ["train"])
    assert result.exit_code == 2 and "--list-recipes" in result.output


@pytest.mark.parametrize("text", ["model: {hidden_size: 8}", "task: sudoku\nmodel: 7", "task: sudoku\ntrain: [1]"])
def test_a_wrong_recipe_is_refused_by_the_command_whatever_else_is_asked_for(text, tmp_path):
    (tmp_path / "r.yaml").write_text(text)
    for more in ([], ["--from", "sudoku"], ["--width", "8", "--minutes", "1"]):
        result = CliRunner().invoke(app, ["train", "--recipe", str(tmp_path / "r.yaml"), "--print-config", *more])
        assert result.exit_code == 2 and result.output.startswith("error: "), result.output


def test_minutes_take_the_place_of_a_recipes_steps():
    printed = CliRunner().invoke(app, ["train", "--recipe", "trm-att-maze", "--minutes", "5", "--print-config"])
    train = yaml.safe_load(printed.output)["train"]
    assert train["steps"] is None and train["minutes"] == 5
    assert TrainConfig(**{k: v for k, v in train.items() if k != "depth_curriculum"}).finished(10**9, 299) is False
    assert json.dumps(train)
