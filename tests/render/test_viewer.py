"""The keys of the live view: pause, steps, pace, pencil marks, shades, end."""

from __future__ import annotations

import os
import struct
import sys
import threading

import numpy as np
import pytest

from trmsolve import tasks
from trmsolve.inference.options import Result, StepEvent
from trmsolve.render.console import Keyboard, console_for, parse_keys
from trmsolve.render.frame import frames
from trmsolve.render.panel import PuzzlePanel
from trmsolve.render.terminal import HELP, REPLAY_PACE, SYMBOLS_HELP, LiveView, colored_answer
from trmsolve.tasks.base import Prediction, Puzzle
from trmsolve.tasks.sudoku import TASK

from .fake import refinement, solution
from .mazes import growth, maze
from .streams import ESCAPE, Stream


class Keys:
    """A keyboard on which the given keys are pressed one after the other; None: no key within the time."""

    available = True

    def __init__(self, *keys: str | None) -> None:
        self.keys, self.waits = list(keys), 0

    def read(self, seconds: float | None = 0.0) -> str | None:
        self.waits += seconds is None
        if not self.keys:
            assert seconds is not None, "waits for a key that never comes"
            return None
        return self.keys.pop(0)


def watch(frames, *keys, **options):
    """The view after these keys, what it drew, and the steps it drew one after the other."""
    stream, keyboard = Stream(terminal=True), Keys(*keys)
    steps: list[int] = []
    with LiveView(stream, keyboard=keyboard, **options) as view:
        redraw = view._redraw
        view._redraw = lambda panel, at_once: (steps.append(panel.frame.step), redraw(panel, at_once))  # type: ignore
        for frame in frames:
            view.show(frame)
    assert stream.text.count("\x1b[?25l") == stream.text.count("\x1b[?25h") == 1
    return view, stream.plain, steps, keyboard


def test_without_keys_every_frame_is_shown_and_the_view_ends_by_itself():
    _, text, steps, keyboard = watch(refinement(9))
    assert steps == list(range(7)) and keyboard.waits == 0
    assert "space pauses  q ends  ? help" in text and "solved at step 6" in text


def test_space_pauses_until_the_next_space():
    _, text, steps, keyboard = watch(refinement(9), None, None, " ", "x", " ")
    assert "paused at 2 of 2" in text and keyboard.waits == 2
    assert steps[-1] == 6


def test_arrows_step_through_recorded_frames_and_then_fetch_the_next_one():
    keys = [None, None, None, "left", "left", "right", "right", "right", " "]
    _, text, steps, _ = watch(refinement(9), *keys)
    assert steps[:9] == [0, 1, 2, 3, 2, 1, 2, 3, 4]
    assert "paused at 1 of 3" in text and steps[-1] == 6


def test_home_and_end_go_to_the_first_and_the_newest_step_and_space_replays_from_there():
    _, _, steps, _ = watch(refinement(9), None, None, "home", " ")
    assert steps[:6] == [0, 1, 2, 0, 0, 1] and steps[-1] == 6
    assert watch(refinement(9), None, None, "home", "end", " ")[2][:5] == [0, 1, 2, 0, 2]


def test_halting_probability_and_broken_rules_are_drawn_over_the_steps():
    panel = PuzzlePanel(LiveView(Stream(terminal=True)).console)
    for frame in refinement(9):
        panel.add(frame)
    halting, broken = (line.plain.split()[-1] for line in panel.lines(80, 23) if line.plain[-1:] in "▁█")
    assert (len(halting), halting[0], halting[-1]) == (6, "▁", "█")
    assert (len(broken), broken[0], broken[-1]) == (6, "█", "▁") and list(broken) == sorted(broken, reverse=True)


def test_a_recorded_step_shows_its_own_text():
    panel = PuzzlePanel(LiveView(Stream(terminal=True)).console)
    for frame in refinement(9):
        panel.add(frame)
    panel.index = 3
    text = "\n".join(line.plain for line in panel.lines(80, 23))
    assert "3 of at most 64" in text and "63 ms, step 21 ms" in text and "solved" not in text


def test_plus_and_minus_change_the_pace():
    view, text, *_ = watch(refinement(4), "-", "-", "-", "+")
    assert view.pace == 0.1 and "0.2 s per step" in text
    assert watch(refinement(4), "+", pace=0.05)[0].pace == 0.0
    assert watch(refinement(4), "+")[0].pace == 0.0
    assert watch(refinement(4), *("-" for _ in range(20)))[0].pace == 3.2


def test_q_ends_the_view_of_this_puzzle_and_removes_an_unfinished_drawing():
    stream = Stream(terminal=True)
    with LiveView(stream, keyboard=Keys(None, "q")) as view:
        for frame in refinement(4):
            view.show(frame)
        assert stream.text.endswith("\x1b[2K")  # erased
        assert "solved" not in stream.plain
        for frame in refinement(4, source="b:2"):
            view.show(frame)
    assert "b:2" in stream.plain and "solved at step 6" in stream.plain


