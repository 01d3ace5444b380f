"""The checkpoint format: round trips, digests, and files that others read and write."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from networks import HRM, SUDOKU_MODEL
from trmsolve import checkpoint as checkpoints
from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.sequence_model import official
from trmsolve.model.trm import TRM, num_parameters

from .samples import ATTENTIVE, CONFIG, METRICS, MODEL, PROVENANCE, tensors, write


def test_save_and_read_round_trip(file):
    header = checkpoints.read_header(file)
    assert (header.task, header.model, header.provenance, header.metrics) == ("sudoku", MODEL, PROVENANCE, METRICS)
    assert header.parameters == num_parameters(TRM(CONFIG))
    assert header.headline == "99.3 % of 300 extreme_dev"
    assert header.size == file.stat().st_size
    loaded = checkpoints.load_tensors(file)
    for name, tensor in tensors().items():
        assert loaded[name].dtype == tensor.dtype and torch.equal(loaded[name], tensor), name


@pytest.mark.parametrize(
    "config",
    [
        TRMConfig(**SUDOKU_MODEL | {"hidden_size": 16, "intermediate_size": 16}),
        official(**ATTENTIVE),
        official(**ATTENTIVE | HRM),
    ],
    ids=["ours", "trm", "hrm"],
)
def test_parameters_exclude_buffers_and_the_puzzle_table(tmp_path, config):
    """Not its buffers: the start of y and z, and the embeddings of single puzzles."""
    model = TRM(config)
    checkpoints.save(tmp_path / "x.safetensors", model.state_dict(), "sudoku", config.to_dict(), {}, {})
    header = checkpoints.read_header(tmp_path / "x.safetensors")
    assert header.parameters == num_parameters(model) < sum(tensor.numel() for tensor in model.state_dict().values())
    assert header.puzzle_table == ((3, 16) if config.num_puzzles else ())


def test_files_are_interchangeable_with_those_of_safetensors(file, tmp_path):
    assert load_file(file).keys() == tensors().keys()
    again = tmp_path / "theirs.safetensors"
    header = {"format_version": 2, "task": "maze", "model": MODEL, "provenance": {}, "metrics": {}}
    state = {name: tensor.clone().contiguous() for name, tensor in tensors().items()}
    save_file(state, again, {"trmsolve": json.dumps(header)})
    assert checkpoints.read_header(again).task == "maze"


def test_equal_content_has_an_equal_digest(file, tmp_path):
    """safetensors orders the entries of the metadata anew in every call; ours has one."""
    digests = {checkpoints.sha256_of(write(tmp_path / f"{i}.safetensors")) for i in range(8)}
    assert digests == {checkpoints.sha256_of(file)}
    with safe_open(file, "pt") as opened:
        assert list(opened.metadata()) == ["trmsolve"]


def test_the_digest_changes_with_the_file(file):
    before = checkpoints.sha256_of(file)
    write(file, task="maze")
    assert checkpoints.sha256_of(file) != before


def test_loaded_weights_do_not_change_when_the_file_is_overwritten(file):
    loaded = checkpoints.load_tensors(file)
    file.write_bytes(b"\1" * file.stat().st_size)  # where it is; a mapped file would be changed too
    for name, tensor in tensors().items():
        assert torch.equal(loaded[name], tensor), name


@pytest.mark.parametrize("mapped", [0, checkpoints.format.MAPPED])
def test_weights_with_another_digest_are_refused(file, monkeypatch, mapped):
    monkeypatch.setattr(checkpoints.format, "MAPPED", mapped)
    checkpoint = checkpoints.find(str(file), None)
    assert checkpoints.load_tensors(file, checkpoint.sha256).keys() == checkpoint.header.tensors.keys()
    content = file.read_bytes()
    file.write_bytes(content[:-16] + b"\1" * 16)
    with pytest.raises(TrmsolveError, match="was replaced while it was being loaded"):
        checkpoints.load_tensors(file, checkpoint.sha256)


def test_a_failed_save_keeps_the_old_file_and_leaves_no_temporary_one(file, monkeypatch):
    before = file.read_bytes()

    def broken(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(TrmsolveError, match=r"cannot write .*No space left"):
        write(file)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_saving_below_a_file_is_an_error(file):
    with pytest.raises(TrmsolveError, match="cannot write"):
        write(file / "below.safetensors")


def test_reading_a_header_does_not_import_torch(file):
    code = "import sys; from trmsolve import checkpoint; "
    code += "checkpoint.find(sys.argv[1], 'sudoku'); checkpoint.available()"
    code += "; print({'torch', 'huggingface_hub'} & set(sys.modules))"
    process = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True)
    assert process.stdout.strip() == "set()", process.stderr


def test_nan_and_infinity_are_saved_as_null(file):
    checkpoints.save(file, tensors(), "sudoku", MODEL, {"loss": float("nan")}, {"dev": {"solved": float("inf")}})
    header = checkpoints.read_header(file)
    assert header.provenance == {"loss": None} and header.metrics == {"dev": {"solved": None}}
    assert header.headline == ""
    json.loads(json.dumps(header.metrics, allow_nan=False))
