"""Several checkpoints on the same puzzles: what is counted, what is refused, and what the command prints."""

import json
import re

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from networks import SUDOKU_MODEL
from trmsolve import checkpoint as checkpoints
from trmsolve.cli import app
from trmsolve.cli.tables import WIDTH, Comparison, in_thousands, labels
from trmsolve.errors import TrmsolveError
from trmsolve.inference import evaluate as compare
from trmsolve.inference.metrics import calibration, calibration_error, summary
from trmsolve.inference.options import Result, SolveOptions
from trmsolve.inference.solver import Solver, step_flops
from trmsolve.model.config import TRMConfig
from trmsolve.model.packing import pack
from trmsolve.model.sequence_model import official
from trmsolve.model.trm import TRM, StepOutput
from trmsolve.tasks import get
from trmsolve.tasks.base import Puzzle
from trmsolve.tasks.sequence import SequenceFormat
from trmsolve.tasks.sudoku.backtracking import solutions
from trmsolve.tasks.sudoku.generate import generate

CELLS = get("sudoku").as_sequence(SequenceFormat(16, 81, 11, 1))
NINE = [Puzzle(*generate(5, index, 9)[:1], solution=generate(5, index, 9)[1]) for index in range(3)]
FOUR = Puzzle(generate(5, 0, 4)[0])


# -- calibration ------------------------------------------------------------------------------------------------
def test_calibration_by_hand():
    said = [(0.0, False), (0.05, True), (0.93, True), (0.97, True), (0.95, False), (1.0, True)]
    low, high = calibration(said)
    assert (low.low, low.high, low.puzzles, low.predicted, low.right) == (0.0, 0.1, 2, pytest.approx(0.025), 0.5)
    assert (high.low, high.high, high.puzzles) == (0.9, 1.0, 4)
    assert high.predicted == pytest.approx(0.9625) and high.right == 0.75
    assert calibration_error([low, high]) == pytest.approx((2 * 0.475 + 4 * 0.2125) / 6)
    assert calibration([]) == [] and calibration_error([]) == 0


