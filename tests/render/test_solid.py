"""Solid pictures (mazes) in a terminal: every cell where it belongs, in its colour, and a window for the large ones."""

import re

import numpy as np
import pytest
from rich.style import Style

from trmsolve.render.blocks import Viewport
from trmsolve.render.frame import Frame
from trmsolve.render.panel import PuzzlePanel
from trmsolve.render.terminal import LiveView
from trmsolve.render.theme import SOLID_ROLES
from trmsolve.tasks.base import Prediction
from trmsolve.tasks.maze.cells import FLOOR, GOAL, PATH, START
from trmsolve.tasks.maze.write import picture

from .mazes import growth, maze
from .streams import Stream, colours

HALVES = {" ": "bb", "█": "ff", "▀": "fb", "▄": "bf"}  # upper and lower half: foreground or background


def scene(frames, color="auto", encoding="utf-8"):
    panel = PuzzlePanel(LiveView(Stream(terminal=True, encoding=encoding), color).console)
    for frame in frames:
        panel.add(frame)
    return panel


def seen(line, columns):
    """Two rows of colours from a line of half blocks, as a terminal would paint them: INK, "" or a name."""
    upper, lower = [], []
    for at, character in enumerate(line.plain[:columns]):
        style = Style.combine([Style.parse(str(span.style)) for span in line.spans if span.start <= at < span.end])
        fore = style.color.name if style.color else "dim" if style.dim else "text"
        paint = {"f": fore, "b": style.bgcolor.name if style.bgcolor else ""}
        for half, row in zip(HALVES[character], (upper, lower), strict=True):
            row.append(paint[half])
    return upper, lower


def expected(frame):
    return [[SOLID_ROLES[cell.role].color for cell in row] for row in frame.picture.cells]


