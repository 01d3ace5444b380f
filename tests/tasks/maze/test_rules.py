"""The rules: a shortest path is accepted, whichever it is, and every near miss is refused and named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trmsolve.tasks.maze.cells import FLOOR, PATH, WALL
from trmsolve.tasks.maze.rules import canonical, check, connected, is_solution, shortest_length

QUESTION = """
########
#S     #
# #### #
# #  # #
#      #
# #### #
#     G#
########"""
RIGHT = """
########
#S     #
#o#### #
#o#  # #
#o     #
#o#### #
#oooooG#
########"""


def maze(text: str) -> np.ndarray:
    return np.array([["# SGo".index(mark) for mark in row] for row in text.strip("\n").split("\n")], np.uint8)


def drawn(old: str, new: str, text: str = RIGHT) -> str:
    """The text with its rows `old` replaced."""
    assert text.count(old) == 1
    return text.replace(old, new)


def judged(question: str, answer: str) -> list[str]:
    """The messages of check(), after comparing its verdict with that of solved()."""
    violations = check(maze(question), maze(answer))
    assert is_solution(maze(question), maze(answer)) == (not violations)
    return [violation.message for violation in violations]


def test_any_shortest_path_is_right():
    other = QUESTION.replace("#S     #", "#Sooooo#").replace(" #\n#     G", "o#\n#     G")
    other = other.replace("# #### #\n# #  # #\n#      #\n", "# ####o#\n# #  #o#\n#     o#\n")
    through = drawn("#o     #\n#o#### #\n#oooooG#", "#oooooo#\n# ####o#\n#     G#")
    for answer in (RIGHT, other, through):
        assert judged(QUESTION, answer) == []
        assert connected(maze(QUESTION), maze(answer))
    assert shortest_length(maze(QUESTION)) == 10
    assert judged("#S#\n G \n###", "#S#\n G \n###") == []  # nothing lies between S and G


NEAR_MISSES = {
    "one cell missing": (
        drawn("#o#  # #", "# #  # #"),
        ["the path from S (r2c2) breaks off at r3c2, from G (r7c7) at r5c2"],
    ),
    "nothing drawn": (QUESTION, ["the path from S (r2c2) breaks off at r2c2, from G (r7c7) at r7c7"]),
    "one cell too many": (
        drawn("#S     #", "#So    #"),
        ["the path forks or touches itself: r2c2", "dead ends: r2c3"],
    ),
    "a stray cell": (drawn("#o#  # #", "#o# o# #"), ["path cells apart from the path: r4c5"]),
    "a block": (
        drawn("#S     #\n#o#### #", "#Soo   #\n#oo### #"),
        [
            "the path runs through walls: r3c3",
            "the path forks or touches itself: r2c2, r2c3 and r3c2",
            "dead ends: r2c4",
        ],
    ),
    "a diagonal step": (
        drawn("#o#### #\n#oooooG#", "# #### #\n#oooooG#"),
        ["the path from S (r2c2) breaks off at r5c2, from G (r7c7) at r7c2"],
    ),
    "both ways round": (
        QUESTION.replace(" ", "o").replace("#o#oo#o#", "#o#  #o#").replace("#oooooo#", "#o    o#"),
        ["the path forks or touches itself: r2c2 and r7c7"],
    ),
    "through a wall": (
        drawn("#o#  # #\n#o     #", "#oo  # #\n#o     #"),
        ["the path runs through walls: r4c3", "the path forks or touches itself: r4c2", "dead ends: r4c3"],
    ),
    "a wall moved": (
        drawn("#o#  # #", "#o##   #"),
        ["wall in the question, but no longer in the answer: r4c6", "floor in"],
    ),
    "the start gone": (drawn("#S", "#o"), ["start in the question, but no longer in the answer: r2c2"]),
    "the goal elsewhere": (drawn("ooG#", "ooo#"), ["goal in the question, but no longer in the answer: r7c7"]),
    "a second goal": (drawn("#  # #", "#  #G#"), ["floor in the question, but no longer in the answer: r4c7"]),
}


@pytest.mark.parametrize(("answer", "messages"), NEAR_MISSES.values(), ids=NEAR_MISSES)
def test_near_misses(answer, messages):
    violations = judged(QUESTION, answer)
    assert len(violations) >= len(messages)
    for message in messages:
        assert any(one.startswith(message) for one in violations), violations
    assert not connected(maze(QUESTION), maze(answer))


