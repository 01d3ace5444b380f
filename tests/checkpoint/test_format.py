"""The checkpoint format and the lookup of checkpoints: round trips, damaged files, error messages."""

from __future__ import annotations

import json
import os
import pickle
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from networks import HRM, SUDOKU_MODEL, stepped
from trmsolve import checkpoint as checkpoints
from trmsolve.checkpoint import lookup
from trmsolve.cli.checkpoints import app
from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.sequence_model import official, refine
from trmsolve.model.trm import TRM, num_parameters
from trmsolve.tasks import get
from trmsolve.text_io import printable

CONFIG = TRMConfig(hidden_size=4, intermediate_size=6, num_layers=1, mixer="units", weight_sharing=(0, 0, 1), n=1)
MODEL = json.loads(json.dumps(CONFIG.to_dict()))
PROVENANCE = {"command": "trmsolve train --task sudoku", "steps": 1000, "data": {"train.csv": "ab12"}}
METRICS = {"extreme_dev": {"solved": 0.9933, "n": 300}, "clue17_dev": {"solved": 1.0, "n": 1000}}


def tensors():
    """The weights of a tiny network: two of them share memory, one lies transposed, one is bfloat16."""
    torch.manual_seed(0)
    state = TRM(CONFIG).state_dict()
    state["z_init"] = state["y_init"]
    state["layers.0.down.weight"] = torch.randn(6, 4).T
    state["q_head.weight"] = torch.randn(2, 4).to(torch.bfloat16)
    return state


def write(path, task="sudoku", metrics=METRICS):
    checkpoints.save(path, tensors(), task, MODEL, PROVENANCE, metrics)
    return path


