"""Literals of programs as nested lists, whatever the language: brackets, calls, keys, rows between `;`, `|` or lines.

    parse("c(c(5, 3), c(0, 7))")  ->  [[["5", "3"], ["0", "7"]]]
    parse("[5 3; 0 7]")           ->  [[["5", "3"], ["0", "7"]]]
    parse("{'puzzle': '5.3'}")    ->  [{"puzzle": "5.3"}]

Scalars stay the texts they were; only words for nothing, true and false become values. Names of functions and what
stands beside lists in a call (sizes, types) are left out. A literal that its language stores by columns, or transposes,
is refused.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

_TOKEN = re.compile(
    r"""(?P<string> "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' )
    | (?P<skip> ['@\#]+(?=[\[(]) | //[^\n]* | /\*.*?\*/ | [\#%]\s+[A-Za-z][^\n]* | %w(?=\[) | \.\.\.[ \t]*\n | \\\n )
    | (?P<open> [\[({] )
    | (?P<close> [\])}] )
    | (?P<key> => | := | : | = )
    | (?P<comma> , )
    | (?P<row> [;|] )
    | (?P<line> \n )
    | (?P<word> [^\s\[\](){}"',;:=|]+ )""",
    re.VERBOSE | re.DOTALL,
)
_CALL = re.compile(r"[^\W\d][\w.$]*!?")
_NOTHING = frozenset(("None", "null", "NULL", "nil", "undefined", "NaN", "nan", "np.nan", "math.nan", "NA"))
_TRUTH = {"True": True, "true": True, "TRUE": True, "False": False, "false": False, "FALSE": False}
_BY_COLUMNS = {
    "without byrow=TRUE R": r"(?<![\w.])matrix\s*\(\s*(?:data\s*=\s*)?c\s*\((?![\s\S]*byrow\s*=\s*T)",
    "reshape()": r"(?<![\w.])reshape\s*\(|order\s*=\s*['\"]F",
}
_COLUMNS = re.compile(r"(?i)(?:\b|_)(?:columns|cols|boxes|blocks|regions)\s*(?::[^=]*)?(?:=|<-|:)\s*\W?$")  # boxes = [
_TRANSPOSES = re.compile(r"(?<![\w.])(?:t|transpose|\w+\.transpose|zip)\s*\(\s*")  # before a literal
_TRANSPOSED = re.compile(r"\s*\)*\s*(\.T\b|'|\.transpose)")  # behind it


class _Level:
    """What stands within one pair of brackets so far."""

    def __init__(self, bracket: str = "") -> None:
        self.bracket = bracket  # "call" behind a name
        self.inner = ""  # the bracket of the last list within
        self.values: list[Any] = []
        self.keys: dict[int, str] = {}  # of values, by their index
        self.key: str | None = None
        self.rows: list[int] = []  # how many values stood before each mark between rows
        self.lines: list[int] = []  # and before each end of a line
        self.has_commas = self.after_comma = False

    def add(self, value: Any) -> None:
        if self.key is not None:
            self.keys[len(self.values)] = self.key
            self.key = None
        self.values.append(value)
        self.after_comma = False

    def value(self) -> Any:
        """The values as an object, as rows, or as a list."""
        if self.keys and len(self.keys) == len(self.values):
            return {self.keys[index]: value for index, value in enumerate(self.values)}
        plain = [value for index, value in enumerate(self.values) if index not in self.keys]
        if lists := [value for value in plain if isinstance(value, list | dict) and value]:
            alone = "call" in (self.bracket, self.inner) or self.bracket == self.inner == "{"  # {{5, 3, 0}}
            return lists[0] if self.bracket and alone and len(lists) == 1 else lists
        cuts = [] if self.keys else self.rows or ([] if self.has_commas else self.lines)
        ends = [0, *cuts, len(plain)]
        rows = [plain[start:end] for start, end in pairwise(ends) if start < end]
        return rows if len(rows) > 1 and max(map(len, rows)) > 1 else plain


def refuse_columns(before: str, text: str, behind: str) -> None:
    """Raises ValueError for a literal whose language stores it by columns, or that is transposed."""
    for name, pattern in _BY_COLUMNS.items():
        if re.search(pattern, f"{before}{text}{behind}"):
            raise ValueError(f"{name} fills a matrix by columns; write its rows")
    if _COLUMNS.search(before):
        raise ValueError("lists of columns or boxes are no rows; expected rows of cells")
    if _TRANSPOSES.search(before) or (before[-2:-1] != "'" and _TRANSPOSED.match(behind)):
        raise ValueError("a transposed matrix; write it as it is read")


def parse(text: str) -> list[Any]:
    """The values of a text with balanced brackets. Raises ValueError for an empty place between two commas."""
    levels, end = [_Level()], -1
    for token in _TOKEN.finditer(text):
        level, mark, kind = levels[-1], token[0], token.lastgroup
        if kind == "string":
            if end == token.start() and level.values and level.values[-1] in ("b", "r", "u", "f"):
                level.values.pop()  # b'#'
            level.add(_string(mark))
        elif kind == "word":
            level.add(_word(mark))
            end = token.end()
        elif kind == "open":
            is_call = end == token.start() and bool(level.values) and bool(_CALL.fullmatch(str(level.values[-1])))
            if is_call:
                level.values.pop()
            levels.append(_Level("call" if is_call else mark))
        elif kind == "close" and len(levels) > 1:
            levels.pop()
            levels[-1].add(level.value())
            levels[-1].inner = level.bracket
        elif kind == "key" and level.values and not isinstance(level.values[-1], dict):
            key = level.values.pop()
            level.key = ",".join(map(str, key)) if isinstance(key, list) else str(key)
        elif kind == "comma":
            if level.after_comma:
                raise ValueError("is no JSON: nothing stands between two commas")
            level.has_commas = level.after_comma = True
        elif kind == "row":
            level.rows.append(len(level.values))
        elif kind == "line":
            level.lines.append(len(level.values))
    result = levels[0].value()
    return result if isinstance(result, list) else [result]


def _string(mark: str) -> str:
    return re.sub(r"\\(.)", lambda escape: {"n": "\n", "t": "\t"}.get(escape[1], escape[1]), mark[1:-1])


def _word(mark: str) -> Any:
    if mark in _NOTHING:
        return None
    return _TRUTH[mark] if mark in _TRUTH else re.sub(r"^(\d+)L$", r"\1", mark)
