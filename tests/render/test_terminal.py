"""The live view: what stays on the screen, escape codes, encodings, errors."""

import contextlib
import dataclasses
import re

import pytest

from trmsolve.render.console import COLORS
from trmsolve.render.frame import StatusText
from trmsolve.render.panel import PuzzlePanel
from trmsolve.render.terminal import LiveView
from trmsolve.render.theme import ROLES

from .fake import refinement, solution, status
from .streams import ESCAPE, Stream, colours


def shown(frames, **options):
    """What LiveView sends to a stream of those options."""
    color = options.pop("color", "auto")
    stream = Stream(**options)
    with LiveView(stream, color) as view:
        for frame in frames:
            view.show(frame)
    return stream


def digits(text):
    """The grid in drawn text, row by row."""
    rows = [line for line in text.splitlines() if line.startswith(("│", "|"))]
    return [re.sub(r"[^0-9A-G]", "", row[: row.rindex(row[0]) + 1]) for row in rows]


def expected(side):
    return ["".join("123456789ABCDEFG"[d - 1] for d in row) for row in solution(side)]


@pytest.mark.parametrize("side", [4, 6, 9, 16])
def test_the_final_frame_stays(side):
    stream = shown(refinement(side), terminal=True)
    assert digits(stream.plain)[-side:] == expected(side)
    assert "solved at step 6" in stream.plain
    assert stream.text.count("\x1b[?25l") == stream.text.count("\x1b[?25h") == 1


@pytest.mark.parametrize("side", [4, 9, 16])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 24), (80, 12), (30, 10), (20, 5), (10, 3), (200, 60)])
def test_fits_every_window(side, width, height, monkeypatch):
    view = LiveView(Stream(terminal=True))
    scene = PuzzlePanel(view.console)
    for frame in refinement(side, solved=False):
        scene.add(frame)
        lines = scene.lines(width, height)
        assert len(lines) <= height
        assert max(line.cell_len for line in lines) <= width
    if (width, height) == (80, 24):
        assert len(digits("\n".join(line.plain for line in lines))) == side  # no crop where it matters most
        assert any("not solved" in line.plain for line in lines)


def test_80x24_shows_all_text():
    for side in (4, 9, 16):
        frame = dataclasses.replace(refinement(side)[4], status=status(4, 7, 0.4, restart=1))
        scene = PuzzlePanel(LiveView(Stream(terminal=True)).console)
        scene.add(frame)
        text = "\n".join(line.plain for line in scene.lines(80, 23))
        for words in ("step 4 of at most 64", "40 %", "7 still broken", "84 ms", "restart 1", "assuming r3c5=7"):
            assert words in text, (side, words)
        assert "…" not in text


def test_a_tiny_window_still_states_the_outcome():
    scene = PuzzlePanel(LiveView(Stream(terminal=True)).console)
    scene.add(refinement(16)[-1])
    lines = [line.plain for line in scene.lines(34, 8)]
    assert lines[0] == "sudoku puzzle.txt:1" and lines[1] == "1234 5678 9ABC DEFG"
    assert set(lines[-2]) == {"…"} and lines[-1].startswith("solved at step 6")


