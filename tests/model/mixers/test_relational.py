"""The mixer relational: against a dense computation, with gradients, and independent of the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from networks import stepped
from trmsolve.model.config import TRMConfig
from trmsolve.model.inputs import Encoded
from trmsolve.model.mixers.relational import NEIGHBORHOOD, Layer
from trmsolve.model.packing import pack, segment_sum
from trmsolve.model.trm import TRM
from trmsolve.tasks.arc import TASK
from trmsolve.tasks.arc.encode import NEIGHBORS, RELATIONS, encode
from trmsolve.tasks.arc.grids import SizeRule
from trmsolve.tasks.few_shot import Pair

CONFIG = TRMConfig.from_dict({**TASK.model_defaults, "hidden_size": 8, "intermediate_size": 12, "num_puzzles": 3})


def a_question(seed: int, before: tuple[int, int], after: tuple[int, int] | None = None, row: int = 0) -> Encoded:
    """Of a random grid, black for the most part."""
    seen = np.random.default_rng(seed).integers(-9, 10, before).clip(0).astype(np.uint8)
    return encode(seen, SizeRule.from_pairs([Pair(seen, np.zeros(after or before, np.uint8))]), row)


@pytest.fixture(scope="module")
def batch() -> list[Encoded]:
    """As large, larger, smaller; one that maps nothing; and a single cell."""
    sizes = [((4, 5), None), ((2, 3), (4, 6)), ((5, 3), (2, 3)), ((1, 1), None)]
    return [a_question(i, *of, row=i % 3) for i, of in enumerate(sizes)]


@pytest.fixture(scope="module")
def model() -> TRM:
    torch.manual_seed(0)
    model = TRM(CONFIG)
    torch.nn.init.normal_(model.q_head.weight)
    torch.nn.init.normal_(model.embed.puzzle_table)  # rows that differ
    return model.eval()


def dense(layer: Layer, h: torch.Tensor, questions: list[Encoded]) -> torch.Tensor:
    """The layer's formula, cell by cell and group by group."""
    near, kinds, down = (
        layer.neighbors.weight.to(h),
        [kind.weight.to(h) for kind in layer.relations],
        layer.down.weight.to(h),
    )
    mixed, start = [], 0
    for question in questions:
        own = h[start : start + len(question.x)]
        start += len(question.x)
        for i in range(len(own)):
            around = [own[i], *(own[j] if j >= 0 else torch.zeros_like(own[i]) for j in question.edges.neighbors[i])]
            messages = near @ torch.cat(around)
            for weight, src, dst in zip(kinds, question.edges.src, question.edges.dst, strict=True):
                sources = [] if dst[i] < 0 else np.flatnonzero(src == dst[i]).tolist()
                if sources:
                    messages = messages + weight @ own[sources].mean(0)
            mixed.append(messages)
    gate, value = torch.stack(mixed).chunk(2, -1)

    def normed(t):
        return t / (t.square().mean(-1, keepdim=True) + torch.finfo(torch.float32).eps).sqrt()

    return normed(h[:start] + (gate.sigmoid() * normed(gate * value)) @ down.T)


