"""The published networks give the numbers of the original code; test_recipes.py counts their parameters."""

import dataclasses

import numpy as np
import pytest
import torch

from networks import HRM
from trmsolve.convert.read import our_name, split
from trmsolve.errors import TrmsolveError
from trmsolve.model.packing import pack
from trmsolve.model.sequence_model import official, refine
from trmsolve.model.trm import TRM
from trmsolve.tasks.sequence import SequenceFormat

# How ../shared/data/official_format was made: width 64, two heads, four steps.
SMALL = {
    "trm_mlp_sudoku_small": official("mlp", 11, 81, hidden_size=64, T=3, n=6),
    "trm_att_maze_small": official("attention", 6, 100, hidden_size=64, T=3, n=4, num_heads=2),
    "trm_att_arc_small": official("attention", 12, 100, hidden_size=64, T=3, n=4, num_heads=2, num_puzzles=50),
    "hrm_sudoku_small": official("attention", 11, 81, hidden_size=64, num_heads=2, **HRM),
}


def tolerance(exact_error: np.ndarray) -> float:
    """1e-4, or the error of exact arithmetic where that is larger, up to 1e-3."""
    return max(1e-4, min(1e-3, float(np.abs(exact_error).max())))


def original(folder):
    """What the fixture's file holds by our names, and what the original code gave for it."""
    state = torch.load(folder / "step_100", weights_only=True)
    return {our_name(split(name)[1]): tensor for name, tensor in state.items()}, np.load(folder / "expected.npz")


# Steps of these random weights amplify rounding errors: noise of 1e-6 changes four of five digits of the MLP's fourth
# step. On one CPU ours are equal to the last bit; where sums run in another order (AVX2), the fourth step of HRM
# differs by 3.4e-4, and exact arithmetic (fp64) by 7.4e-4. So a step may be as far from the original as exact
# arithmetic is.
@pytest.mark.parametrize("name", SMALL)
def test_every_step_gives_the_numbers_of_the_original_code(shared, name):
    state, expected = original(shared / "data" / "official_format" / name)
    model = TRM(SMALL[name])
    model.load_state_dict(state)
    steps = len(expected["logits"])
    refined = list(refine(model, torch.float32, expected["inputs"], expected["puzzle_identifiers"], steps))
    assert len(refined) == steps == 4
    exact = list(refine(model.double(), torch.float64, expected["inputs"], expected["puzzle_identifiers"], steps))
    for step, ((logits, halt), their_logits, their_halt) in enumerate(
        zip(refined, expected["logits"], expected["q_halt"], strict=True)
    ):
        allowed = tolerance(exact[step][0].numpy() - their_logits)
        assert np.abs(logits.numpy() - their_logits).max() <= allowed
        assert np.abs(halt.numpy() - their_halt).max() <= allowed
        assert their_logits.std() > 0.1  # zeros would agree with nothing


@pytest.mark.parametrize("name", SMALL)
def test_training_gives_equal_outputs_and_the_published_gradient_depth(shared, name):
    state, expected = original(shared / "data" / "official_format" / name)
    config = SMALL[name]
    model = TRM(config)
    model.load_state_dict(state)
    frame, none = SequenceFormat.of(config), np.zeros(0, np.int64)
    ids = zip(expected["inputs"], expected["puzzle_identifiers"], strict=True)
    tokens, layout = pack([frame.encode(cells, none, 0, config.num_classes, int(puzzle)) for cells, puzzle in ids])
    y, z = (state.requires_grad_() for state in model.init_state(len(tokens), torch.float32))
    step = model(tokens, y, z, layout)
    logits = step.logits.detach().view(len(layout.lengths), -1, config.num_classes)[:, config.prefix_len :]
    assert np.abs(logits.numpy() - expected["logits"][0]).max() <= 1e-4
    step.logits.sum().backward()
    assert y.grad is None and z.grad is None  # earlier recursions are cut off
    assert all(
        p.grad is not None for p in model.parameters() if p is not model.q_head.weight and p is not model.q_head.bias
    )


