"""What a run on ARC draws: always the same by number, each row for one rule, and never what is measured on."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from math import prod
from pathlib import Path

import numpy as np
import pytest

from trmsolve.errors import TrmsolveError
from trmsolve.tasks.arc.dataset import ArcTrainingData, is_held_out
from trmsolve.tasks.arc.encode import FEATURE_SIZES, NUM_CLASSES, OUTSIDE, VOCAB_SIZE
from trmsolve.tasks.base import Sample

from .examples import value

DIGEST = "620017fb538dfd8b86445ab3a89794e3be2de4843fd2762d0bcc49112f737053"
TEST_COLOURS = {6, 7, 8, 9}  # of the tests of tasks.value(), and of no demonstration


def file(path: Path, *names: str, **tasks) -> Path:
    path.write_text(json.dumps({name: value() for name in names} | tasks))
    return path


def numbers(data: ArcTrainingData, count: int = 40) -> list[Sample]:
    return [data.draw(index) for index in range(count)]


def row(sample: Sample) -> int:
    (samples,) = set((sample.encoded.x // VOCAB_SIZE).tolist())
    return samples


def colours(sample: Sample) -> set[int]:
    """In the input and in the output, the ground left out."""
    shown = np.unravel_index(sample.encoded.x % VOCAB_SIZE, FEATURE_SIZES)[0]
    return {*shown.tolist(), *sample.target.tolist()} - {0, OUTSIDE}


def plain(sample: Sample) -> tuple:
    return sample.encoded.x.tobytes(), sample.target.tobytes(), sample.encoded.edges.neighbors.shape


def one(colour: int, side: int = 2) -> dict:
    """A task of a single colour, so that its samples can be recognised."""
    pair = {"input": [[colour] * side] * side, "output": [[colour] * side] * side}
    return {"train": [pair, pair], "test": [pair]}


# -- which sample a number is ---------------------------------------------------------------------------------------
def test_a_draw_depends_on_seed_and_number_alone(tmp_path):
    path = str(file(tmp_path / "a.json", *"abcdefgh"))
    first, second, other = (ArcTrainingData.open([path], seed, rows_per_task=2) for seed in (1, 1, 2))
    expected = [plain(sample) for sample in numbers(first)]
    assert [plain(second.draw(index)) for index in reversed(range(40))] == expected[::-1]
    assert [plain(sample) for sample in numbers(other)] != expected
    assert len(set(expected)) > 20


def test_a_row_belongs_to_one_task_under_one_symmetry(tmp_path):
    """The task turns left and right, so a row's samples tell its side."""
    wide = {"input": [[1, 2, 3, 4, 5]], "output": [[5, 4, 3, 2, 1]]}
    tasks = {f"t{colour}": {"train": [wide], "test": [wide]} for colour in range(20)}
    data = ArcTrainingData.open([str(file(tmp_path / "a.json", **tasks))], 0, rows_per_task=3)
    assert data.num_rows == 60
    seen = {}
    for sample in numbers(data, 400):
        seen.setdefault(row(sample), set()).add(plain(sample))
    assert len(seen) == 60 and max(seen) == 59
    assert {len(samples) for samples in seen.values()} == {1}
    assert len(set.union(*seen.values())) > 60 / 2  # the rows of a task are of several sides


def test_targets_are_the_outputs(tmp_path):
    data = ArcTrainingData.open([str(file(tmp_path / "a.json", "a"))])
    for sample in numbers(data):
        shown = np.unravel_index(sample.encoded.x % VOCAB_SIZE, FEATURE_SIZES)[0]
        assert len(sample.target) == len(shown) == sample.encoded.num_choices
        assert sorted(sample.target) == sorted(shown)  # the rule exchanges cells
        assert 0 < sample.target.max() < NUM_CLASSES