# -- one report -------------------------------------------------------------------------------------------------
class Late(torch.nn.Module):
    """In the model's place: gives the right answer from its third step on, and takes it for right with 0.8 always."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(7))
        self.register_buffer("fixed", torch.zeros(5))

    def init_state(self, tokens: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(tokens, 1), torch.zeros(tokens, 1)

    def forward(self, tokens: torch.Tensor, y: torch.Tensor, z: torch.Tensor, layout) -> StepOutput:
        z = z + 1
        logits = torch.zeros(len(tokens), 11)
        for row, out in zip(tokens.view(-1, 97), logits.view(-1, 97, 11), strict=True):
            question = (row[16:].numpy() - 1).astype(np.uint8).reshape(9, 9)
            answer = torch.from_numpy(solutions(question, 1)[0][0].reshape(-1).astype(np.int64))
            out[16 + torch.arange(81), answer + 1] = 5.0 if z[0] >= 3 else -5.0
        halt = torch.full((len(layout.lengths),), float(np.log(4)))
        return StepOutput(y, z, logits.flatten(), halt, halt)


def test_a_report_has_accuracy_by_step_and_counts_unsupported_puzzles_as_unsolved():
    reports = []
    puzzles = [NINE[0], FOUR, *NINE[1:]]
    reasons = compare.unsupported_reasons("late", CELLS, puzzles)
    assert [bool(reason) for reason in reasons] == [False, True, False, False]
    solver = Solver(CELLS, Late(), torch.float32)
    measurement = compare.Measurement(solver, puzzles, reasons, SolveOptions())
    measurement.run(lambda *what: reports.append(what))
    found = measurement.report()
    assert (found["puzzles"], found["refused"], found["parameters"]) == (4, 1, 7)
    assert found["solved"] == found["solved_without_restarts"] == 0.75
    assert found["mean_steps"] == 3  # of those it took
    assert [found[f"accepted_at_{k}"] for k in (1, 2, 4, 64)] == [0, 0, 0.75, 0.75]
    assert [found[f"halting_right_at_{k}"] for k in (2, 16)] == [0, 1]  # it said nothing of the refused one
    (spots,) = found["calibration_at_16"]
    assert (spots["low"], spots["high"], spots["puzzles"], spots["right"]) == (0.8, 0.9, 3, 1)
    assert found["calibration_error_at_16"] == pytest.approx(0.2)
    for share in ("solved", "exact_at_16", "accepted_at_1", "halting_right_at_16"):
        low, high = found[f"{share}_interval_95"]
        assert 0 <= low <= found[share] <= high <= 1 and low < high
    assert found["strata"]["4x4"] == {**found["strata"]["4x4"], "puzzles": 1, "solved": 0}
    assert ("solving", 3, 3) in reports and ("single pass", 4, 4) in reports
    assert json.loads(json.dumps(found))["solved"] == 0.75


def test_a_summary_covers_all_puzzles():
    results = [Result(FOUR, error="too small"), Result(NINE[0], solved=True, steps=4, restarts=1)]
    found = summary(results, 2.0)
    assert (found["puzzles"], found["refused"], found["solved"], found["solved_without_restarts"]) == (2, 1, 0.5, 0)
    assert (found["mean_steps"], found["mean_restarts"], found["puzzles_per_second"]) == (4, 1, 0.5)


def test_a_model_that_supports_no_puzzle_is_an_error():
    with pytest.raises(TrmsolveError, match=r"late supports none of the 2 puzzles.*supports 9x9 only, not 4x4"):
        compare.unsupported_reasons("late", CELLS, [FOUR, FOUR])


# -- FLOP -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_flop_of_attention_by_hand(dtype):
    config = official("attention", 11, 81, hidden_size=16, num_heads=2, T=2, n=3)
    length, width, hidden = 97, 16, config.intermediate_size
    projections = 2 * length * width * (3 * width + width)
    attention = 2 * (2 * length * length * width)  # scores, and sums of values by them
    swiglu = 2 * length * width * (2 * hidden + hidden)
    networks = 2 * (3 + 1) * 2  # T (n + 1) times two layers
    heads = 2 * length * width * 11 + 2 * width * 2
    by_hand = networks * (projections + attention + swiglu) + heads
    assert step_flops(Solver(CELLS, TRM(config).cast(dtype), dtype), NINE) == by_hand


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_flop_of_units_by_hand(dtype):
    config = TRMConfig(**SUDOKU_MODEL | {"hidden_size": 16, "intermediate_size": 24, "n": 3, "T": 2})
    task = get("sudoku")
    by_hand = []
    for puzzle in NINE:
        encoded = task.encode(puzzle.question)
        tokens, units = len(encoded.x), encoded.edges.num_units
        mixing = 2 * (tokens + 4 * units) * 16 * (2 * 24)  # what a token says itself, and the units of four kinds
        down = 2 * tokens * 24 * 16
        by_hand.append(2 * (3 + 1) * 2 * (mixing + down) + 2 * tokens * 16 + 2 * 16 * 2)
    solver = Solver(task, TRM(config).cast(dtype), dtype)
    assert step_flops(solver, NINE, batch_size=2) == pytest.approx(np.mean(by_hand), rel=1e-12)
    assert step_flops(solver, [Puzzle(NINE[0].solution)]) == 0  # nothing to choose


def test_flops_do_not_depend_on_the_attention_kernel():
    """Under autograd the layers are computed another way: the same multiplies."""
    from torch.utils.flop_counter import FlopCounterMode

    model = TRM(TRMConfig(**SUDOKU_MODEL | {"hidden_size": 16, "intermediate_size": 24, "n": 1, "T": 1}))
    encoded = get("sudoku").encode(NINE[0].question)
    tokens, layout = pack([encoded])
    with FlopCounterMode(display=False) as counter:
        model(tokens, *model.init_state(len(tokens), torch.float32), layout)
    assert counter.get_total_flops() == step_flops(Solver(get("sudoku"), model, torch.float32), NINE[:1])


# -- the command ------------------------------------------------------------------------------------------------
@pytest.fixture
def own(tmp_path):
    """A checkpoint of any size of Sudoku, random."""
    return _saved(
        tmp_path / "own.safetensors",
        TRMConfig(**SUDOKU_MODEL | {"hidden_size": 8, "intermediate_size": 8, "n": 1}),
        "sudoku",
    )


@pytest.fixture
def fixed(tmp_path):
    """A checkpoint as the import writes it, of a network that supports 9x9 only."""
    return _saved(tmp_path / "fixed.safetensors", official("mlp", 11, 81, hidden_size=8, T=1, n=1), "sudoku")


def _saved(path, config, task):
    torch.manual_seed(0)
    checkpoints.save(path, TRM(config).state_dict(), task, config.to_dict(), {}, {})
    return path


@pytest.fixture
def puzzles(tmp_path):
    """Two of 9x9 and one of 4x4."""
    path = tmp_path / "p.csv"
    rows = [f"{get('sudoku').format_line(p.question)},{get('sudoku').format_line(p.solution)}" for p in NINE[:2]]
    path.write_text("\n".join(["question,answer", *rows, f"{get('sudoku').format_line(FOUR.question)},"]) + "\n")
    return path


def call(*args):
    quick = ("--restarts", "1", "--max-steps", "2", "--device", "cpu")
    done = CliRunner().invoke(app, ["eval", "sudoku", *map(str, args), *quick])
    assert "Traceback" not in done.stderr and "internal error" not in done.stderr, done.stderr
    return done


def test_a_row_for_each_checkpoint(own, fixed, puzzles):
    done = call(puzzles, "--checkpoint", own, "--checkpoint", fixed)
    assert done.exit_code == 0
    head, first, second, *_ = lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert head.split()[:4] == ["checkpoint", "parameters", "exact@16", "exact@64"]
    for row, path in ((first, own), (second, fixed)):
        tensors, fixed_ones = checkpoints.read_header(path).tensors, ("y_init", "z_init", "embed.puzzle_table")
        trained = sum(int(np.prod(shape)) for name, (_, shape) in tensors.items() if name not in fixed_ones)
        assert {"y_init", "z_init"} <= set(tensors) and f" {trained:,} " in row and path.stem in row
    assert first.split()[-1] == "0" and second.split()[-1] == "1"  # refused


def test_json_of_several_and_of_one(own, fixed, puzzles):
    report = json.loads(call(puzzles, "--checkpoint", own, "--checkpoint", fixed, "--json").stdout)
    assert report["task"] == "sudoku" and report["files"] == [str(puzzles)]
    names = [one["checkpoint"] for one in report["checkpoints"]]
    assert names == [str(own), str(fixed)] and [one["puzzles"] for one in report["checkpoints"]] == [3, 3]
    assert [one["refused"] for one in report["checkpoints"]] == [0, 1]
    assert "supports 9x9 only" in report["checkpoints"][1]["refusal"]
    one = json.loads(call(puzzles, "--checkpoint", fixed, "--json").stdout)
    assert one["checkpoint"] == str(fixed) and set(one) == set(report["checkpoints"][1])
    assert one["flops_per_puzzle"] == pytest.approx(one["flops_per_step"] * one["mean_steps"]) and one["mean_steps"] > 0
    text = call(puzzles, "--checkpoint", fixed).stdout
    assert "1: this checkpoint supports 9x9 only, not 4x4" in text and "FLOP per puzzle" in text


def test_without_the_single_pass(own, fixed, puzzles):
    done = call(puzzles, "--checkpoint", own, "--checkpoint", fixed, "--no-single-pass")
    assert done.exit_code == 0 and "exact" not in done.stdout and "halting" not in done.stdout


def test_the_same_checkpoint_is_measured_once(own, puzzles, tmp_path):
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(own.read_bytes())
    done = call(puzzles, "--checkpoint", own, "--checkpoint", own, "--checkpoint", copy, "--json")
    assert [one["checkpoint"] for one in json.loads(done.stdout)["checkpoints"]] == [str(own)]
    assert done.stderr.count("measured once") == 1 and str(copy) in done.stderr


def test_invalid_arguments_are_rejected_before_measuring(own, fixed, puzzles, tmp_path):
    def refused(*args):
        done = call(*args)
        assert done.exit_code == 2 and done.stdout == ""
        return done.stderr

    two = (puzzles, "--checkpoint", own, "--checkpoint")
    assert "no checkpoint file" in refused(*two, tmp_path / "missing.safetensors")
    maze = _saved(
        tmp_path / "m.safetensors",
        TRMConfig(**SUDOKU_MODEL | {"hidden_size": 8, "intermediate_size": 8, "n": 1}),
        "maze",
    )
    assert "is a maze checkpoint, expected sudoku" in refused(*two, maze)
    small = tmp_path / "small.txt"
    small.write_text(get("sudoku").format_line(FOUR.question) + "\n")
    assert "supports none of the 1 puzzles" in refused(small, "--checkpoint", own, "--checkpoint", fixed)
    there = tmp_path / "there.svg"
    there.write_text("old")
    assert "--force" in refused(*two, fixed, "--plot", there) and there.read_text() == "old"
    assert "writes SVG" in refused(*two, fixed, "--plot", tmp_path / "a.png")
    assert "--no-single-pass" in refused(*two, fixed, "--plot", tmp_path / "a.svg", "--no-single-pass")
    assert "does not exist" in refused(*two, fixed, "--plot", tmp_path / "nowhere" / "a.svg")


def test_a_plot_of_several_and_of_one(own, fixed, puzzles, tmp_path):
    path = tmp_path / "a.svg"
    assert call(puzzles, "--checkpoint", own, "--checkpoint", fixed, "--plot", path).exit_code == 0
    text = path.read_text()
    assert "own (" in text and "fixed (" in text and "3 puzzles of p.csv" in text
    assert call(puzzles, "--checkpoint", own, "--plot", path, "--force").exit_code == 0
    assert "fixed (" not in path.read_text()


@pytest.fixture
def interrupted(monkeypatch):
    """Ctrl-C after this number of progress reports of an activity, counting all checkpoints."""

    def at(what: str, number: int) -> None:
        run, activities = compare.Measurement.run, []

        def until(self, progress):
            def reports(doing, done, of):
                activities.append(doing)
                if doing == what and activities.count(what) == number:
                    raise KeyboardInterrupt
                progress(doing, done, of)

            run(self, reports)

        monkeypatch.setattr(compare.Measurement, "run", until)

    return at


def test_an_interruption_loses_only_the_current_checkpoint(own, fixed, puzzles, interrupted, tmp_path):
    interrupted("solving", 5)  # the second puzzle of the second checkpoint
    path = tmp_path / "a.svg"
    done = call(puzzles, "--checkpoint", own, "--checkpoint", fixed, "--json", "--plot", path)
    assert done.exit_code == 130
    assert [one["checkpoint"] for one in json.loads(done.stdout)["checkpoints"]] == [str(own)]
    assert "own (" in path.read_text()


def test_an_interruption_keeps_the_partial_report_of_one_checkpoint(own, puzzles, interrupted, tmp_path):
    whole = json.loads(call(puzzles, "--checkpoint", own, "--limit", 2, "--json").stdout)
    interrupted("solving", 2)
    path = tmp_path / "a.svg"
    done = call(puzzles, "--checkpoint", own, "--json", "--plot", path)
    found = json.loads(done.stdout)
    assert done.exit_code == 130 and not path.exists()
    assert found["puzzles"] == 2 and found["interrupted"] == {"puzzles": 3, "single_pass": 0}
    assert all(found[key] == whole[key] for key in ("solved", "mean_steps", "mean_restarts", "strata"))
    assert not any(key.startswith(("exact_at", "flops")) for key in found)


def test_an_interrupted_report_as_text(own, puzzles, interrupted):
    interrupted("single pass", 1)
    done = call(puzzles, "--checkpoint", own)
    assert done.exit_code == 130
    assert re.search(r"^puzzles +3 of 3, interrupted$", done.stdout, re.M) and "mean steps" in done.stdout
    assert "single pass" not in done.stdout and "interrupted" in done.stderr


# -- words ------------------------------------------------------------------------------------------------------
def test_long_names_are_shortened_to_distinct_ones():
    names = ["sudoku", "a/" * 40 + "step_7.safetensors", "x/" * 40 + "same", "y/" * 40 + "same", "z" * 90]
    for length in (12, 23, 46):
        short = labels(names[:3], length)
        assert short[0] == "sudoku" and short[1] == "step_7" and short[2] == "same"
        every = labels(names, length)
        assert len(set(every)) == len(names) and max(map(len, every)) <= length


def test_the_table_keeps_its_width_whatever_the_names():
    table = Comparison(["n" * 300, "sudoku"], single_pass=True, refusing=True)
    found = {"parameters": 27_275_266, "solved": 1.0, "flops_per_puzzle": 9.99e14, "puzzles_per_second": 1234.5}
    found |= {"exact_at_16": 1.0, "exact_at_64": 1.0, "halting_right_at_16": 1.0, "refused": 123}
    lines = [table.head(), table.row(0, found), table.row(1, found)]
    assert {len(line) for line in lines} == {WIDTH}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (999, "999"), (999.7, "1 k"), (12_345_678, "12.3 M"), (7.61e9, "7.61 G"), (3e12, "3 T"), (5e15, "5 P")],
)
def test_thousands(value, text):
    assert in_thousands(value) == text