def with_header(path, change):
    """Rewrite the file's JSON header."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "sudoku.safetensors")


# -- the file -----------------------------------------------------------------------------------------------------


def test_save_and_read_round_trip(file):
    header = checkpoints.read_header(file)
    assert (header.task, header.model, header.provenance, header.metrics) == ("sudoku", MODEL, PROVENANCE, METRICS)
    assert header.parameters == num_parameters(TRM(CONFIG))
    assert header.headline == "99.3 % of 300 extreme_dev"
    assert header.size == file.stat().st_size
    loaded = checkpoints.load_tensors(file)
    for name, tensor in tensors().items():
        assert loaded[name].dtype == tensor.dtype and torch.equal(loaded[name], tensor), name


ATTENTIVE = {"mixer": "attention", "vocab_size": 6, "cells": 9, "hidden_size": 16, "num_heads": 2, "num_puzzles": 3}


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
    found = checkpoints.find(str(file), None)
    assert checkpoints.load_tensors(file, found.sha256).keys() == found.header.tensors.keys()
    content = file.read_bytes()
    file.write_bytes(content[:-16] + b"\1" * 16)
    with pytest.raises(TrmsolveError, match="was replaced while it was being loaded"):
        checkpoints.load_tensors(file, found.sha256)


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
    found = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True)
    assert found.stdout.strip() == "set()", found.stderr


# -- broken files -------------------------------------------------------------------------------------------------


def broken_files(tmp_path):
    good = write(tmp_path / "good.safetensors").read_bytes()
    length = int.from_bytes(good[:8], "little")
    cases = {
        "empty": (b"", "is empty"),
        "start": (good[:5], "truncated or not a checkpoint: only 5 bytes"),
        "header": (good[:200], f"truncated: its header alone takes {8 + length:,} bytes, the file has 200"),
        "body": (good[:-7], f"truncated or damaged: its {len(good) - 7:,} bytes do not fit its header"),
        "long": (good + b"xyz", "truncated or damaged: its .* bytes do not fit"),
        "pickle": (pickle.dumps({"w": 1}), "is a PyTorch .pickle. file"),
        "text": (b"epoch,loss\n1,2\n3,4\n", "not a safetensors file"),
        "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:...", "Git LFS pointer"),
        "json": (good[:8] + b"{" + b"x" * (length - 1) + good[8 + length :], "truncated or damaged: .*JSON"),
        "deep": (good[:8] + b'{"a":' + b"[" * (length - 5) + good[8 + length :], "truncated or damaged: .*JSON"),
    }
    for name, (data, message) in cases.items():
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(data)
        yield path, message
    torch.save({"w": torch.ones(2)}, tmp_path / "zip.safetensors")
    yield tmp_path / "zip.safetensors", "is a PyTorch .pickle. file"
    yield tmp_path / "absent.safetensors", "no checkpoint file"
    yield tmp_path, "is a folder"


def test_damaged_and_foreign_files_are_named(tmp_path):
    for path, message in broken_files(tmp_path):
        for read in (checkpoints.read_header, checkpoints.load_tensors):
            with pytest.raises(TrmsolveError, match=message) as error:
                read(path)
            assert str(path) in error.value.message and error.value.hint, path


def test_a_pickle_points_to_import(tmp_path):
    torch.save({"w": torch.ones(2)}, tmp_path / "step_32550")
    with pytest.raises(TrmsolveError) as error:
        checkpoints.read_header(tmp_path / "step_32550")
    assert "trmsolve checkpoints import" in error.value.hint


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_named_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TrmsolveError, match="not a regular file"):
        checkpoints.read_header(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format_version", 3, "written by a newer trmsolve .format 3, supported: up to 2"),
        ("format_version", "one", "no format version"),
        ("format_version", 0, "no format version"),
        ("format_version", None, "no format version"),
        ("task", None, "does not say which task"),
        ("task", 7, "does not say which task"),
        ("model", "{", "no readable 'model'"),
        ("model", [1], "no readable 'model'"),
        ("provenance", None, "no readable 'provenance'"),
        ("metrics", "nine", "no readable 'metrics'"),
    ],
)
def test_invalid_metadata_is_named(file, key, value, message):
    def change(header):
        fields = json.loads(header["__metadata__"]["trmsolve"])
        fields.pop(key)
        if value is not None:
            fields[key] = value
        header["__metadata__"]["trmsolve"] = json.dumps(fields)

    with_header(file, change)
    with pytest.raises(TrmsolveError, match=message) as error:
        checkpoints.read_header(file)
    assert error.value.hint


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "not of trmsolve"),
        ({"format": "pt"}, "not of trmsolve"),
        ({"trmsolve": "{"}, "no readable 'trmsolve'"),
        ({"format": "trmsolve", "format_version": "1", "task": "maze", "model": "{"}, "no readable 'model'"),
        ({"trmsolve": "7"}, "no readable 'trmsolve'"),
    ],
)
def test_foreign_and_damaged_metadata_are_named(file, metadata, message):
    with_header(file, lambda header: header.update(__metadata__=metadata))
    with pytest.raises(TrmsolveError, match=message) as error:
        checkpoints.read_header(file)
    assert error.value.hint


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [4]},
        {"dtype": "F33"},
        {"dtype": ["F32"]},
        {"shape": [5]},
        {"shape": [-2, -2]},
        {"shape": "4"},
        {"shape": [4.0]},
        {"shape": [10**400]},
        {"shape": [2**61 - 1] * 200_000},
        {"shape": [0], "data_offsets": [0, 0]},
        None,
        3,
    ],
)
def test_a_header_that_does_not_describe_the_tensors_is_refused(file, entry):
    def change(header):
        header["y_init"] = header["y_init"] | entry if isinstance(entry, dict) and len(entry) < 2 else entry

    with_header(file, change)
    with pytest.raises(TrmsolveError, match=r"truncated or damaged: its .* bytes do not fit its header") as error:
        checkpoints.read_header(file)
    assert len(error.value.message) < 1000 and "fetch it again" in error.value.hint


def test_integers_are_no_weights(file):
    with_header(file, lambda header: header["y_init"].update(dtype="I64", shape=[2]))
    with pytest.raises(TrmsolveError, match="tensor y_init is I64, expected one of F16"):
        checkpoints.read_header(file)


def with_model(path, **changes):
    """Rewrite fields of the configuration in the file's header."""

    def change(header):
        fields = json.loads(header["__metadata__"]["trmsolve"])
        fields["model"] |= changes
        header["__metadata__"]["trmsolve"] = json.dumps(fields)

    with_header(path, change)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 12_288}, r"tensor y_init is of shape \[4\], expected \[12288\]"),
        ({"intermediate_size": 65_536}, r"layers.0.down.weight is of shape \[4, 6\], expected \[4, 65536\]"),
        ({"num_layers": 256}, "model.num_layers is 256, the tensors have 1"),
        ({"num_y_layers": 2}, "model.num_y_layers is 2, the tensors have 0"),
        ({"vocab_size": 1 << 24}, "embed.weight is of shape"),
        ({"num_classes": 1 << 16}, "answer_head.weight is of shape"),
        ({"num_puzzles": 1 << 26}, "embed.puzzle_table is missing"),
        ({"weight_sharing": [0, 0, 999]}, "layers.0.unit.999.weight is missing"),
        ({"n": 10**6}, "model.n: found 1000000, expected an integer from 1 to 1,000"),
        ({"T": 10**400}, "model.T: found None, expected an integer"),
        ({"T": 1000, "n": 1000}, "model.T: 1000 and n 1000 mean 1,001,000 layer calls per step; the maximum is 5,000"),
        ({"n": 0}, "model.n: found 0, expected an integer"),
        ({"n": True}, "model.n: found True, expected an integer"),
        ({"n": "3"}, "model.n: found '3', expected an integer"),
        ({"n": 3.0}, "model.n: found 3.0, expected an integer"),
        ({"N_sup": -1}, "model.N_sup: found -1, expected an integer"),
        ({"gate": "evil"}, "model.gate: unknown value 'evil'"),
        ({"gate": "x" * 10**6}, "model.gate: unknown value 'xxxxxxxxxx'"),
        ({"mixer": ["units"]}, "model.mixer: unknown value"),
        ({"mixer": "attention"}, "model.seq_len: 0 is not valid for the mixer 'attention'"),
        ({"seq_len": 97}, "model.seq_len: 97 is not valid for the mixer 'units'"),
        ({"positions": "learned"}, "model.positions: 'learned' is not valid for"),
        ({"embedding": "color"}, "model.embedding: 'color' is not valid for"),
        ({"embedding": "color", "mixer": "relational", "feature_sizes": [65536] * 999}, "more than 2.24 token ids"),
        ({"grad_steps": 2}, "model.grad_steps: 2 exceeds n 1"),
        ({"weight_sharing": [[0]]}, "expected a list of integers"),
        ({"weight_sharing": {}}, "expected a list of integers"),
        ({"weight_sharing": 0}, "model.weight_sharing: found 0, expected a list of integers"),
        ({"unit_scale": float("nan")}, "found None, expected a number"),
        ({"\ud800\x1b[2J": 1}, r"model.\\ud800\\x1b\[2J: unknown setting"),
    ],
)
def test_a_configuration_that_is_invalid_or_contradicts_the_tensors_is_refused(file, changes, message):
    """Before anything is built, and by `checkpoints list` too."""
    with_model(file, **changes)
    with pytest.raises(TrmsolveError, match=message) as error:
        checkpoints.read_header(file)
    assert str(file) in error.value.message and len(error.value.message) < 1000


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["layers.0.down.weight", "embed.weight", "q_head.weight"])
def test_nan_and_infinite_weights_are_refused_by_name(file, name, value):
    state = tensors()
    state[name] = state[name].clone()
    state[name][0, 1] = value
    checkpoints.save(file, state, "sudoku", MODEL, {}, {})
    with pytest.raises(TrmsolveError, match=rf"NaN or infinite weights in {name}\n"):
        checkpoints.load_tensors(file)


