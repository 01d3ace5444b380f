"""Test-time training: what is trained on and when, what the clock and the seed decide, what is answered."""

import itertools
import time
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tasks.arc.examples import grid
from trmsolve.device import resolve_device
from trmsolve.errors import DeadlineExceeded, TrmsolveError
from trmsolve.inference import test_time_training
from trmsolve.inference.batch import ContinuousBatch
from trmsolve.inference.few_shot import AdaptEvent, AdaptOptions, FewShotResult, RefineEvent, Schedule
from trmsolve.inference.test_time_training import TestTimeTrainer, adapt, num_fitting
from trmsolve.model.config import TRMConfig
from trmsolve.model.trm import TRM
from trmsolve.tasks.arc import TASK
from trmsolve.tasks.arc.augmentations import ArcAugmentedTask
from trmsolve.tasks.arc.encode import VOCAB_SIZE
from trmsolve.tasks.base import InvalidPuzzle
from trmsolve.tasks.few_shot import FewShotTask, Pair

CONFIG = TRMConfig.from_dict(
    {**TASK.model_defaults, "hidden_size": 16, "intermediate_size": 16, "n": 1, "num_puzzles": 1}
)
CPU = torch.device("cpu")
SPEC = resolve_device("cpu", "float32")


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(0)
    return TRM(CONFIG).state_dict()


@pytest.fixture
def clock(monkeypatch):
    """A clock on which supervision steps take a second for 100 tokens, training steps three, and all else no time.

    `setup`: seconds that 100 tokens take to be encoded and packed.
    """
    clock = SimpleNamespace(now=0.0, setup=0.0, monotonic=lambda: clock.now)
    train_step, step, add = test_time_training.train_step, ContinuousBatch.step, ContinuousBatch.add

    def timed_train_step(batch, *args, **kwargs):
        clock.now += 3 * len(batch.micro_batches[0].tokens) / 100
        return train_step(batch, *args, **kwargs)

    def timed_step(batch):
        clock.now += batch.num_tokens / 100
        return step(batch)

    def timed_add(batch, rollouts):
        rollouts = list(rollouts)
        clock.now += clock.setup * sum(len(rollout.encoded.x) for rollout in rollouts) / 100
        return add(batch, rollouts)

    monkeypatch.setattr(ContinuousBatch, "add", timed_add)
    monkeypatch.setattr(test_time_training, "time", clock)
    monkeypatch.setattr(test_time_training, "train_step", timed_train_step)
    monkeypatch.setattr(ContinuousBatch, "step", timed_step)
    return clock


def recolored(number, shape=(3, 4), answers=True):
    """Red becomes blue: `number` demonstrations and a test."""
    rng = np.random.default_rng(5)
    inputs = [rng.choice([0, 2, 5], shape).astype(np.uint8) for _ in range(number + 1)]
    outputs = [np.where(g == 2, 1, g).astype(np.uint8) for g in inputs]
    pairs = tuple(map(Pair, inputs, outputs))
    return FewShotTask("recolored", "a.json", pairs[:-1], (inputs[-1],), (outputs[-1],) if answers else None)


def make_trainer(weights, tasks, schedule=None, autocast=False, watch=False, **settings):
    options = AdaptOptions(**{"budget": None, "steps": 6, "votes": 3, "max_steps": 2, **settings})
    return TestTimeTrainer(TASK, CONFIG, weights, tasks, options, CPU, autocast, schedule, watch)


def answered(trainer):
    for _ in trainer.run():
        pass
    return list(trainer.answers())


# -- learning -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("tokens", "number"), [(0, 1), (6, 1), (12, 1), (13, 2), (90, 2), (94, 3), (1e9, 4)])
def test_a_chunk_holds_one_query_at_least(tokens, number):
    queries = ArcAugmentedTask(recolored(1), 1).queries(
        [np.zeros(s, np.uint8) for s in ((2, 3), (1, 7), (9, 9), (2, 2))]
    )
    assert [query.num_tokens for query in queries] == [6, 7, 81, 4]
    assert num_fitting(queries, tokens) == number


# -- learning -----------------------------------------------------------------------------------------------------
def test_the_demonstrations_are_learnt(weights):
    schedule = Schedule(embedding=0.1, holdout_release=0.1, lr=0.02)
    trainer = make_trainer(weights, [recolored(3)], schedule, steps=150, votes=2)
    losses = [event.loss for event in trainer.run()]
    assert losses[-1] < 0.1
    (result,) = trainer.answers()
    assert result.reproduced == 1 and result.solved is True and result.steps == 150


def test_at_first_only_the_rows_of_the_task_change(weights):
    trainer = make_trainer(weights, [recolored(2)], Schedule(embedding=1.0))
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    answered(trainer)
    changed = {name for name, value in trainer.model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"embed.puzzle_table"}


