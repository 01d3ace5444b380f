"""The reader: every shape of maze people have, every way to damage one, and that the neighbours survive."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trmsolve.tasks.base import InvalidPuzzle, Line, Puzzle
from trmsolve.tasks.maze.cells import GOAL, PATH, START
from trmsolve.tasks.maze.parse import memory
from trmsolve.tasks.maze.read import read
from trmsolve.tasks.maze.write import format_line
from trmsolve.text_io import LINE_LIMIT, open_lines

GRID = """\
######
#S # #
#  # G
#    #
######"""
WRITTEN = "######/#S # #/#  # G/#    #/######"  # GRID as line() writes it
SOLVED = GRID.replace("#  # G", "#o #oG").replace("#    #", "#oooo#")
ANSWER = WRITTEN.replace("#  # G", "#o #oG").replace("#    #", "#oooo#")
SMALL = "S #  ## G"  # 3x3, as short as a row of a grid
LONG = ("#" * 16 + "#S" + " " * 13 + "#") + "#" + " " * 14 + "#" + ("#" + " " * 13 + "G#") + "#" * 16 * 12


def lines(text: str) -> list[Line]:
    return [Line(number, part) for number, part in enumerate(text.split("\n"), 1)]


def records(text: str, source: str = "f") -> list[Puzzle | InvalidPuzzle]:
    return list(read(lines(text), source))


def seen(text: str) -> list[str]:
    """Puzzles as lines, bad ones as "!"."""
    return [format_line(r.question) if isinstance(r, Puzzle) else "!" for r in records(text)]


ONE = {  # every text holds GRID once
    "grid": GRID,
    "dots": GRID.replace(" ", "."),
    "blocks": GRID.replace("#", "█"),
    "exit": GRID.replace("G", "E"),
    "from A to B": GRID.replace("S", "A").replace("G", "B"),
    "lower case": GRID.lower(),
    "digits": GRID.replace("#", "1").replace(" ", "0"),
    "all at once": GRID.replace("#", "1", 3).replace("#", "█", 3).replace(" ", "0", 2),
    "solved": SOLVED,
    "empty lines around": f"\n\n{GRID}\n\n",
    "stray spaces around": f"  \n{GRID}\n        ",
    "line": WRITTEN,
    "solved line": ANSWER,
    "csv": f"source,question,answer,rating\nx,{WRITTEN},{ANSWER},3",
    "csv without answers": f"id,maze\n1,{WRITTEN}",
    "csv, empty answer": f"question,answer\n{WRITTEN},",
    "csv of one column": f"question\n{WRITTEN}",
    "tsv, quoted": f'name\tPuzzle\n"a\tb"\t"{WRITTEN}"',
}


@pytest.mark.parametrize("text", ONE.values(), ids=ONE)
def test_shapes(text):
    (record,) = records(text)
    assert isinstance(record, Puzzle), record
    assert format_line(record.question) == WRITTEN
    assert record.question.dtype == np.uint8 and record.question.shape == (5, 6)


@pytest.mark.parametrize("first", ONE)
def test_any_two_shapes_in_one_file(first):
    for second in ONE:
        assert seen(ONE[first] + "\n\n" + ONE[second]) == [WRITTEN] * 2, second


def slashed(text: str) -> str:
    """A square maze on a line as it is written."""
    side = int(len(text) ** 0.5)
    return "/".join(text[at : at + side] for at in range(0, len(text), side))


@pytest.mark.parametrize("text", [SMALL, LONG, " S  G    "])
def test_square_mazes_on_a_line(text):
    (record,) = records(text)
    written = slashed(text)
    assert (record.style, format_line(record.question)) == ("line", written)
    side = int(len(text) ** 0.5)
    assert record.question.shape == (side, side)
    assert seen("\n".join([text] * 3)) == [written] * 3
    assert seen(f"question,answer\n{text},\n{text},{text}") == [written] * 2


@pytest.mark.parametrize(
    "pairs",
    [
        {"#": "##", " ": "  ", "S": "S ", "G": "G "},
        {"#": "##", " ": "..", "S": ".S", "G": "G."},
        {"#": "██", " ": "  ", "S": " S", "G": " G"},
        {"#": "##", " ": "  ", "S": "SS", "G": "GG"},
    ],
    ids=lambda pairs: "".join(pairs.values()),
)
@pytest.mark.parametrize("indent", [0, 3])
def test_a_maze_drawn_two_characters_wide(pairs, indent):
    text = "\n".join(" " * indent + "".join(pairs[mark] for mark in row) for row in GRID.split("\n"))
    assert seen(text) == [WRITTEN]


