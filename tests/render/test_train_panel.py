"""The panel of a training run: phase, clock, speed, curves, and what was saved."""

from __future__ import annotations

import io
import re
import types

import pytest
from rich.console import Console

from trmsolve.render.train_panel import ASCII_LEVELS, Curve, TrainPanel, sparkline
from trmsolve.training.config import TrainConfig
from trmsolve.training.metrics import describe_metric

MODEL = types.SimpleNamespace(T=1, n=2)
METRICS = {"step": 50, "loss": 0.5, "exact_accuracy": 0.25, "puzzles_per_second": 12.0, "steps_per_second": 3.0}


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set: clock[0] = seconds."""
    now = [0.0]
    monkeypatch.setattr("trmsolve.render.train_panel.time.monotonic", lambda: now[0])
    return now


def panel(encoding: str = "utf-8", height: int = 30, width: int = 100, **settings) -> TrainPanel:
    """A panel of a run on a terminal."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=stream, force_terminal=True, width=width, height=height, color_system=None)
    shown = TrainPanel(console, 0.0)
    shown.begin("training sudoku", TrainConfig(**settings), MODEL, 0.0, [])
    return shown


def screen(shown: TrainPanel) -> str:
    with shown.console.capture() as capture:
        shown.console.print(shown.render())
    return capture.get()


def test_the_panel_shows_phase_clock_speed_curves_rate_and_what_was_saved(clock):
    shown = panel(minutes=10)
    shown.set_phase("compiling")
    clock[0] = 2.0
    assert "compiling" in screen(shown) and "2.0 s of 10 min 00 s, 9 min 58 s left" in screen(shown)
    for step in range(1, 51):
        clock[0] = 10.0 + step / 2
        shown.step(step, 2.0 / step)
    shown.update(METRICS)
    shown.saved("runs/s", 50)
    shown.evaluated({"step": 50, "seconds": 35.0, "puzzles": 40, "exact_at_16": 0.4, "exact_at_32": 0.5})
    text = screen(shown)
    assert "training" in text and "35.0 s of 10 min 00 s, 9 min 25 s left" in text and "5.8 %" in text
    assert "50, 2 steps/s, 12 puzzles/s" in text
    assert re.search(r"loss +0\.0400 +█▇?[▁▂▃▄▅▆▇]+▁", text) and re.search(r"exact +25\.0%", text)
    assert "exact after 32 steps 50.00%, at step 50, puzzles 40" in text and "runs/s at step 50" in text
    assert re.search(r"learning rate +1\.02e-02", text)


def test_a_run_without_held_out_puzzles_has_no_row_for_their_evaluation():
    shown = panel(minutes=10)
    assert "evaluated" in screen(shown)
    shown.begin("training sudoku", TrainConfig(minutes=10), MODEL, 0.0, [], evaluates=False)
    assert "evaluated" not in screen(shown) and "saved" in screen(shown)


def test_only_the_end_is_100_percent(clock):
    shown = panel(steps=3000)
    shown.step(2999, 0.5)
    assert " 99.9 %" in screen(shown)
    shown.step(3000, 0.5)
    shown.finish("finished")
    assert "100.0 %" in screen(shown) and "finished" in screen(shown) and "left" not in screen(shown)
    shown = panel(minutes=1)
    clock[0] = 59.99
    assert " 99.9 %" in screen(shown)


def test_the_time_left_of_a_number_of_steps_knows_that_later_steps_are_deeper(clock):
    plain = panel(steps=100)
    deeper = panel(steps=100, depth_curriculum=((0.5, 1, 1),))  # then T 1 and n 2: 3 network calls in place of 2
    for step in range(1, 11):
        clock[0] = float(step)
        plain.step(step, 1.0)
        deeper.step(step, 1.0)
    assert plain.seconds_left == pytest.approx(90)
    assert deeper.seconds_left == pytest.approx(40 + 50 * 3 / 2, rel=0.02)
    clock[0] = 12.0
    assert plain.seconds_left == pytest.approx(88)


def test_a_low_window_gets_two_lines_and_an_old_one_ascii(clock):
    shown = panel(encoding="ascii", steps=10)
    shown.step(5, 0.5)
    shown.message("über")
    assert screen(shown).isascii() and "#" in screen(shown)
    low = panel(height=6, steps=10)
    low.step(5, 0.5)
    assert screen(low).count("\n") == 2 and "step 5" in screen(low)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 15), (40, 6)])
def test_a_narrow_window_shows_whole_parts_and_room_for_the_echo_of_ctrl_c(clock, width, height):
    """The echo ^C^C after the last column would begin another line, and the panel be redrawn one line too low."""
    shown = panel(width=width, height=height, minutes=10)
    for step in range(1, 51):
        clock[0] = 10.0 + step / 2
        shown.step(step, 2.0 / step)
    shown.update(METRICS)
    shown.saved("runs/" + "long" * 20, 50)
    shown.evaluated({"step": 50, "seconds": 35.0, "puzzles": 40, "exact_at_32": 0.5})
    text = screen(shown)
    assert max(map(len, text.splitlines())) <= width - 4
    if width == 80:
        assert re.search(r"35\.0 s of 10 min 00 s, 9 min 25 s left +│", text)
        assert re.search(r"saved +…[long]+ at step 50 +│", text)
        assert re.search(r"exact after 32 steps 50\.00%, at step 50, puzzles 40 +│", text)
    else:
        assert "training 35.0 s of 10 min 00 s\n" in text and len(text.splitlines()) < height
    if height > 6:
        assert "2 steps/s" in text and "12 puzzles/s" in text


def test_no_puzzle_has_left_training_yet(clock):
    shown = panel(steps=10)
    shown.update(METRICS | {"puzzles_per_second": 0.0})
    assert "puzzles/s" not in screen(shown)


def test_sparklines_and_curves_are_bounded():
    assert sparkline([], 10) == "" and sparkline([1.0], 10) == "▁"
    assert sparkline([0, 1, 2, 3], 4, ASCII_LEVELS) == "_-*#"
    assert sparkline([0.0] * 50 + [1.0] * 50, 2) == "▁█"
    curve = Curve()
    for k in range(100_000):
        curve.add(float(k))
    assert len(curve.values) < 2048 and curve.values == sorted(curve.values)
    assert curve.values[-1] == pytest.approx(100_000, rel=0.01)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("seconds", 0.4, "seconds 0.4"),
        ("exact_at_16", 0.4, "exact after 16 steps 40.00%"),
        ("exact_accuracy", 0.4, "exact 40.00%"),
        ("puzzles", 1, "puzzles 1"),
        ("mean_steps", 0.5, "steps per puzzle 0.50"),
        ("something_new", 0.5, "something new 0.5"),
        ("loss_at_16", 0.5, "loss at 16 0.5"),
    ],
)
def test_only_shares_are_percentages(name, value, expected):
    assert describe_metric(name, value) == expected
