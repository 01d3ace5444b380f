"""The training display, plain and live."""

import re

import pytest

from trmsolve.render.progress import Progress

from .streams import Stream

METRICS = {
    "step": 1200,
    "seconds": 400.0,
    "loss": 0.41234,
    "cell_accuracy": 0.912,
    "exact_accuracy": 0.341,
    "puzzles_per_second": 1523.4,
    "lr": 1.2e-3,
}


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("trmsolve.render.progress.time.monotonic", lambda: now[0])
    return now


def test_plain_lines_come_every_few_seconds(clock):
    stream = Stream()
    with Progress(total_minutes=30, terminal=False, stream=stream) as progress:
        for i in range(25):
            progress.update(METRICS | {"step": 1200 + i, "seconds": 400 + i})
            clock[0] += 1
        progress.evaluated({"exact_accuracy": 0.42, "puzzles": 300})
        progress.saved("runs/a.safetensors", 1224)
        progress.message("loss is falling")
    lines = stream.text.splitlines()
    assert [int(re.search(r"steps ([\d,]+)", line)[1].replace(",", "")) for line in lines if "loss 0" in line] == [
        1200,
        1210,
        1220,
        1224,  # the last state is said on leaving
    ]
    assert lines[0].startswith("6 min 40 s of 30 min 00 s, 23 min 20 s left  loss 0.4123  cells right 91.20%")
    assert "puzzles/s 1,523  learning rate 1.20e-03" in " ".join(lines[0].split("  ")).replace(
        " learning", "  learning"
    )
    assert "evaluated at step 1,224: grids right 42.00%, puzzles 300" in lines
    assert "saved runs/a.safetensors at step 1,224" in lines
    assert "loss is falling" in lines
    assert "\x1b" not in stream.text


def test_time_left_by_steps_is_measured_from_the_latest_speed(clock):
    progress = Progress(total_steps=1000, terminal=False, stream=Stream())
    assert progress.left is None
    for step, seconds in ((100, 1000.0), (200, 1010.0)):  # a resumed run: only what is fresh counts
        progress.update({"step": step, "seconds": seconds})
    assert progress.share == pytest.approx(0.2)
    assert progress.left == pytest.approx(80)
    assert "step 200 of 1,000, 1 min 20 s left" in progress.line() or "80.0 s left" in progress.line()


def test_a_run_without_end_and_without_metrics():
    stream = Stream()
    with Progress(terminal=False, stream=stream) as progress:
        progress.update({"step": 1})
    assert stream.text == "0 ms  optimizer steps 1\n"


def test_panel_on_a_terminal(clock):
    stream = Stream(terminal=True)
    with Progress(total_minutes=30, terminal=True, stream=stream) as progress:
        progress.message("resuming from step 1,199")
        for i in range(5):
            progress.update(METRICS | {"step": 1200 + i})
            clock[0] += 1
        progress.evaluated({"exact_accuracy": 0.42})
        progress.saved("a.safetensors", 1204)
    text = stream.plain
    last = text[text.rindex("training") :]
    for words in (
        "22.2%",
        "23 min 20 s left",
        "0.4123",
        "91.20%",
        "1,204",
        "1,523",
        "grids right 42.00%",
        "a.safetensors",
    ):
        assert words in last, words
    assert text.count("resuming from step 1,199") == 1
    assert stream.text.count("\x1b[?25l") == stream.text.count("\x1b[?25h") == 1


def test_panel_gives_the_cursor_back_on_ctrl_c():
    stream = Stream(terminal=True)
    with pytest.raises(KeyboardInterrupt), Progress(terminal=True, stream=stream):
        raise KeyboardInterrupt
    assert stream.text.rstrip().endswith("\x1b[?25h")


@pytest.mark.parametrize(("columns", "lines"), [("80", "24"), ("40", "24"), ("20", "6"), ("80", "5")])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_panel_fits_the_window(monkeypatch, columns, lines, encoding):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("LINES", lines)
    stream = Stream(terminal=True, encoding=encoding)
    progress = Progress(total_minutes=30, terminal=True, stream=stream)
    progress.update(METRICS)
    progress.console.print(progress)
    drawn = stream.plain.splitlines()
    assert max(len(line) for line in drawn) <= int(columns)
    assert len(drawn) <= int(lines)


def test_no_terminal_no_cursor(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = Stream()
    with Progress(terminal=True, stream=stream) as progress:  # whoever asks: a pipe is no terminal
        progress.update(METRICS)
    assert "\x1b[?25l" not in stream.text and "0.4123" in stream.text
