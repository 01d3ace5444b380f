"""Grids learnt from examples: what the data say, what is refused, and that a network learns one."""

import json

import numpy as np
import pytest

from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.tasks import get
from trmsolve.training.recipe import build, of_task

GRID = get("grid")


def csv_of(path, *pairs: tuple[str, str]) -> str:
    path.write_text("question,answer\n" + "".join(f"{question},{answer}\n" for question, answer in pairs))
    return str(path)


@pytest.fixture
def fixed(tmp_path):
    return csv_of(tmp_path / "fixed.csv", *[(f"ab/b{c}", f"ba/{c}a") for c in "abc"])


@pytest.fixture
def varying(tmp_path):
    return csv_of(tmp_path / "varying.csv", ("ab", "ba"), ("ab/ba", "ba/ab"), ("aab/bba", "bba/aab"))


def test_symbols_and_size_come_from_the_data_and_survive_a_checkpoint(fixed, varying):
    task = GRID.for_data([fixed])
    assert task.settings == {"symbols": ["a", "b", "c"], "shape": [2, 2], "holdout": 0.1} and task.mixer == "mlp"
    assert GRID.with_settings(json.loads(json.dumps(task.settings))).settings == task.settings
    assert GRID.for_data([varying]).mixer == "relational" and GRID.for_data([varying]).shape is None
    assert GRID.for_data([fixed], "grid").shape is None


def test_numbers_are_sorted_by_value(tmp_path):
    path = csv_of(tmp_path / "a.csv", ('"10,9"', '"2,x"'))
    assert GRID.for_data([path]).settings["symbols"] == ["2", "9", "10", "x"]


@pytest.mark.parametrize("mixer", ["grid", "relational", "mlp", "attention"])
def test_every_mixer_takes_a_sample(fixed, mixer):
    recipe = build({**of_task("grid", [fixed], mixer), "data": {"sources": [fixed], "holdout": 0}})
    task, sample = recipe.task_for_model, recipe.data().draw(0)
    assert task.mixer == recipe.config.mixer == mixer
    meanings = sample.encoded.meanings[sample.encoded.first + sample.target]
    answer = task.decode(np.zeros((2, 2), np.uint8), meanings, np.ones(4, np.float32)).answer
    assert task.format_line(answer) in ("ba/aa", "ba/ba", "ba/ca")


def test_a_share_of_the_grids_is_kept_out_whatever_their_order(tmp_path):
    rng = np.random.default_rng(0)
    pairs = [("".join(rng.choice(list("ab"), 12)) + "/aaaaaaaaaaaa",) * 2 for _ in range(200)]
    kept = []
    for order in (pairs, pairs[::-1]):
        path = csv_of(tmp_path / f"{len(kept)}.csv", *order)
        data = GRID.for_data([path], "grid").training_data([path], holdout=0.25)
        kept.append({puzzle.question.tobytes() for puzzle in data.held_out})
        assert 20 < len(data.held_out) < 80
        assert not any(data.task.is_held_out(question) for question, _ in data.mixture.sources[0].pairs)
    assert kept[0] == kept[1]


def test_symmetries_turn_question_and_answer_alike(tmp_path):
    path = csv_of(tmp_path / "a.csv", ("abc/ddd", "abc/ddd"))
    data = GRID.for_data([path], "grid").training_data([path], holdout=0, symmetries=True)
    samples = [data.draw(index) for index in range(40)]
    assert all((sample.encoded.x == sample.target).all() for sample in samples)
    assert len({sample.target.tobytes() for sample in samples}) == 8


@pytest.fixture
def folder(tmp_path):
    """As the TRM and HRM code writes its data."""
    tokens = np.random.default_rng(0).integers(1, 4, (30, 9))
    np.save(tmp_path / "all__inputs.npy", tokens)
    np.save(tmp_path / "all__labels.npy", np.where(tokens == 3, 0, tokens))
    np.save(tmp_path / "all__puzzle_identifiers.npy", np.zeros(30, np.int32))
    (tmp_path / "dataset.json").write_text('{"ignore_label_id": 0}')
    return tmp_path


def test_a_folder_of_arrays_is_read_and_ignored_labels_weigh_nothing(folder):
    task = GRID.for_data([str(folder)])
    assert task.settings["symbols"] == ["0", "1", "2", "3"] and task.shape == (3, 3)
    sample = task.training_data([str(folder)]).draw(0)
    assert ((sample.weight == 0) == (sample.target == 0)).all() and 0 < sample.weight.sum() < 9


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("all__labels.npy", np.zeros((29, 9), int), r"inputs have shape \(30, 9\), labels \(29, 9\)"),
        ("all__labels.npy", np.zeros(30, int), "all__labels.npy: no integers"),
        ("all__inputs.npy", np.zeros((30, 9)), "all__inputs.npy: no integers"),
        ("all__inputs.npy", np.full((30, 9), -1), "token ids from -1 to -1"),
        ("all__puzzle_identifiers.npy", np.arange(30), "follow several rules"),
    ],
)
def test_a_faulty_folder_is_refused(folder, name, array, message):
    np.save(folder / name, array)
    with pytest.raises(TrmsolveError, match=message):
        GRID.for_data([str(folder)])


def test_a_folder_without_arrays_is_refused(tmp_path):
    with pytest.raises(TrmsolveError, match=r"all__inputs.npy: No such file"):
        GRID.for_data([str(tmp_path)])


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (("ab/ab", "ab"), "a.csv:2: question and answer differ in size"),
        (("ab/a", "ab/a"), "a.csv:2: rows differ in length"),
        (("ab/ab", ""), "a.csv:2: the answer is missing"),
        (("ab//", "ab"), "a.csv:2: a row without cells"),
    ],
)
def test_faulty_rows_are_named(tmp_path, pair, message):
    with pytest.raises(TrmsolveError, match=message):
        GRID.for_data([csv_of(tmp_path / "a.csv", pair)])


def test_other_faults_of_the_choice_of_data_and_mixer(fixed, varying):
    for specs, mixer, message in (
        ([], None, "the task grid needs training data"),
        ([varying], "mlp", "--mixer mlp supports grids of one size"),
        ([fixed], "units", "has no mixer 'units'"),
    ):
        with pytest.raises(TrmsolveError, match=message):
            GRID.for_data(specs, mixer)
    with pytest.raises(TrmsolveError, match="the model has 4 symbols, the task 3"):
        GRID.for_data([fixed], "grid").for_model(TRMConfig(vocab_size=4))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"symbols": "ab"},
        {"symbols": ["a", "a"]},
        {"symbols": ["a"], "shape": [1]},
        {"symbols": ["a"], "shape": [1, -1]},
    ],
)
def test_damaged_settings_of_a_checkpoint_are_refused(settings):
    with pytest.raises(TrmsolveError, match="settings of the task grid are damaged"):
        GRID.with_settings(settings)
