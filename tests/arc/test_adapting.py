"""Adapting to a task: what is trained on and when, what the clock and the seed decide, what is answered."""

import itertools
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from trmsolve.adapting.adaptation import Adaptation, Schedule
from trmsolve.adapting.batch import Sides, chunks, loose
from trmsolve.adapting.options import Adapting, AdaptOptions, Refining, TaskResult
from trmsolve.adapting.solver import adapt
from trmsolve.adapting.votes import Ballot, consensus, ranked
from trmsolve.device import choose
from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.trm import TRM
from trmsolve.solving.feed import OutOfTime
from trmsolve.solving.recursion import Reading
from trmsolve.store import find, save
from trmsolve.tasks.arc import TASK
from trmsolve.tasks.arc.encode import LABELS, VOCABULARY, labels
from trmsolve.tasks.arc.grids import ArcTask, Pair
from trmsolve.tasks.base import BadPuzzle

CONFIG = TRMConfig.from_dict({**TASK.model, "width": 16, "hidden": 16, "n": 1, "puzzles": 1})
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(0)
    return TRM(CONFIG).state_dict()


@pytest.fixture
def checkpoint(weights, tmp_path):
    save(tmp_path / "arc.safetensors", weights, "arc", CONFIG.to_dict(), {}, {})
    return find(str(tmp_path / "arc.safetensors"), "arc")


def grid(*rows):
    return np.array([[int(c) for c in row] for row in rows], np.uint8)


def recoloured(number, shape=(3, 4), answers=True):
    """Red becomes blue: `number` demonstrations and a test."""
    rng = np.random.default_rng(5)
    inputs = [rng.choice([0, 2, 5], shape).astype(np.uint8) for _ in range(number + 1)]
    outputs = [np.where(g == 2, 1, g).astype(np.uint8) for g in inputs]
    pairs = tuple(map(Pair, inputs, outputs))
    return ArcTask("recoloured", "a.json", pairs[:-1], (inputs[-1],), (outputs[-1],) if answers else None)


def adaptation(weights, tasks, schedule=None, autocast=False, **settings):
    options = AdaptOptions(**{"budget": None, "steps": 6, "votes": 3, "max_steps": 2, **settings})
    return Adaptation(CONFIG, weights, tasks, options, CPU, autocast, schedule)


def answered(made):
    for _ in made.run():
        pass
    return list(made.answers())


# -- votes --------------------------------------------------------------------------------------------------------
def ballot(drawn, weight, sure=0.9):
    """A view that gives every colour it draws this probability, and the rest to all others alike."""
    colours = np.full((*drawn.shape, 10), (1 - sure) / 9, np.float32)
    np.put_along_axis(colours, drawn[:, :, None].astype(np.int64), sure, 2)
    return Ballot(drawn, colours, weight)


def test_the_weights_of_votes_add_up_to_one():
    a, b = grid("12"), grid("21")
    votes = {vote.grid.tobytes(): vote for vote in ranked([ballot(b, 0.1), ballot(a, 0.9), ballot(b, 0.2)])}
    assert {key: vote.votes for key, vote in votes.items()} == {a.tobytes(): 1, b.tobytes(): 2}
    assert votes[a.tobytes()].confidence == pytest.approx(0.75)
    assert votes[b.tobytes()].confidence == pytest.approx(0.25)


def test_views_that_err_in_different_cells_are_right_together():
    right = grid("123", "456")
    wrong = [grid("023", "456"), grid("103", "456"), grid("123", "450")]
    first, *others = ranked([ballot(drawn, 0.5) for drawn in wrong])
    assert first.grid.tolist() == right.tolist() and (first.votes, first.confidence) == (0, 0)
    assert sorted(vote.grid.tolist() for vote in others) == sorted(drawn.tolist() for drawn in wrong)


def test_a_sure_view_counts_for_more_in_a_cell_than_two_unsure_ones():
    views = [ballot(grid("1"), 0.5, 0.99), ballot(grid("2"), 0.5, 0.3), ballot(grid("2"), 0.5, 0.3)]
    assert consensus(views).tolist() == [[1]]


