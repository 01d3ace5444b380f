"""Published networks behind the same solver: cell by cell, one size, restarts under symmetries."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import trmsolve
from networks import HRM
from trmsolve import checkpoint as checkpoints
from trmsolve.cli import app
from trmsolve.convert.read import published_name
from trmsolve.inference.options import SolveOptions
from trmsolve.inference.solver import Solver
from trmsolve.model.sequence_model import official
from trmsolve.model.trm import TRM, StepOutput
from trmsolve.tasks import get
from trmsolve.tasks.base import InvalidPuzzle, Prediction, Puzzle
from trmsolve.tasks.sequence import SequenceFormat
from trmsolve.tasks.sudoku.backtracking import solutions
from trmsolve.tasks.sudoku.generate import generate

SUDOKU = get("sudoku").as_sequence(SequenceFormat(16, 81, 11, 1))
MAZE = get("maze").as_sequence(SequenceFormat(16, 900, 6, 1))


class Choosy(torch.nn.Module):
    """Replaces the model: predicts the answer only if the first cell of the question is blank."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[np.ndarray] = []

    def init_state(self, tokens: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(tokens, 1), torch.zeros(tokens, 1)

    def forward(self, tokens: torch.Tensor, y: torch.Tensor, z: torch.Tensor, layout) -> StepOutput:
        logits = torch.zeros(len(tokens), 11)
        for row, out in zip(tokens.view(-1, 97), logits.view(-1, 97, 11), strict=True):
            question = (row[16:].numpy() - 1).astype(np.uint8).reshape(9, 9)
            self.seen.append(question)
            if question[0, 0] == 0:
                answer = torch.from_numpy(solutions(question, 1)[0][0].reshape(-1).astype(np.int64))
                out[16 + torch.arange(81), answer + 1] = 5.0
        halt = torch.zeros(len(layout.lengths))
        return StepOutput(y, z, logits.flatten(), halt, halt)


def with_a_given_first(seed: int) -> tuple[np.ndarray, np.ndarray]:
    index = 0
    while not (made := generate(seed, index, 9))[0][0, 0]:
        index += 1
    return made[0], made[1]


def test_an_unsolved_puzzle_is_tried_under_symmetries_until_one_helps():
    question, solution = with_a_given_first(4)
    model = Choosy()
    (result,) = Solver(SUDOKU, model, torch.float32).solve([Puzzle(question)])
    assert result.solved and (result.prediction.answer == solution).all() and result.restarts > 0
    assert (model.seen[0] == question).all() and len({seen.tobytes() for seen in model.seen}) > 1
    assert all((seen > 0).sum() == (question > 0).sum() for seen in model.seen)


def test_without_restarts_it_stays_unsolved():
    question, _ = with_a_given_first(4)
    (result,) = Solver(SUDOKU, Choosy(), torch.float32).solve([Puzzle(question)], SolveOptions(restarts=0))
    assert not result.solved and result.restarts == 0


@pytest.mark.parametrize("k", [0, 1, 7])
def test_a_guess_at_a_view_goes_back_to_its_cells(k):
    question, solution, _ = generate(1, 2, 9)
    marks = np.arange(81, dtype=np.float32).reshape(9, 9)
    seen = SUDOKU.augment(question, k)
    assert (k == 0) == np.array_equal(seen, question)
    back = SUDOKU.invert(question, Prediction(SUDOKU.augment(solution, k), marks), k)
    assert (back.answer == solution).all()
    again = SUDOKU.invert(question, Prediction(seen, marks), k)
    assert sorted(again.confidence.flat) == sorted(marks.flat)
    moved = np.where(seen > 0, marks, -1)  # confidences of givens stay with givens
    assert ((SUDOKU.invert(question, Prediction(seen, moved), k).confidence >= 0) == (question > 0)).all()


def test_tokens_are_those_of_the_published_data_sets():
    question, solution, _ = generate(1, 3, 9)
    encoded = SUDOKU.encode(question)
    assert encoded.x[:16].tolist() == [11] + [-1] * 15
    assert (encoded.x[16:] == question.reshape(-1) + 1).all()  # 1 blank, 2 to 10 the digits
    chosen = encoded.first + solution[question == 0] - 1
    guess = SUDOKU.decode(question, encoded.meanings[chosen], np.full(encoded.num_choices, 0.5, np.float32))
    assert (guess.answer == solution).all() and (guess.confidence[question == 0] == 0.5).all()
    maze, path, _ = get("maze").generate(1, 0, 30)
    encoded = MAZE.encode(maze)
    assert (encoded.x[16:] == maze.reshape(-1) + 1).all() and encoded.num_choices == int((maze == 1).sum())
    chosen = encoded.first + (path[maze == 1] == 4) * 3
    assert (MAZE.decode(maze, encoded.meanings[chosen], np.ones(encoded.num_choices, np.float32)).answer == path).all()


@pytest.mark.parametrize(("task", "size"), [(SUDOKU, 4), (SUDOKU, 16), (MAZE, (30, 31)), (MAZE, 20)])
def test_other_sizes_are_not_for_this_model(task, size):
    question = task.generate(1, 0, size, **({"minimal": False} if size == 16 else {}))[0]
    side = 9 if task is SUDOKU else 30
    assert f"supports {side}x{side} only, not {len(question)}x{question.shape[1]}" in task.unsupported_reason(question)
    assert task.encode(question) is None


@pytest.fixture
def imported(tmp_path):
    """A checkpoint as the import writes it, of a tiny network with random weights."""
    torch.manual_seed(0)
    config = official("mlp", 11, 81, hidden_size=8, T=1, n=1)
    path = tmp_path / "imported.safetensors"
    checkpoints.save(path, TRM(config).state_dict(), "sudoku", config.to_dict(), {}, {})
    return path


def test_the_command_line_solves_with_it_and_a_wrong_size_spoils_only_itself(imported, tmp_path):
    question, _, _ = generate(1, 3, 9)
    (tmp_path / "p.txt").write_text("".join(map(str, question.flat)) + "\n4..3....1....2.4\n")
    options = ["--checkpoint", str(imported), "--restarts", "2", "--max-steps", "3", "--json", "--device", "cpu"]
    done = CliRunner().invoke(app, ["sudoku", str(tmp_path / "p.txt"), *options])
    one, other = json.loads(done.stdout)
    assert done.exit_code == 2 and "supports 9x9 only, not 4x4" in other["error"]
    assert not one["error"] and not one["solved"] and one["restarts"] == 2 and one["steps"] > 3


def test_runs_of_a_real_network_do_not_depend_on_the_batch(imported):
    model = trmsolve.load(imported, device="cpu", dtype="float32")
    given = [Puzzle(generate(2, index, 9)[0]) for index in range(3)]
    together = list(model.solve(given, restarts=2, max_steps=2))
    alone = [next(iter(model.solve([puzzle], restarts=2, max_steps=2, batch_size=1))) for puzzle in given]
    for a, b in zip(together, alone, strict=True):
        assert (a.prediction.answer == b.prediction.answer).all() and abs(a.halt_prob - b.halt_prob) < 1e-4


def test_import_on_the_command_line(tmp_path):
    def call(*args):
        return CliRunner().invoke(app, ["checkpoints", "import", str(tmp_path / "step_1"), *map(str, args)])

    model = TRM(official("attention", 12, 900, hidden_size=16, num_heads=2, **HRM))
    torch.save(
        {f"model.inner.{published_name(name)}": t for name, t in model.state_dict().items()}, tmp_path / "step_1"
    )
    out = tmp_path / "arc.safetensors"
    done = call("-o", out, "--cycles", "2,2", "--heads", 2)
    assert done.exit_code == 0 and done.stdout == f"{out}\n" and "arc: HRM" in done.stderr
    again = call("-o", out, "--cycles", "2,2", "--heads", 2)
    assert again.exit_code == 2 and "--force" in again.stderr
    assert "two whole numbers" in call("-o", out, "--force", "--cycles", "2").stderr
    loaded = trmsolve.load(out, device="cpu", dtype="float32")  # a task that is not installed
    logits, halt = next(loaded.refine(np.ones((1, 4), int), steps=1))
    assert logits.shape == (1, 4, 12) and halt.shape == (1,)


def test_a_record_that_was_never_a_puzzle_stays_what_it_is(imported):
    model = trmsolve.load(imported, device="cpu")
    bad = InvalidPuzzle("x:1", "no puzzle")
    (result,) = model.solve([bad])
    assert result.puzzle is bad and result.error == "no puzzle"