def test_no_color_keeps_weight_and_marks_but_no_colour(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    text = shown(refinement(9)[:4], terminal=True).text
    assert not colours(text)
    assert "\x1b[1m" in text
    assert "' given" in ESCAPE.sub("", text) and "! conflict" in ESCAPE.sub("", text)
    # the flag is more explicit than the environment
    assert colours(shown(refinement(9)[:4], terminal=True, color="always").text)


def test_color_never_sends_no_styling_at_all():
    text = shown(refinement(9), terminal=True, color="never").text
    assert not re.search(r"\x1b\[[0-9;]*m", text)


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}])
def test_a_pipe_gets_no_cursor_movement(monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for color in COLORS:
        text = shown(refinement(9), color=color).text
        assert set(re.findall(r"\x1b\[[0-9;?]*([A-Za-z])", text)) <= {"m"}
        wanted = color == "always" or (color == "auto" and "FORCE_COLOR" in environment)
        assert bool(colours(text)) == wanted


def test_a_pipe_gets_a_line_per_step_and_the_last_grid():
    lines = shown(refinement(9)).text.splitlines()
    assert lines[0] == "sudoku puzzle.txt:1"
    assert [int(line.split()[1]) for line in lines if line.startswith("step")] == list(range(6))
    assert "halting 40 %" in lines[5] and "restart 1 · guess assuming r3c5=7" in lines[5]
    assert lines[7].startswith("solved at step 6 · ")
    assert digits("\n".join(lines)) == expected(9)


def test_a_dumb_terminal_is_treated_like_a_pipe(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in shown(refinement(4), terminal=True).text


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "cp437", "utf-8", "utf-16-le"])
@pytest.mark.parametrize("terminal", [True, False])
def test_output_is_encodable_in_every_encoding(encoding, terminal):
    frames = [dataclasses.replace(frame, source="日本/ä.txt:1") for frame in refinement(9, solved=False)]
    text = shown(frames, encoding=encoding, terminal=terminal).text
    assert ("┌" in text) == (encoding in ("cp437", "utf-8", "utf-16-le"))
    assert ("+---" in text) == (encoding in ("cp1252", "ascii", "latin-1"))


def test_control_characters_in_names_are_escaped():
    frames = [dataclasses.replace(f, source="\x1b[2J\rx:1", status=StatusText("\x1b]0;hm\x07")) for f in refinement(4)]
    for terminal in (True, False):
        text = shown(frames, terminal=terminal).text
        assert "\x1b[2J" not in text and "\x1b]" not in text and "\x07" not in text


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_the_cursor_is_restored_after_an_exception(error):
    stream = Stream(terminal=True)
    with contextlib.suppress(error), LiveView(stream) as view:
        view.show(refinement(9)[2])
        assert stream.text.endswith("\x1b[?25h") is False and "\x1b[?25l" in stream.text
        raise error
    assert stream.text.rstrip().endswith("\x1b[?25h")
    assert view.console._live_stack == []


def test_the_cursor_is_restored_after_an_error_in_drawing():
    stream = Stream(terminal=True)
    broken = dataclasses.replace(refinement(4)[1], picture=None)
    with pytest.raises(AttributeError), LiveView(stream) as view:
        view.show(refinement(4)[0])
        view.show(broken)
    assert stream.text.count("\x1b[?25l") == stream.text.count("\x1b[?25h") == 1


def test_stdout_is_left_alone(capsys):
    stream = Stream(terminal=True)
    with LiveView(stream) as view:
        view.show(refinement(4)[1])
        print("an answer")
    assert capsys.readouterr().out == "an answer\n"
    assert "an answer" not in stream.text


def test_the_answer_can_follow_the_last_frame_on_the_same_terminal():
    stream = Stream(terminal=True)
    with LiveView(stream) as view:
        for frame in refinement(4):
            view.show(frame)
        assert stream.text.endswith("\x1b[?25h")  # shown already, inside the block
        for frame in refinement(4, source="puzzle.txt:2"):
            view.show(frame)
    first, second = stream.plain.split("sudoku puzzle.txt:2", 1)
    assert digits(first)[-4:] == digits(second)[-4:] == expected(4)
    assert "solved at step 6" in first and "solved at step 6" in second


def test_redraws_are_limited_in_rate(monkeypatch):
    clock = iter(i * 0.001 for i in range(10_000))
    monkeypatch.setattr("trmsolve.render.terminal.time.monotonic", lambda: next(clock))
    stream = shown(refinement(4, steps=200), terminal=True)
    assert stream.plain.count("halting") < 20


def test_a_new_role_is_one_row_of_the_table(monkeypatch):
    from trmsolve.render.frame import Frame
    from trmsolve.render.html import html
    from trmsolve.render.svg import svg
    from trmsolve.tasks.base import Cell, Picture

    monkeypatch.setitem(ROLES, "wall", dataclasses.replace(ROLES["given"], word="wall", mark="#"))
    frame = Frame(Picture([[Cell(" ", "wall"), Cell("S", "given")]]), "maze", "m", done=True)
    assert "# wall" in shown([frame]).text
    assert 'class="wall-ground"' in svg(frame) and ".wall{" in html([frame])
