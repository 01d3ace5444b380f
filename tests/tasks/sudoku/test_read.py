"""The reader: every shape of puzzle people have, every way to damage one, and that the neighbours survive."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trmsolve.tasks.base import InvalidPuzzle, Line, Puzzle
from trmsolve.tasks.sudoku import TASK
from trmsolve.tasks.sudoku.read import read
from trmsolve.tasks.sudoku.rules import BOX, conflicts
from trmsolve.tasks.sudoku.write import format_line, framed_grid
from trmsolve.text_io import LINE_LIMIT

FUZZ = int(os.environ.get("TRMSOLVE_FUZZ", "1000"))  # inputs in all; 100000 is the long form
P9 = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
A9 = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"
P4 = "1..4..1.2..3.4.."
P6 = "1.3.5..5.1.3." + "." * 23
P16 = ("1.3.5.7.9.B.D.F." + "." * 16) + "." * 224
ROWS = [P9[start : start + 9] for start in range(0, 81, 9)]
GRID = "\n".join(ROWS)


def lines(text: str) -> list[Line]:
    return [Line(number, part) for number, part in enumerate(text.split("\n"), 1)]


def records(text: str, source: str = "f") -> list[Puzzle | InvalidPuzzle]:
    return list(read(lines(text), source))


def seen(text: str) -> list[str]:
    """Puzzles as lines, bad ones as "!"."""
    return [format_line(r.question) if isinstance(r, Puzzle) else "!" for r in records(text)]


def spaced(between: str, blank: str = ".") -> str:
    return "\n".join(between.join(blank if c == "." else c for c in row) for row in ROWS)


def drawn(boxes: str = "|", blank: str = ".", rule: str = "------+-------+------") -> str:
    rows = [f" {boxes} ".join(" ".join(row[c : c + 3]) for c in (0, 3, 6)).replace(".", blank) for row in ROWS]
    return "\n".join([*rows[:3], rule, *rows[3:6], rule, *rows[6:]])


SS = "\n".join("|".join(row[c : c + 3] for c in (0, 3, 6)) + "\n---" * (i in (2, 5)) for i, row in enumerate(ROWS))
CELLS = "\n".join("| " + " | ".join(row.replace(".", " ")) + " |\n" + "+---" * 9 + "+" for row in ROWS)
SPACES = "\n".join(
    "│ " + " │ ".join(" ".join(row[c : c + 3]) for c in (0, 3, 6)).replace(".", " ") + " │" for row in ROWS
)
BANDS = "\n\n".join("\n".join(ROWS[start : start + 3]) for start in (0, 3, 6))

ONE = {  # every text holds P9 once
    "line": P9,
    "zeros": P9.replace(".", "0"),
    "underscores": P9.replace(".", "_"),
    "stars": P9.replace(".", "*"),
    "dashes": P9.replace(".", "-"),
    "mixed blanks": P9.replace("..", ".0"),
    "spaces for blanks": P9.replace(".", " "),
    "rating behind": P9 + " 9.1",
    "comment behind": P9 + "#hard",
    "name behind": P9 + "\tEaster Monster; 9.9",
    "number before": "1: " + P9,
    "indented": "  " + P9 + "  ",
    "quoted": f'"{P9}",',
    "81 values": ",".join(P9),
    "81 spaced values": " ".join(P9.replace(".", "0")),
    "groups of nine": " ".join(ROWS),
    "bars in a line": "|".join(ROWS),
    "nine lines": GRID,
    "nine lines of dashes": GRID.replace(".", "-"),
    "nine lines of spaces": GRID.replace(".", " "),
    "spaced": spaced(" "),
    "wide": spaced("   "),
    "tabs": spaced("\t", "0"),
    "tabs, empty": spaced("\t", ""),
    "commas": spaced(","),
    "commas, empty": spaced(",", ""),
    "commas and spaces": spaced(", ", "0"),
    "semicolons, empty": spaced(";", ""),
    "program": "[" + ",\n ".join("[" + ", ".join(row.replace(".", "0")) + "]" for row in ROWS) + "]",
    "strings": "\n".join(f'"{row}",' for row in ROWS),
    "drawn": drawn(),
    "drawn, dashes for blanks": drawn(blank="-"),
    "drawn with bare rules": drawn(rule="---------------------"),
    "nine-dash rules": drawn(rule="---------"),
    "rules of equals": drawn(rule="=========="),
    "ss": SS.replace("---", "-----------"),
    "ss, nine dashes": SS.replace("---", "---------"),
    "ss, rules with plus": SS.replace("---", "---+---+---"),
    "simple sudoku": " *-----------*\n"
    + "\n".join(f" |{row[:3]}|{row[3:6]}|{row[6:]}|" for row in ROWS)
    + "\n *-----------*",
    "cell frames": CELLS,
    "bars, spaces for blanks": SPACES,
    "box drawing": framed_grid(np.array([0 if c == "." else int(c) for c in P9]).reshape(9, 9)),
    "bands": BANDS,
    "every other line": "\n\n".join(ROWS),
    "dotted frame": ".-------.-------.-------.\n"
    + drawn(rule=":-------+-------+-------:")
    + "\n'-------'-------'-------'",
    "sdk": "#ARuud\n#DRandom\n[Puzzle]\n" + GRID,
    "sdk with state": "[Puzzle]\n" + GRID + "\n[State]\n" + "\n".join(A9[s : s + 9] for s in range(0, 81, 9)),
    "title": "Grid 01\n" + GRID.replace(".", "0"),
    "prose title": "My favourite one\n\n" + GRID,
    "trailer": GRID + "\nSimple Sudoku\n Version 4.2n\n",
    "comments": "# a\n; b\n" + ROWS[0] + " # the first\n# c\n" + "\n".join(ROWS[1:]),
    "underlined title": "Puzzle\n---------\n" + GRID,
    "count first": "1\n" + P9,
    "csv": "source,question,answer,rating\nx," + P9 + "," + A9 + ",3",
    "csv quoted": 'id,"Puzzle"\n1,"' + P9 + '"',
    "kaggle": "quizzes,solutions\n" + P9.replace(".", "0") + "," + A9,
    "tsv": "name\tsudoku\nx\t" + P9,
    "semicolon csv": "puzzle;solution\n" + P9 + ";",
    "csv of one column": "question\n" + P9,
    "csv without header": "1," + P9 + "," + A9,
    "csv, spaces for blanks": "id,puzzle\n1," + P9.replace(".", " "),
    "csv after comment": "# from a friend\n\nquestion,answer\n" + P9 + "," + A9,
    "csv, spaced": "id, question\n1, " + P9,
    "carriage returns left": P9 + "\r",
}


@pytest.mark.parametrize("text", ONE.values(), ids=ONE)
def test_shapes(text):
    (record,) = records(text)
    assert isinstance(record, Puzzle), record
    assert format_line(record.question) == P9
    assert record.question.dtype == np.uint8 and record.question.shape == (9, 9)


@pytest.mark.parametrize("first", ONE)
def test_any_two_shapes_in_one_file(first):
    for second in ONE:
        if (first == "sdk with state" and not second.startswith("sdk")) or second == "count first":
            continue  # what follows [State] belongs to it; a count stands on the first line
        assert seen(ONE[first] + "\n\n" + ONE[second]) == [P9, P9], second


@pytest.mark.parametrize(
    "name", [n for n in ONE if n not in ("sdk with state", "count first", "every other line", "bands")]
)
def test_puzzles_just_following_one_another(name):
    assert seen("\n".join([ONE[name]] * 3)) == [P9] * 3


@pytest.mark.parametrize(
    ("text", "question"),
    [
        (P4, P4),
        ("1..4\n..1.\n2..3\n.4..", P4),
        ("1.|.4\n..|1.\n--+--\n2.|.3\n.4|..", P4),
        ("1  4\n  1 \n2  3\n 4  ", P4),
        (f"{P4},1234341221434321", P4),
        (P4 + "\n" + "................", None),
        (P6, P6),
        ("1.3.5.\n.5.1.3" + "\n......" * 4, P6),
        ("1.3|.5.\n.5.|1.3\n---+---" + "\n...|..." * 2 + "\n---+---" + "\n...|..." * 2, P6),
        (P16, P16),
        (P16.lower(), P16),
        ("\n".join(P16[s : s + 16] for s in range(0, 256, 16)), P16),
        (
            "\n".join(
                " ".join(P16[s : s + 16]).replace("B", "11").replace("D", "13").replace("F", "15")
                for s in range(0, 256, 16)
            ),
            P16,
        ),
    ],
)
def test_sizes(text, question):
    assert seen(text) == ([question] if question else [P4, "." * 16])


def test_sixteen_columns_whose_first_rows_look_like_4x4():
    rows = ["1..4............", "." * 16, "..2............3", "..............G."] + ["." * 16] * 12
    assert seen("\n".join(rows)) == ["".join(rows)]
    assert seen("\n".join(rows[:3])) == list(rows[:3])


def test_a_wrong_4x4_line_spoils_only_itself():
    assert seen("\n".join([P4, P4[:-1], P4, "5" + P4[1:], P4, "x" + P4[1:], P4])) == [P4, "!", P4, "!", P4, "!", P4]
    assert seen("\n".join(["5" + P4[1:], P4, P4])) == ["!", P4, P4]


def test_hexadecimal_zero_is_the_sixteenth_digit_only_where_nothing_else_makes_sense():
    assert seen("0F" + "." * 254) == ["GF" + "." * 254]
    assert seen("0F0" + "." * 253) == [".F." + "." * 253]  # twice in a row: they are blanks
    assert seen("0FG" + "." * 253) == [".FG" + "." * 253]
    assert seen("1" + "0" * 255) == ["1" + "." * 255]


def test_source_style_and_solution():
    csv = "source,question,answer,rating\nx," + P9 + "," + A9 + ",3\nx," + P9 + ",,0"
    full, without = records(csv, "-")
    assert (full.source, full.style, format_line(full.solution)) == ("stdin:2", "csv", A9)
    assert without.solution is None and without.source == "stdin:3"
    title, plain = records("Grid 01\n" + GRID + "\n\n" + P9, "folder/some file.txt")
    assert (title.source, title.style) == ("folder/some file.txt:2", "grid")
    assert (plain.source, plain.style, plain.solution) == ("folder/some file.txt:12", "line", None)


BAD = [
    (P9[:-2], "f:1", "79 characters; a puzzle line has 81 (or 16, 36, 64, 144, 256, 625)"),
    (P9 + "12", "f:1", "83 characters"),
    (P9[:20], "f:1", "20 characters; a puzzle line has 81"),
    ("x" + P9[1:], "f:1", "'x' in column 1; expected 1-9 or a blank"),
    (P9[:40] + "\ufffd" + P9[41:], "f:1", "a byte that is not UTF-8 in column 41"),
    (P9[:40] + "\x00" + P9[41:], "f:1", "U+0000 in column 41"),
    ("  " + P9[:40] + "\x1b" + P9[41:], "f:1", "U+001B in column 43"),
    ("A" + P9[1:], "f:1", "row 1 holds A, a 9x9 grid knows 1-9"),
    ("1234\n3415\n....\n....", "f:2", "row 2 holds 5, a 4x4 grid knows 1-4"),
    ("1.3.5.\n.7.1.3" + "\n......" * 4, "f:2", "row 2 holds 7, a 6x6 grid knows 1-6"),
    ("H" + "." * 255, "f:1", "'H' in column 1; expected 1-9 A-G"),
    (".......5.........5" + "." * 63, "f:1", "box 3 holds 5 twice, row 1 column 8 and row 2 column 9"),
    ("." * 18 + ".5....5.." + "." * 54, "f:1", "row 3 holds 5 twice, columns 2 and 7"),
    ("\n".join(["." * 9] * 2 + [".5....5.."] + ["." * 9] * 6), "f:1", "row 3 holds 5 twice, columns 2 and 7"),
    ("5........" + "." * 63 + "5........", "f:1", "column 1 holds 5 twice, rows 1 and 9"),
    ("\n".join([*ROWS[:3], ROWS[3][:-1], *ROWS[4:]]), "f:4", "row 4 has 8 cells, expected 9"),
    ("\n".join([*ROWS[:3], ROWS[3] + "1", *ROWS[4:]]), "f:4", "row 4 has 10 cells, expected 9"),
    ("\n".join([*ROWS[:3], "x" + ROWS[3][1:], *ROWS[4:]]), "f:4", "row 4 holds 'x' in column 1; expected 1-9 or"),
    ("\n".join(ROWS[:6]), "f:1", "the grid ends after 6 rows, expected 9"),
    ("\n".join(["..."] * 3), "f:1", "rows of 3 cells; a grid has 4, 6, 8, 9, 12, 16 or 25"),
    ("." * (LINE_LIMIT + 1), "f:1", "a line of more than 1,048,576 characters"),
    ("not a puzzle", "f:1", "no puzzle: 'n' in column 1; a puzzle line has 81"),
    ("id,question\n7," + P9[:-2], "f:2", "79 characters"),
    ("id,question\n7," + "x" + P9[1:], "f:2", "'x' in column 3"),
    ("id,x,question\n7,8", "f:2", "a row of 2 fields; the question is field 3"),
    ("", "f", "holds no puzzle"),
    ("\n \n# only a comment\n----------\n", "f", "holds no puzzle"),
]


@pytest.mark.parametrize(("text", "source", "message"), BAD, ids=[message[:40] for _, _, message in BAD])
def test_bad_records(text, source, message):
    (record,) = records(text)
    assert isinstance(record, InvalidPuzzle)
    assert record.source == source
    assert message in record.message
    assert "\n" not in record.message and len(record.text) <= 100 and (record.text + "x").isprintable()


@pytest.mark.parametrize("joint", ["\n", "\n\n"])
@pytest.mark.parametrize("text", [text for text, source, _ in BAD if source != "f" and "question" not in text])
@pytest.mark.parametrize("good", [P9, GRID, "question,answer\n" + P9 + "," + A9], ids=["line", "grid", "csv"])
def test_a_bad_record_spoils_only_itself(good, text, joint):
    if good == GRID and joint == "\n" and len(text.split("\n")[-1]) < 26 and text != "not a puzzle":
        pytest.skip("rows that follow rows belong to them: a blank line is what tells grids apart")
    if good == P9 and joint == "\n" and text.startswith("...\n"):
        pytest.skip("three lines that are no rows of any grid, among lines: three records")
    if text == "not a puzzle" and (good == GRID or joint == "\n\n"):
        assert seen(joint.join([good, text, good])) == [P9, P9]  # text around puzzles, but not within a list
        return
    assert seen(joint.join([good, text, good])) == [P9, "!", P9]


def test_found_by_fuzzing():
    assert seen("1...............") == ["1..............."]  # not a number that counts the puzzles
    assert seen("1...\n....\n....\n....") == ["1..............."]
    mixed = SS.replace("---", "---------").replace(".6.|...|28.", "-6.|...|28.")
    assert seen(mixed) == [P9]  # one dash among dots makes no rows of the rules
    few = np.zeros((16, 16), np.uint8)
    few[0, 0] = 1
    assert seen(framed_grid(few)) == ["1" + "." * 255] and seen(P4 + "\n" + framed_grid(few)) == [
        P4,
        "1" + "." * 255,
    ]  # bars: rows
    solid = [A9[start : start + 9] for start in range(0, 81, 9)]
    late = "\n".join([*solid[:4], "---------", *solid[4:8], "---------", solid[8].replace("1", "-")])
    assert seen(late) == ["!"]  # eleven rows, if a dash is a blank


def test_prose_around_grids_is_left_out_and_within_a_list_of_lines_is_a_bad_record():
    assert seen(f"garbage\n{GRID}\nmore garbage\n{P9}\n<html>\n2024-01-05") == [P9, P9, "!", "!"]
    assert seen(f"Grid 7\n{P9}\nEasy:\n{P9}\nSudoku No. 3\n{P9}") == [P9] * 3
    assert seen("only words\n\nand more of them") == ["!"]


def test_a_grid_cut_off_after_a_band_does_not_swallow_the_next():
    assert seen("\n".join(ROWS[:3]) + "\n\n" + GRID) == ["!", P9]
    assert seen("\n".join(ROWS[:6]) + "\n\n" + GRID) == ["!", P9]
    assert seen(ROWS[0] + "\n\n" + GRID + "\n\n" + GRID) == ["!", P9, P9]
    assert seen("Grid 1\n" + "\n".join(ROWS[:5]) + "\nGrid 2\n" + GRID) == ["!", P9]


@pytest.mark.parametrize("text", [P9, GRID, drawn(), "question,answer\n" + P9 + "," + A9, P4[:15] + "2"])
def test_first_puzzle_comes_before_the_input_ends(text):
    fed = []

    def slowly():
        for one in lines(text):
            fed.append(one)
            yield one
        raise AssertionError("asked for more than the puzzle needs")

    assert isinstance(next(read(slowly(), "-")), Puzzle)
    assert len(fed) == len(lines(text))


def test_a_stream_is_not_kept():
    count = sum(isinstance(record, Puzzle) for record in read((Line(n, P9) for n in range(20_000)), "-"))
    assert count == 20_000


# -- fuzz: whatever comes in, records come out --------------------------------------------------------------------

FUZZING = settings(
    max_examples=max(1, FUZZ // 4), deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
VALID = [*ONE.values(), P4 + "\n" + P4, P6, P16, "\n".join(P16[s : s + 16] for s in range(0, 256, 16))]
MARKS = st.sampled_from(
    [*list("0123456789ABGHx.-_*| ,;#\"'[]+=\t\n\n\n\r\x00�│─┌é:"), "\n\n", "[State]", "puzzle,", "Grid 1"]
)


def judge(text: str) -> None:
    for record in read(lines(text), "fuzz"):
        if isinstance(record, InvalidPuzzle):
            assert record.message and "\n" not in record.message and len(record.text) <= 100
        else:
            side = len(record.question)
            assert record.question.shape == (side, side) and side in BOX
            assert record.question.dtype == np.uint8 and record.question.max() <= side
            assert record.style in ("line", "grid", "csv") and not conflicts(record.question)
            assert record.solution is None or record.solution.min() >= 1


@FUZZING
@given(st.text(max_size=400))
def test_fuzz_any_text(text):
    judge(text)


@FUZZING
@given(st.lists(MARKS, max_size=300).map("".join))
def test_fuzz_puzzle_like_text(text):
    judge(text)


@st.composite
def damaged(draw) -> str:
    """Valid files one after another, then a few pieces removed, doubled, replaced or moved."""
    text = draw(st.sampled_from(["\n", "\n\n"])).join(draw(st.lists(st.sampled_from(VALID), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, max(0, len(text) - 1)))
        end = start + draw(st.integers(0, 30))
        piece = draw(st.one_of(MARKS, st.just(""), st.just(text[start:end] * 2), st.text(max_size=3)))
        text = text[:start] + piece + text[end:]
    return text


@FUZZING
@given(damaged())
def test_fuzz_damaged_files(text):
    judge(text)


@settings(parent=FUZZING)
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(BOX)), st.sampled_from(["grid", "ascii", "line", "csv"]))
def test_fuzz_what_is_written_is_read_back(seed, side, style):
    rng = np.random.default_rng(seed)
    values = np.zeros((side, side), np.uint8)
    for cell in rng.permutation(side * side)[: rng.integers(0, side * side)]:
        trial = values.copy()
        trial.flat[cell] = rng.integers(1, side + 1)
        values = values if conflicts(trial) else trial
    text = TASK.write(Puzzle(values), values, style.replace("ascii", "grid"), ascii_only=style == "ascii")
    records = list(read(lines(text), "-"))
    assert len(records) == 1 and isinstance(records[0], Puzzle), records
    assert np.array_equal(records[0].question, values)


def test_text_after_a_line_that_is_no_puzzle_is_no_heading():
    dots = "." * 25  # a row of a 25x25 grid, were there more of them
    assert seen(f"{dots}\nthis is no puzzle\n{P6}") == ["!", "!", P6]
    assert seen(f"{P6}\n{dots}\n{dots}1\n{P6}") == [P6, "!", "!", P6]


@pytest.mark.parametrize("lines", [2, 3, 4])
def test_cells_of_several_lines_are_no_rows(lines):
    rule = "+---" * 9 + "+"
    cells = ["|" + "|".join(f" {cell} ".replace(".", " ") for cell in row) + "|" for row in ROWS]
    text = "\n".join("\n".join([rule, *["|   " * 9 + "|"] * (lines - 1), row]) for row in cells) + "\n" + rule
    assert all(isinstance(record, InvalidPuzzle) for record in records(text))