def test_two_characters_a_cell_or_walls_two_thick():
    assert "two readings explain these rows: 3x5" in records("##########\n##S....G##\n##########")[0].message
    rows = ["#..#.#.", "S.#.#..", ".#..G#.", "#.#.#.#", ".#..#.."]  # without a border the walls are the evidence
    assert seen("\n".join("".join({"#": "##", ".": ".."}.get(mark, mark + ".") for mark in row) for row in rows)) == [
        "/".join(rows).replace(".", " ")
    ]


@pytest.mark.parametrize("text", ["######\n#S.G.#\n##..##\n######", "S....G\n######\n######"])
def test_pairs_of_walls_alone_make_no_maze_of_two_characters_a_cell(text):
    assert seen(text) == [text.replace(".", " ").replace("\n", "/")]


def test_nine_columns_whose_row_could_be_a_maze():
    rows = ["#########", SMALL.replace(" ", "#", 1), "#########"]
    assert seen("\n".join(rows)) == ["/".join(rows)]
    assert seen("\n".join([rows[1], *rows])) == [
        slashed(rows[1]),
        "!",
        slashed(rows[1]),
        "!",
    ]  # two starts: mazes on lines


@pytest.mark.parametrize("text", ["#####\n>   #\n# > ###\n####", '["/", "#", "/", "/", "#", "#", "#", "#", "S"]'])
def test_damaged_mazes_are_refused(text):
    assert all(isinstance(record, InvalidPuzzle) for record in records(text))


def test_rows_of_floor():
    rows = ["     ", "#S  #", "     ", "#  G#", "     "]
    maze = "/".join(rows)
    assert seen("\n".join(rows)) == [maze]
    assert seen("\n".join([*rows, "", *rows, "   ", *rows])) == [maze] * 3
    assert seen("\n".join(["   ", *rows])) == [maze]
    assert seen("\n".join(["", "     ", "", *rows, ""])) == [maze]


def test_a_first_column_of_floor_may_be_indentation():
    rows = ["     ", " S   ", "     ", "   G ", "     "]
    (record,) = records("\n".join(rows))
    assert "two readings explain these rows" in record.message and "write floor as ." in record.message
    assert seen("\n".join(rows).replace(" ", ".")) == ["/".join(rows)]


def test_source_style_and_solution():
    full, without = records(f"id,question,answer\n1,{WRITTEN},{ANSWER}\n\n2,{WRITTEN},", "-")
    assert (full.source, full.style, format_line(full.solution)) == ("stdin:2", "csv", ANSWER)
    assert (without.source, without.style, without.solution) == ("stdin:4", "csv", None)
    grid, plain, small = records(f"\n{SOLVED}\n\n{WRITTEN}\n{SMALL}\n", "some folder/a file.txt")
    assert (grid.source, grid.style, format_line(grid.solution)) == ("some folder/a file.txt:2", "grid", ANSWER)
    assert (plain.source, plain.style, plain.solution) == ("some folder/a file.txt:8", "line", None)
    assert (small.source, small.style) == ("some folder/a file.txt:9", "line")


def test_a_drawn_path_is_floor_of_the_question():
    (record,) = records(SOLVED)
    assert PATH not in record.question and (record.solution == PATH).sum() == 6
    (table,) = records(f"question\n{ANSWER}".replace("question", "id,question").replace("\n", "\n1,"))
    assert np.array_equal(table.question, record.question) and np.array_equal(table.solution, record.solution)


def test_sizes_from_the_smallest_to_the_largest():
    smallest, largest = "S  \n   \n  G", ["." * 255 for _ in range(255)]
    largest[0], largest[254] = "S" + largest[0][1:], largest[254][:-1] + "G"
    assert seen(smallest) == [smallest.replace("\n", "/")]
    for text in ("\n".join(largest), "/".join(largest), "".join(largest)):
        (record,) = records(text)
        assert record.question.shape == (255, 255)
        assert (record.question[0, 0], record.question[254, 254]) == (START, GOAL)


@pytest.mark.parametrize("name", ["dev", "train"])
def test_maze_hard(shared, name):
    puzzles = list(read(open_lines(shared / "data" / "maze" / f"maze_hard_{name}.csv"), name))
    assert len(puzzles) in (500, 1000) and all(isinstance(record, Puzzle) for record in puzzles)
    assert all(record.question.shape == (30, 30) and (record.solution == PATH).sum() > 100 for record in puzzles)


