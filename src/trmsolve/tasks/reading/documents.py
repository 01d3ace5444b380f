"""Values out of lines: JSON, literals of programs and YAML, each when it is complete; markup.py adds HTML and XML.

A collector takes the lines from its first one on. `add` returns the values that this line completes; `state` says
whether it wants more. What turns out to be no document is handed back line by line (`lines`), to be read as text.
Numbers stay the texts they were, so a puzzle of 81 digits keeps its leading zeros and 3.0 is judged by the task.

Nothing here runs code or expands anything: YAML is read without anchors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from trmsolve.tasks.reading import places, program
from trmsolve.tasks.reading.collectors import MAX_CHARACTERS, MAX_DEPTH, Collector, State, Value, num_cells
from trmsolve.tasks.reading.markup import START, Markup
from trmsolve.text_io import Line

_TOKEN = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[\[\]{}(),]|//.*""")
_OPENING, _CLOSING = "[{(", "]})"
_START = re.compile(  # board = [   int grid[9][9] = {   {"puzzle":   [[3, 0,   x <- matrix(c(   const maze = ["###
    r"""\s*(?P<named>\((?:def\w*|setq|let)\s+\S+\s+
        |(?:\w+>\s+)?(?:[\w:*<>.,&]+(?:\[[\w ]*\])*\s+)*[\w.*$@:!?'-]+(?:[\[(][\w ,]*[\])])*(?:\s+As\s+\w+)?
        (?:\s*:\s*[\w\[\], .<>;?]+)?\s*(?:=|:=|<-|:\s)\s*)?
    (?:new\s+|['&@\#]+|<[\w<>, ]+>)?(?:\[\d*\])*(?:[A-Za-z][\w.]*!?(?:\[[\s,\d]*\]|\([\d., ]+(?=\[))*\s*)?
    (?=(?P<body>[\[{(].*))""",
    re.VERBOSE,
)
_NESTED = re.compile(
    r"""[\[{(]\s*(?:['@\#]*[\[{(\n]|\|[\d _.,]*([\n,]|$)|[%\#]\s|$|["'][^\]]|-?\d+\s*,|null|None|\.
    |[A-Za-z][\w.]*!?[\[({])""",
    re.VERBOSE,
)
_ROWS = re.compile(  # [5 3; 0 7
    r"\[[^\[\](){}]+(;[^\[\](){}]+){2}|[\[{(][^\[\](){};,]{1,9}(,[^\[\](){};,]{1,9}){15}|[\[(]\s*[\d._]+(\s+[\d._]+){2,}\s*;?\s*(\.\.\.)?$"
)
_OBJECT = re.compile(
    r"""\{\s*("(?!\d)|"[^"]*"\s*:|\([\d, ]+\)\s*:|'[^']*'\s*:|[^\W\d]|$)"""
)  # {"puzzle":   {'puzzle':   {puzzle:
_TEXTS = re.compile(r"""\[\s*(["'])[^"']{3,}\1\s*,""")  # ["53..7....",   ['####',
MAX_WHOLE = 1 << 16  # characters of a list that are kept to be read again as a whole
SMALLEST = 9  # cells, or characters of a text, that a literal of a program has
_YAML_START = re.compile(r"---\s*|[A-Za-z_][\w -]*:\s*([|>][-+]?\s*)?|-\s+[A-Za-z_]\w*:\s.*")
_YAML_NEXT = re.compile(r"""\s*-\s+(["'\[{|>]|[A-Za-z_]\w*:|\S{16,}\s*$).*|\s*[A-Za-z_]\w*:(\s.*)?|\s{2,}\S.*""")


def collector(line: Line, is_first: bool) -> Collector | None:
    """The collector for a document that begins with this line; None where text begins. is_first: of the input."""
    text = line.text
    if text.lstrip()[:1] in ("<", "{", "[") and START.match(text):
        return Markup()
    if any(mark in text for mark in "[{("):
        start = _START.match(text)
        if start and is_document(start["body"], bool(start["named"])):
            return Literal(len(text) - len(start["body"]))
    if (cells := places.cell_table(text)) is not None:
        return cells
    if is_first and _YAML_START.fullmatch(text):
        return Yaml()
    return None


