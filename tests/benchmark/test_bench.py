"""trmsolve bench: the baseline, the ratios, and the report."""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import trmsolve
from networks import SUDOKU_MODEL
from trmsolve.benchmark import inference, training
from trmsolve.benchmark.inference import solve_fixed_steps
from trmsolve.benchmark.measure import Statistic, in_turns, matmul_rate
from trmsolve.benchmark.test_time_training import mirror_task
from trmsolve.checkpoint import load_tensors
from trmsolve.cli import app
from trmsolve.cli.bench import figure, number_text
from trmsolve.inference.evaluate import single_pass
from trmsolve.inference.few_shot import AdaptOptions
from trmsolve.inference.flops import count_flops, step_flops
from trmsolve.inference.options import SolveOptions, StepEvent
from trmsolve.inference.search import FLOOR_SLOPE, FLOOR_START
from trmsolve.inference.solver import Solver
from trmsolve.inference.test_time_training import TestTimeTrainer
from trmsolve.model.config import TRMConfig
from trmsolve.model.layers import reference_mode
from trmsolve.model.trm import TRM
from trmsolve.tasks import get
from trmsolve.tasks.base import Line, Puzzle
from trmsolve.tasks.sudoku.generate import generate
from trmsolve.text_io import open_lines
from trmsolve.training import recipe as recipes

EXAMPLES = Path(__file__).parents[2] / "examples" / "sudoku"
TASK = get("sudoku")
# Without a solution, so that no checkpoint solves it; one solved late in a single pass; and one that needs restarts.
STUCK = "82.........36......7..9.2...5...7.......457.....1...3...1....68..85...1..9....4.."  # LATE, with a wrong 2
LATE = "8..........36......7..9.2...5...7.......457.....1...3...1....68..85...1..9....4.."  # Arto Inkala, 2012
HARD = ".......39.....1..5..3.5.8....8.9...6.7...2...1..4.......9.8..5..2....6..4..7....."  # Golden Nugget


def puzzles(name: str, limit: int | None = None) -> list[Puzzle]:
    return list(TASK.read(open_lines(str(EXAMPLES / name)), name))[:limit]


def read(*lines: str) -> list[Puzzle]:
    return list(TASK.read([Line(n, line) for n, line in enumerate(lines, 1)], "here"))


@pytest.fixture(scope="module")
def solver() -> Solver:
    return trmsolve.load("sudoku", device="cpu", dtype="float32").solver


@pytest.fixture
def small() -> Solver:
    torch.manual_seed(0)
    return Solver(
        TASK, TRM(TRMConfig(**SUDOKU_MODEL | {"hidden_size": 8, "intermediate_size": 8, "n": 1})), torch.float32
    )


# -- the baseline -----------------------------------------------------------------------------------------------
def test_baseline_takes_16_steps_of_every_puzzle(solver):
    given = puzzles("stream.csv", 4) + read(STUCK, LATE)
    expected = single_pass(solver, given, (16,)).correct["accepted", 16]
    assert 0 < expected < len(given)  # or this shows nothing
    assert solve_fixed_steps(solver, given) == solve_fixed_steps(solver, given, batch_size=2) == expected


def test_baseline_counts_puzzles_without_open_choices(small):
    _, solution, _ = generate(3, 0, 4)
    nothing_left = np.zeros((4, 4), np.uint8)
    nothing_left[0], nothing_left[1, 3] = [1, 2, 3, 0], 4
    assert solve_fixed_steps(small, [Puzzle(solution), Puzzle(nothing_left)]) == 1


# -- giving up --------------------------------------------------------------------------------------------------
def test_an_unsure_single_pass_ends_early(solver):
    given = puzzles("stream.csv", 4) + read(STUCK, LATE)
    patient = list(solver.solve(given, SolveOptions(restarts=0, max_steps=16)))
    hasty = list(solver.solve(given, SolveOptions(restarts=0, max_steps=16, confidence_floor=1.0)))
    late = [r.steps > FLOOR_START for r in patient]
    assert any(late) and not all(late)
    for one, other, is_late in zip(patient, hasty, late, strict=True):
        assert other.steps == min(one.steps, FLOOR_START)
        assert other.solved == (one.solved and not is_late)