def block(*rows: str) -> str:
    return "\n".join(rows)


BAD = [
    (block("#####", "#S S#", "#  G#"), "f:2", "two starts, r2c2 and r2c4; expected one S (or A) and one G"),
    (block("#####", "#S G#", "#  E#"), "f:3", "two goals, r2c4 and r3c4; expected one S"),
    (block("#SSSS", "#SG  ", "#  E#"), "f:1", "5 starts, r1c2, r1c3, r1c4, r1c5 and 1 more; two goals, r2c3 and r3c4"),
    (block("#####", "#S  #", "#####"), "f:1", "no goal; expected one S (or A) and one G (or E, B)"),
    (block("#####", "#  G#", "#####"), "f:1", "no start; expected"),
    (block("#####", "#   #", "#####"), "f:1", "no start; no goal; expected"),
    (block("#####", "#####", "#####"), "f:1", "walls only; expected # for wall, a space or . for floor, S"),
    (block("#####", "#S", "#  G#"), "f:2", "row 2 has 2 cells, the others have 5; write floor as . where spaces"),
    (block("#####", "#S", "#  G", "#####"), "f:2", "row 2 (and 1 more) has 2 cells, the others have 5"),
    (block("#####", "#S G#", "#   ##"), "f:3", "row 3 has 6 cells, the others have 5"),
    (block("#####", "#S G#", "#?  #"), "f:3", "'?' in row 3, column 2; expected # for wall"),
    (
        block("+--+--+", "|S |  |", "+- +--+", "|  | G|", "+--+--+"),
        "f:3",
        "'-' in row 3, column 2; expected # for wall",
    ),
    (block("#####", "#S\tG#", "#   #"), "f:2", "U+0009 in row 2, column 3"),
    (block("#####", "#S\ufffdG#", "#   #"), "f:2", "a byte that is not UTF-8 in row 2, column 3"),
    (block("#####", "#/S G", "#####"), "f:2", "'/' in row 2, column 2"),
    (block("S    ", "    G"), "f:1", "2 rows of 5 cells; the smallest maze is 3x3"),
    (block("S ", "  ", " G"), "f:1", "3 rows of 2 cells; the smallest maze is 3x3"),
    ("S   G", "f:1", "5 characters; on one line a maze has side*side characters, 9 at least, or its rows joined by /"),
    ("S  G", "f:1", "4 characters; on one line"),
    (LONG[:-1], "f:1", "255 characters; on one line"),
    (LONG + "#", "f:1", "257 characters; on one line"),
    (LONG.replace("S", "G"), "f:1", "no start; two goals, r2c2 and r4c15"),
    (LONG.replace("G", " "), "f:1", "no goal"),
    (WRITTEN.replace("/#  #", "/#  "), "f:1", "row 3 has 5 cells, the others have 6"),
    (WRITTEN.replace("S", "*"), "f:1", "'*' in row 2, column 2"),
    ("//", "f:1", "3 rows of 0 cells; the smallest maze is 3x3"),
    ("id,question\n7,#####", "f:2", "question: 5 characters; on one line"),
    ("id,question\n7,", "f:2", "question: 0 characters; on one line"),
    ("id,x,question\n7,8", "f:2", "a row of 2 fields; the question is field 3"),
    (
        f"question,answer\n{WRITTEN},{ANSWER.replace('/#oooo', '/##ooo')}",
        "f:2",
        "answer: r4c2 is wall, in the question",
    ),
    (f"question,answer\n{WRITTEN},{ANSWER.replace('######', 'oooooo')}", "f:2", "r1c1 is path, in the question it is"),
    (f"question,answer\n{WRITTEN},{ANSWER.replace('######', 'oooooo')}", "f:2", "wall (and 11 more cells differ)"),
    (f"question,answer\n{WRITTEN},{SMALL}", "f:2", "answer: it is 3x3, the question 5x6"),
    (f"question,answer\n{WRITTEN},{ANSWER.replace('S', 'o')}", "f:2", "answer: no start"),
    ("hello there", "f:1", "'h' in row 1, column 1"),
    ("", "f", "holds no puzzle; expected grids of # and spaces"),
    ("\n  \n\t\n   \n   \n", "f", "holds no puzzle"),
]


@pytest.mark.parametrize(("text", "source", "message"), BAD, ids=[message[:40] for _, _, message in BAD])
def test_bad_records(text, source, message):
    (record,) = records(text)
    assert isinstance(record, InvalidPuzzle)
    assert record.source == source
    assert message in record.message
    assert "\n" not in record.message and len(record.text) <= 100 and (record.text + "x").isprintable()


