"""Collections to train on: what they hold, what is refused, and that nothing of the evaluation sets is among them."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.arc.augmentations import Augmentation, canonical
from trmsolve.tasks.arc.dataset import Collection, JsonCollection, NpzCollection, collection
from trmsolve.tasks.few_shot import Pair

from .examples import grid, plain, task, value

A, B, C = (Pair(grid("12"), grid("1", "2")), Pair(grid("0"), grid("345")), Pair(grid("9", "8"), grid("7")))


def save(path, **changed):
    """An .npz of two tasks whose pairs are not in the tasks' order: x has C and B, y has A."""
    arrays = {
        "task_ids": np.array(["x", "y"]),
        "task_index": np.array([0, 1, 0], np.int16),
        "shapes": np.array([[*p.input.shape, *p.output.shape] for p in (C, A, B)], np.uint8),
        "cells": np.concatenate([g.ravel() for p in (C, A, B) for g in (p.input, p.output)]),
    }
    np.savez_compressed(path, **{name: array for name, array in (arrays | changed).items() if array is not None})
    return path


def same(one: Pair, other: Pair) -> bool:
    return np.array_equal(one.input, other.input) and np.array_equal(one.output, other.output)


# -- what they hold -------------------------------------------------------------------------------------------------
def test_a_json_collection(tmp_path):
    path = tmp_path / "arc.json"
    path.write_text(json.dumps({"a": value(), "b": value(answers=False)}))
    loaded = collection(path)
    assert isinstance(loaded, JsonCollection) and loaded.name == "arc.json"
    assert list(loaded.names) == ["a", "b"] and loaded.counts.tolist() == [4, 2]
    assert all(same(loaded.pair(0, k), pair) for k, pair in enumerate(task().pairs))
    assert loaded.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert plain(loaded.tasks[0]) == plain(task("a"))


def test_without_the_answers_only_demonstrations_are_pairs(tmp_path):
    path = tmp_path / "arc.json"
    path.write_text(json.dumps({"a": value()}))
    loaded = collection(path, answers=False)
    assert loaded.counts.tolist() == [2]
    with pytest.raises(IndexError):
        loaded.pair(0, 2)


def test_a_folder_is_a_collection_and_its_digest_that_of_its_files(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(json.dumps(value()))
    first = collection(tmp_path)
    assert list(first.names) == ["a", "b"] and first.counts.sum() == 8
    (tmp_path / "b.json").write_text(json.dumps(value(answers=False)))
    second = collection(tmp_path)
    assert len(first.digest) == 64 and first.digest != second.digest


def test_generated_pairs(tmp_path):
    loaded = collection(save(tmp_path / "re.npz"))
    assert isinstance(loaded, NpzCollection) and list(loaded.names) == ["x", "y"] and loaded.counts.tolist() == [2, 1]
    assert same(loaded.pair(0, 0), C) and same(loaded.pair(0, 1), B) and same(loaded.pair(1, 0), A)
    assert loaded.pair(0, 1).output.dtype == np.uint8
    loaded.pair(0, 0).input[:] = 5
    assert same(loaded.pair(0, 0), C)
    for number in (-1, 2):
        with pytest.raises(IndexError):
            loaded.pair(0, number)


def test_opening_decodes_nothing(tmp_path):
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "bad.npz").write_bytes(b"PK")
    for name in ("bad.json", "bad.npz"):
        loaded = collection(tmp_path / name)
        assert len(loaded.digest) == 64
        with pytest.raises(TrmsolveError):
            _ = loaded.names


# -- what is refused ------------------------------------------------------------------------------------------------
def test_training_data_must_be_free_of_errors(tmp_path):
    (tmp_path / "arc.json").write_text(json.dumps({"a": value(), "b": {"train": []}}))
    with pytest.raises(TrmsolveError, match=r'arc\.json:b: no "test"'):
        _ = collection(tmp_path / "arc.json").names
    with pytest.raises(TrmsolveError, match="no such file"):
        collection(tmp_path / "missing.json")


@pytest.mark.parametrize(
    "changed",
    [
        {"cells": None},
        {"task_ids": None},
        {"task_ids": np.array([1, 2])},
        {"task_ids": np.array(["x", object()], object)},
        {"task_index": np.array([0, 1, 2])},
        {"task_index": np.array([0, -1, 0])},
        {"task_index": np.array([0, 1])},
        {"shapes": np.full((3, 4), 31, np.uint8)},
        {"shapes": np.zeros((3, 4), np.uint8)},
        {"shapes": np.ones((3, 2), np.uint8)},
        {"cells": np.zeros(9, np.uint8)},
        {"cells": np.full(10, 10, np.uint8)},
        {"cells": np.zeros(10, np.int64)},
    ],
)
def test_arrays_that_do_not_fit(tmp_path, changed):
    assert (C.input.size + C.output.size + A.input.size + A.output.size + B.input.size + B.output.size) == 11
    with pytest.raises(TrmsolveError, match="array") as error:
        collection(save(tmp_path / "re.npz", **changed)).pair(0, 0)
    assert "task_ids, task_index, shapes and cells" in error.value.hint


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"\x93NUMPY"])
def test_files_that_are_no_npz(tmp_path, damage):
    (tmp_path / "re.npz").write_bytes(damage)
    with pytest.raises(TrmsolveError, match="no array 'task_index' can be read"):
        collection(tmp_path / "re.npz").pair(0, 0)


