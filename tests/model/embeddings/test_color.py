"""Tasks with colours of their own: no colour has a name, and a new task is a new row."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trmsolve.model.config import TRMConfig
from trmsolve.model.embeddings.color import color_permutations, source_histogram
from trmsolve.model.mixers.relational import NEIGHBORHOOD
from trmsolve.model.packing import pack
from trmsolve.model.trm import TRM, num_parameters
from trmsolve.tasks.arc import TASK
from trmsolve.tasks.arc.encode import FEATURE_SIZES, OUTSIDE, RELATIONS, VOCAB_SIZE, encode
from trmsolve.tasks.arc.grids import COLORS, SizeRule
from trmsolve.tasks.few_shot import Pair

WIDTH, ROWS = 8, 5


@pytest.fixture
def model() -> TRM:
    torch.manual_seed(0)
    model = TRM(
        TRMConfig.from_dict({**TASK.model_defaults, "hidden_size": WIDTH, "intermediate_size": 12, "num_puzzles": ROWS})
    )
    torch.nn.init.normal_(model.q_head.weight)
    return model.eval()


def a_grid(seed: int = 0, shape=(4, 5)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, COLORS, shape).astype(np.uint8)


def answer(model: TRM, seen: np.ndarray, row: int, after=None, names=None):
    """Logits (cells, 11) and the halting logit after two steps."""
    question = encode(seen, SizeRule.from_pairs([Pair(seen, np.zeros(after or seen.shape, np.uint8))]), row)
    tokens, layout = pack([question])
    y, z = model.init_state(len(tokens), torch.float32)
    with torch.inference_mode():
        for _ in range(2):
            step = model(tokens, y, z, layout, names)
            y, z = step.y, step.z
    return step.logits.view(len(tokens), -1), step.halt_logit


def colours(row: torch.Tensor) -> torch.Tensor:
    """(C, D) Those of a row."""
    return row.view(1 + COLORS, WIDTH)[1:]


@pytest.mark.parametrize(("one", "other"), [(1, 2), (3, 9)])
def test_two_colours_exchanged_in_the_grid_and_in_the_row_are_exchanged_in_the_answer(model, one, other):
    seen = a_grid()
    swap = np.arange(COLORS + 1)
    swap[[one, other]] = other, one
    before, halt = answer(model, seen, 0, (8, 5))
    with torch.no_grad():
        colours(model.embed.puzzle_table[0])[[one, other]] = colours(model.embed.puzzle_table[0])[[other, one]]
    after, halt_after = answer(model, swap[seen].astype(np.uint8), 0, (8, 5))
    torch.testing.assert_close(after[:, swap], before, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(halt_after, halt, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(after, before, atol=1e-2)  # it is no constant


def test_the_pad_colour_is_shared_by_all_tasks(model):
    """Its logit does not depend on the colours of a row."""
    tokens, layout = pack([encode(a_grid(), SizeRule.from_pairs([Pair(a_grid(), a_grid())]))])
    y = torch.randn(len(tokens), WIDTH)
    before = model.embed.answer(y, tokens, layout)
    with torch.no_grad():
        model.embed.puzzle_table.mul_(-1)
    after = model.embed.answer(y, tokens, layout)
    torch.testing.assert_close(after[:, :OUTSIDE], -before[:, :OUTSIDE])
    assert torch.equal(after[:, OUTSIDE], before[:, OUTSIDE])


def test_the_copy_head_copies_the_gated_source(model):
    """With all trust in the mirror image the answer is the mirror image, whatever the row's colours are."""
    seen = a_grid(3, (3, 5))
    tokens, layout = pack([encode(seen, SizeRule.from_pairs([Pair(seen, seen)]))])
    y = torch.ones(len(tokens), WIDTH)
    with torch.no_grad():
        model.embed.copy_head.copy_gate.weight[NEIGHBORHOOD + RELATIONS.index("flip")] = 10.0
    colours = model.embed.answer(y, tokens, layout).argmax(1).view(3, 5)
    assert (colours.numpy() == seen[:, ::-1]).all()


def test_source_histogram():
    """Against a loop over tokens and ways, for a grid that grows: so there are cells outside, and copies of them."""
    seen = a_grid(1, (2, 3))
    question = encode(seen, SizeRule.from_pairs([Pair(seen, np.zeros((4, 6), np.uint8))]))
    tokens, layout = pack([question], 64)
    colour = np.full((4, 6), OUTSIDE)
    colour[:2, :3] = seen
    colour = np.append(colour.ravel(), np.zeros(len(tokens) - 24, np.int64))
    computed = source_histogram(torch.from_numpy(colour), COLORS + 1, layout.edges).numpy()
    for token in range(24):
        ways = [[token], *([near] if near >= 0 else [] for near in question.edges.neighbors[token])]
        for src, dst in zip(question.edges.src, question.edges.dst, strict=True):
            ways.append([] if dst[token] < 0 else np.flatnonzero(src == dst[token]).tolist())
        for way, tokens_of_source in enumerate(ways):
            expected = np.bincount(colour[tokens_of_source], minlength=COLORS + 1) / max(1, len(tokens_of_source))
            np.testing.assert_allclose(computed[token, way], expected, atol=1e-6)
    assert not computed[24:, NEIGHBORHOOD:].any()