def test_confidence_floor_rises(solver):
    """The floor at which a run would just end, from the confidence of each step."""
    events = [e for e in solver.solve(read(STUCK), SolveOptions(restarts=0), steps=True) if isinstance(e, StepEvent)]
    blank = events[0].puzzle.question == 0
    needed = [float(e.prediction.confidence[blank].mean()) - FLOOR_SLOPE * (e.step - FLOOR_START) for e in events]
    low = min(needed[FLOOR_START - 1 :])
    (patient,) = solver.solve(read(STUCK), SolveOptions(restarts=0, confidence_floor=low - 1e-4))
    (hasty,) = solver.solve(read(STUCK), SolveOptions(restarts=0, confidence_floor=low + 1e-4))
    ends = next(k for k, bar in enumerate(needed, 1) if k >= FLOOR_START and bar < low + 1e-4)
    assert (patient.steps, hasty.steps) == (len(events), ends)


def test_puzzles_below_the_confidence_floor_are_solved_by_restarts(solver):
    (result,) = solver.solve(read(HARD), SolveOptions(confidence_floor=1.0))
    assert result.solved and result.restarts > 0


def test_first_run_stops_early_if_there_are_restarts(solver):
    def first_run(options: SolveOptions) -> int:
        events = [e for e in solver.solve(read(STUCK), options, steps=True) if isinstance(e, StepEvent)]
        return sum(e.run == 0 for e in events)

    assert first_run(SolveOptions(restarts=0)) == TASK.max_steps(read(STUCK)[0].question)
    assert first_run(SolveOptions(restarts=1)) < first_run(SolveOptions(restarts=1, confidence_floor=0.0))


def test_no_restarts_below_restart_confidence(solver):
    (result,) = solver.solve(read(STUCK), SolveOptions(restart_confidence=1.0))
    assert not result.solved and result.restarts == 0 and result.prediction is not None
    late, easy = solver.solve(
        read(LATE) + puzzles("stream.csv", 1), SolveOptions(restart_confidence=1.0, confidence_floor=0.0)
    )
    assert late.solved and easy.solved  # what the first run solves is not asked for a promise


# -- figures ----------------------------------------------------------------------------------------------------
def test_a_figure_has_a_median_and_a_spread():
    assert Statistic.of([3.0, 1.0, 8.0]) == Statistic(3.0, 1.0, 8.0, 3)
    assert figure(Statistic.of([3.0, 1.0, 8.0]).to_dict()) == "3 (1 to 8)"
    assert figure(Statistic.of([2500.0]).to_dict(), 1e-3) == "2.5"
    assert [number_text(x) for x in (0.01234, 99.96, 12345.6)] == ["0.0123", "100", "12,346"]


def test_in_turns_alternates():
    order = []
    statistics = in_turns(
        {name: lambda name=name: order.append(name) or len(order) for name in "ab"}, 2, lambda text: None
    )
    assert order == ["a", "b", "a", "b"]
    assert [outcome for _, outcome in statistics["a"]] == [1, 3]
    assert all(seconds >= 0 for of in statistics.values() for seconds, _ in of)


def test_matmul_rate_is_plausible():
    assert 1e8 < matmul_rate(torch.device("cpu"), torch.float32, 0.05) < 1e16


# -- streams ----------------------------------------------------------------------------------------------------
def test_compare_streams_reports_accuracy_and_ratios(solver):
    given = puzzles("stream.csv", 6)
    settings = {"once": SolveOptions(restarts=0, max_steps=1), "default": SolveOptions()}
    report = inference.compare_streams(solver, settings, {"published": solver}, given, 2)
    once, default, published = report["streams"]
    assert default["accuracy"] == 1 and once["right"] < published["right"]  # one step is too few
    assert (once["mean_steps"], published["mean_steps"]) == (1, 16)
    assert default["flops_per_second"] is None and once["flops_per_second"]["n"] == 2
    assert [(r["ours"], r["published"], r["accuracy_equal_or_better"]) for r in report["ratios"]] == [
        ("once", "published", False),
        ("default", "published", True),
    ]
    baseline = published["puzzles_per_second"]
    for stream, ratio in zip((once, default), report["ratios"], strict=True):
        rate, times = stream["puzzles_per_second"], ratio["times"]
        assert times["n"] == rate["n"] == 2
        lowest, highest = rate["low"] / baseline["high"], rate["high"] / baseline["low"]
        assert lowest * 0.999 <= times["low"] <= times["high"] <= highest * 1.001