def is_document(body: str, is_named: bool = False) -> bool:
    """Whether text that begins with a bracket is a nested or longer value, not a row `[5, 3, 0],` or a `[Section]`.

    is_named: whether something is set to it, as in `A = [5 3 0; 0 7 0]`.
    """
    if is_named and _ROWS.match(body):
        return True
    if not _NESTED.match(body):
        return False
    depth = deepest = 0
    for token in _TOKEN.finditer(body):
        mark = token[0]
        depth += (mark in _OPENING) - (mark in _CLOSING)
        deepest = max(deepest, depth)
    return depth > 0 or deepest > 1 or body.startswith('{"') or bool(_TEXTS.match(body))


class Literal(Collector):
    """A value in brackets. The elements of a list are values of their own, so that a stream need not end first."""

    format = "JSON"

    def __init__(self, start: int) -> None:
        super().__init__()
        self.start, self.text, self.depth = start, "", 0
        self.before = ""  # the line up to the first bracket
        self.first: Line | None = None  # of the open value
        self.is_list = False
        self.is_loose = False  # cells are separated otherwise than by commas: the list is read when it ends
        self.elements = 0
        self.rows: list[Any] = []  # elements that are rows of one value
        self.rows_line: Line | None = None
        self.whole: str | None = ""  # the text of the list, as long as all elements may be rows of one value

    def add(self, line: Line) -> Iterator[Value]:
        self.lines.append(line)
        if self.depth == 0:
            self.before = line.text[: self.start + 1]
        body = line.text[self.start :] if self.depth == 0 else line.text
        if self.depth and not self.is_list and line.text.startswith('{"') and self.lines[0].text.startswith('{"'):
            first = self.lines[0]  # JSON Lines: the line before was cut off
            self.lines, self.text, self.depth, self.first = [line], "", 0, None
            yield Value(first, damage="is no complete JSON")
        self.start, begin = 0, 0
        self.first = self.first or line
        for token in _TOKEN.finditer(body):
            mark = token[0]
            if mark in _OPENING and len(mark) == 1:
                self.depth += 1
                if self.depth == 1:
                    self.is_list = mark != "{" or not _OBJECT.match(body, token.start())
                    begin = token.end() if self.is_list else 0
                elif self.depth > MAX_DEPTH:
                    self.state = State.FAILED
                    return
            elif mark in _CLOSING and len(mark) == 1:
                self.depth -= 1
                if self.depth == 0:
                    self.text += body[begin : token.start() if self.is_list else token.end()]
                    yield from self._finish(line, body[token.end() :])
                    return
            elif mark == "," and self.depth == 1 and self.is_list and not self.is_loose:
                self.text += body[begin : token.start()]
                yield from self._element(line)
                if self.state is not State.MORE:
                    return
                begin = token.start() if self.is_loose else token.end()
            elif mark.startswith("//"):
                body = body[: token.start()]
                break
        self.text += body[begin:] + "\n"
        if not self.text.strip():
            self.first = None
        if len(self.text) > MAX_CHARACTERS or self.depth == 0:
            self.state = State.FAILED

    def _element(self, line: Line) -> Iterator[Value]:
        text, self.text = self.text, ""
        first, self.first = self.first or line, None
        try:
            values = self._literal(text)
            program.refuse_columns(self.before, "", "")
        except ValueError as error:
            if not self.elements:
                self.state = State.FAILED if str(error).startswith("is no JSON") else State.DONE
            if self.state is not State.FAILED:
                yield Value(first, damage=str(error))
            return
        if len(values) > 1 and self.whole is not None:
            self.is_loose, self.text, self.first = True, self.whole + text, first
            return
        self.elements += 1
        for value in values:
            if isinstance(value, dict) and not text.lstrip().startswith(("{", "[", "(")):
                continue  # dtype=uint8
            is_object = isinstance(value, dict) and not places.is_cell(value) and not places.row_of(value)
            if is_object or (isinstance(value, list) and any(isinstance(part, list) for part in value)):
                self.lines, self.whole = [], None
                yield Value(first, value)
            else:
                self.rows_line = self.rows_line or first
                self.rows.append(value)
        if self.whole is not None:
            self.whole = f"{self.whole}{text}," if len(self.whole) < MAX_WHOLE else None

    def _finish(self, line: Line, behind: str) -> Iterator[Value]:
        self.state = State.DONE
        self.behind = Line(line.number, behind)
        first = self.first or line
        try:
            program.refuse_columns(self.before, (self.whole or "") + self.text, behind)
            if not self.is_list:
                (value,) = self._literal(self.text)
                yield Value(first, value)
                return
            if self.text.strip() and not self.is_loose:
                yield from self._element(first)
            if self.is_loose:
                self.rows = self._literal(self.text)
        except ValueError as error:
            if not str(error).startswith("is no JSON") or self.text.lstrip().startswith('{"'):
                yield Value(first, damage=str(error))
            else:
                self.state = State.FAILED
            return
        if self.format != "JSON" or self.before.endswith("("):  # sizes and types stand beside lists
            self.rows = [row for row in self.rows if isinstance(row, list)] or self.rows
            if num_cells(self.rows) < SMALLEST:
                self.rows, self.elements = [], 0 if self.whole is not None else self.elements
        if self.rows and self.state is not State.FAILED:
            yield Value(self.rows_line or first, self.rows)
        elif not self.elements:
            self.state = State.FAILED

    def _literal(self, text: str) -> list[Any]:
        """The value of a JSON text, or the values of a literal in another language; numbers as texts.

        Raises ValueError, with the place in the text.
        """
        try:
            return [json.loads(text, parse_int=str, parse_float=str, parse_constant=lambda name: None)]
        except RecursionError:
            raise ValueError("is nested too deeply") from None
        except ValueError as error:
            first = error
        values = program.parse(text)
        if not values and "#" not in text:
            raise ValueError(f"is no JSON: {first}")
        self.format = "code"
        return values

    def end(self) -> Iterator[Value]:
        yield from super().end()
        if self.lines and self.lines[0].text.lstrip().startswith(("{", "[{")):
            self.state = State.DONE
            yield Value(self.lines[0], damage="is no complete JSON: the input ends within it")