def test_then_everything_changes_and_the_checkpoint_stays_as_it_is(weights):
    kept = {name: value.clone() for name, value in weights.items()}
    trainer = make_trainer(weights, [recolored(2)], Schedule(embedding=0.5))
    answered(trainer)
    after = trainer.model.state_dict()
    assert not torch.equal(after["layers.0.neighbors.weight"], weights["layers.0.neighbors.weight"])
    assert all(torch.equal(value, kept[name]) for name, value in weights.items())


def test_one_demonstration_is_held_out_until_its_release(weights):
    trainer = make_trainer(weights, [recolored(3)], Schedule(holdout_release=0.5), steps=10, seed=1)
    held_out = {s.sample.target.tobytes() for (s,) in ArcAugmentedTask(trainer.tasks[0], 3).samples()[1]}
    assert not held_out & {s.sample.target.tobytes() for (s,) in trainer.pool} and len(trainer.held_out) == 3
    for event in trainer.run():
        assert event.progress <= 1
    assert not trainer.held_out and held_out <= {s.sample.target.tobytes() for (s,) in trainer.pool}


def test_all_augmentations_are_trained_on_equally_often_and_in_all_their_variants(weights):
    task = FewShotTask("t", "t", tuple(Pair(grid(f"02{c}"), grid(f"{c}20")) for c in "345"), (grid("027"),))
    trainer = make_trainer(weights, [task], votes=16)
    samples = [trainer._draw(index) for index in range(4 * len(trainer.pool))]
    rows = Counter(int(s.encoded.x[0]) // VOCAB_SIZE for s in samples)
    assert len(rows) == 16 and set(rows.values()) == {4 * 2}  # two of the three demonstrations, one is held out
    seen = {s.target.tobytes() for s in samples}
    assert seen == {s.sample.target.tobytes() for variants in trainer.pool for s in variants}


def test_a_single_demonstration_is_never_held_out(weights):
    trainer = make_trainer(weights, [recolored(1)])
    assert trainer.held_out == [] and len(trainer.pool) == 3
    assert answered(trainer)[0].holdout_accuracy is None


def test_training_ends_early_once_the_rule_is_found(weights):
    plan = Schedule(check_every=5, found_accuracy=0.0, final_share=0.2)  # any accuracy counts as found
    trainer = make_trainer(weights, [recolored(2)], plan, steps=100)
    (result,) = answered(trainer)
    assert 5 < result.steps <= 26 and result.holdout_accuracy is not None


@pytest.mark.parametrize("tasks_per_batch", [1, 2])
def test_the_seed_decides_everything_when_steps_are_counted(weights, tasks_per_batch):
    def run(seed):
        tasks = [recolored(2), recolored(3)][:tasks_per_batch]
        return [
            (r.ranked[0][0].grid.tolist(), r.ranked[0][0].confidence)
            for r in answered(make_trainer(weights, tasks, seed=seed))
        ]

    assert run(0) == run(0)
    assert run(0) != run(1)


def test_the_answers_are_never_used(weights):
    """Other answers, or none: the same votes."""
    task = recolored(2)
    wrong = replace(task, answers=(np.full((3, 4), 9, np.uint8),))
    results = [answered(make_trainer(weights, [t]))[0] for t in (task, wrong, replace(task, answers=None))]
    votes = [[(a.grid.tolist(), a.votes, a.confidence) for a in r.ranked[0]] for r in results]
    assert votes[0] == votes[1] == votes[2]
    assert [r.solved for r in results][1:] == [False, None]


def test_steps_are_per_task_and_shared_by_the_tasks_of_a_batch(weights):
    results = answered(make_trainer(weights, [recolored(2), recolored(1)], steps=4))
    assert [r.steps for r in results] == [8, 8]
    assert [sum(a.votes for a in r.ranked[0]) for r in results] == [3, 3]


# -- the budget ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "settings",
    [
        {"budget": 300.0},
        {"budget": 300.0, "votes": 16, "max_steps": 16},
        {"budget": 100.0, "votes": 16, "max_steps": 64},  # answering alone would take longer
        {"budget": 200.0, "max_steps": 16, "watch": True},
        {"budget": 150.0, "tasks": 2, "max_steps": 8},
    ],
)
def test_a_budget_holds_with_answering_included(weights, clock, settings):
    settings = {"steps": None, "tasks": 1, **settings}
    tasks = [recolored(3), recolored(2)][: settings.pop("tasks")]
    trainer = make_trainer(weights, tasks, **settings)
    results = [result for result in answered(trainer) if isinstance(result, FewShotResult)]
    budget = settings["budget"] * len(tasks)
    assert 0.85 * budget <= clock.now <= 1.15 * budget
    assert all(result.steps > 1 and result.ranked[0] for result in results)
    assert max(result.seconds for result in results) <= 1.15 * settings["budget"]