def test_where_views_agree_they_come_first_then_the_consensus_then_single_views():
    a, b, c, d = grid("11"), grid("12"), grid("21"), grid("33")
    views = [ballot(a, 0.9, 0.99), ballot(b, 0.2, 0.3), ballot(b, 0.3, 0.3), ballot(c, 0.6, 0.3), ballot(d, 0.7, 0.2)]
    assert [vote.grid.tolist() for vote in ranked(views)] == [g.tolist() for g in (b, a, d, c)]  # a is the consensus
    agreed = ranked([*views, ballot(c, 0.1, 0.3)])
    assert [vote.grid.tolist() for vote in agreed] == [g.tolist() for g in (c, b, a, d)]


def test_views_of_another_size_have_no_part_in_the_consensus():
    views = [ballot(grid("1", "1"), 0.5), ballot(grid("22"), 0.3), ballot(grid("12"), 0.3, 0.4)]
    assert consensus(views).tolist() == [[2, 2]]
    assert len(ranked([ballot(grid("12"), 0.5), ballot(grid("1", "2"), 0.5)])) == 2


def test_where_nobody_is_sure_the_number_of_votes_decides():
    views = [ballot(grid("1", "1"), 0.0), ballot(grid("22"), 0.001), ballot(grid("22"), 0.0)]
    assert ranked(views)[0].votes == 2


