"""HTML and XML: tables and rows of cells as lists, and every text or attribute that may be a puzzle, by its name.

    <tr><td>5</td><td></td>...</tr>...        ->  {"table": [["5", "", ...], ...]}
    <cell row="0" col="1" value="3"/>...      ->  {"grid": [{"row": "0", "col": "1", "value": "3"}, ...]}
    <game data="53..7...."/>                  ->  {"data": "53..7...."}

Tables of wikis and of BBCode are read as tags. Tags need not be closed, as in web pages.
Only what is named as a row is one: cells in boxes are not taken for rows.
Entities that a document declares are not expanded.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

from trmsolve.tasks.reading.collectors import MAX_CHARACTERS, Collector, State, Value
from trmsolve.tasks.reading.emphasis import MarkedText, marked, marks_of, set_off
from trmsolve.text_io import Line

START = re.compile(r"\s*(<(\?xml|!DOCTYPE|!--|[A-Za-z][\w.:-]*([\s/>]|$))|\{\||\[table\])", re.IGNORECASE)
PLACES = (("row", "col"), ("row", "column"), ("r", "c"), ("y", "x"))

_TOKEN = re.compile(
    r"""<!--.*?--> | <!\[CDATA\[(?P<data>.*?)\]\]> | <[?!][^<>]*>
    | <(?P<slash>/?)(?P<name>[A-Za-z][\w.:-]*)(?P<attributes>(?:"[^"]*"|'[^']*'|[^<>"'])*)> | (?P<text>[^<]+|<)""",
    re.VERBOSE | re.DOTALL,
)
_CLASSES = ("wall", "start", "goal", "end", "finish", "exit")  # of cells without a text
_BBCODE = re.compile(r"\[(/?)(table|t[rdh])\]", re.IGNORECASE)
_WIKI = {"{|": "<table>", "|}": "</table>", "|-": "<tr>"}
_ATTRIBUTE = re.compile(r"""([\w.:-]+)\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""")
_ROW = re.compile(r"(?:^|[^a-z])(?:tr|row|line|r|li|item|array\w*|list)s?[\d_-]*(?:$|[^a-z])")
_VOID = ("area", "base", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr")
_STYLES = ("b", "i", "u", "em", "strong", "font", "a", "small", "big", "sup", "sub", "kbd", "tt", "nobr", "label")
_TRANSPARENT = (*_STYLES, "thead", "tbody", "tfoot", "colgroup")  # what stands within belongs to the element around
_CLOSES = {"td": ("td", "th"), "th": ("td", "th"), "tr": ("td", "th", "tr"), "li": ("li",), "p": ("p",)}
_CLOSES |= dict.fromkeys(("table", "div", "ul", "ol", "pre"), ("p",))
_RAW = ("script", "style")
MAX_LEAVES, MAX_CHILDREN, MAX_NESTING, MAX_TAG = 300, 1000, 200, 1 << 16
FEWEST_CELLS = 81  # of a grid in one element, rather than a row
SHORTEST = 16  # characters of a text that may be a puzzle


def _wiki_tags(text: str) -> str:
    """A line of a wiki's table as tags: | 5 || 3"""
    if (tag := _WIKI.get(text[:2])) or text[:1] not in ("|", "!"):
        return tag or text
    cells = re.split(r"\|\||!!", re.sub("'''(.*?)'''", r"<b>\1</b>", text[1:]))
    return "".join("<td>" + re.sub(r"^[^|]*=[^|]*\|", "", cell) for cell in cells)


class _Element:
    def __init__(self, name: str, attributes: dict[str, str], line: Line, source: str) -> None:
        self.name, self.attributes, self.line = name, attributes, line
        self.marks = marks_of(name, attributes, source)
        self.text = ""
        self.children: list[Any] = []  # what the elements within it are
        self.are_rows = True  # all of these are named as rows
        self.leaves = [Value(line, {key: text}) for key, text in attributes.items() if len(text) >= SHORTEST]

    @property
    def is_row(self) -> bool:
        names = f"{self.name} {self.attributes.get('class', '')} {self.attributes.get('id', '')}"
        return bool(_ROW.search(names.lower()))

    def value(self) -> Any:
        """A text, the attributes of an empty cell that names its place, or the values of the elements within."""
        bare = self.text.strip()
        if len(self.children) == 1 and not bare:
            child = self.children[0]
            return marked(child, child.marks | self.marks) if isinstance(child, MarkedText) else child
        if self.children:
            return self.children if not bare or any(isinstance(child, list) for child in self.children) else bare
        if any(row in self.attributes and column in self.attributes for row, column in PLACES):
            return {"value": bare, **self.attributes}
        texts = [text for key, text in self.attributes.items() if key in ("value", "cells", "data")]
        texts += [name for name in self.attributes.get("class", "").lower().split() if name in _CLASSES]
        return marked(texts[0] if texts and not bare else bare, self.marks)

    def matrix(self) -> list[Any] | None:
        """The rows of cells or the cells with places that the elements within it are; None where they are neither."""
        if len(self.children) < 3:
            return None
        if all(isinstance(child, dict) for child in self.children):
            return self.children
        is_flat = len(self.children) >= FEWEST_CELLS and not self.is_row
        if is_flat and all(isinstance(cell, str) and len(cell) < 3 for cell in self.children):
            return [self.children]  # all cells, one after the other
        if not self.are_rows:
            return None
        if all(isinstance(child, str) for child in self.children):
            return self.children if len({len(row) for row in self.children}) == 1 < len(self.children[0]) - 1 else None
        lists = all(isinstance(child, list) and len(child) > 2 for child in self.children)
        cells = [cell for child in self.children for cell in child] if lists else [None]
        return self.children if all(isinstance(cell, str) and len(cell) < SHORTEST for cell in cells) else None


class Markup(Collector):
    """A document of tags; every value is a dictionary of one name."""

    format = "HTML or XML"

    def __init__(self) -> None:
        super().__init__()
        self.rest, self.length = "", 0
        self.stack: list[_Element] = []
        self.values: list[Value] = []
        self.is_wiki = False

    def add(self, line: Line) -> Iterator[Value]:
        self.lines.append(line)
        self.length += len(line.text) + 1
        self.is_wiki = self.is_wiki or line.text.lstrip().startswith("{|")
        text = _wiki_tags(line.text.strip()) if self.is_wiki else _BBCODE.sub(r"<\1\2>", line.text)
        text = f"{self.rest}{text}\n"
        cut = text.rfind("<")
        cut = len(text) if cut < 0 or ">" in text[cut:] else cut
        text, self.rest = text[:cut], text[cut:]
        for token in _TOKEN.finditer(text):
            self._token(token, line)
        if len(self.rest) > MAX_TAG or len(self.stack) > MAX_NESTING or self.length > MAX_CHARACTERS:
            self.state = State.FAILED
        return self._taken()

    def end(self) -> Iterator[Value]:
        while self.stack:
            self._close()
        self.state = State.DONE if self.values else State.FAILED
        return self._taken()

    def _taken(self) -> Iterator[Value]:
        values, self.values = self.values, []
        if values:
            self.lines, self.length = [], 0
        return iter(values)

    def _token(self, token: re.Match[str], line: Line) -> None:
        name = (token["name"] or "").lower()
        if self.stack and self.stack[-1].name in _RAW and not (token["slash"] and name in _RAW):
            self.stack[-1].text += token[0]
        elif token["text"] or token["data"]:
            if self.stack:
                self.stack[-1].text += token["data"] or html.unescape(token["text"])
        elif name == "br":
            if self.stack:
                self.stack[-1].text += "\n"
        elif name in _TRANSPARENT or (self.stack and self.stack[-1].name in ("pre", "p") and name in ("span", "code")):
            if self.stack and not token["slash"]:
                found = {key.lower(): text.strip("\"'") for key, text in _ATTRIBUTE.findall(token["attributes"])}
                self.stack[-1].marks |= marks_of(name, found)
        elif token["slash"]:
            if any(element.name == name for element in self.stack):
                while self._close() != name:
                    pass
        elif name:
            while self.stack and self.stack[-1].name in _CLOSES.get(name, ()):
                self._close()
            attributes = _ATTRIBUTE.findall(token["attributes"])
            by_name = {key.lower().removeprefix("data-"): html.unescape(text.strip("\"'")) for key, text in attributes}
            self.stack.append(_Element(name, by_name, line, token["attributes"]))
            if name in _VOID or token["attributes"].endswith("/"):
                self._close()

    def _close(self) -> str:
        """End the innermost element: give its rows, or hand what it holds to the element around it."""
        element = self.stack.pop()
        leaves = element.leaves
        if rows := element.matrix():
            digit = set_off(rows)
            damage = digit and f"some digits are set off, as {digit}: givens or entries"
            self.values.append(Value(element.line, {element.name: rows}, damage))
            leaves, value = [], None
        else:
            value = element.value()
            text = element.text if element.name in ("pre", *_RAW) else re.sub(r"\n\s*\n", "\n", element.text)
            if len(text.strip()) >= SHORTEST:
                leaves = [*leaves, Value(element.line, {element.name: text})]
        if not self.stack:
            self.values += leaves
            self.state = State.DONE
            return element.name
        parent = self.stack[-1]
        parent.leaves += leaves
        if len(parent.leaves) > MAX_LEAVES:
            self.values += parent.leaves
            parent.leaves = []
        if value is not None and len(parent.children) < MAX_CHILDREN and element.name not in ("col", "graph"):
            parent.children.append(value)
            parent.are_rows = parent.are_rows and element.is_row
        return element.name