def test_a_token_is_the_sum_of_its_embeddings(model):
    seen = np.array([[0, 3], [7, 0]], np.uint8)
    rule = SizeRule.from_pairs([Pair(seen, np.zeros((2, 3), np.uint8))])  # a third column, outside
    torch.nn.init.normal_(model.embed.puzzle_table)
    tokens, layout = pack([encode(seen, rule, row) for row in (4, 2)])
    x = model.embed(tokens, layout)
    for i, token in enumerate(tokens.tolist()):
        number = 4 if i < 6 else 2
        row = model.embed.puzzle_table[number].view(1 + COLORS, WIDTH)
        colour, *further = np.unravel_index(token - number * VOCAB_SIZE, FEATURE_SIZES)
        expected = row[0] + (model.embed.pad_color if colour == OUTSIDE else row[1 + colour])
        expected = expected + sum(kind.weight[digit] for kind, digit in zip(model.embed.features, further, strict=True))
        torch.testing.assert_close(x[i], expected)


def test_each_puzzle_of_a_batch_has_its_own_row(model):
    seen, rule = a_grid(), SizeRule.from_pairs([Pair(a_grid(), a_grid())])
    tokens, layout = pack([encode(seen, rule, row) for row in (3, 0, 3)], 64)
    ids, names = model.embed.lookup_puzzles(tokens, layout)
    assert ids.tolist() == [3, 0, 3] and torch.equal(names, model.embed.puzzle_table[[3, 0, 3]])
    x = model.embed(tokens, layout)[: 3 * seen.size].view(3, seen.size, WIDTH)
    assert torch.equal(x[0], x[2]) and not torch.allclose(x[0], x[1])


def test_puzzle_embeddings_replace_the_rows_of_the_table(model):
    seen = a_grid()
    plain, halt = answer(model, seen, 4)
    row = model.embed.puzzle_table[4].clone()
    with torch.no_grad():
        model.embed.puzzle_table.zero_()
    again, halt_again = answer(model, seen, 4, names=row[None])
    assert torch.equal(again, plain) and torch.equal(halt_again, halt)


def test_a_row_has_the_gradient_and_the_table_none(model):
    seen, rule = a_grid(), SizeRule.from_pairs([Pair(a_grid(), a_grid())])
    tokens, layout = pack([encode(seen, rule, row) for row in (1, 2)])
    names = model.embed.lookup_puzzles(tokens, layout)[1].requires_grad_()
    y, z = model.init_state(len(tokens), torch.float32)
    model(tokens, y, z, layout, names).logits.sum().backward()
    assert names.grad.view(2, 1 + COLORS, WIDTH)[:, 0].any() and names.grad.abs().sum(1).all()
    assert not model.embed.puzzle_table.requires_grad
    assert num_parameters(model) == sum(v.numel() for k, v in model.state_dict().items() if k not in BUFFERS)


BUFFERS = ("embed.puzzle_table", "y_init", "z_init")


# -- where rows start -----------------------------------------------------------------------------------------------
def test_the_mean_of_new_rows_is_their_initial_row(model):
    base = torch.randn(model.embed.row_size)
    model.embed.reset_table(base)
    torch.testing.assert_close(model.embed.mean_row(), base)
    assert len({tuple(row.tolist()) for row in model.embed.puzzle_table}) == ROWS  # though no two rows are alike
    for row in model.embed.puzzle_table:
        assert torch.equal(row[:WIDTH], base[:WIDTH])
        assert torch.equal(colours(row)[0], colours(base)[0])  # black is black everywhere
        assert sorted(colours(row).tolist()) == sorted(colours(base).tolist())


def test_the_mean_is_taken_colour_by_colour(model):
    base, change = torch.randn(model.embed.row_size), torch.randn(ROWS, 1 + COLORS, WIDTH)
    model.embed.reset_table(base)
    order = color_permutations(ROWS, COLORS)
    with torch.no_grad():
        for row, by, of in zip(model.embed.puzzle_table, change, order, strict=True):
            row.view(1 + COLORS, WIDTH)[0] += by[0]
            colours(row).add_(by[1:][of])  # each of the base's colours by what is its own
    torch.testing.assert_close(model.embed.mean_row(), base + change.mean(0).flatten(), atol=1e-5, rtol=1e-5)


def test_the_order_of_colours_of_a_row_does_not_depend_on_the_number_of_rows():
    """So a table may grow, and a run that is resumed has the rows it had."""
    few, many = color_permutations(3, COLORS), color_permutations(40, COLORS)
    assert torch.equal(few, many[:3])
    assert (many[:, 0] == 0).all() and (many.sort(1).values == torch.arange(COLORS)).all()
    assert len(many.unique(dim=0)) == 40


@pytest.mark.parametrize("number", [1, 7])
def test_a_table_for_other_tasks_starts_from_the_mean_of_this_one(model, number):
    torch.nn.init.normal_(model.embed.puzzle_table)
    other = TRM(TRMConfig.from_dict({**model.config.to_dict(), "num_puzzles": number}))
    other.load_state_dict(model.state_dict() | model.embed.new_table(number))
    torch.testing.assert_close(other.embed.mean_row(), model.embed.mean_row())
    assert other.embed.puzzle_table.shape == (number, model.embed.row_size)


def test_initial_rows_differ_only_in_the_order_of_their_colours(model):
    mean = model.embed.mean_row()
    again = TRM(model.config)
    again.embed.reset_table(mean)
    torch.testing.assert_close(again.embed.puzzle_table, model.embed.puzzle_table)