class Yaml(Collector):
    """A YAML document, known by its first two lines and read at its end. Every scalar is text: 010 stays 010."""

    format = "YAML"

    def __init__(self) -> None:
        super().__init__()
        self.length = 0

    def add(self, line: Line) -> Iterator[Value]:
        self.lines.append(line)
        self.length += len(line.text) + 1
        second = next((one.text for one in self.lines[1:] if one.text.strip()), None)
        if (second is not None and not _YAML_NEXT.fullmatch(second)) or self.length > MAX_CHARACTERS:
            self.state = State.FAILED
        return iter(())

    def end(self) -> Iterator[Value]:
        import yaml

        class Loader(yaml.BaseLoader):
            """Plain values only."""

            depth = 0

            def compose_node(self, parent: Any, index: Any) -> Any:
                event = self.peek_event()
                if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                    raise yaml.YAMLError("anchors and aliases are not read")
                self.depth += 1
                if self.depth > MAX_DEPTH:
                    raise yaml.YAMLError("is nested too deeply")
                node = super().compose_node(parent, index)
                self.depth -= 1
                return node

        self.state = State.DONE
        try:
            values = list(yaml.load_all("\n".join(line.text for line in self.lines), Loader))
        except yaml.YAMLError as error:
            if "not read" in str(error) or "deeply" in str(error):
                yield Value(self.lines[0], damage=f"YAML: {error}")
            else:
                self.state = State.FAILED
            return
        if not any(isinstance(value, dict | list) for value in values):
            self.state = State.FAILED
            return
        for value in values:
            yield Value(self.lines[0], value)