def test_an_npz_with_a_damaged_middle(tmp_path):
    path = save(tmp_path / "re.npz", cells=np.random.default_rng(0).integers(0, 10, 5000).astype(np.uint8))
    data = bytearray(path.read_bytes())
    at = data.rindex(b"cells.npy", 0, len(data) // 2 + 500) + 60
    data[at : at + 400] = bytes(400)
    path.write_bytes(data)
    with pytest.raises(TrmsolveError, match="array 'cells'"):
        collection(path).pair(0, 0)


# -- the real ones --------------------------------------------------------------------------------------------------
TRAINING = ("arc1_training.json", "arc2_training_extra.json", "concept.json", "mini_arc.json", "re_arc_250.npz")
EVALUATION = ("arc1_evaluation_dev.json", "arc1_evaluation_challenges.json", "arc2_evaluation_challenges.json")
KNOWN = {  # ARC has this pair in both of its public halves, as a demonstration of two rules, in other colours
    ("arc1_training.json", "caa06a1f", "arc1_evaluation_challenges.json", "50a16a69"),
}


@cache
def opened(path: Path) -> Collection:
    """A collection that more than one test reads."""
    return collection(path)


@pytest.mark.parametrize(
    ("name", "tasks", "pairs"),
    [
        ("arc1_training.json", 399, 1715),
        ("arc2_training_extra.json", 233, 956),
        ("concept.json", 160, 907),
        ("mini_arc.json", 149, 677),
        ("re_arc_250.npz", 400, 100_000),
    ],
)
def test_what_there_is_to_train_on(shared, name, tasks, pairs):
    loaded = opened(shared / "data" / "arc" / name)
    assert (len(loaded.names), loaded.counts.sum()) == (tasks, pairs)


def test_re_arc_has_one_task_that_the_training_set_has_not(shared):
    training, generated = (opened(shared / "data" / "arc" / name) for name in (TRAINING[0], TRAINING[-1]))
    assert set(training.names) < set(generated.names)
    assert set(generated.names) - set(training.names) == {"40853293"}


def traits(pairs: list[Pair]) -> list[bytes]:
    """What no augmentation changes, quickly computed: sides, and the counts of colours in input and output."""
    sides = [bytes([*sorted(pair.input.shape), *sorted(pair.output.shape)]) for pair in pairs]
    counts = [np.zeros((len(pairs), 10), np.int64) for _ in range(2)]
    for which, count in enumerate(counts):
        cells = [(pair.output if which else pair.input).ravel() for pair in pairs]
        owner = np.repeat(np.arange(len(pairs)), [len(part) for part in cells])
        count += np.bincount(10 * owner + np.concatenate(cells), minlength=count.size).reshape(count.shape)
    codes = np.sort(1000 * counts[0] + counts[1], axis=1)
    return [side + code.tobytes() for side, code in zip(sides, codes, strict=True)]


def each(collections: list[Collection]) -> Iterator[tuple[str, str, bytes, Pair]]:
    """Every pair with its file, its task's name, and its traits."""
    for loaded in collections:
        for number, name in enumerate(loaded.names):
            pairs = [loaded.pair(number, k) for k in range(loaded.counts[number])]
            for trait, pair in zip(traits(pairs), pairs, strict=True):
                yield loaded.name, name, trait, pair


def common(one: list[Collection], others: list[Collection]) -> set[tuple[str, str, str, str]]:
    """The tasks of both sides (file and name, file and name) that have a pair in common, up to its views."""
    alike: dict[bytes, list[tuple[str, str, Pair]]] = defaultdict(list)
    for loaded, name, trait, pair in each(one):
        alike[trait].append((loaded, name, pair))
    return {
        (loaded, name, other, other_name)
        for loaded, name, trait, pair in each(others)
        for other, other_name, candidate in alike.get(trait, ())
        if canonical(pair) == canonical(candidate)
    }


def test_a_pair_in_common_is_found_from_any_side(tmp_path):
    augmentation = Augmentation.random(np.random.default_rng(0), keep_black=False)
    seen = augmentation.pair(task().demonstrations[1])
    hidden = {
        "y": {"train": [{"input": seen.input.tolist(), "output": seen.output.tolist()}], "test": [{"input": [[1]]}]},
        "z": {"train": [{"input": [[1, 2, 3]], "output": [[3]]}], "test": [{"input": [[1]]}]},
    }
    (tmp_path / "a.json").write_text(json.dumps({"a": value()}))
    (tmp_path / "b.json").write_text(json.dumps(hidden))
    loaded = common([collection(tmp_path / "a.json")], [collection(tmp_path / "b.json")])
    assert loaded == {("b.json", "y", "a.json", "a")}


def test_no_evaluation_task_is_trained_on(shared):
    folder = shared / "data" / "arc"
    evaluation = [opened(folder / name) for name in EVALUATION]
    assert sum(int(loaded.counts.sum()) for loaded in evaluation) > 1500
    assert common(evaluation, [opened(folder / name) for name in TRAINING]) == KNOWN


def test_no_example_is_taken_from_a_collection(shared):
    folder = shared / "data" / "arc"
    examples = collection(Path(__file__).parents[3] / "examples" / "arc")
    assert common([examples], [opened(folder / name) for name in (*TRAINING[:-1], *EVALUATION)]) == set()