@pytest.mark.parametrize(("height", "width"), [(30, 30), (33, 40), (40, 15), (31, 31), (15, 40)])
def test_half_blocks_show_every_cell_in_its_colour(height, width):
    for frame in growth(maze(height, width)):
        lines = scene([frame]).lines(80, 23)
        title, *drawn = lines
        rows = [row for line in drawn[: height // 2 + 2] for row in seen(line, width + 2)]
        assert "of" not in title.plain
        assert rows[1] == ["dim"] * (width + 2) and set(rows[0]) == {""}  # outside is wall
        inside = rows[2 : height + 2]
        assert [row[1:-1] for row in inside] == expected(frame)
        assert {row[0] for row in inside} | {row[-1] for row in inside} == {"dim"}
        assert rows[height + 2] == ["dim"] * (width + 2)


def test_a_30x30_maze_fits_80x24_with_all_its_text():
    text = "\n".join(line.plain for line in scene(growth(maze(30, 30))[:4]).lines(80, 23))
    for words in (
        "maze maze.txt:1",
        "step 3 of at most 64",
        "25 %",
        "2 still broken",
        "63 ms",
        "start",
        "goal",
        "new",
    ):
        assert words in text, words
    assert "…" not in text and "rows" not in text


def test_a_large_window_draws_two_columns_per_cell_with_letters():
    lines = [line.plain for line in scene(growth(maze(30, 30))).lines(120, 39)]
    grid = [line[1:61] for line in lines[2:32]]
    assert "".join(grid).count("S ") == "".join(grid).count("G ") == 1
    assert {line[0] for line in lines[2:32]} == {"█"} == {line[61] for line in lines[2:32]}


@pytest.mark.parametrize(("height", "width"), [(3, 3), (30, 30), (15, 40), (40, 15), (61, 61), (101, 101)])
@pytest.mark.parametrize("window", [(80, 24), (40, 24), (80, 12), (30, 10), (20, 5), (10, 3), (200, 60)])
@pytest.mark.parametrize(("color", "encoding"), [("always", "utf-8"), ("never", "utf-8"), ("always", "cp1252")])
def test_fits_every_window(height, width, window, color, encoding):
    lines = scene(growth(maze(height, width), steps=2), color, encoding).lines(*window)
    assert len(lines) <= window[1] and max(line.cell_len for line in lines) <= window[0]
    "\n".join(line.plain for line in lines).encode(encoding)
    if window[0] >= 20:
        assert any("solved" in line.plain for line in lines)


@pytest.mark.parametrize(("color", "encoding"), [("never", "utf-8"), ("never", "ascii"), ("always", "cp1252")])
def test_without_colour_or_blocks_a_cell_is_a_character(color, encoding):
    frame = growth(maze(12, 20))[-1]
    lines = [line.plain for line in scene([frame], color, encoding).lines(80, 23)]
    shown = [line[1:21] for line in lines[2:14]]
    plain = ["".join("*" if cell.role == "changed" else cell.text for cell in row) for row in frame.picture.cells]
    assert shown == plain
    assert any("S start  G goal  o path  * new" in line for line in lines)


def test_no_color_sends_no_colour(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Stream(terminal=True)
    with LiveView(stream) as view:
        for frame in growth(maze(12, 12))[1:4]:
            view.show(frame)
    assert not colours(stream.text) and "▀" not in stream.text and "? unsure" in stream.plain


def test_a_pipe_gets_the_whole_maze():
    stream = Stream()
    frames = growth(maze(61, 50))
    with LiveView(stream) as view:
        for frame in frames:
            view.show(frame)
    lines = stream.text.splitlines()
    grid = [line[1:-1].replace("*", "o") for line in lines if line.startswith("│")]
    assert grid == ["".join(cell.text for cell in row) for row in frames[-1].picture.cells]


# -- larger than the screen -----------------------------------------------------------------------------------------
def open_field(height, width, path, before=()):
    """A picture without walls, S and G in opposite corners, whose path was `before` and is now `path`."""
    question = np.full((height, width), FLOOR, np.uint8)
    question[0, 0], question[-1, -1] = START, GOAL

    def guess(cells):
        answer = question.copy()
        for cell in cells:
            answer[cell] = PATH
        return Prediction(answer, np.ones(question.shape, np.float32))

    return picture(question, guess(path), guess(before))


def test_the_viewport_shows_changed_cells_and_names_its_rows_and_columns():
    panel = scene([Frame(open_field(101, 101, [(70, 88)]), "maze", "m.txt:1", 1)])
    lines = panel.lines(80, 23)
    match = re.search(r"rows (\d+)-(\d+) of 101, columns (\d+)-(\d+) of 101", lines[0].plain)
    top, bottom, left, right = map(int, match.groups())
    assert top <= 71 <= bottom and left <= 89 <= right
    colour = seen(lines[1 + (71 - top) // 2], right - left + 1)[(71 - top) % 2]
    assert [c for c, it in enumerate(colour) if it == "cyan"] == [89 - left]


def test_the_viewport_stays_until_most_changes_are_outside():
    window = Viewport()
    first = window.follow(open_field(101, 101, [(50, 50)]), 20, 40)
    assert first[0][0] <= 50 < first[0][1] and first[1][0] <= 50 < first[1][1]
    near, far = [(52, 50 + i) for i in range(6)], [(2, i) for i in range(5)]
    assert window.follow(open_field(101, 101, near + far), 20, 40) == first
    assert window.follow(open_field(101, 101, []), 20, 40) == first  # nothing changed
    moved = window.follow(open_field(101, 101, far, before=[(3, 3)]), 20, 40)
    assert moved == ((0, 20), (0, 40))
    assert window.follow(open_field(101, 101, [], before=[(99, 99)]), 20, 40) == ((82, 101), (61, 101))


def test_the_viewport_begins_at_the_start_and_follows_a_resize():
    window = Viewport()
    assert window.follow(open_field(61, 61, []), 20, 30) == ((0, 20), (0, 30))
    window.follow(open_field(61, 61, [(59, 60)]), 20, 30)
    assert window.follow(open_field(61, 61, []), 40, 50) == ((22, 61), (11, 61))
    assert window.follow(open_field(61, 61, []), 100, 100) == ((0, 61), (0, 61))
    assert window.follow(open_field(61, 61, []), 7, 3)[1] == (0, 3)


def test_the_viewport_is_always_inside_the_picture():
    random = np.random.default_rng(0)
    for height, width in ((61, 61), (5, 200), (200, 5), (101, 30)):
        window = Viewport()
        for _ in range(30):
            cells = [tuple(map(int, random.integers((height, width)))) for _ in range(3)]
            rows, columns = 2 * int(random.integers(1, 40)), int(random.integers(1, 90))
            (top, bottom), (left, right) = window.follow(open_field(height, width, cells), rows, columns)
            assert 0 <= top < bottom <= height and bottom - top <= rows and top % 2 == 0
            assert left >= 0 and right <= width and right - left == min(columns, width)