def test_with_stay_the_view_waits_for_a_key():
    for key in ("q", "enter"):
        _, _, steps, keyboard = watch(refinement(4), *[None] * 6, "left", "right", key, stay=True)
        assert keyboard.waits == 3 and steps[-3:] == [6, 5, 6]
    _, _, steps, _ = watch(refinement(4), *[None] * 6, " ", *[None] * 6, "q", stay=True)
    assert steps == [*range(7), *range(7)]


def test_a_replay_can_be_followed_by_eye():
    view, text, *_ = watch(refinement(4), *[None] * 6, " ", *[None] * 6, "q", stay=True)
    assert view.pace == REPLAY_PACE and "0.2 s per step" in text
    assert watch(refinement(4), *[None] * 6, " ", *[None] * 6, "q", stay=True, pace=0.8)[0].pace == 0.8


def test_help_is_shown_in_place_of_the_grid():
    _, text, _, _ = watch(refinement(9), " ", "?", "?", " ")
    assert all(line in text for line in HELP + SYMBOLS_HELP) and all(len(line) < 40 for line in HELP + SYMBOLS_HELP)
    _, text, _, _ = watch(growth(maze(9, 12)), " ", "?", "?", " ")
    assert all(line in text for line in HELP) and not any(line in text for line in SYMBOLS_HELP)


def test_candidates_are_those_that_no_given_excludes():
    question = np.zeros((4, 4), np.uint8)
    question[0, 0], question[1, 3], question[2, 1] = 1, 2, 3
    shown = TASK.picture(question, None)
    assert [cell.candidates for cell in shown.cells[0]] == ["", "24", "34", "34"]
    assert shown.cells[1][1].candidates == "4" and shown.cells[3][3].candidates == "134"


def test_cells_without_a_confident_answer_show_pencil_marks():
    question = solution(4)
    question[0, 1] = question[0, 2] = question[1, 2] = 0
    confidence = np.ones((4, 4), np.float32)
    confidence[0, 1] = 0.3
    frame = refinement(4)[1]
    shown = TASK.picture(question, Prediction(solution(4), confidence))
    panel = PuzzlePanel(LiveView(Stream(terminal=True)).console)
    panel.add(type(frame)(shown, "sudoku", "a", 1))
    panel.candidates = True
    rows = [line.plain for line in panel.lines(80, 23) if line.plain.startswith("│")]
    assert rows[0].split()[:7] == ["│", "1", shown.cells[0][1].candidates, "│", "3", "4", "│"]
    _, text, _, _ = watch(refinement(9), "c", " ", " ")
    assert "candidates" in text


def test_a_narrow_window_drops_the_hints_that_do_not_fit_and_says_when_candidates_do_not():
    panel = PuzzlePanel(LiveView(Stream(terminal=True)).console)
    panel.add(refinement(9)[1])
    panel.footer, panel.candidates = ("paused at 1 of 6", "space continues", "q ends", "? help"), True
    assert panel.lines(80, 23)[-1].plain == "candidates  paused at 1 of 6  space continues  q ends  ? help"
    assert panel.lines(40, 14)[-1].plain == "candidates need a larger window  q ends"


def test_the_depth_of_the_search_and_an_answer_without_rules_are_named():
    puzzle = Puzzle(np.zeros((4, 4), np.uint8), "a:1")
    guess = Prediction(solution(4), np.ones((4, 4), np.float32))
    step = StepEvent(puzzle, guess, 2, 8, 3, 0.5, False, "assuming r1c1=1 r2c2=4")
    result = Result(puzzle, guess, halted=True, unchecked=True)
    *_, last, _ = frames(tasks.get("sudoku"), iter([step, result]), puzzle, 8)
    stats = {stat.name: stat.value for stat in last.stats}
    assert stats["restart"] == "3" and stats["guess"] == "depth 2, assuming r1c1=1 r2c2=4"
    assert last.state == "answered, not checked" and last.outcome == ""


def test_steps_of_parallel_runs_that_were_not_shown_are_counted():
    puzzle = Puzzle(np.zeros((4, 4), np.uint8), "a:1")
    guess = Prediction(solution(4), np.ones((4, 4), np.float32))
    step = StepEvent(puzzle, guess, 1, 8, 0, 0.5, True, "")
    for steps, expected in ((1, None), (3, "3 steps; 1 shown (parallel runs)")):
        *_, last, _ = frames(tasks.get("sudoku"), iter([step, Result(puzzle, guess, True, steps=steps)]), puzzle, 8)
        assert {stat.name: stat.value for stat in last.stats}.get("total") == expected


