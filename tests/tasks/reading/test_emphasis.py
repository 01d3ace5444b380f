"""Digits that a class, a colour or another script sets off are entries or givens: such a grid is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from trmsolve.tasks import get
from trmsolve.tasks.base import InvalidPuzzle, Line, Puzzle

GIVENS = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
SOLUTION = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"
ENTRIES = range(0, 81, 7)  # the cells that a player has filled in, where they were open
FULL_WIDTH = str.maketrans("123456789", "\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19")
CIRCLED = str.maketrans("123456789", "\u2460\u2461\u2462\u2463\u2464\u2465\u2466\u2467\u2468")


def records(text: str) -> list[Puzzle | InvalidPuzzle]:
    return list(get("sudoku").read([Line(number, line) for number, line in enumerate(text.split("\n"), 1)], "f"))


def rows(given: Callable[..., str], entry: Callable[..., str] | None, blank: str, between: str) -> list[str]:
    """The rows; given and entry make a cell of row, column and digit. Without entry, nothing is filled in."""

    def cell(at: int) -> str:
        place = divmod(at, 9)
        if GIVENS[at] != ".":
            return given(*place, GIVENS[at])
        return entry(*place, SOLUTION[at]) if entry is not None and at in ENTRIES else blank

    return [between.join(cell(9 * row + column) for column in range(9)) for row in range(9)]


def html(given: str, entry: str) -> str:
    lines = rows(lambda r, c, digit: given.format(digit), lambda r, c, digit: entry.format(digit), "<td></td>", "")
    return "<table>" + "\n".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


@pytest.mark.parametrize(
    ("given", "entry"),
    [
        ('<td class="given">{}</td>', '<td class="entry">{}</td>'),
        ("<td>{}</td>", '<td class="cell user">{}</td>'),
        ("<td><b>{}</b></td>", "<td>{}</td>"),
        ("<td>{}</td>", '<td><font color="blue">{}</font></td>'),
        ('<td style="top:3px;color:black">{}</td>', '<td style="top:3px;color:blue">{}</td>'),
        ('<td><input readonly value="{}"></td>', '<td><input value="{}"></td>'),
        ('<td data-given="1">{}</td>', '<td data-given="0">{}</td>'),
        ("<td>{}</td>", "<td><span>{}</span></td>"),
        ('<td data-cell-id="{0}">{0}</td>', '<td data-cell-id="{0}" class="user">{0}</td>'),
    ],
)
def test_a_table_whose_entries_look_different_is_refused(given, entry):
    (record,) = records(html(given, entry))
    assert isinstance(record, InvalidPuzzle) and "some digits are set off, as" in record.message


@pytest.mark.parametrize(
    ("given", "entry", "between"),
    [
        ("\x1b[1m{}\x1b[0m", "{}", " "),
        ("{}", "\x1b[34m{}\x1b[0m", " "),
        ("\x1b[31m{}\x1b[0m", "\x1b[34m{}\x1b[0m", ""),
        ("\\textbf{{{}}}", "{}", " & "),
        ("{}", "\\textcolor{{blue}}{{{}}}", " & "),
    ],
)
def test_rows_whose_entries_look_different_are_refused(given, entry, between):
    lines = rows(
        lambda r, c, d: given.format(d), lambda r, c, d: entry.format(d), "." if between != " & " else "", between
    )
    (record,) = records("\n".join(line + " \\\\" * (between == " & ") for line in lines))
    assert isinstance(record, InvalidPuzzle) and "some digits are marked" in record.message


@pytest.mark.parametrize("script", [FULL_WIDTH, CIRCLED])
def test_rows_in_two_scripts_are_refused(script):
    (record,) = records("\n".join(rows(lambda r, c, d: d.translate(script), lambda r, c, d: d, ".", " ")))
    assert isinstance(record, InvalidPuzzle) and "some digits are marked" in record.message


@pytest.mark.parametrize(
    "cell",
    [
        lambda r, c, digit: f'<td class="given">{digit}</td>',
        lambda r, c, digit: (
            f'<td id="c{r}{c}" class="cell r{r} c{c}" title="row {r}: {digit}" onclick="f({c})">{digit}</td>'
        ),
        lambda r, c, digit: f'<td class="{"dark" if (r // 3 + c // 3) % 2 else ""}">{digit}</td>',
        lambda r, c, digit: f'<td class="{"right" if c % 3 == 2 else ""} {"below" if r % 3 == 2 else ""}">{digit}</td>',
        lambda r, c, digit: f'<td style="left:{40 * c}px;top:{40 * r}px">{digit}</td>',
        lambda r, c, digit: f'<td class="digit{digit} {"abcdefghi"[int(digit) - 1]}">{digit}</td>',
        lambda r, c, digit: f'<td data-cell-id="{9 * r + c}" ng-reflect-index="{9 * r + c}">{digit}</td>',
        lambda r, c, digit: f'<td style="grid-area: {r + 1} / {c + 1}">{digit}</td>',
        lambda r, c, digit: f'<td style="transform: translate({40 * c}px, {40 * r}px)">{digit}</td>',
        lambda r, c, digit: f'<td class="{"rim" if r in (0, 8) or c in (0, 8) else ""}">{digit}</td>',
    ],
)
def test_a_look_that_depends_on_place_or_digit_sets_nothing_off(cell):
    lines = rows(cell, None, "<td></td>", "")
    (record,) = records("<table>" + "\n".join(f"<tr>{line}</tr>" for line in lines) + "</table>")
    assert isinstance(record, Puzzle) and get("sudoku").format_line(record.question) == GIVENS


def test_a_grid_in_one_colour_is_read():
    (record,) = records("\n".join(rows(lambda r, c, d: f"\x1b[1m{d}\x1b[0m", None, ".", " ")))
    assert isinstance(record, Puzzle) and get("sudoku").format_line(record.question) == GIVENS
