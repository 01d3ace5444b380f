"""Evaluation: what is counted, by step and in FLOP, and puzzles that a model does not support."""

import json

import numpy as np
import pytest
import torch

from networks import SUDOKU_MODEL
from trmsolve.errors import TrmsolveError
from trmsolve.inference import evaluate as compare
from trmsolve.inference.flops import step_flops
from trmsolve.inference.metrics import calibration, calibration_error, summary
from trmsolve.inference.options import Result, SolveOptions
from trmsolve.inference.solver import Solver
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
    measured = measurement.report()
    assert (measured["puzzles"], measured["refused"], measured["parameters"]) == (4, 1, 7)
    assert measured["solved"] == measured["solved_without_restarts"] == 0.75
    assert measured["mean_steps"] == 3  # of those it took
    assert [measured[f"accepted_at_{k}"] for k in (1, 2, 4, 64)] == [0, 0, 0.75, 0.75]
    assert [measured[f"halting_right_at_{k}"] for k in (2, 16)] == [0, 1]  # the unsupported one has no prediction
    (spots,) = measured["calibration_at_16"]
    assert (spots["low"], spots["high"], spots["puzzles"], spots["right"]) == (0.8, 0.9, 3, 1)
    assert measured["calibration_error_at_16"] == pytest.approx(0.2)
    for share in ("solved", "exact_at_16", "accepted_at_1", "halting_right_at_16"):
        low, high = measured[f"{share}_interval_95"]
        assert 0 <= low <= measured[share] <= high <= 1 and low < high
    assert measured["strata"]["4x4"] == {**measured["strata"]["4x4"], "puzzles": 1, "solved": 0}
    assert ("solving", 3, 3) in reports and ("single pass", 4, 4) in reports
    assert json.loads(json.dumps(measured))["solved"] == 0.75


def test_a_summary_covers_all_puzzles():
    results = [Result(FOUR, error="too small"), Result(NINE[0], solved=True, steps=4, restarts=1)]
    measured = summary(results, 2.0)
    assert (measured["puzzles"], measured["refused"], measured["solved"], measured["solved_without_restarts"]) == (
        2,
        1,
        0.5,
        0,
    )
    assert (measured["mean_steps"], measured["mean_restarts"], measured["puzzles_per_second"]) == (4, 1, 0.5)


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
        mixing = 2 * (tokens + 4 * units) * 16 * (2 * 24)  # messages of a token and of the units of four kinds
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