def test_nan_and_infinity_are_saved_as_null(file):
    checkpoints.save(file, tensors(), "sudoku", MODEL, {"loss": float("nan")}, {"dev": {"solved": float("inf")}})
    header = checkpoints.read_header(file)
    assert header.provenance == {"loss": None} and header.metrics == {"dev": {"solved": None}}
    assert header.headline == ""
    json.loads(json.dumps(header.metrics, allow_nan=False))


def mutated(rng, header):
    """One random change somewhere in a header: another value, another name, one part less."""
    values = [None, True, -1, 0, 1, 10**6, 2**63, 10**400, 1e308, float("nan"), "", "x", "\ud800", "\x1b[2J", [], {}]
    values += [[0] * 5, {"a": {}}, "10" * 3000, [[[1]]], 0.5]
    places = []

    def walk(node):
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(header)
    node, key = rng.choice(places)
    kind = rng.random()
    if kind < 0.7:
        node[key] = rng.choice(values)
    elif kind < 0.85 and isinstance(node, dict):
        node[rng.choice(["\x1b]0;x\x07", "layers.0.down.weight", "embed.\ud800", "n", "layers.9.x", ""])] = node.pop(
            key
        )
    else:
        del node[key]


def fuzz(file, trials):
    """How many of so many mutated headers were refused; anything but a TrmsolveError comes through."""
    data, rng = file.read_bytes(), random.Random(0)
    start = 8 + int.from_bytes(data[:8], "little")
    refused = 0
    for _ in range(trials):
        header = json.loads(data[8:start])
        parts = json.loads(header["__metadata__"]["trmsolve"])
        if rng.random() < 0.3:
            header["__metadata__"]["trmsolve"] = parts = json.dumps(parts)
            mutated(rng, header)
        else:
            for _ in range(rng.randrange(1, 4)):
                mutated(rng, parts)
            header["__metadata__"]["trmsolve"] = json.dumps(parts)
        text = json.dumps(header).encode()
        file.write_bytes(len(text).to_bytes(8, "little") + text + data[start:])
        try:
            found = checkpoints.read_header(file)
            assert found.headline is not None and found.parameters == num_parameters(TRM(CONFIG))
            TRM(TRMConfig.from_dict(found.model))
            json.dumps([found.task, found.model, found.provenance, found.metrics], allow_nan=False)
        except TrmsolveError as error:
            refused += 1
            assert len(printable(error, 10_000)) < 5000
    return refused