# -- sides --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", [1, 3])
def test_what_is_answered_from_any_side_comes_back_as_the_task_stands(number):
    """The right labels of each side, read as the network's choice, are the output; its confidence turns with it."""
    task = ArcTask(
        "t", "t", (Pair(grid("120", "034"), grid("12", "03")), Pair(grid("111", "022"), grid("11", "02"))), ()
    )
    pair = Pair(grid("905", "017"), grid("90", "01"))
    sides = Sides(task, 8 * number, row=5)
    asked = list(sides.asked([pair.input]))
    assert [one.encoded.x.min() // (11 * 8 * 4 * 4) for one in asked] == list(range(5, 5 + 8 * number))
    for one in asked:
        seen = labels(one.view.apply(pair.output), one.canvas)
        sure = np.where(seen == one.view.colours[9], 0.5, 0.875).astype(np.float32)  # less where the 9 is
        probabilities = np.zeros((len(seen), LABELS), np.float32)
        probabilities[np.arange(len(seen)), seen] = sure
        reading = Reading(np.arange(len(seen)) * LABELS + seen, sure, probabilities.ravel(), 0.5, 1.0)
        guess, vote = one.guess(reading), one.ballot(reading, 0.25)
        assert guess.answer.tolist() == vote.grid.tolist() == pair.output.tolist()
        assert np.array_equal(guess.confidence, np.where(pair.output == 9, 0.5, 0.875))
        assert np.array_equal(vote.colours.argmax(2), pair.output) and vote.weight == 0.25
        assert np.array_equal(vote.colours.max(2), guess.confidence)


def test_every_demonstration_is_trained_on_from_every_side():
    task = recoloured(2)
    samples = Sides(task, 8).samples()
    assert [len(of) for of in samples] == [8, 8]
    shapes = {s.encoded.choices for of in samples for ways in of for s in ways}
    assert shapes == {12}
    assert len({s.target.tobytes() for (s,) in samples[0]}) == 8


def test_colours_that_some_demonstration_lacks_are_loose_but_never_black():
    pairs = (Pair(grid("12"), grid("13")), Pair(grid("140"), grid("130")))
    assert loose(pairs) == [2, 4, 5, 6, 7, 8, 9]


def test_half_of_the_views_see_loose_colours_exchanged_in_many_ways():
    """Red, in every demonstration, stays red; what comes and goes becomes anything but red and black."""
    task = ArcTask("t", "t", tuple(Pair(grid(f"02{c}"), grid(f"{c}20")) for c in "345"), (grid("027"),))
    samples = Sides(task, 16).samples()
    plain, exchanged = (
        {s.target.tobytes() for of in samples for ways in of[views] for s in ways} for views in (np.s_[:8], np.s_[8:])
    )
    assert {len(ways) for of in samples for ways in of[:8]} == {1}
    colours = {int(c) for target in exchanged for c in np.frombuffer(target, np.int64)}
    assert {int(c) for target in plain for c in np.frombuffer(target, np.int64)} == {0, 2, 3, 4, 5}
    assert len(colours) > 5 and {0, 2} < colours
    for target in exchanged:
        assert 2 in np.frombuffer(target, np.int64)


def test_chunks_keep_order_and_hold_at_least_one():
    asked = list(Sides(recoloured(1), 5).asked([grid("00", "00"), np.zeros((9, 9), np.uint8)]))
    parts = list(chunks(asked, 40))
    assert [one for part in parts for one in part] == asked
    tokens = [[len(one.encoded.x) for one in part] for part in parts]
    assert all(len(t) == 1 or sum(t) <= 40 for t in tokens) and any(len(t) > 1 for t in tokens)


# -- learning -----------------------------------------------------------------------------------------------------
def test_the_demonstrations_are_learnt(weights):
    made = adaptation(weights, [recoloured(3)], Schedule(embedding=0.1, joins=0.1, lr=0.02), steps=150, votes=2)
    losses = [event.loss for event in made.run()]
    assert losses[-1] < 0.1
    (result,) = made.answers()
    assert result.reproduced == 1 and result.solved is True and result.steps == 150


def test_at_first_only_the_rows_of_the_task_change(weights):
    made = adaptation(weights, [recoloured(2)], Schedule(embedding=1.0))
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    answered(made)
    changed = {name for name, value in made.model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"embed.puzzles"}


def test_then_everything_changes_and_the_checkpoint_stays_as_it_is(weights):
    kept = {name: value.clone() for name, value in weights.items()}
    made = adaptation(weights, [recoloured(2)], Schedule(embedding=0.5))
    answered(made)
    after = made.model.state_dict()
    assert not torch.equal(after["layers.0.near.weight"], weights["layers.0.near.weight"])
    assert all(torch.equal(value, kept[name]) for name, value in weights.items())


def test_one_demonstration_is_left_out_until_it_joins(weights):
    made = adaptation(weights, [recoloured(3)], Schedule(joins=0.5), steps=10, seed=1)
    out = {s.target.tobytes() for (s,) in Sides(made.tasks[0], 3).samples()[1]}
    assert not out & {s.target.tobytes() for (s,) in made.pool} and len(made.later) == 3
    for event in made.run():
        assert event.share <= 1
    assert not made.later and out <= {s.target.tobytes() for (s,) in made.pool}


def test_all_views_are_trained_on_equally_often_and_each_in_all_its_ways(weights):
    task = ArcTask("t", "t", tuple(Pair(grid(f"02{c}"), grid(f"{c}20")) for c in "345"), (grid("027"),))
    made = adaptation(weights, [task], votes=16)
    drawn = [made._draw(index) for index in range(4 * len(made.pool))]
    views = Counter(int(s.encoded.x[0]) // VOCABULARY for s in drawn)
    assert len(views) == 16 and set(views.values()) == {4 * 2}  # two of the three demonstrations, one is left out
    met = {s.target.tobytes() for s in drawn}
    assert met == {s.target.tobytes() for ways in made.pool for s in ways}


def test_a_single_demonstration_is_never_left_out(weights):
    made = adaptation(weights, [recoloured(1)])
    assert made.later == [] and len(made.pool) == 3
    assert answered(made)[0].left_out is None


def test_what_is_found_early_ends_early(weights):
    plan = Schedule(check=5, found=0.0, rest=0.2)  # anything counts as found
    made = adaptation(weights, [recoloured(2)], plan, steps=100)
    (result,) = answered(made)
    assert 5 < result.steps <= 26 and result.left_out is not None


@pytest.mark.parametrize("together", [1, 2])
def test_the_seed_decides_everything_when_steps_are_counted(weights, together):
    def run(seed):
        tasks = [recoloured(2), recoloured(3)][:together]
        return [
            (r.ranked[0][0].grid.tolist(), r.ranked[0][0].confidence)
            for r in answered(adaptation(weights, tasks, seed=seed))
        ]

    assert run(0) == run(0)
    assert run(0) != run(1)


def test_the_answers_are_never_looked_at(weights):
    """Other answers, or none: the same votes."""
    task = recoloured(2)
    wrong = replace(task, answers=(np.full((3, 4), 9, np.uint8),))
    results = [answered(adaptation(weights, [t]))[0] for t in (task, wrong, replace(task, answers=None))]
    votes = [[(v.grid.tolist(), v.votes, v.confidence) for v in r.ranked[0]] for r in results]
    assert votes[0] == votes[1] == votes[2]
    assert [r.solved for r in results][1:] == [False, None]


def test_steps_are_for_each_task_and_shared_by_those_together(weights):
    results = answered(adaptation(weights, [recoloured(2), recoloured(1)], steps=4))
    assert [r.steps for r in results] == [8, 8]
    assert [sum(v.votes for v in r.ranked[0]) for r in results] == [3, 3]


def test_the_budget_ends_it_in_time(weights):
    answered(adaptation(weights, [recoloured(2)], steps=1))  # loads what the first step of a process loads
    made = adaptation(weights, [recoloured(2)], steps=None, budget=2.0)
    started = time.monotonic()
    (result,) = answered(made)
    assert result.steps > 1 and 0.5 < time.monotonic() - started < 20


def test_bf16_learns_too(weights):
    made = adaptation(weights, [recoloured(2)], Schedule(embedding=0.1, lr=0.02), autocast=True, steps=60, votes=1)
    assert list(made.run())[-1].loss < 0.5


# -- a stream of tasks --------------------------------------------------------------------------------------------
def test_results_come_in_order_and_a_bad_record_spoils_only_itself(checkpoint):
    bad = BadPuzzle("b.json:x", "no demonstrations")
    tasks = [recoloured(1), bad, replace(recoloured(2), name="second")]
    for together in (1, 2, 3):
        options = AdaptOptions(budget=None, steps=1, votes=1, max_steps=1, together=together)
        results = list(adapt(checkpoint, choose("cpu", "float32"), iter(tasks), options))
        assert [r.task for r in results] == tasks
        assert [r.error for r in results] == ["", "no demonstrations", ""]
        assert all(r.memory > 0 for r in results if not r.error)


def test_events_tell_what_happens_on_the_way(checkpoint):
    options = AdaptOptions(budget=None, steps=2, votes=2, max_steps=3)
    events = list(adapt(checkpoint, choose("cpu", "float32"), [recoloured(2)], options, events=True))
    kinds = [kind for kind, _ in itertools.groupby(events, type)]
    assert kinds == [Adapting, Refining, TaskResult]
    steps = [event for event in events if isinstance(event, Refining)]
    assert [event.step for event in steps] == [1, 2, 3]
    assert all(event.guess.answer.shape == event.guess.confidence.shape == (3, 4) for event in steps)
    assert events[-2].guess.answer.tolist() in [vote.grid.tolist() for vote in events[-1].ranked[0]]
    assert sum(vote.votes for vote in events[-1].ranked[0]) == 2


def test_a_deadline_ends_the_stream(checkpoint):
    options = AdaptOptions(budget=50.0, votes=1)
    with pytest.raises(OutOfTime):
        list(adapt(checkpoint, choose("cpu", "float32"), [recoloured(2)], options, deadline=time.monotonic() + 0.2))


def test_another_network_is_refused(tmp_path):
    config = TRMConfig.from_dict({**TASK.model, "width": 16, "hidden": 16, "puzzles": 1, "kinds": 3})
    save(tmp_path / "x.safetensors", TRM(config).state_dict(), "arc", config.to_dict(), {}, {})
    with pytest.raises(TrmsolveError, match="no network that adapts"):
        next(adapt(find(str(tmp_path / "x.safetensors"), "arc"), choose("cpu", "float32"), [], AdaptOptions()))


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"budget": 0.0}, "budget"), ({"votes": 0}, "votes"), ({"budget": None}, "neither"), ({"steps": 0}, "steps")],
)
def test_settings_that_make_no_sense(settings, said):
    with pytest.raises(TrmsolveError, match=said):
        AdaptOptions(**settings)
