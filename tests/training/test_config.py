"""The settings of a run: the learning rate over its course, and values that are refused."""

import pytest

from trmsolve.errors import TrmsolveError
from trmsolve.training.config import TrainConfig


@pytest.mark.parametrize(
    ("steps", "minutes", "step", "seconds", "expected"),
    [
        (1000, None, 0, 0, 1 / 100),  # warm-up
        (1000, None, 200, 0, 1.0),  # constant
        (1000, None, 650, 0, 0.5),  # falling linearly from 0.3
        (1000, None, 1000, 0, 0.01),  # the floor
        (None, 10, 5000, 390, 0.5),
    ],
)
def test_learning_rate_schedule(steps, minutes, step, seconds, expected):
    assert TrainConfig(steps=steps, minutes=minutes).rate(step, seconds) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bptt_steps": 0}, "bptt_steps: found 0, expected an integer from 1 to"),
        ({"bptt_steps": 2, "continue_weight": 0.5}, "continue_weight needs windows of a single step"),
    ],
)
def test_invalid_bptt_steps_are_refused(settings, message):
    with pytest.raises(TrmsolveError, match=message):
        TrainConfig(**settings)
