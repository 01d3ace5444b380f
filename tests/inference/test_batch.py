"""The continuous batch: whatever it is shared with, every rollout reads out the same; and its size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inference.rollouts import CONFIGS, TOLERANCE, network, questions, roll_all, rollouts, step_alone
from trmsolve.errors import TrmsolveError
from trmsolve.inference import batch as batch_module
from trmsolve.inference.batch import ContinuousBatch, Rollout, WarmStart, max_batch_tokens
from trmsolve.model.packing import pack
from trmsolve.model.sequence_model import official
from trmsolve.model.trm import TRM
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
    (rollout,) = rollouts([encoded])
    batch = ContinuousBatch(model, torch.float32)
    batch.add([rollout])
    batch.step()
    expected = [encoded.meanings[f + rank] for f, rank in zip(encoded.first, rollout.readout.choice, strict=True)]
    assert rollout.meanings.tolist() == expected


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("mixer", CONFIGS)
def test_a_warm_start_resumes_where_its_source_ended(mixer, batch_size):
    """Two steps and three more read out as five steps do, whatever else is in the batch."""
    model = network(mixer)
    batch = ContinuousBatch(model, torch.float32)
    every = questions(mixer)
    for encoded in every[:4]:
        expected = step_alone(model, encoded, 5)
        first, others = Rollout(encoded, keep_state=True), rollouts(every[4 : 3 + batch_size])
        batch.add([*others[:1], first, *others[1:]])
        batch.step()
        batch.step()
        batch.remove({first})
        second = Rollout(encoded, WarmStart(first, np.arange(len(encoded.x))))
        batch.add([second])
        for halt_prob, logits in expected[2:]:
            batch.step()
            assert second.readout.halt_prob == pytest.approx(halt_prob, abs=TOLERANCE)
            best = logits[encoded.first[0] : encoded.first[0] + encoded.size[0]].softmax(0).max().item()
            assert second.readout.confidence[0] == pytest.approx(best, abs=TOLERANCE)
        assert second.step == 3 and second.init_from is None
        batch.remove({second, *others})
        assert not batch.running and first.final_state is not None and second.final_state is None


@torch.inference_mode()
def test_a_warm_start_gives_each_token_the_state_of_its_row():
    model = network("units")
    question, answer, _ = generate_sudoku(5, 1, 9)
    branch = question.copy()
    cell = tuple(np.argwhere(question == 0)[3])
    branch[cell] = answer[cell]
    parent, child = SUDOKU.encode(question), SUDOKU.encode(branch)
    batch, source = ContinuousBatch(model, torch.float32), Rollout(parent, keep_state=True)
    batch.add([source])
    batch.step()
    batch.remove({source})
    rows = np.array([parent.meanings.tolist().index(meaning) for meaning in child.meanings])
    rollout = Rollout(child, WarmStart(source, rows))
    batch.add([rollout])
    batch.step()
    tokens, packed = pack([parent])
    output = model(tokens, *model.init_state(len(tokens)), packed)
    tokens, packed = pack([child])
    expected = model(tokens, output.y[rows], output.z[rows], packed)
    assert rollout.readout.halt_prob == pytest.approx(expected.halt_logit.sigmoid().item(), abs=TOLERANCE)


# -- its size -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("free", "num_tokens"), [(139 << 30, 1 << 17), (1 << 30, 10_000), (1 << 20, 10)])
def test_a_batch_is_as_large_as_the_free_memory_allows(monkeypatch, free, num_tokens):
    """For the published Sudoku network, 97 tokens a puzzle: its states and intermediate layers fill the memory."""
    model = TRM(official("mlp", 11, 81))
    assert max_batch_tokens(network("units")) == 1 << 14  # free memory of a CPU is unknown
    monkeypatch.setattr(batch_module, "free_memory", lambda device: free)
    monkeypatch.setitem(batch_module.MAX_TOKENS, "cpu", 1 << 17)
    assert num_tokens / 3 <= max_batch_tokens(model.cast(torch.bfloat16)) <= 3 * num_tokens
    assert max_batch_tokens(model.cast(torch.bfloat16)) <= 1 << 17


def test_memory_that_runs_out_is_an_error_message(monkeypatch):
    def step(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    model = network("units")
    batch = ContinuousBatch(model, torch.float32)
    batch.add(rollouts(questions("units", 3)))
    monkeypatch.setattr(model, "forward", step)
    with pytest.raises(TrmsolveError, match=r"out of memory on cpu: 3 puzzles of \d+ tokens in total do not fit"):
        batch.step()


# -- on a GPU -----------------------------------------------------------------------------------------------------
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("mixer", CONFIGS)
def test_a_gpu_gives_what_the_cpu_gives(mixer):
    model, encoded = network(mixer), questions(mixer)
    expected = roll_all(ContinuousBatch(model, torch.float32), encoded)
    actual = roll_all(ContinuousBatch(model.to("cuda"), torch.float32), encoded)
    for i in expected:
        for a, b in zip(expected[i], actual[i], strict=True):
            np.testing.assert_allclose(a[2], b[2], atol=2e-3)
            np.testing.assert_allclose(a[3:], b[3:], atol=2e-3)
