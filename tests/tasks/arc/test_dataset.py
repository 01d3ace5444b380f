"""Collections to train on: what they hold, what is refused, and that nothing of the evaluation sets is among them."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.arc.dataset import ArcSource, load_pairs
from trmsolve.tasks.few_shot import Pair

from .examples import canonical, grid, random_augmentation, task, value

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
def test_pairs_of_a_json_file(tmp_path):
    path = tmp_path / "arc.json"
    path.write_text(json.dumps({"a": value(), "b": value(answers=False)}))
    pairs = load_pairs(path)
    assert {name: len(some) for name, some in pairs.items()} == {"a": 4, "b": 2}
    assert all(map(same, pairs["a"], task().pairs))
    source = ArcSource(path, True, 0)
    assert (source.name, source.digest) == ("arc.json", hashlib.sha256(path.read_bytes()).hexdigest())


def test_without_the_answers_only_demonstrations_are_pairs(tmp_path):
    path = tmp_path / "arc.json"
    path.write_text(json.dumps({"a": value()}))
    pairs = load_pairs(path, answers=False)["a"]
    assert len(pairs) == 2 and all(map(same, pairs, task().demonstrations))


def test_a_folder_is_a_collection_and_its_digest_that_of_its_files(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(json.dumps(value()))
    assert {name: len(some) for name, some in load_pairs(tmp_path).items()} == {"a": 4, "b": 4}
    first = ArcSource(tmp_path, True, 0).digest
    (tmp_path / "b.json").write_text(json.dumps(value(answers=False)))
    second = ArcSource(tmp_path, True, 0).digest
    assert len(first) == 64 and first != second


def test_pairs_of_an_npz(tmp_path):
    """In the order in which the file has them, task by task."""
    pairs = load_pairs(save(tmp_path / "re.npz"))
    assert {name: len(some) for name, some in pairs.items()} == {"x": 2, "y": 1}
    assert same(pairs["x"][0], C) and same(pairs["x"][1], B) and same(pairs["y"][0], A)
    assert pairs["x"][1].output.dtype == np.uint8


# -- what is refused ------------------------------------------------------------------------------------------------
def test_training_data_must_be_free_of_errors(tmp_path):
    path = tmp_path / "arc.json"
    path.write_text(json.dumps({"a": value(), "b": {"train": []}}))
    with pytest.raises(TrmsolveError, match=r'arc\.json:b: found no "test"'):
        load_pairs(path)
    path.write_text(json.dumps({"a": {**value(), "test": [{"input": [[1]], "output": [[1, 2], [3]]}]}}))
    with pytest.raises(TrmsolveError, match=r"arc\.json:a: test\[0\]\.output row 2: found 1 cell"):
        load_pairs(path)
    with pytest.raises(TrmsolveError, match="no such file"):
        load_pairs(tmp_path / "missing.json")


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
def test_arrays_that_do_not_fit_each_other_raise(tmp_path, changed):
    assert (C.input.size + C.output.size + A.input.size + A.output.size + B.input.size + B.output.size) == 11
    with pytest.raises(TrmsolveError, match="array") as error:
        load_pairs(save(tmp_path / "re.npz", **changed))
    assert "task_ids, task_index, shapes and cells" in error.value.hint


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"\x93NUMPY"])
def test_files_that_are_not_npz_raise(tmp_path, damage):
    (tmp_path / "re.npz").write_bytes(damage)
    with pytest.raises(TrmsolveError, match="cannot be read"):
        load_pairs(tmp_path / "re.npz")


def test_an_npz_with_a_damaged_middle(tmp_path):
    path = save(tmp_path / "re.npz", cells=np.random.default_rng(0).integers(0, 10, 5000).astype(np.uint8))
    data = bytearray(path.read_bytes())
    at = data.rindex(b"cells.npy", 0, len(data) // 2 + 500) + 60
    data[at : at + 400] = bytes(400)
    path.write_bytes(data)
    with pytest.raises(TrmsolveError, match="array 'cells' cannot be read"):
        load_pairs(path)


# -- the real ones --------------------------------------------------------------------------------------------------
TRAINING = ("arc1_training.json", "arc2_training_extra.json", "concept.json", "mini_arc.json", "re_arc_250.npz")
EVALUATION = ("arc1_evaluation_dev.json", "arc1_evaluation_challenges.json", "arc2_evaluation_challenges.json")
KNOWN = {  # ARC has this pair in both of its public halves, as a demonstration of two rules, in other colours
    ("arc1_training.json", "caa06a1f", "arc1_evaluation_challenges.json", "50a16a69"),
}


@cache
def opened(path: Path) -> dict[str, Sequence[Pair]]:
    """A collection that more than one test reads."""
    return load_pairs(path)


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
def test_number_of_tasks_in_the_training_collections(shared, name, tasks, pairs):
    loaded = opened(shared / "data" / "arc" / name)
    assert (len(loaded), sum(map(len, loaded.values()))) == (tasks, pairs)


def test_re_arc_has_one_task_more_than_the_training_set(shared):
    training, generated = (opened(shared / "data" / "arc" / name) for name in (TRAINING[0], TRAINING[-1]))
    assert set(training) < set(generated)
    assert set(generated) - set(training) == {"40853293"}


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


def each(paths: list[Path]) -> Iterator[tuple[str, str, bytes, Pair]]:
    """Every pair with its file, its task's name, and its traits."""
    for path in paths:
        for name, pairs in opened(path).items():
            for trait, pair in zip(traits(pairs), pairs, strict=True):
                yield path.name, name, trait, pair


def common(one: list[Path], others: list[Path]) -> set[tuple[str, str, str, str]]:
    """The tasks of both sides (file and name, file and name) that have a pair in common, up to augmentations."""
    alike: dict[bytes, list[tuple[str, str, Pair]]] = defaultdict(list)
    for file, name, trait, pair in each(one):
        alike[trait].append((file, name, pair))
    return {
        (file, name, other, other_name)
        for file, name, trait, pair in each(others)
        for other, other_name, candidate in alike.get(trait, ())
        if canonical(pair) == canonical(candidate)
    }


def test_a_common_pair_is_found_under_any_symmetry(tmp_path):
    augmentation = random_augmentation(np.random.default_rng(0), keep_black=False)
    seen = augmentation.pair(task().demonstrations[1])
    hidden = {
        "y": {"train": [{"input": seen.input.tolist(), "output": seen.output.tolist()}], "test": [{"input": [[1]]}]},
        "z": {"train": [{"input": [[1, 2, 3]], "output": [[3]]}], "test": [{"input": [[1]]}]},
    }
    (tmp_path / "a.json").write_text(json.dumps({"a": value()}))
    (tmp_path / "b.json").write_text(json.dumps(hidden))
    assert common([tmp_path / "a.json"], [tmp_path / "b.json"]) == {("b.json", "y", "a.json", "a")}


def test_no_evaluation_task_is_trained_on(shared):
    folder = shared / "data" / "arc"
    evaluation = [folder / name for name in EVALUATION]
    assert sum(len(pairs) for path in evaluation for pairs in opened(path).values()) > 1500
    assert common(evaluation, [folder / name for name in TRAINING]) == KNOWN


def test_no_example_is_in_a_collection(shared):
    folder = shared / "data" / "arc"
    examples = Path(__file__).parents[3] / "examples" / "arc"
    assert common([examples], [folder / name for name in (*TRAINING[:-1], *EVALUATION)]) == set()
