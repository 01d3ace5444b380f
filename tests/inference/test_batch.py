"""The continuous batch: however it is packed, overlapped and shared, every rollout reads out the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inference.rollouts import (
    CONFIGS,
    TOLERANCE,
    assert_same,
    network,
    no_capture,
    questions,
    roll_all,
    rollouts,
    step_alone,
)
from trmsolve.inference.batch import ContinuousBatch, Request, Rollout, WarmStart
from trmsolve.inference.runner import CudaGraphRunner, EagerRunner
from trmsolve.model.packing import pack
from trmsolve.tasks.sudoku import TASK as SUDOKU
from trmsolve.tasks.sudoku.generate import generate as generate_sudoku


@pytest.mark.parametrize("mixer", CONFIGS)
def test_a_rollout_in_the_batch_reads_out_what_the_model_computes_for_it_alone(mixer):
    model, encoded = network(mixer), questions(mixer)
    readouts = roll_all(ContinuousBatch(model, torch.float32), encoded)
    for i, e in enumerate(encoded):
        expected = step_alone(model, e, len(readouts[i]))
        for (choice, confidence, probabilities, halt_prob, _), (expected_halt, logits) in zip(
            readouts[i], expected, strict=True
        ):
            assert halt_prob == pytest.approx(expected_halt, abs=TOLERANCE)
            ends = np.cumsum(e.size)
            for u, (first, size) in enumerate(zip(e.first, e.size, strict=True)):
                p = logits[first : first + size].softmax(0).numpy()
                np.testing.assert_allclose(probabilities[ends[u] - size : ends[u]], p, atol=TOLERANCE)
                assert confidence[u] == pytest.approx(p.max(), abs=TOLERANCE)
                assert p[choice[u]] == pytest.approx(p.max(), abs=TOLERANCE)


def test_the_meanings_of_a_rollout_are_those_of_its_chosen_options():
    model, (encoded, *_) = network("units"), questions("units")
    (rollout,) = rollouts([encoded], 1)
    batch = ContinuousBatch(model, torch.float32)
    batch.add([rollout])
    batch.step()
    expected = [encoded.meanings[f + rank] for f, rank in zip(encoded.first, rollout.readout.choice, strict=True)]
    assert rollout.meanings.tolist() == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("mixer", CONFIGS)
def test_overlapped_readouts_are_equal_bit_for_bit_and_one_step_late(mixer, dtype):
    model, encoded = network(mixer).cast(dtype), questions(mixer, 4)
    delivered = []
    for overlap, delay in ((False, 0), (True, 1)):
        batch, running = ContinuousBatch(model, dtype, overlap=overlap), rollouts(encoded, 9)
        batch.add(running)
        readouts = []
        for k in range(4 + delay):
            batch.step()
            assert all((r.readout is None) == (k < delay) and r.step == k + 1 - delay for r in running)
            readouts.append([r.readout for r in running])
        delivered.append(readouts[delay:])
    for one, other in zip(*delivered, strict=True):
        for a, b in zip(one, other, strict=True):
            assert np.array_equal(a.choice, b.choice) and np.array_equal(a.probabilities, b.probabilities)
            assert (a.halt_prob, a.solvable_prob) == (b.halt_prob, b.solvable_prob)


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("mixer", CONFIGS)
def test_captured_steps_give_what_eager_steps_give(mixer, overlap):
    model, encoded = network(mixer), questions(mixer)
    eager = roll_all(ContinuousBatch(model, torch.float32), encoded)
    assert_same(eager, roll_all(ContinuousBatch(model, torch.float32, overlap=overlap), encoded), exactly=not overlap)
    runner = CudaGraphRunner(model, no_capture)
    for _ in range(2):  # the second time with the buckets of the first
        assert_same(eager, roll_all(ContinuousBatch(model, torch.float32, runner, overlap), encoded), exactly=False)
    assert len(runner) < sum(len(steps) for steps in eager.values()) // 2  # buckets recur


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("captured", [False, True])
@pytest.mark.parametrize("mixer", CONFIGS)
def test_a_warm_start_resumes_where_its_source_ended(mixer, captured, batch_size):
    """Two steps and three more read out as five steps do, whatever else is in the batch."""
    model = network(mixer)
    batch = ContinuousBatch(
        model, torch.float32, CudaGraphRunner(model, no_capture) if captured else EagerRunner(model)
    )
    every = questions(mixer)
    for encoded in every[:4]:
        expected = step_alone(model, encoded, 5)
        first, others = Rollout(Request(encoded, 2), keep_state=True), rollouts(every[4 : 3 + batch_size], 9)
        batch.add([*others[:1], first, *others[1:]])
        batch.step()
        batch.step()
        batch.remove({first})
        second = Rollout(Request(encoded, 3), WarmStart(first, np.arange(len(encoded.x))))
        batch.add([second])
        for halt_prob, logits in expected[2:]:
            batch.step()
            assert second.readout.halt_prob == pytest.approx(halt_prob, abs=TOLERANCE)
            best = logits[encoded.first[0] : encoded.first[0] + encoded.size[0]].softmax(0).max().item()
            assert second.readout.confidence[0] == pytest.approx(best, abs=TOLERANCE)
        assert second.step == 3 and second.init_from is None
        batch.remove({second, *others})
        assert not batch.running and first.final_state is not None and second.final_state is None


@pytest.mark.parametrize("share", [1.0, 0.25])
@torch.inference_mode()
def test_a_warm_start_gives_each_token_the_state_of_its_row(share):
    model = network("units")
    question, answer, _ = generate_sudoku(5, 1, 9)
    branch = question.copy()
    cell = tuple(np.argwhere(question == 0)[3])
    branch[cell] = answer[cell]
    parent, child = SUDOKU.encode(question), SUDOKU.encode(branch)
    batch, source = ContinuousBatch(model, torch.float32), Rollout(Request(parent, 1), keep_state=True)
    batch.add([source])
    batch.step()
    batch.remove({source})
    rows = np.array([parent.meanings.tolist().index(meaning) for meaning in child.meanings])
    rollout = Rollout(Request(child, 1), WarmStart(source, rows, share))
    batch.add([rollout])
    batch.step()
    tokens, packed = pack([parent])
    output = model(tokens, *model.init_state(len(tokens)), packed)
    tokens, packed = pack([child])
    init = model.init_state(1)
    mixed = (share * s[rows] + (1 - share) * fresh for s, fresh in zip((output.y, output.z), init, strict=True))
    expected = model(tokens, *mixed, packed)
    assert rollout.readout.halt_prob == pytest.approx(expected.halt_logit.sigmoid().item(), abs=TOLERANCE)
