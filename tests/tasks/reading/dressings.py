"""Random puzzles in random regular dress: separators, frames, labels, headings, indentation, as people write them."""

from __future__ import annotations

import numpy as np

from trmsolve.tasks.sudoku.rules import BOX, TallGrid, box_shape
from trmsolve.tasks.sudoku.symbols import symbol

SEPARATORS = ["", " ", "  ", ",", ", ", ";", "; ", "\t", "|", " | "]
BLANKS = [".", ".", "0", "0", "_", "*", "-", "?", "x", "X", "null", "None", "nan", "-1", "", " "]
LABELS = ["", "", "", "1", "0", "A", "a", "r1", "R1", "1:", "1.", "1)", "row 1"]
PROSE = ["Grid 01", "My favourite one", "Solve this puzzle:", "```", "Puzzle 3", "hard", "Easter Monster"]


def sudoku(rng: np.random.Generator) -> np.ndarray:
    """A question, uint8 (side, side), without duplicates: a permuted complete grid with a share of its cells blank."""
    side = int(rng.choice([4, 6, 8, 9, 9, 9, 9, 12, 16, 25]))
    height, width = BOX[side]
    if is_tall := bool(rng.random() < 0.3 and height != width):
        height, width = width, height
    rows, columns = np.indices((side, side))
    grid = (rows * width + rows // height + columns) % side
    bands = np.concatenate([rng.permutation(height) + height * band for band in rng.permutation(side // height)])
    stacks = np.concatenate([rng.permutation(width) + width * stack for stack in rng.permutation(side // width)])
    grid = rng.permutation(side)[grid[bands][:, stacks]] + 1
    question = np.where(rng.random(grid.shape) < rng.choice([0.1, 0.4, 0.7, 0.7, 0.85]), 0, grid).astype(np.uint8)
    return question.view(TallGrid) if is_tall else question


def labels(kind: str, count: int) -> list[str]:
    """Labels 1 to count, or 0 to count - 1, or A to ...; in the form of `kind`."""
    if kind in ("A", "a"):
        return [chr(ord(kind) + at) for at in range(count)]
    first = int("1" in kind)
    return [kind.replace(str(first), str(first + at)) for at in range(count)]


def dressed_sudoku(rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """A question and a text that shows it."""
    grid = sudoku(rng)
    if rng.random() < 0.12:
        return grid, markdown(rng, grid)
    return grid, typed(rng, grid)


def markdown(rng: np.random.Generator, grid: np.ndarray) -> str:
    """A markdown table, with an empty or numbered head, or the first row as its head."""
    side = len(grid)
    blank = str(rng.choice([" ", ".", "0", "-"]))
    rows = [[symbol(value) if value else blank for value in row] for row in grid.tolist()]
    head = str(rng.choice(["none", "empty", "1", "A", "0"]))
    with_labels = bool(rng.random() < 0.3) and head != "none"
    if with_labels:
        rows = [[label, *row] for label, row in zip(labels(str(rng.choice(["1", "A", "r1"])), side), rows, strict=True)]
    if head != "none":
        names = [" "] * side if head == "empty" else labels(head, side)
        rows.insert(0, [" "] * with_labels + names)
    align = str(rng.choice(["---", ":-:", ":--", "--:", " --- ", "-"]))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "|".join([align] * len(rows[0])) + "|")
    return "\n".join(lines)


def typed(rng: np.random.Generator, grid: np.ndarray) -> str:
    """Rows of cells with everything that may stand between and around them."""
    side = len(grid)
    height, width = box_shape(grid)
    between, blank = str(rng.choice(SEPARATORS)), str(rng.choice(BLANKS))
    explicit = between.strip() != "" or between == "\t"
    if len(blank) > 1 and between == "":
        blank = "."
    if blank == "" and not explicit:
        blank = " "
    as_numbers = side > 9 and between != "" and rng.random() < 0.5
    suffix = ".0" if between not in ("", "|") and rng.random() < 0.1 and blank in ("", "null", "nan") else ""
    name = str if as_numbers or suffix else symbol
    rows = [[name(value) + suffix if value else blank for value in row] for row in grid.tolist()]
    bar = str(rng.choice(["", "|", " | ", " │ ", "  "])) if between in ("", " ") else ""
    left, top = str(rng.choice(LABELS)), str(rng.choice(["", "", "", "1", "0", "A", "c1", "C1"]))
    if rng.random() < 0.5:
        left = top = ""
    if top and not left and rng.random() < 0.5:
        top = ""
    lines = []
    for row in rows:
        if bar:
            boxes = [between.join(row[at : at + width]) for at in range(0, side, width)]
            lines.append(bar.join(boxes))
        else:
            lines.append(between.join(row))
    framed = rng.random() < 0.4 and (bar.strip() or "|" in between)
    if framed:
        edge = bar.strip() or "|"
        lines = [f"{edge} {line} {edge}" if bar != "|" else f"{edge}{line}{edge}" for line in lines]
    length = max(map(len, lines))
    if left:
        gap = between if explicit and not framed else " "
        lines = [f"{label}{gap}{line}" for label, line in zip(labels(left, side), lines, strict=True)]
    rule = str(rng.choice(["", "", "-", "=", "+--", "─"])) * (1 if bar or framed else 0)
    if rule:
        drawn = {"-": "-" * (length + (length in BOX)), "=": "=" * length}.get(rule, (rule * length)[:length])
        drawn += "+" if rule == "+--" else ""
        out = [drawn] if framed else []
        for at, line in enumerate(lines):
            out += [drawn] if at and at % height == 0 else []
            out.append(line)
        lines = out + ([drawn] if framed else [])
    elif rng.random() < 0.15:
        lines = [line for at, line in enumerate(lines) for line in ([""] if at and at % height == 0 else []) + [line]]
    if top:
        names = labels(top, side)
        gap = between if explicit and not framed else between or " "
        head = gap.join(names)
        lines.insert(0, (gap if left and explicit and not framed else "   " if left else "") + head)
    if rng.random() < 0.1:
        lines = [line.rstrip(" ") for line in lines]
    if rng.random() < 0.25:
        indent = str(rng.choice([" ", "  ", "    ", "> "]))
        lines = [indent + line if line else line for line in lines]
    if not (left or top or bar or rule) and rng.random() < 0.1:
        lines = [f'"{line}",' if line.strip() else line for line in lines]
    if rng.random() < 0.2:
        lines = [str(rng.choice(PROSE)), *[""] * int(rng.integers(2)), *lines]
    if rng.random() < 0.2:
        lines += ["" for _ in range(int(rng.integers(2)))] + [str(rng.choice(PROSE))]
    return "\n".join(lines)


def maze(rng: np.random.Generator) -> np.ndarray:
    """A maze, uint8 (height, width): 0 wall, 1 floor, 2 start, 3 goal; with a closed border or without."""
    height, width = (int(number) for number in rng.integers(3, 14, 2))
    grid = (rng.random((height, width)) > rng.choice([0.0, 0.2, 0.4, 0.7])).astype(np.uint8)
    inside = np.ones(grid.shape, bool)
    if min(height, width) > 4 and rng.random() < 0.7:
        grid[[0, -1]] = grid[:, [0, -1]] = 0
        inside[[0, -1]] = inside[:, [0, -1]] = False
    start, goal = rng.choice(np.flatnonzero(inside), 2, replace=False)
    grid.flat[start], grid.flat[goal] = 2, 3
    return grid


ALPHABETS = [
    "# SG",
    "#.SG",
    "#.SE",
    "█ SG",
    "10SG",
    "1023",
    "X SG",
    "#_SG",
    "#-SG",
    "@.SG",
    "#.AB",
    "# SF",
    "#.ST",
    "■ SG",
]


def dressed_maze(rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """A maze and a text that shows it."""
    grid = maze(rng)
    height, width = grid.shape
    marks = str(rng.choice(ALPHABETS))
    between = str(rng.choice(["", "", "", " ", "  ", ",", ", ", ";", "\t", "|", " | "]))
    rows = [[marks[cell] for cell in row] for row in grid.tolist()]
    left, top = (str(rng.choice(["", "", "", "", "1", "0", "A", "r1"])) for _ in range(2))
    lines = [between.join(row) for row in rows]
    if left:
        lines = [f"{label}{between or ' '}{line}" for label, line in zip(labels(left, height), lines, strict=True)]
    if top:
        lines.insert(0, (between or " ") * bool(left) + between.join(labels(top, width)))
    if not left and not top and rng.random() < 0.1:
        length = len(lines[0])
        lines = ["+" + "-" * length + "+", *(f"|{line}|" for line in lines), "+" + "-" * length + "+"]
    if rng.random() < 0.25:
        indent = " " * int(rng.integers(1, 6))
        lines = [indent + line for line in lines]
    if rng.random() < 0.1:
        lines = [line + "  " for line in lines]
    if rng.random() < 0.1:
        stripped = [line.rstrip(" ") for line in lines]
        if all(map(str.strip, lines)) and max(map(len, stripped)) == max(map(len, lines)):  # no row or column is lost
            lines = stripped
    if rng.random() < 0.1:
        lines = [f'"{line}",' if line else line for line in lines]
    if rng.random() < 0.2:
        prose = str(rng.choice(["Maze 1", "A small maze", f"{height} {width}", f"{height}x{width}", "```"]))
        lines = [prose, *[""] * int(rng.integers(2)), *lines]
    if rng.random() < 0.2:
        lines += ["" for _ in range(int(rng.integers(2)))] + [str(rng.choice(["The end of it.", "```", "Good luck!"]))]
    return grid, "\n".join(lines)


def document(rng: np.random.Generator, rows: list[list[str]]) -> str:
    """Rows of cells in a document or a program: brackets, tags, LaTeX, with text around it."""
    quote = str(rng.choice(["", '"', "'"])) if all(len(cell) for row in rows for cell in row) else '"'
    if not all(cell.isdigit() for row in rows for cell in row):
        quote = quote or '"'
    cells = [[f"{quote}{cell}{quote}" for cell in row] for row in rows]
    between = str(rng.choice([", ", ",", " "])) if quote == "" else ", "
    end = str(rng.choice(["\n", ",\n", ", "])) if between == " " else str(rng.choice([",\n", ", ", ",\n\n"]))
    name = str(
        rng.choice(["", "grid = ", "int g[9][9] = ", "let x: [[u8; 9]; 9] = ", "$g = ", "val g = ", "board := [][]int"])
    )
    lines = [between.join(row) for row in cells]
    kind = str(rng.choice(["brackets", "braces", "call", "rows", "html", "xml", "latex", "text", "flat"]))
    if kind == "brackets":
        text = f"{name}[" + str(rng.choice(["", "\n"])) + end.join(f"[{line}]" for line in lines) + "]"
    elif kind == "braces":
        text = f"{name or 'a = '}{{" + end.join(f"{{{line}}}" for line in lines) + "};"
    elif kind == "call":
        inner = str(rng.choice(["array", "c", "List.of", "vec!", "intArrayOf"]))
        text = f"{name or 'x = '}list(" + end.join(f"{inner}({line})" for line in lines) + ")"
    elif kind == "rows":
        text = "M = [" + str(rng.choice(["; ", ";\n", ";...\n"])).join(lines) + "];"
    elif kind in ("html", "xml"):
        row, cell = ("tr", "td") if kind == "html" else ("row", "cell")
        close = bool(rng.random() < 0.7) or kind == "xml"
        tags = ["".join(f"<{cell}>{one}" + f"</{cell}>" * close for one in line) for line in rows]
        text = "<table>\n" + "\n".join(f"<{row}>{line}" + f"</{row}>" * close for line in tags) + "\n</table>"
    elif kind == "latex":
        body = " \\\\ \\hline\n".join(" & ".join(row) for row in rows)
        text = "\\begin{tabular}{" + "c" * len(rows[0]) + "}\n" + body + " \\\\\n\\end{tabular}"
    elif kind == "text":
        mark = str(rng.choice(['"""', "'''", "`"]))
        text = f"{name or 'p = '}{mark}" + str(rng.choice(["", "\n"])) + "\n".join(map("".join, rows)) + f"\n{mark}"
    else:
        text = f"{name}[" + end.join(lines) + "]"
    if rng.random() < 0.2:
        text = "Look at this:\n\n" + text
    return text + ("\n\nThanks!" if rng.random() < 0.2 else "")


def sudoku_document(rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """A question and a document that holds it."""
    grid = sudoku(rng)
    blank = str(rng.choice([".", "0", "0", "0", "_", ""]))
    as_number = len(grid) > 9 and rng.random() < 0.3
    name = str if as_number else symbol
    rows = [[name(value) if value else blank or ("." if as_number else " ") for value in row] for row in grid.tolist()]
    return grid, document(rng, rows)


def maze_document(rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """A maze and a document that holds it."""
    grid = maze(rng)
    marks = str(rng.choice(["# SG", "#.SG", "1023", "1023", "#.AB", "█ SG"]))
    return grid, document(rng, [[marks[cell] for cell in row] for row in grid.tolist()])
