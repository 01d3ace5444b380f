"""The model: exact symmetry, independence of its neighbours in the batch, agreement of its two ways to compute."""

import json

import numpy as np
import pytest
import torch

from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.inputs import Encoded
from trmsolve.model.packing import CSR, index_add_sum, logits_by_choice, pack, segment_sum
from trmsolve.model.trm import TRM, num_parameters
from trmsolve.tasks import get
from trmsolve.tasks.sudoku.generate import generate
from trmsolve.tasks.sudoku.symmetries import Symmetry
from trmsolve.training.losses import softmax_cross_entropy

STEPS = 3
SUDOKU = get("sudoku")
encode, decode, target, candidates = SUDOKU.encode, SUDOKU.decode, SUDOKU.target, SUDOKU.tokens


@pytest.fixture(scope="module")
def model() -> TRM:
    torch.manual_seed(0)
    model = TRM(TRMConfig(**{**get("sudoku").model_defaults, "hidden_size": 16, "intermediate_size": 32}))
    torch.nn.init.normal_(model.q_head.weight)  # zero at the start of training: it would agree with anything
    return model.eval()


def roll_out(model: TRM, batch: list[Encoded], steps: int = STEPS) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (L,) and halting logits (B,) after some steps."""
    tokens, layout = pack(batch)
    y, z = model.init_state(len(tokens), torch.float32)
    with torch.inference_mode():
        for _ in range(steps):
            step = model(tokens, y, z, layout)
            y, z = step.y, step.z
    return step.logits, step.halt_logit


def as_grid(question: np.ndarray, logits: torch.Tensor) -> np.ndarray:
    """The logits of a 9x9 question by cell and digit, nan where there is no token."""
    grid = np.full((*question.shape, len(question)), np.nan)
    grid.reshape(-1)[candidates(question)] = logits.numpy()
    return grid


@pytest.mark.parametrize("side", [4, 6, 9])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_symmetric_question_gives_symmetric_logits(model, side, seed):
    question, _, _ = generate(5, seed, side)
    symmetry = Symmetry.random(np.random.default_rng(seed), side)
    logits, halt = roll_out(model, [encode(question)])
    moved, moved_halt = roll_out(model, [encode(symmetry.apply(question))])
    # Where a digit's logit goes: mark every (cell, digit) by its own grid and move the marks.
    grid, expected = as_grid(question, logits), as_grid(symmetry.apply(question), moved)
    for digit in range(1, side + 1):
        marks = np.where(np.isnan(grid[..., digit - 1]), 0, digit).astype(np.uint8)
        moved_marks = symmetry.apply(marks)
        new_digit = int(moved_marks.max())
        assert (~np.isnan(expected[..., new_digit - 1]) == (moved_marks > 0)).all()
        before = np.sort(grid[..., digit - 1][marks > 0])
        after = np.sort(expected[..., new_digit - 1][moved_marks > 0])
        np.testing.assert_allclose(before, after, atol=1e-4)
    torch.testing.assert_close(halt, moved_halt, atol=1e-4, rtol=1e-4)
    assert logits.std() > 1e-3  # a constant would be symmetric too


def test_digits_permute_the_logits_exactly_in_place(model):
    question, _, _ = generate(5, 0, 9)
    digits = np.concatenate([[0], np.random.default_rng(0).permutation(9) + 1]).astype(np.uint8)
    before = as_grid(question, roll_out(model, [encode(question)])[0])
    after = as_grid(digits[question], roll_out(model, [encode(digits[question])])[0])
    np.testing.assert_allclose(before, after[..., digits[1:] - 1], atol=1e-4)


def test_neighbours_in_the_batch_change_nothing(model):
    batch = [encode(generate(6, i, side)[0]) for i, side in enumerate((9, 4, 6, 9, 4))]
    together, halt = roll_out(model, batch)
    start = 0
    for i, encoded in enumerate(batch):
        alone, halt_alone = roll_out(model, [encoded])
        torch.testing.assert_close(together[start : start + len(alone)], alone, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(halt[i : i + 1], halt_alone, atol=1e-5, rtol=1e-5)
        start += len(alone)


def test_the_path_without_autograd_agrees_with_the_one_that_trains(model):
    tokens, layout = pack([encode(generate(7, i, 9)[0]) for i in range(2)])
    y, z = model.init_state(len(tokens), torch.float32)
    with torch.inference_mode():
        quick = model(tokens, y, z, layout)
    slow = model(tokens, y, z, layout)
    for a, b in zip(quick, slow, strict=True):
        torch.testing.assert_close(a, b.detach(), atol=1e-4, rtol=1e-4)


def test_dropout_acts_only_in_passes_with_gradient(model):
    tokens, layout = pack([encode(generate(7, 0, 9)[0])])
    y, z = model.init_state(len(tokens), torch.float32)
    plain = model(tokens, y, z, layout).y
    try:
        model.dropout = 0.5
        zeroed = (model(tokens, y, z, layout).y == 0).float().mean()
        with torch.no_grad():
            torch.testing.assert_close(model(tokens, y, z, layout).y, plain.detach(), atol=1e-4, rtol=1e-4)
    finally:
        model.dropout = 0.0
    assert 0.4 < zeroed < 0.6
    assert not (plain == 0).any()


def test_segment_sum_and_its_gradient():
    rows = torch.tensor([0, 2, 1, 2], dtype=torch.int32)  # groups {0, 2}, {1}, {}, {2}
    starts = torch.tensor([0, 2, 3, 3, 4], dtype=torch.int32)
    groups = CSR(
        rows, starts, torch.tensor([0, 1, 0, 3], dtype=torch.int32), torch.tensor([0, 1, 2, 4], dtype=torch.int32)
    )
    h = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    expected = torch.stack([h[0] + h[2], h[1], torch.zeros(4, dtype=torch.float64), h[2]])
    torch.testing.assert_close(segment_sum(h, groups), expected)
    torch.testing.assert_close(index_add_sum(h, rows, starts), expected)
    assert torch.autograd.gradcheck(lambda t: segment_sum(t, groups), (h,))


def test_choices_are_a_softmax_over_each_cells_candidates():
    question, solution, _ = generate(8, 0, 9)
    encoded = encode(question)
    _, layout = pack([encoded])
    logits = torch.randn(len(encoded.x))
    by_choice = logits_by_choice(logits, layout)
    assert by_choice.shape[0] == encoded.num_choices == int((question == 0).sum())
    torch.testing.assert_close(by_choice.softmax(1).sum(1), torch.ones(encoded.num_choices))
    goal = target(question, solution)
    cell = np.flatnonzero(question == 0)[5]
    mine = logits[torch.from_numpy(candidates(question) // 9 == cell)]
    expected = -mine.log_softmax(0)[goal[5]]
    torch.testing.assert_close(softmax_cross_entropy(by_choice, torch.from_numpy(goal))[5], expected)


@pytest.mark.parametrize("side", [4, 6, 9, 16])
def test_the_targets_tokens_decode_to_the_solution(side):
    question, solution, _ = generate(9, 0, side, minimal=side < 16)
    encoded = encode(question)
    meanings = encoded.meanings[encoded.first + target(question, solution)]
    guess = decode(question, meanings, np.full(encoded.num_choices, 0.5, np.float32))
    assert (guess.answer == solution).all()
    assert (guess.confidence[question > 0] == 1).all() and (guess.confidence[question == 0] == 0.5).all()


def test_every_candidate_lies_in_one_unit_of_each_kind():
    question, _, _ = generate(9, 1, 9)
    encoded = encode(question)
    for kind in range(4):
        assert set(encoded.edges.unit_of_token[kind]) == set(range(encoded.num_choices))


def test_a_contradiction_that_the_givens_already_show_is_not_encoded():
    question = np.zeros((4, 4), np.uint8)
    question[0] = [1, 2, 3, 0]
    question[1, 3] = 4  # nothing is left for row 1 column 4
    assert encode(question) is None


def test_with_assignment_adds_a_given():
    question, _, _ = generate(9, 2, 9)
    meaning = int(candidates(question)[7])
    more = SUDOKU.with_assignment(question, meaning)
    row, column = divmod(meaning // 9, 9)
    assert (more != question).sum() == 1 and more[row, column] == meaning % 9 + 1
    assert SUDOKU.describe_assignment(question, meaning) == f"r{row + 1}c{column + 1}={meaning % 9 + 1}"


def test_a_configuration_survives_its_header():
    config = TRMConfig(**{**get("sudoku").model_defaults, "hidden_size": 24})
    assert TRMConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(TrmsolveError, match="colour"):
        TRMConfig.from_dict({"hidden_size": 8, "colour": 1})


def test_the_default_model_is_small():
    assert num_parameters(TRM(TRMConfig(**get("sudoku").model_defaults))) == 148_291
