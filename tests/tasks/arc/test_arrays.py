"""Tasks in files of numpy."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from trmsolve import containers
from trmsolve.errors import InputError
from trmsolve.tasks.arc import arrays as arrays_module
from trmsolve.tasks.arc.read import read

from .examples import one, plain, text, value

ONE = np.zeros((1, 2, 2))  # one grid


def test_numpy_files(tmp_path):
    train, test = value()["train"][1:], value()["test"][:1]
    before, after = (np.array(train[0][key]) for key in ("input", "output"))
    tested, answer = (np.array(test[0][key]) for key in ("input", "output"))
    np.savez(
        tmp_path / "a.npz",
        train_inputs=before[None],
        train_outputs=after[None].astype(np.float32),
        test_inputs=tested[None],
        test_outputs=answer[None],
    )
    np.savez(tmp_path / "b.npz", train_0_input=before, train_0_output=after, test_0_input=tested, test_0_output=answer)
    np.save(tmp_path / "c.npy", np.array([[before, after], [tested, answer]]))
    expected = one(tmp_path / "x.json", json.dumps({"train": train, "test": test}))
    for name in ("a.npz", "b.npz", "c.npy"):
        (record,) = read([tmp_path / name])
        assert plain(record)[1:] == plain(expected)[1:] and record.name == name[0]


def test_generated_pairs_are_tasks_whose_last_pair_is_the_test(tmp_path):
    arrays = {
        "task_ids": np.array(["x", "y"]),
        "task_index": np.array([0, 1, 0, 1], np.int16),
        "shapes": np.array([[1, 1, 1, 2]] * 4, np.uint8),
        "cells": np.arange(12, dtype=np.uint8) % 10,
    }
    np.savez_compressed(tmp_path / "re.npz", **arrays)
    first, second = read([tmp_path / "re.npz"])
    assert (first.name, second.name) == ("x", "y") and second.source == f"{tmp_path / 're.npz'}:y"
    assert first.tests[0].tolist() == [[6]] and first.answers[0].tolist() == [[7, 8]]
    assert second.demonstrations[0].output.tolist() == [[4, 5]]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"train_inputs": ONE, "train_outputs": ONE}, 'found no "test"'),
        (
            {"train_inputs": np.zeros((2, 2, 2)), "train_outputs": ONE, "test_inputs": ONE},
            "train: found 2 of input and 1 of output, expected as many inputs as outputs",
        ),
        (
            {"train_inputs": ONE + 11, "train_outputs": ONE, "test_inputs": ONE},
            "train[0].input row 1 column 1: found 11",
        ),
    ],
)
def test_arrays_that_are_not_a_task(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    (record,) = read([tmp_path / "a.npz"])
    assert message in record.message


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"all__inputs": np.zeros((3, 900))}, r"holds the arrays 'all__inputs' \(3, 900\)"),
        ({"train_inputs": np.array([[1], [1, 2]], object)}, "'train_inputs' cannot be read"),
        ({}, "holds no array"),
    ],
)
def test_other_arrays_raise(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=message):
        list(read([tmp_path / "a.npz"]))


def test_a_zip_archive_of_files_is_named_in_the_error(tmp_path):
    with zipfile.ZipFile(tmp_path / "arc.zip", "w") as archive:
        archive.writestr("training/a.json", text())
    with pytest.raises(InputError, match=r"a zip archive that holds 'training/a\.json'\n  unpack it"):
        list(read([tmp_path / "arc.zip"]))


def test_the_number_of_grids_is_limited(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.zeros((60, 2, 1, 1), np.uint8))
    np.savez(tmp_path / "b.npz", train_inputs=np.zeros((60, 1, 1)))
    monkeypatch.setattr(arrays_module, "MAX_GRIDS", 50)
    for name in ("a.npy", "b.npz"):
        with pytest.raises(InputError, match="more than 50 grids"):
            list(read([tmp_path / name]))


def test_large_arrays_raise_before_they_are_read(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.zeros((2, 2, 50, 50), np.uint8))
    np.savez_compressed(tmp_path / "a.npz", train_inputs=np.zeros((2, 50, 50)))
    monkeypatch.setattr(containers, "ARRAY_LIMIT", 1000)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(InputError, match="expected 1,000 at most"):
            list(read([tmp_path / name]))