# -- one layer ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("grad", [True, False], ids=["with autograd", "without"])
def test_a_layer_computes_its_formula(batch, grad):
    torch.manual_seed(1)
    layer, (tokens, layout) = Layer(CONFIG), pack(batch, 16)
    h = torch.randn(len(tokens), CONFIG.hidden_size)
    with torch.set_grad_enabled(grad):
        computed = layer(h, layout.edges)[: sum(len(question.x) for question in batch)]
    torch.testing.assert_close(computed.double(), dense(layer, h.double(), batch), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("compiling", [False, True], ids=["fused", "as compiled"])
@pytest.mark.parametrize("same_size", [False, True], ids=["groups", "direct relations"])
def test_gradients_are_those_of_the_formula(batch, same_size, compiling, monkeypatch):
    torch.manual_seed(2)
    if same_size:  # every token has a mirror image
        batch = [a_question(0, (4, 5)), a_question(1, (3, 4))]
    layer, (tokens, packed) = Layer(CONFIG), pack(batch, 16)
    direct = [RELATIONS[k] for k in packed.edges.direct_relations]
    assert direct == (["flip", "flop"] if same_size else [])
    real = sum(len(question.x) for question in batch)
    h = torch.randn(len(tokens), CONFIG.hidden_size, requires_grad=True)
    weights = torch.randn(real, CONFIG.hidden_size)
    inputs = [h, *layer.parameters()]
    expected = torch.autograd.grad((dense(layer, h, batch) * weights).sum(), inputs, materialize_grads=True)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: compiling)
    grads = torch.autograd.grad((layer(h, packed.edges)[:real] * weights).sum(), inputs)
    assert len(grads) == 1 + 1 + len(RELATIONS) + 1
    for one, other in zip(grads, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("groups", ["neighborhood", "scatter", "gather"])
def test_sums_over_groups_have_the_right_gradient(batch, groups):
    ties = pack(batch[1:3], 8)[1].edges
    of = getattr(ties, groups)
    rows = len(of.t_indptr) - 1
    h = torch.randn(rows, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: segment_sum(t, of), (h,))


def test_weights_of_relations_without_groups_get_no_gradient(batch):
    """Where sizes stay, nothing is folded or cut out: the weights of those kinds take no part, and have no gradient."""
    layer, (tokens, layout) = Layer(CONFIG), pack(batch[:1])
    layer(torch.randn(len(tokens), CONFIG.hidden_size), layout.edges).sum().backward()
    silent = [kind for kind, own in zip(RELATIONS, layer.relations, strict=True) if not own.weight.grad.any()]
    unused = ["fold", "zoom", "transpose", "content", "largest", "smallest", "rarest"]  # the grid is no square
    assert silent == unused


# -- the layout -----------------------------------------------------------------------------------------------------
def test_a_packed_batch_concatenates_the_groups_of_its_puzzles(batch):
    tokens, layout = pack(batch, 16)
    ties, start, shift = layout.edges, 0, 0
    assert len(tokens) % 16 == 0 and sum(ties.num_groups) == len(ties.inverse_count)
    numbers = [sum(int(q.edges.num_groups[k]) for q in batch) for k in range(len(RELATIONS))]
    assert ties.num_groups == tuple(-(-number // 16) * 16 for number in numbers)
    # Groups are numbered by relation, then by puzzle, then within it.
    value = torch.randn(len(tokens), 1, dtype=torch.float64)
    sums = segment_sum(value, ties.scatter)
    for k in range(len(RELATIONS)):
        start = 0
        for question in batch:
            own = value[start : start + len(question.x), 0].numpy()
            for group in range(int(question.edges.num_groups[k])):
                sources = question.edges.src[k] == group
                assert sums[shift].item() == pytest.approx(own[sources].sum())
                assert ties.inverse_count[shift].item() == pytest.approx(1 / max(1, sources.sum()))
                shift += 1
            start += len(question.x)
        filled = slice(shift, shift + ties.num_groups[k] - numbers[k])
        assert not sums[filled].any()
        shift = filled.stop


def test_sources_of_a_token_by_neighbor_and_relation(batch):
    tokens, layout = pack(batch, 16)
    ties, start, shift = layout.edges, 0, len(tokens)
    none = len(tokens) + len(ties.inverse_count)
    assert ties.sources.shape == (len(tokens), NEIGHBORHOOD + len(RELATIONS))
    for place, question in enumerate(batch):
        end = start + len(question.x)
        own = ties.sources[start:end].numpy()
        assert (own[:, 0] == np.arange(start, end)).all()
        assert (
            own[:, 1:NEIGHBORHOOD] == np.where(question.edges.neighbors < 0, none, question.edges.neighbors + start)
        ).all()
        for k, dst in enumerate(question.edges.dst):
            begin = shift + sum(ties.num_groups[:k]) + sum(int(q.edges.num_groups[k]) for q in batch[:place])
            assert (own[:, NEIGHBORHOOD + k] == np.where(dst < 0, none, dst + begin)).all(), RELATIONS[k]
        start = end
    assert (ties.sources[start:] == none).all()


def test_padding_receives_no_messages(batch):
    tokens, layout = pack(batch, 64)
    real = sum(len(question.x) for question in batch)
    assert real < len(tokens)
    ones = torch.ones(len(tokens), 1)
    assert not segment_sum(ones, layout.edges.neighborhood).view(len(tokens), NEIGHBORHOOD)[real:].any()
    assert not segment_sum(torch.ones(len(layout.edges.inverse_count), 1), layout.edges.gather)[real:].any()


def test_each_neighbor_has_weights_of_its_own():
    """Each of the eight is messages by weights of its own: the token above is never taken for the one below."""
    question = a_question(0, (3, 3))
    _, layout = pack([question])
    place = torch.arange(9.0)[:, None] + 1
    messages = segment_sum(place, layout.edges.neighborhood).view(9, NEIGHBORHOOD)[4].tolist()
    assert messages == [5.0, *(3.0 * (1 + r) + 1 + c + 1 for r, c in NEIGHBORS)]


# -- the whole network ----------------------------------------------------------------------------------------------
def answers(model: TRM, questions: list[Encoded], multiple: int = 1):
    """For each its logits, (cells, 11), and its halting logit, after some steps."""
    return list(zip(*stepped(model, questions, multiple=multiple), strict=True))


def test_outputs_do_not_depend_on_the_batch_and_padding(model, batch):
    for question, (logits, halt) in zip(batch, answers(model, batch, multiple=64), strict=True):
        ((alone, alone_halt),) = answers(model, [question])
        torch.testing.assert_close(logits, alone, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(halt, alone_halt, atol=1e-4, rtol=1e-4)
    assert len({round(float(halt), 3) for _, halt in answers(model, batch)}) == len(batch)


def test_a_batch_in_another_order_gives_the_same(model, batch):
    for (logits, _), (again, _) in zip(answers(model, batch), reversed(answers(model, batch[::-1])), strict=True):
        torch.testing.assert_close(logits, again, atol=1e-4, rtol=1e-4)


def test_with_and_without_autograd_agree(model, batch):
    tokens, layout = pack(batch)
    y, z = model.init_state(len(tokens), torch.float32)
    with torch.no_grad():
        fast = model(tokens, y, z, layout)
    slow = model(tokens, y, z, layout)
    assert slow.logits.requires_grad and not fast.logits.requires_grad
    torch.testing.assert_close(fast.logits, slow.logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(fast.halt_logit, slow.halt_logit, atol=1e-4, rtol=1e-4)
