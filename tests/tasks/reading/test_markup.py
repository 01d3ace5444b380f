"""Tables and texts of web pages and XML files."""

from __future__ import annotations

import pytest

from tasks.reading.test_formats import ANSWER, GRID, MAZE, QUESTION, ROWS, question, records
from trmsolve.tasks import get
from trmsolve.tasks.base import InvalidPuzzle

ZEROS = [row.replace(".", "0") for row in ROWS]
EMPTY = [[cell.replace(".", "") for cell in row] for row in ROWS]


def tagged(rows: list, row: str, cell: str, end: str = "\n") -> str:
    """Rows and cells between formats with one place each."""
    return end.join(row.format("".join(cell.format(text) for text in one)) for one in rows)


TABLE = "<table>\n" + tagged(EMPTY, "<tr>{}</tr>", "<td>{}</td>") + "\n</table>"
SUDOKU = {
    "table": TABLE,
    "table in a page": f"<!DOCTYPE html>\n<html><head><title>x</title></head><body>\n<p>Today:\n{TABLE}\n</html>",
    "table after text": f"Look at this:\n\n{TABLE}\n\nWhat do you think?",
    "table on one line": TABLE.replace("\n", ""),
    "tags not closed": "<TABLE BORDER=1>\n" + tagged(EMPTY, "<TR>{}", "<TD>{}") + "\n</TABLE>",
    "spaces that do not break": TABLE.replace("<td></td>", "<td>&nbsp;</td>"),
    "bold digits": "<table><tbody>" + tagged(EMPTY, "<tr>{}</tr>", "<td><b>{}</b></td>") + "</tbody></table>",
    "a tag over two lines": TABLE.replace("<table>", '<table\n class="sudoku">'),
    "inputs": "<table>" + tagged(EMPTY, "<tr>{}</tr>", '<td><input maxlength="1" value="{}"></td>') + "</table>",
    "rows in div": '<div class="board">'
    + tagged(EMPTY, '<div class="row">{}</div>', '<span class="cell">{}</span>')
    + "</div>",
    "labels": "<table><tr><th></th>"
    + "".join(f"<th>{n}</th>" for n in range(1, 10))
    + "</tr>"
    + "".join(
        f"<tr><th>{n}</th>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for n, row in enumerate(EMPTY, 1)
    )
    + "</table>",
    "cells in one element": "<div id=grid>" + tagged(EMPTY, "{}", "<div>{}</div>", "") + "</div>",
    "cells with places in data": "<div>"
    + "".join(f'<p data-row="{r}" data-col="{c}">{EMPTY[r][c]}</p>' for r in range(9) for c in range(9))
    + "</div>",
    "coloured code": "<pre><span>x</span> = [\n"
    + tagged(ZEROS, "[{}],", '<span class="mi">{}</span>,').replace(",]", "]")
    + "\n]</pre>",
    "pre": "<pre>\n" + "\n".join(ROWS) + "\n</pre>",
    "lines in a paragraph": "<p>" + "<br>\n".join(ROWS) + "</p>",
    "script": "<html><script>\nfor (i=0; i<n; i++) {}\nvar g = [\n"
    + tagged(ZEROS, "[{}],", "{},").replace(",]", "]")
    + "\n];\n</script></html>",
    "rows of XML": "<sudoku>\n" + "\n".join(f"  <row>{row}</row>" for row in ZEROS) + "\n</sudoku>",
    "cells of XML": "<?xml version='1.0'?>\n<grid>\n" + tagged(ZEROS, "<row>{}</row>", "<cell>{}</cell>") + "\n</grid>",
    "rows as attributes": "<set>\n" + "\n".join(f'<row n="{n}" cells="{r}"/>' for n, r in enumerate(ROWS)) + "\n</set>",
    "cells with places": "<puzzle>\n"
    + "\n".join(
        f'<cell row="{r}" col="{c}" value="{cell}"/>' for r, row in enumerate(ZEROS) for c, cell in enumerate(row)
    )
    + "\n</puzzle>",
    "lists": "<plist><array>" + tagged(ZEROS, "<array>{}</array>", "<integer>{}</integer>") + "</array></plist>",
    "coloured digits": "<p>" + "<br>".join("".join(f"<span>{c}</span>" for c in row) for row in ROWS) + "</p>",
    "text of data": f"<set><game><![CDATA[{QUESTION}]]></game></set>",
}  # fmt: skip


@pytest.mark.parametrize("text", SUDOKU.values(), ids=SUDOKU)
def test_sudoku(text):
    assert question("sudoku", text).tolist() == GRID


MAZES = {
    "table": "<table>" + tagged([row.replace(" ", ".") for row in MAZE], "<tr>{}</tr>", "<td>{}</td>") + "</table>",
    "empty cells": "<table>" + tagged(MAZE, "<tr>{}</tr>", "<td>{}</td>").replace("<td> ", "<td>") + "</table>",
    "pre": "<pre>\n" + "\n".join(MAZE) + "\n</pre>",
    "rows": "<maze>\n" + "\n".join(f"<row>{row.replace(' ', '.')}</row>" for row in MAZE) + "\n</maze>",
}  # fmt: skip


@pytest.mark.parametrize("text", MAZES.values(), ids=MAZES)
def test_maze(text):
    assert get("maze").format_line(question("maze", text)) == "/".join(MAZE)


def test_many_puzzles_with_their_solutions():
    games = f'<game data="{QUESTION}"/>\n' * 700
    puzzles = records("sudoku", f"<set>\n{games}</set>\n{QUESTION}")
    assert [record.question.tolist() for record in puzzles] == [GRID] * 701
    rows = "".join(f"<tr><td>{n}</td><td>{QUESTION}</td><td>easy</td></tr>\n" for n in range(5))
    assert len(records("sudoku", f"<table>{rows}</table>")) == 5
    (record,) = records("sudoku", f"<set>{TABLE.replace('table', 'puzzle')}<solution>{ANSWER}</solution></set>")
    assert record.question.tolist() == GRID and record.solution is not None


BOXES = [
    "".join(ROWS[r + y][c + x] for y in range(3) for x in range(3)).replace(".", "")
    for r in (0, 3, 6)
    for c in (0, 3, 6)
]


@pytest.mark.parametrize(
    "text",
    [
        "<div>" + tagged(BOXES, '<div class="box">{}</div>', "<span>{}</span>") + "</div>",
        "<div>" + tagged(EMPTY, "<div>{}</div>", "<span>{}</span>") + "</div>",
        "<set>" + tagged(ZEROS, "<column>{}</column>", "<cell>{}</cell>") + "</set>",
        "<table>" + "<tr><td>5</td></tr>" * 9 + "</table>",
        "<p>no puzzle</p>",
    ],
)
def test_only_rows_are_rows(text):
    (record,) = records("sudoku", text)
    assert isinstance(record, InvalidPuzzle)


def test_what_only_looks_like_a_tag_is_text():
    rows = "\n".join(ROWS)
    (record,) = records("sudoku", f"<see below>\n\n{rows}\n\n<bob at home>")
    assert record.question.tolist() == GRID


@pytest.mark.parametrize(
    "text", ["<a " * 50_000, "<x>" * 100_000, "<div>\n" * 3000, '<x a="' + "b" * 100_000, "<!--" * 9999]
)
def test_hostile_tags_end(text):
    assert all(isinstance(record, InvalidPuzzle) for record in records("sudoku", text))
