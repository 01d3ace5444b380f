"""Puzzles as people paste them: from a terminal, a program, a forum, a mail, LaTeX, in other scripts. Each text holds
one puzzle."""

from __future__ import annotations

import pytest

from tasks.reading.test_formats import GRID, MAZE, ROWS, question
from trmsolve.tasks import get
from trmsolve.tasks.reading.lines import FENCE, clean

ZEROS = [row.replace(".", "0") for row in ROWS]
DOTS = [row.replace(" ", ".") for row in MAZE]
LINES = "\n".join(ROWS)
SPACED = "\n".join(" ".join(row) for row in ROWS)
CELLS = [[cell.replace(".", " ") for cell in row] for row in ROWS]


def in_script(zero: int, blank: str) -> str:
    """The grid with the digits that begin at a code point."""
    return "\n".join("".join(chr(zero + int(c)) if c != "0" else blank for c in row) for row in ZEROS)


SUDOKU = {
    "bold digits of a terminal": "\n".join("".join(f"\x1b[1m{cell}\x1b[0m" for cell in row) for row in ROWS),
    "colour around the grid": f"\x1b[32m{LINES}\x1b[0m",
    "text of several lines": f'puzzle = """\n{LINES}\n"""',
    "text of several lines, begun on the first": f'puzzle = """{LINES}"""',
    "text of several lines, code below": f"grid = '''\n{SPACED}\n'''.strip()\nsolve(grid)\nprint(grid)",
    "argument of several lines": f'solve("""\n{LINES}\n""")',
    "template of JavaScript": f"const puzzle = `\n{LINES}\n`;",
    "texts that are added": "p = '' \\\n" + " + \\\n".join(f"  '{row}'" for row in ZEROS),
    "texts in C": "const char *p =\n" + "\n".join(f'    "{row}"' for row in ZEROS) + ";",
    "LaTeX, sudoku": "\\begin{sudoku}\n" + "\n".join("|" + "|".join(row) + "|." for row in CELLS) + "\n\\end{sudoku}",
    "LaTeX, tabular": "\\begin{tabular}{|c|c|c|c|c|c|c|c|c|}\n\\hline\n"
    + "\n".join(" & ".join(row) + " \\\\ \\hline" for row in CELLS)
    + "\n\\end{tabular}",
    "LaTeX, matrix": "\\[\\begin{pmatrix}\n"
    + " \\\\\n".join(" & ".join(row) for row in ZEROS)
    + "\n\\end{pmatrix}\\]",
    "forum": f"Stuck here\n[code]\n{SPACED}\n[/code]\nany hint?",
    "forum, tags beside the grid": f"[code]{LINES}[/code]",
    "a quoted quotation": "\n".join(f">> {' '.join(row)}" for row in ROWS),
    "a mail": f"On Monday Bob wrote:\n> Try this one\n>\n{chr(10).join('> ' + row for row in ROWS)}\n>\n> Bob",
    "R, printed": "      " + " ".join(f"[,{n}]" for n in range(1, 10)) + "\n"
    + "\n".join(f" [{n},]    " + "    ".join(row) for n, row in enumerate(ZEROS, 1)),
    "Arabic": in_script(0x660, "."),
    "Devanagari": in_script(0x966, "\u0966"),
    "full width": in_script(0xFF10, "．"),
    "circled": in_script(0x245F, "○"),
    "Chinese": "\n".join("".join("〇一二三四五六七八九"[int(cell)] for cell in row) for row in ZEROS),
    "grep -n": "\n".join(f"puzzle.txt:{n}:{row}" for n, row in enumerate(ROWS, 1)),
    "a diff": "@@ -0,0 +1,9 @@\n" + "\n".join(f"+{row}" for row in ROWS),
    "a list": "\n".join(f"- {row}" for row in ZEROS),
    "named rows": "\n".join(f"Row {n}: {' '.join(row)}" for n, row in enumerate(ROWS, 1)),
    "rows of settings": "\n".join(f"row{n} = {row}" for n, row in enumerate(ZEROS, 1)),
    "inline code": "\n".join(f"`{row}`" for row in ROWS),
    "bold cells of markdown": "|" * 10 + "\n|" + "-|" * 9 + "\n"
    + "\n".join("|" + "|".join(f"**{c}**" if c != "." else " " for c in row) + "|" for row in ROWS),
    "bullets for blanks": LINES.replace(".", "•"),
    "braille blanks": LINES.replace(".", "\u2800"),
    "long dashes": LINES.replace(".", "–"),
    "a sheet with empty columns": "\n".join(f",{','.join(row)},,," for row in ZEROS),
    "a sheet with a title": "Sudoku 12,,,,,,,,\n" + "\n".join(",".join(row) for row in CELLS).replace(" ", ""),
    "floats between tabs": "\n".join("\t".join(f"{cell}.00" for cell in row) for row in ZEROS),
    "floats between spaces": "\n".join(" ".join(f"{cell}.0" for cell in row) for row in ZEROS),
    "wiki": '{| class="wikitable"\n' + "\n".join("|-\n| " + " || ".join(row) for row in CELLS) + "\n|}",
    "rows joined by /": "/".join(ROWS),
    "rows joined by /, named": "Puzzle: " + "/".join(ZEROS) + " (hard)",
}  # fmt: skip