def test_flops_of_a_stream_are_those_of_its_steps(solver):
    """Puzzles of one size all through, so that tokens and steps multiply exactly."""
    given = puzzles("easy.txt") * 3
    once = {"once": SolveOptions(restarts=0, max_steps=2)}
    stream, _ = inference.compare_streams(solver, once, {"p": solver}, given, 1)["streams"]
    flops = stream["flops_per_second"]["median"] / stream["puzzles_per_second"]["median"]
    assert flops == pytest.approx(step_flops(solver, given) * stream["mean_steps"])


# -- training ---------------------------------------------------------------------------------------------------
def small_recipe() -> recipes.Recipe:
    values = {
        "model": {"hidden_size": 8, "intermediate_size": 8, "n": 1},
        "train": {"batch_size": 4},
        "data": {"sources": ["generate:4x4"]},
    }
    return recipes.build(recipes.over(recipes.of_task("sudoku"), values))


def test_compare_training_measures_both_and_removes_its_folders(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    recipe = small_recipe()
    weights = TRM(recipe.config).state_dict()
    before = {name: tensor.clone() for name, tensor in weights.items()}
    report = training.compare_training(
        training.TrainingSetup(recipe, weights, torch.device("cpu"), torch.float32, False), steps=2, repeat=3
    )
    (ours, published), ratio = report["ways"], report["ratio"]
    assert (ours["name"], published["name"], ours["batch"]) == ("ours", "published", 4)
    assert (ours["window"], published["window"]) == (recipe.train.bptt_steps, 1) and recipe.train.bptt_steps > 1
    assert ours["optimizer_steps_per_second"]["n"] == ratio["n"] == 3
    for way in (ours, published):
        steps, of_puzzles = way["optimizer_steps_per_second"], way["supervision_steps_per_second"]
        assert of_puzzles["median"] == pytest.approx(4 * way["window"] * steps["median"])
    highest, lowest = ours["supervision_steps_per_second"]["high"], published["supervision_steps_per_second"]["low"]
    assert ratio["low"] <= highest / lowest
    assert list(tmp_path.iterdir()) == []
    assert all(torch.equal(before[name], tensor) for name, tensor in weights.items())


@pytest.mark.parametrize("bptt_steps", [1, 3])
def test_flops_of_training_are_those_of_three_forward_passes(bptt_steps, tmp_path):
    """Backward has two multiplies for each one of the forward pass, except for the gradients of y and z."""
    recipe = small_recipe()
    config = replace(recipe.train, bptt_steps=bptt_steps)
    setup = training.TrainingSetup(recipe, TRM(recipe.config).state_dict(), torch.device("cpu"), torch.float32, False)
    trainer = setup.trainer(config, tmp_path)
    part, model = trainer.batch.micro_batches[0], trainer.model
    with torch.no_grad(), reference_mode():
        forward = count_flops(lambda: model(part.tokens, part.y, part.z, part.batch))
    assert 2.5 * bptt_steps * forward < training.train_step_flops(trainer) <= 3 * bptt_steps * forward
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


# -- the command ------------------------------------------------------------------------------------------------
def bench(*arguments: object):
    result = CliRunner().invoke(app, ["bench", *map(str, arguments)], prog_name="trmsolve")
    assert "Traceback" not in result.stderr and "internal error" not in result.stderr, result.stderr
    return result


def test_bench_measures_solving_as_json():
    done = bench(EXAMPLES / "stream.csv", "-n", 2, "--repeat", 1, "--json")
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["puzzles"] == 2 and "training" not in report
    assert report["matmul_flops_per_second"]["median"] > 1e8
    measured = report["inference"]
    assert measured["settings"] == {"max_steps": 32, "restarts": 0, "confidence_floor": 0.35, "restart_confidence": 0.0}
    names = [stream["name"] for stream in measured["streams"]]
    assert names[:2] == ["quick", "default settings"] and names[-1] == "published, float32"
    assert measured["streams"][1]["accuracy"] == 1
    assert len(measured["ratios"]) == 2 * (len(names) - 2)
    assert measured["one_puzzle_seconds"]["cold_start"]["median"] > measured["one_puzzle_seconds"]["warm"]["median"] > 0


def test_bench_measures_training_for_people(tmp_path):
    path = tmp_path / "small.safetensors"
    config = TRMConfig(**SUDOKU_MODEL | {"hidden_size": 8, "intermediate_size": 8, "n": 1})
    trmsolve.checkpoint.save(path, TRM(config).state_dict(), "sudoku", config.to_dict(), {}, {})
    rows = [f"{TASK.format_line(q)},{TASK.format_line(a)}" for q, a, _ in (generate(9, index, 4) for index in range(3))]
    (tmp_path / "data.csv").write_text("\n".join(["question,answer", *rows]))
    done = bench(
        tmp_path / "data.csv", "--what", "training", "--checkpoint", path, "--steps", 2, "--repeat", 2, "--no-compile"
    )
    assert done.exit_code == 0, done.stderr
    for words in ("training, ours not compiled", "optimizer steps/s", "published, batch 32", "times"):
        assert words in done.stdout
    assert "quick" not in done.stdout


def test_bench_skips_unsupported_puzzles(tmp_path):
    from trmsolve.model.sequence_model import official

    path = tmp_path / "fixed.safetensors"
    config = official(mixer="mlp", cells=81, vocab_size=11, hidden_size=16, T=1, n=1)
    trmsolve.checkpoint.save(path, TRM(config).state_dict(), "sudoku", config.to_dict(), {}, {})
    done = bench(EXAMPLES / "4x4.txt", "--checkpoint", path)
    assert done.exit_code == 2 and "supports 9x9 only" in done.stderr


# -- test-time training -------------------------------------------------------------------------------------------
def test_test_time_training_is_compared_with_version_01():
    result = CliRunner().invoke(app, ["bench", "--task", "arc", "--steps", "1", "--repeat", "2", "--json", "-q"])
    assert result.exit_code == 0, result.output
    measured = json.loads(result.stdout)["test_time_training"]
    ours, baseline = (measured["ways"][name]["steps_per_second"] for name in ("ours", "version 0.1"))
    assert ours["n"] == baseline["n"] == 2 and ours["low"] > 0
    low, high = ours["low"] / baseline["high"], ours["high"] / baseline["low"]
    assert low <= measured["ratio"]["low"] <= measured["ratio"]["median"] <= measured["ratio"]["high"] <= high


def test_test_time_training_learns_as_in_version_01():
    model = trmsolve.load("arc", device="cpu", dtype="float32")
    weights = load_tensors(model.checkpoint.path, model.checkpoint.sha256)
    options, losses = AdaptOptions(budget=None, steps=100, votes=4), []
    for context in (nullcontext(), reference_mode()):
        trainer = TestTimeTrainer(model.task, model.config, weights, [mirror_task(4)], options, torch.device("cpu"))
        with context:
            for _ in range(8):
                trainer.train(0.3)
                losses.append(trainer.loss)
    assert losses[7] < losses[0]
    np.testing.assert_allclose(losses[:8], losses[8:], rtol=1e-2)


@pytest.mark.slow
def test_test_time_training_is_measured_beside_a_busy_process():
    task = str(EXAMPLES.parent / "arc" / "recolour.json")
    arguments = ["--task", "arc", task, "--busy", "--steps", "1", "--repeat", "1", "--json", "-q"]
    report = json.loads(CliRunner().invoke(app, ["bench", *arguments]).stdout)
    (rates,) = report["busy"].values()
    assert rates["quiet"]["median"] > 0 and rates["busy"]["median"] > 0 and "test_time_training" not in report