# -- what may be seen ----------------------------------------------------------------------------------------------
def test_tasks_that_are_held_out_are_never_drawn_and_have_no_row(tmp_path):
    names = [f"task{number}" for number in range(9)]
    out = {name for name in names if is_held_out(name, 0.5)}
    assert 0 < len(out) < 9
    tasks = {name: one(colour) for colour, name in enumerate(names, 1)}
    data = ArcTrainingData.open([str(file(tmp_path / "a.json", **tasks))], held_out=0.5)
    seen = set.union(*(colours(sample) for sample in numbers(data, 150)))
    assert seen == {colour for colour, name in enumerate(names, 1) if name not in out}
    assert set(data.names) == set(names) - out and data.num_rows == len(data.names)


def test_held_out_tasks_depend_on_the_name_and_grow_with_the_share():
    names = [f"{number:08x}" for number in range(2000)]
    shares = [0.0, 0.05, 0.2, 1.0]
    held = [{name for name in names if is_held_out(name, share)} for share in shares]
    for smaller, larger in pairwise(held):
        assert smaller < larger
    assert [round(len(names_out) / 2000, 1) for names_out in held[:1] + held[2:]] == [0.0, 0.2, 1.0]


def test_collections_that_share_a_name_share_its_rows(tmp_path):
    first = file(tmp_path / "a.json", x=one(1), y=one(2))
    second = file(tmp_path / "b.json", y=one(3), z=one(4))
    data = ArcTrainingData.open([str(first), str(second)], rows_per_task=2)
    assert data.names == {"x": 0, "y": 1, "z": 2} and data.num_rows == 6
    rows = {}
    for sample in numbers(data, 200):
        (colour,) = colours(sample)
        rows.setdefault(colour, set()).add(row(sample))
    assert rows == {1: {0, 1}, 2: {2, 3}, 3: {2, 3}, 4: {4, 5}}


def test_the_cells_of_a_canvas_are_limited(tmp_path):
    mixed = {"train": [one(1, 3)["train"][0], one(2, 5)["train"][0]], "test": [one(3, 9)["test"][0]]}
    path = str(file(tmp_path / "a.json", mixed=mixed, large=one(4, 9)))
    samples = numbers(ArcTrainingData.open([path], most=25), 60)
    assert max(len(sample.target) for sample in samples) == 25
    assert set.union(*map(colours, samples)) == {1, 2}
    assert set.union(*map(colours, numbers(ArcTrainingData.open([path]), 60))) == {1, 2, 3, 4}


def test_no_pair_small_enough_raises(tmp_path):
    data = ArcTrainingData.open([str(file(tmp_path / "a.json", a=one(1, 3)))], most=8)
    with pytest.raises(TrmsolveError, match=r"at most 8 cells\n  raise data\.most"):
        data.draw(0)


@pytest.mark.parametrize("options", [{"rows_per_task": 0}, {"rows_per_task": 1.5}, {"most": 0}, {"most": -3}])
def test_invalid_options_raise(tmp_path, options):
    with pytest.raises(
        TrmsolveError, match=f"data.{next(iter(options))}: found .*, expected a whole number of at least 1"
    ):
        ArcTrainingData.open([str(file(tmp_path / "a.json", "a"))], **options)


def test_whole_floats_are_accepted(tmp_path):
    path = str(file(tmp_path / "a.json", *"ab"))
    as_read, plain_ones = (
        ArcTrainingData.open([path], rows_per_task=rows, most=most) for rows, most in ((3.0, 100.0), (3, 100))
    )
    assert as_read.num_rows == 6 and type(as_read.num_rows) is int
    assert [plain(s) for s in numbers(as_read)] == [plain(s) for s in numbers(plain_ones)]


def test_weights_are_shares(tmp_path):
    a, b = file(tmp_path / "a.json", a=one(1)), file(tmp_path / "b.json", b=one(2))
    data = ArcTrainingData.open([f"{a}=3", f"demonstrations:{b}=1"])
    assert [source["share"] for source in data.describe()] == [0.75, 0.25]
    seen = [colours(sample) for sample in numbers(data, 200)]
    assert 120 < seen.count({1}) < 180


# -- answers --------------------------------------------------------------------------------------------------------
def test_demonstrations_only_never_draws_a_test(tmp_path):
    path = file(tmp_path / "a.json", *"abcd")
    seen = [set.union(*map(colours, numbers(ArcTrainingData.open([f"{prefix}{path}"]), 80))) for prefix in PREFIXES]
    assert seen[0] == {1, 2, 3, 4, 5} and seen[1] == seen[0] | TEST_COLOURS