@pytest.mark.parametrize("color", ["always", "never"])
def test_shades_show_confidence_with_and_without_colour(color):
    question, confidence = np.zeros((4, 4), np.uint8), np.ones((4, 4), np.float32)
    confidence[0, 1], confidence[0, 2] = 0.6, 0.05
    panel = PuzzlePanel(LiveView(Stream(terminal=True), color).console)
    panel.add(type(refinement(4)[0])(TASK.picture(question, Prediction(solution(4), confidence)), "sudoku", "a", 1))
    panel.shades = True
    row = next(line for line in panel.lines(80, 23) if line.plain.startswith("│"))
    if color == "never":
        assert row.plain[:15] == "│ 1  2░│ 3▓ 4 │"
    else:
        styles = [str(span.style) for span in row.spans if row.plain[span.start : span.end] in ("1", "2", "3")]
        assert [style.partition(" on ")[2] for style in styles[:3]] == ["", "color(236)", "color(90)"]


def test_a_maze_as_wide_as_the_window_uses_its_full_width():
    """Beside the text only 52 columns were shown; below it all 61 fit."""
    panel = PuzzlePanel(LiveView(Stream(terminal=True)).console)
    panel.add(growth(maze(61, 61))[0])
    title = panel.lines(80, 23)[0].plain
    assert "rows" in title and "columns" not in title


# -- the answer on a terminal -----------------------------------------------------------------------------------------
def test_an_answer_is_coloured_without_changing_its_text():
    grid = solution(9)
    question = np.where(np.eye(9, dtype=bool), grid, 0).astype(np.uint8)
    shown = TASK.picture(question, Prediction(grid, np.ones((9, 9), np.float32)))
    text = "\n".join(f"| {' '.join(map(str, row))} |" for row in grid)
    colored = colored_answer(text, shown, console_for(Stream(terminal=True)))
    assert ESCAPE.sub("", colored) == text
    assert colored.splitlines()[0].startswith("| \x1b[1m1\x1b[0m \x1b[32m2\x1b[0m")
    assert colored_answer(text, shown, console_for(Stream(terminal=True), "never")) == text
    assert colored_answer("no grid", shown, console_for(Stream(terminal=True))) == "no grid"


def test_a_maze_is_coloured_by_position():
    frame = growth(maze(9, 12))[-1]
    text = "\n".join("".join(cell.text for cell in row) for row in frame.picture.cells)
    colored = colored_answer(text, frame.picture, console_for(Stream(terminal=True)))
    assert ESCAPE.sub("", colored) == text and "\x1b[33mS" in colored and "\x1b[31mG" in colored


# -- the keyboard -----------------------------------------------------------------------------------------------------
def test_escape_sequences_are_single_keys_and_unknown_ones_are_dropped():
    assert parse_keys(" q\x1b[C\x1b[D\x1bOA\x1b[1~\x1b[F\r\x1b[5~\x1b[1;5Cä\x1b") == (
        [" ", "q", "right", "left", "up", "home", "end", "enter", "ä"]
    )


def test_no_keyboard_without_a_terminal():
    with Keyboard(Stream()) as keyboard:
        assert not keyboard.available and keyboard.read(None) is None


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")
@pytest.mark.parametrize("error", [None, KeyboardInterrupt, RuntimeError])
def test_keys_are_read_from_a_pseudo_terminal_which_is_restored(monkeypatch, error):
    import termios

    ours, theirs = os.openpty()
    monkeypatch.setattr("trmsolve.render.console.os.tcgetpgrp", lambda fd: os.getpgrp())
    with os.fdopen(theirs) as terminal:
        before = termios.tcgetattr(theirs)
        try:
            with Keyboard(terminal) as keyboard:
                assert keyboard.available and not termios.tcgetattr(theirs)[3] & (termios.ICANON | termios.ECHO)
                assert termios.tcgetattr(theirs)[3] & termios.ISIG  # Ctrl-C still interrupts
                assert keyboard.read(0.0) is None
                os.write(ours, b"p\x1b[D")
                assert [keyboard.read(1.0), keyboard.read(1.0), keyboard.read(0.0)] == ["p", "left", None]
                if error is not None:
                    raise error
        except (KeyboardInterrupt, RuntimeError):
            pass
        assert termios.tcgetattr(theirs) == before
    os.close(ours)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")
def test_a_change_of_the_window_size_is_a_key_of_its_own(monkeypatch):
    import fcntl
    import termios

    ours, theirs = os.openpty()
    monkeypatch.setattr("trmsolve.render.console.os.tcgetpgrp", lambda fd: os.getpgrp())
    with os.fdopen(theirs) as terminal, Keyboard(terminal) as keyboard:
        size = struct.pack("HHHH", 15, 40, 0, 0)
        timer = threading.Timer(0.1, lambda: fcntl.ioctl(theirs, termios.TIOCSWINSZ, size))
        timer.start()
        assert keyboard.read(None) == "resize" and keyboard.read(0.0) is None
        timer.join()
    os.close(ours)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")
def test_a_background_process_does_not_change_the_terminal(monkeypatch):
    ours, theirs = os.openpty()
    monkeypatch.setattr("trmsolve.render.console.os.tcgetpgrp", lambda fd: os.getpgrp() + 1)
    with os.fdopen(theirs) as terminal, Keyboard(terminal) as keyboard:
        assert not keyboard.available
    os.close(ours)