@pytest.mark.parametrize(("setup", "budget"), [(20.0, 300.0), (60.0, 300.0), (40.0, 100.0)])
def test_a_budget_holds_when_encoding_takes_long(weights, clock, setup, budget):
    """16 votes: encoding and packing all queries alone would take more than the time that is left for answering."""
    clock.setup = setup
    (result,) = answered(make_trainer(weights, [recolored(3)], steps=None, budget=budget, votes=16, max_steps=4))
    assert result.ranked[0] and clock.now <= 1.15 * budget


def test_a_budget_without_time_to_measure_answers_the_test_first(weights, clock):
    """One query takes longer than the budget: it is the only one."""
    clock.setup = 1000.0
    (result,) = answered(
        make_trainer(weights, [recolored(2)], Schedule(check_every=1000), steps=None, budget=40.0, votes=16)
    )
    assert result.num_augmentations == 1 and clock.now <= 40 + 2 * (1000 + 2) * 12 / 100


@pytest.mark.parametrize("budget", [0.001, 1.5, 3.0])
def test_a_budget_that_is_too_short_still_gives_an_answer_to_each_test(weights, clock, budget):
    task = recolored(2)
    task = replace(task, tests=(task.tests[0], task.tests[0].T), answers=None)
    (result,) = answered(make_trainer(weights, [task], steps=None, budget=budget, votes=16))
    assert [len(ranked) > 0 for ranked in result.ranked] == [True, True]
    assert result.steps == 0 and clock.now <= budget + 10  # two steps to measure, and one of each test


def test_without_a_budget_all_votes_count(weights, clock):
    (result,) = answered(make_trainer(weights, [recolored(2)], steps=3, votes=16, max_steps=16))
    assert (result.steps, result.num_augmentations) == (3, 16)
    assert sum(answer.votes for answer in result.ranked[0]) == 16


def test_bf16_learns(weights):
    schedule = Schedule(embedding=0.1, lr=0.02, dropout=0.0)  # the loss of a training step includes its dropout
    trainer = make_trainer(weights, [recolored(2)], schedule, autocast=True, steps=60, votes=1)
    assert list(trainer.run())[-1].loss < 0.5


# -- a stream of tasks --------------------------------------------------------------------------------------------
def test_results_come_in_order_and_an_invalid_record_affects_no_other(weights):
    bad = InvalidPuzzle("b.json:x", "no demonstrations")
    tasks = [recolored(1), bad, replace(recolored(2), name="second")]
    for tasks_per_batch in (1, 2, 3):
        options = AdaptOptions(budget=None, steps=1, votes=1, max_steps=1, tasks_per_batch=tasks_per_batch)
        results = list(adapt(TASK, CONFIG, weights, SPEC, iter(tasks), options))
        assert [r.task for r in results] == tasks
        assert [r.error for r in results] == ["", "no demonstrations", ""]
        assert all(r.memory > 0 for r in results if not r.error)


def test_events_report_progress(weights):
    options = AdaptOptions(budget=None, steps=2, votes=2, max_steps=3)
    events = list(adapt(TASK, CONFIG, weights, SPEC, [recolored(2)], options, events=True))
    kinds = [kind for kind, _ in itertools.groupby(events, type)]
    assert kinds == [AdaptEvent, RefineEvent, FewShotResult]
    steps = [event for event in events if isinstance(event, RefineEvent)]
    assert [event.step for event in steps] == [1, 2, 3]
    assert all(event.prediction.answer.shape == event.prediction.confidence.shape == (3, 4) for event in steps)
    assert events[-2].prediction.answer.tolist() in [answer.grid.tolist() for answer in events[-1].ranked[0]]
    assert sum(answer.votes for answer in events[-1].ranked[0]) == 2


def test_a_deadline_ends_the_stream(weights):
    options = AdaptOptions(budget=50.0, votes=1)
    with pytest.raises(DeadlineExceeded):
        list(adapt(TASK, CONFIG, weights, SPEC, [recolored(2)], options, deadline=time.monotonic() + 0.2))


def test_another_network_is_refused():
    config = replace(CONFIG, num_relations=3)
    with pytest.raises(TrmsolveError, match=r"x\.safetensors: this network cannot adapt"):
        next(adapt(TASK, config, {}, SPEC, [], AdaptOptions(), name="x.safetensors"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"budget": 0.0}, "budget"), ({"votes": 0}, "votes"), ({"budget": None}, "neither"), ({"steps": 0}, "steps")],
)
def test_invalid_options_raise(settings, message):
    with pytest.raises(TrmsolveError, match=message):
        AdaptOptions(**settings)