@pytest.mark.parametrize("text", [text for text, source, _ in BAD if source != "f"])
@pytest.mark.parametrize("good", [GRID, WRITTEN, SMALL, LONG, f"question,answer\n{WRITTEN},{ANSWER}"])
def test_a_bad_record_spoils_only_itself(good, text):
    (want,) = seen(good)
    bad = [] if text == "hello there" else ["!"]  # text around mazes
    assert seen("\n\n".join([good, text, good])) == [want, *bad, want]


@pytest.mark.parametrize("good", [SMALL, LONG, WRITTEN])
@pytest.mark.parametrize(
    "damage", [lambda t: t[:-1], lambda t: t + "#", lambda t: t.replace("S", " "), lambda t: "x" + t[1:]]
)
def test_a_bad_line_spoils_only_itself(good, damage):
    bad = damage(good)
    (want,) = seen(good)
    assert seen("\n".join([good, bad, good, bad])) == [want, "!", want, "!"]
    assert seen("\n".join([bad, good])) == ["!", want]


# -- too large ----------------------------------------------------------------------------------------------------


def test_memory_grows_with_the_cells():
    assert memory(30, 30) * 4 == memory(60, 60) > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n".join(["#" * 9] * 256), "this one at least 256 rows of 9 cells"),
        ("#" * 1000, "neither S nor G among 1,000 characters, too many for a row; a maze has at most 255 rows of 255"),
        (
            "\n".join(["." * 1000, "." * 999 + "S", *["." * 1000] * 998, "." * 999 + "G"]),
            "1,000 rows of 1,000 cells (4,000 MB to solve) is too large",
        ),
        ("S" + "#" * 89_998 + "G", "this one at least 300 rows of 300 cells"),
        ("/".join(["S" + "." * 299, "." * 300, "G" + "." * 299]), "this one at least 3 rows of 300 cells"),
        ("." * (LINE_LIMIT + 1), "a line of more than 1,048,576 characters; a maze has at most 255 rows of 255"),
    ],
)
def test_mazes_beyond_the_limit_are_one_bad_record_each(text, message):
    first, second = records(f"{text}\n\n{GRID}")
    assert isinstance(first, InvalidPuzzle) and first.source == "f:1"
    assert message in first.message and "MB to solve" in first.message
    assert format_line(second.question) == WRITTEN


def test_a_grid_without_end_is_refused_while_it_is_read():
    fed = 0

    def endless():
        nonlocal fed
        while True:
            fed += 1
            yield Line(fed, "#" * 20)

    assert isinstance(next(read(endless(), "-")), InvalidPuzzle)
    assert fed == 256


@pytest.mark.parametrize("width", [100, 1000])
def test_a_grid_of_megabytes_is_not_kept(width):
    tracemalloc.start()
    try:
        puzzles = list(read((Line(number, "#" * width) for number in range(1, 20_000_000 // (10 * width))), "-"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [type(record) for record in puzzles] == [InvalidPuzzle]
    assert peak < 2_000_000


# -- streams ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [GRID + "\n", WRITTEN, LONG, f"id,question\n1,{WRITTEN}", f"{SMALL}\n{SMALL}"])
def test_a_maze_comes_as_soon_as_it_is_complete(text):
    fed = []

    def slowly():
        for one in lines(text):
            fed.append(one)
            yield one
        raise AssertionError("asked for more than the maze needs")

    assert isinstance(next(read(slowly(), "-")), Puzzle)
    assert len(fed) == len(lines(text))


MARKS = st.sampled_from(
    [*'## ..SGo01█EAB/,\tx"\n\n\n\x00�╔', "\n\n", "#####\n", "question,answer\n", SMALL, WRITTEN, GRID]
)


@settings(max_examples=200, deadline=None, database=None)
@given(st.one_of(st.text(max_size=200), st.lists(MARKS, max_size=60).map("".join)))
def test_whatever_comes_in_records_come_out(text):
    puzzles = records(text)
    assert puzzles
    for record in puzzles:
        if isinstance(record, InvalidPuzzle):
            assert record.message and "\n" not in record.message and len(record.text) <= 100
        else:
            height, width = record.question.shape
            assert min(height, width) >= 3 and record.question.dtype == np.uint8
            assert [(record.question == cell).sum() for cell in (START, GOAL, PATH)] == [1, 1, 0]
            assert record.style in ("grid", "line", "csv")
            if record.solution is not None:
                differs = record.solution != record.question
                assert (record.solution[differs] == PATH).all()
