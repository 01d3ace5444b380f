"""Checkpoints of version 0.1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from networks import stepped
from trmsolve import checkpoint as checkpoints
from trmsolve.model.config import TRMConfig
from trmsolve.model.sequence_model import refine
from trmsolve.model.trm import TRM
from trmsolve.tasks import get

FORMAT_1 = Path(__file__).parent / "format_1"  # written by version 0.1, with the outputs it gave


@pytest.mark.parametrize("name", ["units", "grid", "color", "mlp", "attention"])
def test_files_of_format_1_give_the_outputs_of_version_0_1(name):
    path, expected = FORMAT_1 / f"{name}.safetensors", np.load(FORMAT_1 / f"{name}.npz")
    header = checkpoints.read_header(path)
    assert header.format_version == 1 and header.task == str(expected["task"])
    model = TRM(TRMConfig.from_dict(header.model))
    model.load_state_dict(checkpoints.load_tensors(path))
    if name == "color":  # what it computes needs demonstrations: tests/inference
        return
    if "tokens" in expected:
        (logits, halt), *_ = refine(model, torch.float32, expected["tokens"], None, 1)
    else:
        (logits,), halt = stepped(model, [get(header.task).encode(expected["question"])], 1)
    np.testing.assert_allclose(logits.numpy().reshape(expected["logits"].shape), expected["logits"], atol=2e-5)
    np.testing.assert_allclose(halt.numpy(), expected["halt"], atol=2e-5)


def test_format_1_saved_as_format_2_is_bit_equal(tmp_path):
    for path in sorted(FORMAT_1.glob("*.safetensors")):
        old, weights = checkpoints.read_header(path), checkpoints.load_tensors(path)
        anew = tmp_path / path.name
        checkpoints.save(anew, weights, old.task, old.model, old.provenance, old.metrics)
        new = checkpoints.read_header(anew)
        assert new.format_version == 2 and new.model == old.model and new.tensors == old.tensors
        assert (new.provenance, new.metrics) == (old.provenance, old.metrics)
        assert all(torch.equal(weights[n], tensor) for n, tensor in checkpoints.load_tensors(anew).items())


@pytest.mark.parametrize("name", ["sudoku", "maze", "arc"])
def test_bundled_checkpoints_have_format_2_and_provenance(name):
    header = checkpoints.read_header(checkpoints.bundled_dir() / f"{name}.safetensors")
    assert header.format_version == 2 and header.task == name
    assert header.provenance["sessions"] and header.provenance["commit"] and header.headline
