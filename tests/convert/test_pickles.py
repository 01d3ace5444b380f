"""Pickles: harmless extras, code, and damage."""

import argparse
import collections
import io
import pathlib
import zipfile

import numpy as np
import pytest
import torch

from trmsolve.convert.architecture import ImportOptions
from trmsolve.convert.read import load_nested_tensors
from trmsolve.errors import TrmsolveError

from .samples import (
    NANO_SETTINGS,
    imported,
    nano_trm,
    network,
    refusal,
    saved,
    weights,
)


class Attributes(dict):
    """A dict with another name, as Lightning's AttributeDict is."""


class Tags(list):
    """A list with another name."""


class Node:
    """Holds its values inside, as OmegaConf's DictConfig does."""

    def __init__(self, **state):
        self.__dict__.update(state)


EXTRAS = {
    "path": pathlib.PosixPath("/home/x"),
    "namespace": argparse.Namespace(lr=0.1),
    "numpy scalar": np.float64(3),
    "numpy array": np.zeros(3),
    "dtype": np.dtype("float32"),
    "defaultdict": collections.defaultdict(list, {"a": [1]}),
    "deque": collections.deque([1, 2]),
    "attributes": Attributes(lr=1),
    "tags": Tags(["a"]),
    "slice": slice(1, 2),
    "class": Node,
}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("extra", EXTRAS)
def test_harmless_classes_in_pickles_are_replaced(folder, extra, legacy):
    _, state = network()
    tree = {"state_dict": state, "extra": EXTRAS[extra], "callbacks": {"c": {"dirpath": EXTRAS[extra]}}}
    torch.save(tree, folder / "step_1", _use_new_zipfile_serialization=not legacy)
    assert torch.equal(weights(imported(folder))["embed.weight"], state["embed_tokens.embedding_weight"])
    assert type(load_nested_tensors(folder / "step_1")["extra"]).__module__ in (
        "builtins",
        "trmsolve.convert.read",
        "collections",
    )


@pytest.mark.parametrize(
    "wrap",
    [
        Attributes,
        lambda values: Node(_content={key: Node(_val=value) for key, value in values.items()}),
        lambda values: {"arch": Node(_content=values)},
    ],
)
def test_settings_inside_replaced_objects_are_read(folder, wrap):
    _, tree = nano_trm()
    hyper_parameters = wrap(NANO_SETTINGS)
    if not isinstance(hyper_parameters, dict):
        hyper_parameters = {"arch": hyper_parameters}
    result = imported(saved(folder, tree | {"hyper_parameters": hyper_parameters}), ImportOptions())
    assert (result.config.T, result.config.n) == (2, 3)


class Runs:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "call",
    [
        Runs(eval, "open('ran', 'w')"),
        Runs(exec, "open('ran', 'w')"),
        Runs(pathlib.os.system, "touch ran"),
        Runs(
            __import__("subprocess").call,
            "touch ran",
        ),
        Runs(getattr, pathlib.Path("ran"), "touch"),
        Runs(pathlib.Path.touch, pathlib.Path("ran")),
        Runs(torch.load, "ran"),
        Runs(np.save, "ran.npy", 1),
    ],
)
def test_no_code_of_a_pickle_runs(folder, monkeypatch, call):
    monkeypatch.chdir(folder.parent)
    _, state = network()
    saved(folder, {"state_dict": state, "extra": call})
    before = set(folder.parent.rglob("*"))
    try:
        imported(folder)
    except TrmsolveError as error:
        assert "loading it would run" in str(error) or "no file of weights" in str(error)
    assert set(folder.parent.rglob("*")) - before <= {folder.parent / "out.safetensors"}


def test_recursive_and_shared_dicts_terminate(folder):
    _, state = network()
    tree = {"state_dict": state, "self": {}, "wide": {"a": 1}}
    tree["self"]["self"] = tree["self"]
    for _ in range(40):
        tree["wide"] = {"a": tree["wide"], "b": tree["wide"]}
    assert imported(saved(folder, tree)).task == "sudoku"


@pytest.mark.parametrize("mapped", [True, False])
def test_changed_bytes_of_a_tensor_are_noticed(folder, mapped):
    """By their checksum; the sizes in the file are right."""
    _, state = network()
    data = bytearray(saved(folder, state).joinpath("step_1").read_bytes())
    if not mapped:
        data = bytearray(deflated(data, lambda name, content: content))
    data[len(data) // 2] ^= 255
    (folder / "step_1").write_bytes(data)
    assert "damaged" in (message := refusal(folder)) or "truncated" in message


def test_a_tensor_that_is_shorter_than_its_shape_is_noticed(folder):
    """torch maps what follows it in the file as its values."""
    _, state = network()
    data = saved(folder, state).joinpath("step_1").read_bytes()
    short = deflated(
        data, lambda name, content: content[:-4] if name.endswith("/data/0") else content, zipfile.ZIP_STORED
    )
    (folder / "step_1").write_bytes(short)
    assert "tensors do not have their size or checksum" in refusal(folder)


def deflated(data, edit, compression=zipfile.ZIP_DEFLATED):
    """A zip file with its entries edited and packed again."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w", compression) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, edit(entry.filename, old.read(entry)))
    return packed.getvalue()


def test_a_file_without_checksums_is_read(folder):
    _, state = network()
    torch.serialization.set_crc32_options(False)
    try:
        saved(folder, state)
    finally:
        torch.serialization.set_crc32_options(True)
    assert imported(folder).task == "sudoku"


def test_parameters_are_weights_too(folder, recwarn):
    _, state = network()
    saved(folder, {name: torch.nn.Parameter(tensor) for name, tensor in state.items()})
    assert imported(folder).task == "sudoku" and not recwarn.list


@pytest.mark.parametrize("content", [b"GGUF\x03\0\0\0", b"<!DOCTYPE html>", b'{"error": 1}', b"\x89HDF\r\n\x1a\n"])
def test_other_formats_are_not_called_damaged_files_of_torch(folder, content):
    (folder / "step_1").write_bytes(content * 9)
    assert "expected safetensors, or a file of torch.save" in refusal(folder)