def test_a_detour_is_a_path_but_not_the_shortest():
    question = "#####\n#S G#\n#   #\n#####"
    detour = "#####\n#S G#\n#ooo#\n#####"
    assert judged(question, detour) == ["4 steps; the shortest has 2"]
    assert connected(maze(question), maze(detour))
    assert not is_solution(maze(question), maze(detour))


def test_as_many_cells_as_the_shortest_path_are_not_enough():
    pieces = "#S o#\n# oo#\n#   #\n#  G#"  # as many as needed, in one piece, elsewhere
    violations = judged(pieces.replace("o", " "), pieces)
    assert violations == ["the path from S (r1c2) breaks off at r1c2, from G (r4c4) at r4c4", *violations[1:]]
    assert "path cells apart from the path: r1c4, r2c3 and r2c4" in violations


def test_a_wall_is_no_short_cut():
    question, answer = "S#G\n   \n###", "SoG\n   \n###"
    assert judged(question, answer) == ["the path runs through walls: r1c2"]


def test_no_way():
    question = maze("S #  \n  #  \n  # G")
    (violation,) = check(question, np.where(question == FLOOR, PATH, question))
    assert violation.message == "no path leads from S (r1c1) to G (r3c5)"
    assert violation.cells == ((0, 0), (2, 4))
    assert shortest_length(question) is None
    assert not is_solution(question, question) and not connected(question, question)


def test_cells_of_a_violation_are_those_it_names():
    answer = maze(drawn("#o#  # #", "#o# o# #"))
    (violation,) = check(maze(QUESTION), answer)
    assert violation.cells == ((3, 4),)
    many = np.where(maze(QUESTION) == WALL, PATH, maze(QUESTION))
    walls = next(one for one in check(maze(QUESTION), many) if "walls" in one.message)
    assert walls.message.endswith("r1c1, r1c2, r1c3, r1c4 and 34 more") and len(walls.cells) == 38


def test_wrong_shape():
    assert "shape (2, 3), the question (8, 8)" in check(maze(QUESTION), maze("S G\n   "))[0].message
    assert "shape (64,)" in check(maze(QUESTION), maze(RIGHT).reshape(-1))[0].message


def test_other_types_and_nonsense_are_judged_too():
    answer = maze(RIGHT).astype(np.int64)
    assert check(maze(QUESTION), answer) == [] and is_solution(maze(QUESTION), answer)
    answer[4, 4] = 9
    assert [one.cells for one in check(maze(QUESTION), answer)] == [((4, 4),)]
    assert not is_solution(maze(QUESTION), answer)


@st.composite
def questions(draw) -> np.ndarray:
    height, width = draw(st.integers(3, 12)), draw(st.integers(3, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    question = (rng.random((height, width)) > draw(st.sampled_from([0, 0.2, 0.35]))).astype(np.uint8)
    question.flat[rng.choice(question.size, 2, replace=False)] = 2, 3
    return question


@settings(max_examples=25, deadline=None, database=None)
@given(questions())
def test_every_single_cell_changed_makes_a_right_answer_wrong(question):
    answer = canonical(question)
    assume(answer is not None)
    assert check(question, answer) == [] and is_solution(question, answer) and connected(question, answer)
    for index in range(answer.size):
        wrong = answer.copy()
        wrong.flat[index] = {FLOOR: PATH, PATH: FLOOR, WALL: FLOOR}.get(int(answer.flat[index]), PATH)
        assert check(question, wrong) and not is_solution(question, wrong)


@settings(max_examples=150, deadline=None, database=None)
@given(questions(), st.integers(0, 2**32 - 1))
def test_both_judges_agree_on_whatever_is_drawn(question, seed):
    rng = np.random.default_rng(seed)
    base = canonical(question)
    answer = question.copy() if base is None or rng.random() < 0.5 else base
    for index in rng.choice(answer.size, rng.integers(0, 4)):
        answer.flat[index] = rng.choice([FLOOR, PATH, PATH])
    assert is_solution(question, answer) == (check(question, answer) == [])
    if is_solution(question, answer):
        assert (answer == PATH).sum() == shortest_length(question) - 1