@pytest.mark.parametrize("trials", [600, pytest.param(20_000, marks=pytest.mark.slow)])
def test_fuzzed_headers_raise_only_trmsolve_errors(file, trials):
    refused = fuzz(file, trials)
    assert trials / 2 < refused < trials


# -- format 1 -----------------------------------------------------------------------------------------------------

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


@pytest.mark.parametrize("trials", [300, pytest.param(3000, marks=pytest.mark.slow)])
def test_damaged_files_raise_only_trmsolve_errors(tmp_path, trials):
    data = write(tmp_path / "good.safetensors").read_bytes()
    path = tmp_path / "damaged.safetensors"
    end = 8 + int.from_bytes(data[:8], "little")
    rng = random.Random(0)
    refused = 0
    for trial in range(trials):
        damaged = bytearray(data)
        if trial % 3 == 0:
            del damaged[rng.randrange(len(data)) :]
        for _ in range(rng.randrange(1, 4) if trial % 3 else 0):
            where = rng.randrange(end)
            if trial % 3 == 1:
                damaged[where] ^= 1 << rng.randrange(8)
            else:
                damaged[where] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            header = checkpoints.read_header(path)
            checkpoints.load_tensors(path)
            assert header.headline is not None and header.parameters >= 0
        except TrmsolveError:
            refused += 1
    assert refused > 2 * trials / 3


# -- lookup ------------------------------------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path, alone, monkeypatch):
    """A bundled sudoku, a maze of our own in the cache, a pulled one, and a broken file."""
    bundled = tmp_path / "bundled"
    write(bundled / "sudoku.safetensors")
    write(alone / "cache" / "checkpoints" / "my-maze.safetensors", task="maze", metrics={})
    write(checkpoints.Address.parse("hf://owner/repo/big.safetensors").path)
    (alone / "cache" / "checkpoints" / "broken.safetensors").write_bytes(b"nothing")
    monkeypatch.setattr(lookup, "bundled_dir", lambda: bundled)
    return bundled


def test_the_default_is_the_bundled_one_of_the_task(shelf):
    found = checkpoints.find(None, "sudoku")
    assert found.path == shelf / "sudoku.safetensors" and found.name == "sudoku"
    assert found.sha256 == checkpoints.sha256_of(found.path) and found.header.task == "sudoku"


def test_names_files_and_addresses_are_found(shelf, tmp_path, monkeypatch):
    assert checkpoints.find("my-maze", "maze").header.task == "maze"
    assert checkpoints.find("big", "sudoku").path == checkpoints.find("hf://owner/repo/big.safetensors", "sudoku").path
    assert checkpoints.find(str(shelf / "sudoku.safetensors"), None).path == shelf / "sudoku.safetensors"
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "plain")
    assert checkpoints.find("plain", "sudoku").name == "plain"


def test_another_task_is_refused(shelf):
    with pytest.raises(TrmsolveError, match="is a maze checkpoint, expected sudoku") as error:
        checkpoints.find("my-maze", "sudoku")
    assert "trmsolve maze" in error.value.hint


