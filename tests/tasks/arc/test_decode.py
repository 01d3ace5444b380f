"""From the classes of a canvas to the grid of an answer; training samples."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trmsolve.tasks.arc.encode import (
    OUTSIDE,
    decode,
    labels,
    sample,
)
from trmsolve.tasks.arc.grids import SizeRule
from trmsolve.tasks.arc.read import read
from trmsolve.tasks.few_shot import Pair

from .examples import grid

FOLDER = Path(__file__).parents[3] / "examples" / "arc"
small = st.tuples(st.integers(1, 7), st.integers(1, 7))
grids = small.flatmap(lambda shape: arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 1, 2, 5])))


def sized(before, after) -> SizeRule:
    """The rule that makes `after` of `before`."""
    return SizeRule.from_pairs([Pair(np.zeros(before, np.uint8), np.zeros(after, np.uint8))])


def confidences(canvas) -> np.ndarray:
    return np.linspace(0.5, 1, canvas[0] * canvas[1]).astype(np.float32)


@pytest.mark.parametrize("file", sorted(path.name for path in FOLDER.glob("*.json")))
def test_the_labels_of_every_pair_decode_to_its_output(file):
    (task,) = read([FOLDER / file])
    rule = SizeRule.from_pairs(task.demonstrations)
    for pair in task.demonstrations:
        example = sample(pair, rule)
        canvas = rule.canvas(pair.input.shape)
        assert (example.target == labels(pair.output, canvas)).all()
        for size in (None, pair.output.shape):
            prediction = decode(example.target, confidences(canvas), canvas, size)
            assert prediction.answer.dtype == np.uint8 and np.array_equal(prediction.answer, pair.output)
            rows, columns = pair.output.shape
            assert (prediction.confidence == confidences(canvas).reshape(canvas)[:rows, :columns]).all()


@settings(max_examples=50, deadline=None)
@given(grids, small)
def test_an_answer_of_any_size_is_decoded_from_its_canvas(output, more):
    canvas = output.shape[0] + more[0] - 1, output.shape[1] + more[1] - 1
    assert np.array_equal(decode(labels(output, canvas), confidences(canvas), canvas).answer, output)


def test_the_decoded_size_tolerates_a_few_wrong_cells():
    foreground = labels(grid("111", "222", "333"), (5, 5)).reshape(5, 5)
    foreground[1, 2] = OUTSIDE  # a hole
    foreground[4, 1] = 6  # a speck beyond
    prediction = decode(foreground.ravel(), confidences((5, 5)), (5, 5))
    assert np.array_equal(prediction.answer, grid("111", "220", "333"))
    assert prediction.confidence[1, 2] == 0 and (np.delete(prediction.confidence, 5) > 0).all()


@pytest.mark.parametrize("size", [None, (2, 2)])
def test_an_answer_without_any_cell_is_black(size):
    nothing = np.full(12, OUTSIDE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prediction = decode(nothing, confidences((3, 4)), (3, 4), size)
    assert (
        prediction.answer.shape == (size or (1, 1)) and not prediction.answer.any() and not prediction.confidence.any()
    )


def test_the_weight_of_a_grid_grows_with_the_root_of_its_cells():
    squares = {side: np.ones((side, side), np.uint8) for side in (3, 30)}
    weights = [sample(Pair(square, square), sized(square.shape, square.shape)).weight for square in squares.values()]
    small_one, large_one = (float(weight.sum()) for weight in weights)
    assert large_one / small_one == pytest.approx(10)  # of a hundred times the cells
    assert weights[0].dtype == np.float32


def test_an_output_larger_than_the_canvas_raises():
    with pytest.raises(ValueError, match=r"\(5, 2\) on a canvas of \(3, 3\)"):
        sample(Pair(np.zeros((3, 3), np.uint8), np.zeros((5, 2), np.uint8)), sized((3, 3), (3, 3)))
