"""Importing published checkpoints: the written file, and what is refused before anything is written."""

import os
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import trmsolve
from trmsolve import checkpoint as checkpoints
from trmsolve.convert import convert
from trmsolve.convert.architecture import ImportOptions
from trmsolve.convert.convert import import_checkpoint
from trmsolve.errors import TrmsolveError
from trmsolve.model.trm import TRM, num_parameters

from .samples import CYCLES, FIXTURES, refused


def task_of(fixture: str) -> ImportOptions:
    """What has to be said of a fixture: six token ids may be a maze's or a 4x4 Sudoku's."""
    return ImportOptions("maze" if "maze" in fixture else None)


@pytest.mark.parametrize("name", FIXTURES)
def test_an_imported_checkpoint_gives_the_numbers_of_the_original_code(shared, tmp_path, name):
    folder = shared / "data" / "official_format" / name
    result = import_checkpoint(str(folder), tmp_path / "out.safetensors", task_of(name))
    assert result.task in name and result.config.num_y_layers == (4 if "hrm" in name else 0)
    expected = np.load(folder / "expected.npz")
    model = trmsolve.load(result.path, device="cpu", dtype="float32")
    steps = model.refine(expected["inputs"], expected["puzzle_identifiers"], steps=len(expected["logits"]))
    values = zip(steps, expected["logits"], expected["q_halt"], strict=True)
    for step, ((logits, halt), their_logits, their_halt) in enumerate(values):
        allowed = 1e-4 if step < 3 else 1e-3  # random weights amplify rounding errors: tests/convert/test_parity.py
        assert np.abs(logits.numpy() - their_logits).max() <= allowed
        assert np.abs(halt.numpy() - their_halt).max() <= allowed


def test_dropping_the_embeddings_keeps_their_mean(tmp_path, state):
    torch.save(state, tmp_path / "step_1")
    result = import_checkpoint(str(tmp_path), tmp_path / "out.safetensors", CYCLES, drop_embeddings=True)
    saved_settings = checkpoints.load_tensors(result.path)["embed.puzzle_table"]
    torch.testing.assert_close(saved_settings, state["puzzle_emb.weights"].mean(0, keepdim=True))
    assert result.config.num_puzzles == 1


def test_a_folder_must_hold_one_file_of_weights(tmp_path):
    with pytest.raises(TrmsolveError, match="no file of weights"):
        import_checkpoint(str(tmp_path), tmp_path / "out.safetensors")
    for name in ("step_1", "step_2"):
        (tmp_path / name).write_bytes(pickle.dumps(1))
    with pytest.raises(TrmsolveError, match="step_1, step_2"):
        import_checkpoint(str(tmp_path), tmp_path / "out.safetensors")


def test_an_existing_output_is_kept_and_nothing_is_read(tmp_path):
    (tmp_path / "out.safetensors").write_text("mine")
    with pytest.raises(TrmsolveError, match="already exists"):
        import_checkpoint(str(tmp_path / "nowhere"), tmp_path / "out.safetensors")
    assert (tmp_path / "out.safetensors").read_text() == "mine"


def test_a_full_disk_is_an_error_before_anything_is_written(tmp_path, state, monkeypatch):
    monkeypatch.setattr(convert.shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000_000))
    refused(tmp_path, state, r"out.safetensors needs 1.2 MB, but the disk has 1.0")


def test_a_disk_that_fills_up_leaves_no_file(tmp_path, state, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused(tmp_path, state, r"cannot write .*No space left")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_mean_of_a_long_table_is_exact(dtype):
    table = torch.randn(20_000, 4, generator=torch.Generator().manual_seed(0)).to(dtype)
    expected = table.double().mean(0, keepdim=True).to(dtype)
    assert convert._mean(table).dtype == dtype and torch.equal(convert._mean(table), expected)


@pytest.mark.parametrize("name", FIXTURES)
def test_imported_parameters_exclude_buffers(shared, tmp_path, name):
    folder = shared / "data" / "official_format" / name
    result = import_checkpoint(str(folder), tmp_path / "out.safetensors", task_of(name))
    header = checkpoints.read_header(result.path)
    assert result.parameters == header.parameters == num_parameters(TRM(result.config))
    assert header.puzzle_table == (result.config.num_puzzles, result.config.hidden_size)
