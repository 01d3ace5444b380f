"""Files as people hold them: documents, tables, links, code. Each text holds one puzzle, whose value is checked."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from trmsolve.tasks import get
from trmsolve.tasks.base import InvalidPuzzle, Line, Puzzle
from trmsolve.tasks.sudoku.rules import box_shape
from trmsolve.text_io import open_lines

QUESTION = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
ANSWER = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"
GRID = [list(map(int, row.replace(".", "0"))) for row in (QUESTION[at : at + 9] for at in range(0, 81, 9))]
ROWS = [QUESTION[at : at + 9] for at in range(0, 81, 9)]
MAZE = ["#######", "#S    #", "# ### #", "#   #G#", "#######"]
NUMBERS = [[{"#": 1, " ": 0, "S": 2, "G": 3}[mark] for mark in row] for row in MAZE]


def records(task: str, text: str) -> list[Puzzle | InvalidPuzzle]:
    return list(get(task).read([Line(n, part) for n, part in enumerate(text.split("\n"), 1)], "f"))


def question(task: str, text: str) -> np.ndarray:
    """The grid of the only puzzle that the text holds."""
    (record,) = records(task, text)
    assert isinstance(record, Puzzle), record
    return record.question


def csv(rows: list[list], between: str = ",") -> str:
    return "\n".join(between.join(map(str, row)) for row in rows)


NULLS = [[cell or None for cell in row] for row in GRID]
MINUS = [[cell or -1 for cell in row] for row in GRID]
FLOATS = [[f"{cell}.0" if cell else "" for cell in row] for row in GRID]
C_ROWS = ",\n".join("{" + ", ".join(map(str, row)) + "}" for row in GRID)

SUDOKU = {
    "json matrix": json.dumps(GRID),
    "json matrix over lines": json.dumps(GRID, indent=2),
    "json null": json.dumps(NULLS),
    "json object": json.dumps({"id": 3, "board": GRID}),
    "json nested object": json.dumps({"data": {"grids": [{"value": GRID, "difficulty": "Hard"}]}}),
    "json text": json.dumps({"puzzle": QUESTION, "rating": 3.5}),
    "json rows as texts": json.dumps({"grid": ROWS}),
    "json text of lines": json.dumps({"question": "Solve this:\n" + "\n".join(" ".join(row) for row in ROWS)}),
    "json flat": json.dumps([cell for row in GRID for cell in row]),
    "python": "grid = " + repr(NULLS),
    "a list on one line": repr(ROWS),
    "python dictionary": repr({"board": GRID, "level": "hard"}),
    "python string": f"puzzle = '{QUESTION}'",
    "numpy": "board = np.array([" + ",\n".join(map(repr, GRID)) + "])",
    "c": "int grid[9][9] = {\n" + C_ROWS + "\n};",
    "javascript": "const board = [\n" + "\n".join(f"  [{', '.join(map(str, row))}], // row" for row in GRID) + "\n];",
    "csv of question marks": csv([[cell or "?" for cell in row] for row in GRID]),
    "csv of -1": csv(MINUS, ", "),
    "csv of floats": csv(FLOATS),
    "csv with index": csv([["", *range(9)], *([n, *row] for n, row in enumerate(FLOATS))]),
    "x for blanks": QUESTION.replace(".", "x"),
    "hashes for blanks": QUESTION.replace(".", "#"),
    "link": f"https://example.org/sudoku.htm?bd={QUESTION.replace('.', '0')}&mode=1",
    "library": f":0000:x:{QUESTION}:::",
    "labels": "   A B C  D E F  G H I\n" + "\n".join(f"{n} " + " ".join(row) for n, row in enumerate(ROWS, 1)),
    "numbered lines": "\n".join(f"{n:6}\t{row}" for n, row in enumerate(ROWS, 1)),
    "quoted mail": "\n".join("> " + " ".join(row) for row in ROWS),
    "fence": "Here:\n\n```text\n" + "\n".join(ROWS) + "\n```\n\nThat was it.",
    "keycaps": "\n".join("".join("⬜" if c == "." else f"{c}\ufe0f\u20e3" for c in row) for row in ROWS),
    "yaml": f'puzzles:\n  - "{QUESTION}"',
    "yaml object": f"- question: {QUESTION}\n  level: hard",
    "xml": f'<?xml version="1.0"?>\n<set>\n <name>a</name>\n <game data="{QUESTION.replace(".", "0")}" />\n</set>',
    "csv, other names": f"puzzle_id,initial_board,rows\nabc,{QUESTION},9",
    "csv of lines": 'question\n"Solve it:\n' + "\n".join(" ".join(row) for row in ROWS) + '"',
}


@pytest.mark.parametrize("text", SUDOKU.values(), ids=SUDOKU)
def test_sudoku(text):
    (record,) = records("sudoku", text)
    assert isinstance(record, Puzzle), record
    assert record.question.tolist() == GRID and record.solution is None


SOLVED = {
    "bar": f"{QUESTION}|{ANSWER}",
    "space": f"{QUESTION} {ANSWER}",
    "answer first": f"{ANSWER},{QUESTION}",
    "json": json.dumps({"puzzle": QUESTION, "solution": ANSWER}),
    "own record": json.dumps({"task": "sudoku", "source": "x:1", "puzzle": QUESTION, "answer": ANSWER, "solved": True}),
    "own array": json.dumps([{"task": "sudoku", "puzzle": QUESTION, "answer": ANSWER, "solved": True}], indent=2),
    "yaml": f"- question: {QUESTION}\n  answer: {ANSWER}",
    "xml": f"<!DOCTYPE set>\n<set><values>{QUESTION}</values>\n<solution>{ANSWER}</solution></set>",
    "columns": f"id,initial_board,solution\n1,{QUESTION},{ANSWER}",
}


@pytest.mark.parametrize("text", SOLVED.values(), ids=SOLVED)
def test_a_solution_is_kept_apart_from_the_question(text):
    (record,) = records("sudoku", text)
    assert record.question.tolist() == GRID
    assert "".join(map(str, record.solution.reshape(-1))) == ANSWER


MAZES = {
    "json": json.dumps(NUMBERS),
    "json object": json.dumps({"maze": MAZE}),
    "a list on one line": repr(MAZE),
    "printed array": str(np.array(NUMBERS)),
    "python strings": "maze = [\n" + "\n".join(f'    "{row}",' for row in MAZE) + "\n]",
    "commas": csv(NUMBERS),
    "spaces": "\n".join(" ".join(row.replace(" ", ".")) for row in MAZE),
    "tabs": "\n".join("\t".join(row) for row in MAZE),
    "X walls": "\n".join(MAZE).replace("#", "X"),
    "underscores": "\n".join(MAZE).replace(" ", "_"),
    "finish": "\n".join(MAZE).replace("G", "F"),
    "frozen lake": "\n".join(MAZE).replace("#", "H").replace(" ", "F"),
    "title": "Maze 1\n" + "\n".join(MAZE),
    "title and blank": "Maze 1\n\n" + "\n".join(MAZE),
    "size": "5 7\n" + "\n".join(MAZE),
    "indented": "\n".join("    " + row for row in MAZE),
    "crosses on the way": "\n".join(MAZE).replace("#S    #", "#S++++#").replace("# ### #", "# ###+#"),
    "legend": "From 'q' (start) to '2' (goal):\n\n```\n"
    + "\n".join(MAZE).translate(str.maketrans("# SG", ")6q2"))
    + "\n```\nLegend: ')' = Wall, '6' = Passage\n\nHow many steps?",
}


@pytest.mark.parametrize("text", MAZES.values(), ids=MAZES)
def test_maze(text):
    assert get("maze").format_line(question("maze", text)) == "/".join(MAZE)


def test_walls_as_lines():
    (record,) = records("maze", "+---+---+\n| S     |\n+   +---+\n|     G |\n+---+---+")
    assert get("maze").format_line(record.question) == "#####/#S  #/# ###/#  G#/#####"
    (record,) = records("maze", "┌───┬─┐\n⇨   │ │\n│ ╷ ╵ ⇨\n└─┴───┘")
    assert get("maze").format_line(record.question) == "#######/S   # #/# # # G/#######"


def test_openings_are_the_ends():
    (record,) = records("maze", "# #####\n#     #\n### # #\n#   # #\n##### #")
    assert get("maze").format_line(record.question).startswith("#S##")
    assert "openings r1c2 and r5c6" in record.warnings[0]


def test_two_puzzles_on_a_line_are_both_read_and_a_damaged_one_is_reported():
    other = QUESTION[::-1]
    first, second = records("sudoku", f"{QUESTION} {other}")
    assert (
        first.question.tolist() == GRID
        and second.question.reshape(-1).tolist() == [cell for row in GRID for cell in row][::-1]
    )
    first, second = records("sudoku", f"{QUESTION} {other[:-1]}")
    assert first.question.tolist() == GRID and "80 characters beside a puzzle" in second.message


def test_separators_are_no_cells_and_both_readings_are_named_where_both_fit():
    (record,) = records("maze", "S . .\n# # #\n. . G")
    assert record.question.shape == (3, 3)
    (record,) = records("maze", "S # #\n# # #\n# # G")
    assert "two readings explain these rows: 3x5 (plain) and 3x3" in record.message


TALL = ["12|34|56", "34|56|12", "56|12|34", "--+--+--", "21|43|65", "43|65|21", "65|21|4."]
BLANK = ["..|..|..", "..|..|..", "..|..|1.", "--+--+--", "..|..|..", "..|..|..", "..|..|.."]
ROWS_OF_TALL = [row.replace("|", "") for row in TALL if "-" not in row]


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("\n".join(TALL), (3, 2)),
        ("\n".join(ROWS_OF_TALL), (3, 2)),  # wide boxes would hold a digit twice
        ("".join(ROWS_OF_TALL), (3, 2)),
        (json.dumps({"puzzle": "".join(ROWS_OF_TALL)}), (3, 2)),
        ("." * 36 + "," + "".join(ROWS_OF_TALL).replace(".", "3"), (3, 2)),  # the answer tells
        ("\n".join(BLANK), (3, 2)),  # the frame tells
        ("\n".join(row for row in BLANK if "-" not in row), (3, 2)),  # the bars tell
        ("......\n......\n....1.\n\n......\n......\n......", (3, 2)),  # the blank line tells
        ("." * 36, (2, 3)),
        ("." * 64, (2, 4)),
        ("." * 144, (3, 4)),
    ],
)
def test_boxes_that_are_not_square(text, shape):
    (record,) = records("sudoku", text)
    assert isinstance(record, Puzzle), record
    assert box_shape(record.question) == shape


def test_a_bad_record_of_a_document_spoils_only_itself():
    good = json.dumps({"puzzle": QUESTION})
    puzzles = records("sudoku", "\n".join([good, good[:50], good, json.dumps({"puzzle": "12"}), good]))
    assert [isinstance(record, Puzzle) for record in puzzles] == [True, False, True, False, True]
    assert [record.source for record in puzzles] == [f"f:{number}" for number in range(1, 6)]
    (maze, puzzle) = records("sudoku", json.dumps({"task": "maze", "puzzle": "S/G"}) + "\n" + good)
    assert "a record of the task 'maze'" in maze.message and isinstance(puzzle, Puzzle)


def test_lists_and_lines_come_before_the_input_ends():
    for text in ("[\n" + json.dumps({"puzzle": QUESTION}) + ",\n", json.dumps({"puzzle": QUESTION}) + "\n"):

        def slowly(text: str = text):
            yield from (Line(n, part) for n, part in enumerate(text.split("\n")[:-1], 1))
            raise AssertionError("asked for more than the puzzle needs")

        assert isinstance(next(get("sudoku").read(slowly(), "-")), Puzzle)


def test_hostile_documents():
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]"
    xml = f'<!DOCTYPE a [<!ENTITY e "{QUESTION}">]>\n<set>&e;</set>'
    for text in (bomb, xml, "[" * 100_000, '{"a":' * 50_000, "- " * 5000 + "1"):
        assert all(isinstance(record, InvalidPuzzle) for record in records("sudoku", text))


def test_arrays_and_gzip(tmp_path):
    grid = np.array(GRID, np.uint8)
    answer = np.array(list(map(int, ANSWER))).reshape(9, 9)
    np.save(tmp_path / "one.npy", grid)
    np.save(tmp_path / "many.npy", np.stack([grid, grid]).reshape(2, 81))
    np.savez(tmp_path / "pairs.npz", question=grid[None], answer=answer[None])
    (tmp_path / "lines.txt.gz").write_bytes(gzip.compress(f"{QUESTION}\n{QUESTION}\n".encode()))
    for name, count in (("one.npy", 1), ("many.npy", 2), ("pairs.npz", 1), ("lines.txt.gz", 2)):
        puzzles = list(get("sudoku").read(open_lines(tmp_path / name), name))
        assert [record.question.tolist() for record in puzzles] == [GRID] * count
        assert (puzzles[0].solution is not None) == (name == "pairs.npz")


def test_damaged_and_hostile_containers(tmp_path):
    from trmsolve.errors import InputError

    objects = tmp_path / "objects.npy"
    np.save(objects, np.array([{"a": 1}], object), allow_pickle=True)
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(QUESTION.encode() * 100)[:-20])
    bomb = tmp_path / "bomb.gz"
    bomb.write_bytes(gzip.compress(b"0" * (1 << 26)))
    for path in (objects, cut, bomb):
        with pytest.raises(InputError):
            list(open_lines(path))


def test_objects_on_one_line():
    """A list of objects that begins and ends on one line: each is a record, and one without a puzzle says so."""
    first, second = records("sudoku", json.dumps([{"puzzle": QUESTION}, {"puzzle": ANSWER}]))
    assert first.question.tolist() == GRID and second.question.all()
    without = records("sudoku", json.dumps([{"a": 1}, {"b": 2}]))
    assert len(without) == 2 and all("an object with the keys" in record.message for record in without)
    (short,) = records("sudoku", json.dumps([{"r": 0, "c": 0, "v": 5}, {"r": 0, "c": 1, "v": 3}]))
    assert "a list of 2, each an object with the keys r, c, v" in short.message
