"""Damaged, foreign and contradictory checkpoints: each is refused by name, and nothing else is raised."""

from __future__ import annotations

import json
import os
import pickle
import random

import pytest
import torch

from trmsolve import checkpoint as checkpoints
from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.trm import TRM, num_parameters
from trmsolve.text_io import printable

from .samples import CONFIG, MODEL, tensors, with_header, write


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