@pytest.mark.parametrize(("config", "hint"), [(CONFIG, "run `trmsolve arc`"), (official(**ATTENTIVE), "refine")])
def test_the_hint_for_an_arc_checkpoint_depends_on_whether_it_can_adapt(tmp_path, config, hint):
    checkpoints.save(tmp_path / "a.safetensors", TRM(config).state_dict(), "arc", config.to_dict(), {}, {})
    with pytest.raises(TrmsolveError, match="is an arc checkpoint, expected sudoku") as error:
        checkpoints.find(str(tmp_path / "a.safetensors"), "sudoku")
    assert hint in error.value.hint


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("sudok", "unknown checkpoint 'sudok'", "did you mean 'sudoku'"),
        ("zebra", "unknown checkpoint 'zebra'", "known: big, broken, my-maze, sudoku"),
        ("zebra", "unknown", "trmsolve checkpoints pull"),
        ("./zebra", "no checkpoint file zebra", "checkpoints list"),
        ("zebra.safetensors", "no checkpoint file", "checkpoints list"),
        (".", "is a folder", "in it"),
        ("broken", "not a safetensors file|truncated", "."),
        (None, "no checkpoint given", "checkpoints list"),
    ],
)
def test_an_unknown_checkpoint_lists_the_known_ones(shelf, spec, message, hint):
    with pytest.raises(TrmsolveError, match=message) as error:
        checkpoints.find(spec, None)
    assert re.search(hint, error.value.hint)


def test_without_any_checkpoint_the_hint_says_how_to_get_one(monkeypatch, tmp_path):
    monkeypatch.setattr(lookup, "bundled_dir", lambda: tmp_path / "none")
    assert checkpoints.available() == []
    with pytest.raises(TrmsolveError) as error:
        checkpoints.find(None, "sudoku")
    assert "none is installed" in error.value.hint and "trmsolve train" in error.value.hint


def test_the_list_includes_unreadable_files(shelf):
    rows = [(row.name, row.where, row.task, row.parameters > 0, row.headline) for row in checkpoints.available()]
    assert rows == [
        ("sudoku", "bundled", "sudoku", True, "99.3 % of 300 extreme_dev"),
        ("big", "pulled", "sudoku", True, "99.3 % of 300 extreme_dev"),
        ("broken", "cached", "", False, ""),
        ("my-maze", "cached", "maze", True, ""),
    ]
    assert next(row for row in checkpoints.available() if row.name == "broken").problem


def test_odd_files_in_the_cache_are_listed_with_control_characters_escaped(shelf, alone):
    cache = alone / "cache" / "checkpoints"
    metrics = [
        {"dev": {"solved": 10**400}},
        {"\x1b[2J": {"solved": 1}},
        {"dev": {"solved": 1, "n": "\ud800"}},
        {"d": 1},
    ]
    for number, metric in enumerate(metrics):
        write(cache / f"m{number}.safetensors", task="sudoku\x1b]0;owned\x07\ud800", metrics=metric)
    write(cache / "name\x1b[2J\n.safetensors")
    write(Path(os.fsdecode(os.fsencode(cache) + b"/\xff\xfe.safetensors")))
    write(Path(os.fsdecode(os.fsencode(cache) + b"/hub/o/\xff/main/x.safetensors")))
    (cache / "folder.safetensors").mkdir()
    (cache / "link.safetensors").symlink_to(cache / "nowhere")
    for command in (["list"], ["list", "--json"], ["info", "m1"]):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.stderr
        assert "\x1b" not in done.stdout + done.stderr and "\x07" not in done.stdout + done.stderr
        done.stdout.encode()
    assert len(json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)) == len(checkpoints.available()) == 11


def test_pulled_files_of_equal_name_are_named_by_their_addresses(shelf):
    write(checkpoints.Address.parse("hf://other/repo/big.safetensors@v2").path)
    names = [row.name for row in checkpoints.available()]
    assert "hf://owner/repo/big.safetensors" in names and "hf://other/repo/big.safetensors@v2" in names
    assert "big" not in names


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TRMSOLVE_CACHE": "/a/b", "XDG_CACHE_HOME": "/x"}, "/a/b"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/trmsolve"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/trmsolve"),
        ({"TRMSOLVE_CACHE": "~/c", "HOME": "/h"}, "/h/c"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="other platforms have other places")
def test_the_cache_folder_follows_the_environment(monkeypatch, environment, expected):
    for name in ("TRMSOLVE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(checkpoints.cache_dir()) == expected


def test_a_source_tree_bundles_its_checkpoints_folder():
    assert checkpoints.bundled_dir().name in ("checkpoints", "bundled")