def test_hrm_keeps_the_gradient_of_the_last_z_and_y_update_only():
    """With one thought the gradient reaches the z before it; a second thought in between cuts that off."""
    torch.manual_seed(0)
    config = official("attention", 11, 9, hidden_size=16, num_heads=2, **HRM | {"T": 1})
    tokens, layout = pack([SequenceFormat(1, 9, 11, 1).encode(np.arange(2, 11), np.zeros(0, np.int64), 0, 11)])

    def reaches_z(n: int) -> bool:
        model = TRM(dataclasses.replace(config, n=n))
        y, z = (state.requires_grad_() for state in model.init_state(len(tokens), torch.float32))
        model(tokens, y, z, layout).logits.square().sum().backward()
        assert y.grad is not None  # the last thought hears y whatever n is
        return z.grad is not None

    assert reaches_z(1) and not reaches_z(2)


def test_bfloat16_is_close_to_float32_in_the_first_steps(shared):
    """Over a whole step these random weights amplify any rounding beyond recognition: so one thought, one answer."""
    state, expected = original(shared / "data" / "official_format" / "trm_att_maze_small")
    seen = {}
    for dtype in (torch.float32, torch.bfloat16):
        model = TRM(dataclasses.replace(SMALL["trm_att_maze_small"], T=1, n=1))
        model.load_state_dict(state)
        seen[dtype] = next(refine(model.cast(dtype), dtype, expected["inputs"], None, 1))[0]
    sure = seen[torch.float32].topk(2).values.diff().abs().squeeze(-1) > 0.05
    same = seen[torch.float32].argmax(-1) == seen[torch.bfloat16].argmax(-1)
    assert sure.float().mean() > 0.8 and same[sure].float().mean() >= 0.999
    assert not torch.equal(*seen.values())


def test_learned_positions_distinguish_cells():
    torch.manual_seed(0)
    config = official("attention", 6, 9, hidden_size=16, num_heads=2, T=1, n=1)
    cells = np.full((1, 9), 2)
    spread = {}
    for positions in ("none", "learned", "rope"):
        model = TRM(dataclasses.replace(config, positions=positions)).eval()
        logits, _ = next(refine(model, torch.float32, cells, None, 1))
        spread[positions] = float(logits.std(1).max())
    assert spread["none"] < 1e-5 < 1e-2 < min(spread["learned"], spread["rope"])


def test_a_puzzle_embedding_affects_only_its_own_answer():
    torch.manual_seed(0)
    model = TRM(official("attention", 6, 9, hidden_size=16, num_heads=2, num_puzzles=3, T=1, n=1)).eval()
    model.embed.puzzle_table.normal_()
    cells = np.tile(np.arange(1, 6).repeat(2)[:9], (3, 1))
    together, _ = next(refine(model, torch.float32, cells, [0, 2, 0], 1))
    torch.testing.assert_close(together[0], together[2])
    assert (together[0] - together[1]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("tokens", "ids", "message"),
    [
        (np.zeros((2, 80), int), None, "takes 81 cells, found 80"),
        (np.zeros((2, 81), int), [0], "2 rows of tokens but 1 puzzle_ids"),
        (np.full((1, 81), 11), None, r"tokens must lie in 0\.\.10, found 11\.\.11"),
        (np.zeros((1, 81), int), [1], r"puzzle_ids must lie in 0\.\.0"),
        ([[1] * 81, [1] * 80], None, "tokens: expected rows of equal length"),
        (np.zeros(81, int), None, r"tokens: found int64 \(81\), expected integers with 2 axes"),
        (np.zeros((1, 81)), None, r"found float64 \(1 x 81\), expected integers with 2 axes"),
    ],
)
def test_invalid_inputs_are_refused_before_the_first_step(tokens, ids, message):
    model = TRM(official("mlp", 11, 81, hidden_size=16, n=1))
    with pytest.raises(TrmsolveError, match=message):
        refine(model, torch.float32, tokens, ids, 1)


def test_zero_steps_are_refused():
    with pytest.raises(TrmsolveError, match="steps: found 0, expected at least 1"):
        refine(TRM(official("mlp", 11, 81, hidden_size=16, n=1)), torch.float32, np.zeros((1, 81), int), None, 0)
