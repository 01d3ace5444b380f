"""The carry: which puzzle is in which slot, and samples that are drawn in advance."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_leaves

from trmsolve.errors import TrmsolveError
from trmsolve.model.trm import TRM
from trmsolve.training import recipe as recipes
from trmsolve.training.batch import SamplePrefetcher
from trmsolve.training.carry import Carry, SlotSchedule


def test_a_refilled_carry_equals_a_new_one():
    recipe = recipes.build({**recipes.read("trm-mlp-sudoku"), "data": {"sources": ["generate:9x9"]}})
    model = TRM(replace(recipe.config, hidden_size=8, intermediate_size=16, seq_intermediate_size=16, n=1, T=1))
    draw = recipe.data().draw
    schedule = SlotSchedule(5, n_sup=4, seed=0, halt_exploration_prob=0.0)
    slots = Carry(draw, model, schedule, range(1, 4), torch.float32)
    tokens, y = slots.tokens.clone(), torch.randn_like(slots.y)
    slots.keep(y.clone(), y.clone())
    done = schedule.advance(np.array([True, False, True, True, False]))
    assert schedule.index.tolist() == [5, 1, 6, 7, 4] and done.tolist() == [True, False, True, True, False]
    slots.refill(done)
    anew = Carry(draw, model, schedule, range(1, 4), torch.float32)
    for mine, other in zip(*(tree_leaves((of.tokens, of.labels)) for of in (slots, anew)), strict=True):
        assert torch.equal(torch.as_tensor(mine), torch.as_tensor(other))
    assert slots.total_weight == anew.total_weight and not torch.equal(tokens, slots.tokens)
    (first, *fresh), rows = slots.states()[0], y.view(3, -1, 8)
    assert torch.equal(first, rows[0])
    assert all((states == model.y_init).all() for states in fresh)


def test_age_advances_by_bptt_steps():
    schedule = SlotSchedule(3, n_sup=6, seed=0, halt_exploration_prob=0.0, bptt_steps=4)
    assert schedule.advance(np.array([False, True, False])).tolist() == [False, True, False]
    assert schedule.age.tolist() == [4, 0, 4] and schedule.is_last.tolist() == [True, False, True]
    assert schedule.advance(np.zeros(3, bool)).tolist() == [True, False, True]


def counted(draws: list[int]):
    """A draw that records the indices, and fails for index 9."""

    def draw(index: int) -> int:
        draws.append(index)
        if index == 9:
            raise TrmsolveError("no sample 9")
        return 10 * index

    return draw


def test_prefetcher_draws_in_order_up_to_its_depth():
    draws: list[int] = []
    ahead = SamplePrefetcher(counted(draws), depth=3)
    assert ahead(4) == 40 and draws == [4]
    with ahead.running(2):
        assert [ahead(2), ahead(3)] == [20, 30]
        end = time.monotonic() + 10
        while len(draws) < 7 and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.05)
        assert draws == [4, 2, 3, 4, 5, 6, 7]  # three are ready, and one waits for space
        assert ahead(100) == 1000  # out of order, as after a resumption
        assert [ahead(index) for index in (4, 5, 6, 7, 8)] == [40, 50, 60, 70, 80]
        with pytest.raises(TrmsolveError, match="no sample 9"):
            ahead(9)
    assert ahead(5) == 50