@pytest.mark.parametrize("text", SUDOKU.values(), ids=SUDOKU)
def test_sudoku(text):
    assert question("sudoku", text).tolist() == GRID


WORDS = {"#": "wall", " ": "path", "S": "start", "G": "end"}
WIDE = str.maketrans("# SG", "＃\u3000ＳＧ")
MAZES = {
    "bars beside the rows": "\n".join(f"|{row}|" for row in MAZE),
    "full width": "\n".join(MAZE).translate(WIDE),
    "markdown, empty head": "|" + "|".join([" "] * 7) + "|\n|" + "|".join(["-"] * 7) + "|\n"
    + "\n".join("| " + " | ".join(row) + " |" for row in DOTS),
    "markdown, numbers": "| |" + "|".join(map(str, range(7))) + "|\n|" + "|".join(["---"] * 8) + "|\n"
    + "\n".join(f"|{n}| " + " | ".join(row) + " |" for n, row in enumerate(MAZE)),
    "markdown, the first row as head": "\n".join(
        ("|" + "|".join([":-:"] * 7) + "|\n") * (n == 1) + "|" + "|".join(row) + "|" for n, row in enumerate(DOTS)
    ),
    "rows of a Python list": "\n".join("[" + ", ".join(map(repr, row)) + "]," for row in MAZE),
    "text of several lines": 'maze = """\n' + "\n".join(MAZE) + '\n"""',
    "text of several lines, begun on the first": 'maze = """' + "\n".join(MAZE) + '"""',
    "template of JavaScript": "const maze = `\n" + "\n".join(MAZE) + "\n`;",
    "forum": "[code]\n" + "\n".join(MAZE) + "\n[/code]",
    "a mail": "Bob wrote:\n" + "\n".join(f"> {row}" for row in MAZE),
    "numbers and bars": "\n".join(f"{n:>3} | {row}" for n, row in enumerate(MAZE, 1)),
    "colours of a terminal": "\n".join("".join(f"\x1b[44m{cell}\x1b[0m" for cell in row) for row in MAZE),
    "words": str([[WORDS[mark] for mark in row] for row in MAZE]),
    "shades": "\n".join(MAZE).translate(str.maketrans("# ", "▓░")),
    "a list made of a text": 'maze = [list(row) for row in """\n' + "\n".join(MAZE) + '\n""".strip().split("\\n")]',
    "bytes": "[[b'" + "'],\n [b'".join("' b'".join(row) for row in MAZE) + "']]",
    "a program": "int main() {\n  char m[5][8] = {\n" + ",\n".join(f'  "{row}"' for row in MAZE) + "};\n  solve(m);\n}",
    "a text that begins on the next line": "MAZE = '''\\\n" + "\n".join(MAZE) + "'''",
    "LaTeX": "\\begin{verbatim}\n" + "\n".join(MAZE) + "\n\\end{verbatim}",
    "emoji": "\n".join(MAZE).translate(str.maketrans("# SG", "🧱⬜🚶🏁")),
}  # fmt: skip


@pytest.mark.parametrize("text", MAZES.values(), ids=MAZES)
def test_maze(text):
    assert get("maze").format_line(question("maze", text)) == "/".join(MAZE)


@pytest.mark.parametrize("text", ["  # S  ", "`#` is a wall, `.` is floor", "[Puz]", "| 5 | 3 |", '"5 3 . "', "it's 5"])
def test_a_plain_line_stays_as_it_is(text):
    assert clean(text) == text


@pytest.mark.parametrize(
    "text", ['"""', "x = '''", "`", "[/code]", "\\begin{tabular}{|c|c|}", "\\hline", "\\end{sudoku}", '""".strip()']
)
def test_a_line_that_holds_nothing_is_a_fence(text):
    assert clean(text) == FENCE