PREFIXES = ("demonstrations:", "")


def test_the_provenance_says_which_pairs(tmp_path):
    a, b = file(tmp_path / "a.json", "a", "b"), file(tmp_path / "b.json", "c")
    first, second = ArcTrainingData.open([str(a), f"demonstrations:{b}"]).describe()
    assert (first["name"], first["tasks"], first["pairs"]) == ("a.json", 2, "all")
    assert (second["name"], second["tasks"], second["pairs"]) == ("b.json", 1, "demonstrations")
    assert len(first["sha256"]) == 64


@pytest.mark.parametrize("place", ["arc1_evaluation_dev.json", "ARC_Evaluation.json", "evaluation/0a1b.json"])
def test_evaluation_sets_are_accepted_only_without_answers(tmp_path, place):
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    file(path, "a")
    for spec in (path, f"{path}=2", path.parent):
        with pytest.raises(TrmsolveError, match="must not be used for training") as caught:
            ArcTrainingData.open([str(spec)])
        assert "--data demonstrations:" in caught.value.hint
    data = ArcTrainingData.open([f"demonstrations:{path}"])
    assert set.union(*map(colours, numbers(data))) == {1, 2, 3, 4, 5}


def test_a_parent_folder_named_evaluation_is_ignored(tmp_path):
    path = tmp_path / "evaluations" / "data" / "a.json"
    path.parent.mkdir(parents=True)
    assert ArcTrainingData.open([str(file(path, "a"))]).num_rows == 1


def test_invalid_sources_are_named_in_the_error(tmp_path):
    np.savez(tmp_path / "generated.npz", task_ids=np.array(["a"]))
    with pytest.raises(TrmsolveError, match=r"generated pairs have no separate demonstrations"):
        ArcTrainingData.open([f"demonstrations:{tmp_path / 'generated.npz'}"])
    with pytest.raises(TrmsolveError, match="no generator: nothing to train on"):
        ArcTrainingData.open([])
    with pytest.raises(TrmsolveError, match="no such file"):
        ArcTrainingData.open([f"demonstrations:{tmp_path / 'nowhere.json'}"])
    with pytest.raises(TrmsolveError, match=r"no tasks to train on\n  lower --set data\.held_out"):
        ArcTrainingData.open([str(file(tmp_path / "a.json", "a"))], held_out=1.0)


def test_answers_of_evaluation_sets_are_not_loaded(shared):
    """Of the real files: refused as they are, and as demonstrations hand out no test output."""
    path = shared / "data" / "arc" / "arc1_evaluation_dev.json"
    with pytest.raises(TrmsolveError, match="an evaluation set"):
        ArcTrainingData.open([str(path)])
    data = ArcTrainingData.open([f"demonstrations:{path}"])
    (source,) = data.mixture.sources
    tasks = json.loads(path.read_text())
    assert [(name, len(pairs)) for name, pairs in source.tasks] == [(n, len(t["train"])) for n, t in tasks.items()]
    assert all(prod(sample.encoded.edges.neighbors.shape[:1]) <= 400 for sample in numbers(data, 10))


def test_draws_are_those_of_earlier_versions(tmp_path):
    """A run that began with version 0.1 is resumed with the same samples. The digest is that of version 0.1."""
    path = file(tmp_path / "a.json", *"abcdefgh", large=one(4, 9))
    data = ArcTrainingData.open([str(path), f"demonstrations:{path}=3"], 7, held_out=0.2, rows_per_task=3, most=900)
    digest = hashlib.sha256()
    for drawn in numbers(data, 60):
        encoded = drawn.encoded
        edges = (getattr(encoded.edges, name) for name in ("neighbors", "src", "dst", "num_groups"))
        for array in (encoded.x, encoded.first, encoded.size, encoded.meanings, *edges, drawn.target, drawn.weight):
            digest.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
    assert digest.hexdigest() == DIGEST
