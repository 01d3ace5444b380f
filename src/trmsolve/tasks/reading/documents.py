"""Values out of lines: JSON, literals of programs (Python, C, JavaScript), YAML and XML, each when it is complete.

A collector takes the lines from its first one on. `add` returns the values that this line completes; `state` says
whether it wants more. What turns out to be no document is handed back line by line (`lines`), to be read as text.
Numbers stay the texts they were, so a puzzle of 81 digits keeps its leading zeros and 3.0 is judged by the task.

Nothing here runs code or expands anything: YAML is read without anchors, XML without entities.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Any, NamedTuple
from xml.parsers import expat

from trmsolve.text_io import Line

MAX_CHARACTERS = 1 << 22  # of one value; a list may hold any number of them
MAX_DEPTH = 16

_TOKEN = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[\[\]{}(),]|//.*""")
_OPENING, _CLOSING = "[{(", "]})"
_START = re.compile(  # board = [   int grid[9][9] = {   {"puzzle":   [[3, 0,   const maze = ["###
    r"""\s*(?:(?:[\w:*<>.,&]+(?:\[[\w ]*\])*\s+)*[\w.*]+(?:\[[\w ]*\])*(?:\s*:\s*[\w\[\], .<>]+)?\s*=\s*)?
    (?:new\s+)?(?:[A-Za-z][\w.]*(?:\[\s*\])*\s*)?(?=(?P<body>[\[{(].*))""",
    re.VERBOSE,
)
_NESTED = re.compile(r"""[\[{(]\s*(?:[\[{(\n]|$|["'][^\]]|-?\d+\s*,|null|None|\.)""")
_OBJECT = re.compile(r"""\{\s*("(?!\d)|'[^']*'\s*:|[^\W\d]|$)""")  # {"puzzle":   {'puzzle':   {puzzle:
_TEXTS = re.compile(r"""\[\s*(["'])[^"']{3,}\1\s*,""")  # ["53..7....",   ['####',
_WORDS = {"None": "null", "NULL": "null", "nan": "null", "NaN": "null", "np.nan": "null", "math.nan": "null"}
_WORDS |= {"True": "true", "False": "false", "undefined": "null", "nil": "null"}
_WORD = re.compile(r"(?<![\w.])(?:np\.|math\.)?[A-Za-z]+(?![\w.])")
_YAML_START = re.compile(r"---\s*|[A-Za-z_][\w -]*:\s*([|>][-+]?\s*)?|-\s+[A-Za-z_]\w*:\s.*")
_YAML_NEXT = re.compile(r"""\s*-\s+(["'\[{|>]|[A-Za-z_]\w*:|\S{16,}\s*$).*|\s*[A-Za-z_]\w*:(\s.*)?|\s{2,}\S.*""")
_XML_START = re.compile(r"\s*<(\?xml|!DOCTYPE|[A-Za-z][\w.:-]*[\s/>])")


class State(Enum):
    """What a collector wants after a line."""

    MORE = auto()
    DONE = auto()
    FAILED = auto()


class Value(NamedTuple):
    """A value and the line on which it begins. damage: why there is no value."""

    line: Line
    value: Any = None
    damage: str = ""


def collector(line: Line, is_first: bool) -> Collector | None:
    """The collector for a document that begins with this line; None where text begins. is_first: of the input."""
    text = line.text
    if any(mark in text for mark in "[{("):
        start = _START.match(text)
        if start and is_document(start["body"]):
            return Literal(len(text) - len(start["body"]))
    if is_first and _XML_START.match(text):
        return Xml()
    if is_first and _YAML_START.fullmatch(text):
        return Yaml()
    return None


def is_document(body: str) -> bool:
    """Whether text that begins with a bracket is a nested or longer value, not a row `[5, 3, 0],` or a `[Section]`."""
    if not _NESTED.match(body):
        return False
    depth = deepest = 0
    for token in _TOKEN.finditer(body):
        mark = token[0]
        depth += (mark in _OPENING) - (mark in _CLOSING)
        deepest = max(deepest, depth)
    return depth > 0 or deepest > 1 or body.startswith('{"') or bool(_TEXTS.match(body))


class Collector:
    """Lines that may be a document."""

    format = ""

    def __init__(self) -> None:
        self.lines: list[Line] = []  # that no value has come out of yet
        self.state = State.MORE

    def add(self, line: Line) -> Iterator[Value]:
        """Take a line; returns the values it completes."""
        raise NotImplementedError

    def end(self) -> Iterator[Value]:
        """The input has ended."""
        self.state = State.FAILED
        return iter(())


class Literal(Collector):
    """A value in brackets. The elements of a list are values of their own, so that a stream need not end first."""

    format = "JSON"

    def __init__(self, start: int) -> None:
        super().__init__()
        self.start, self.text, self.depth = start, "", 0
        self.first: Line | None = None  # of the open value
        self.is_list = False
        self.elements = 0
        self.rows: list[Any] = []  # elements that are rows of one value
        self.rows_line: Line | None = None

    def add(self, line: Line) -> Iterator[Value]:
        self.lines.append(line)
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
                    yield from self._finish(line)
                    return
            elif mark == "," and self.depth == 1 and self.is_list:
                self.text += body[begin : token.start()]
                yield from self._element(line)
                begin = token.end()
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
            value = literal(text)
        except ValueError as error:
            if not self.elements:
                self.state = State.FAILED
                return
            yield Value(first, damage=str(error))
            return
        self.elements += 1
        if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(part, list) for part in value)):
            self.lines = []
            yield Value(first, value)
        else:
            self.rows_line = self.rows_line or first
            self.rows.append(value)

    def _finish(self, line: Line) -> Iterator[Value]:
        self.state = State.DONE
        first = self.first or line
        if not self.is_list:
            try:
                yield Value(first, literal(self.text))
            except ValueError as error:
                if self.format == "JSON" and not self.text.lstrip().startswith('{"'):
                    self.state = State.FAILED
                    return
                yield Value(first, damage=str(error))
            return
        if self.text.strip():
            yield from self._element(first)
        if self.rows and self.state is not State.FAILED:
            yield Value(self.rows_line or first, self.rows)
        elif not self.elements:
            self.state = State.FAILED

    def end(self) -> Iterator[Value]:
        yield from super().end()
        if self.lines and self.lines[0].text.lstrip().startswith(("{", "[{")):
            self.state = State.DONE
            yield Value(self.lines[0], damage="is no complete JSON: the input ends within it")


def literal(text: str) -> Any:
    """The value of a JSON text, or of a literal in Python, C or JavaScript; numbers as texts.

    Raises ValueError, with the place in the text.
    """
    try:
        return _json(text)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:
        first = error
    try:
        return _json(_as_json(text))
    except (ValueError, RecursionError):
        raise ValueError(f"is no JSON: {first}") from None


def _json(text: str) -> Any:
    return json.loads(text, parse_int=str, parse_float=str, parse_constant=lambda name: None)


def _as_json(text: str) -> str:
    """A literal of a program with JSON's brackets, quotes and words, and without a comma after the last element."""
    is_object = bool(re.match(r"\s*\{[^\[\]{}(]*:", text))
    parts, place = [], 0
    for token in _TOKEN.finditer(text):
        parts.append(_WORD.sub(lambda word: _WORDS.get(word[0], word[0]), text[place : token.start()]))
        mark, place = token[0], token.end()
        if mark.startswith("'"):
            mark = json.dumps(mark[1:-1].replace("\\'", "'"))
        elif mark.startswith("//"):
            mark = ""
        elif not is_object and mark in "{(":
            mark = "["
        elif not is_object and mark in "})":
            mark = "]"
        parts.append(mark)
    joined = "".join([*parts, _WORD.sub(lambda word: _WORDS.get(word[0], word[0]), text[place:])])
    return re.sub(r",(\s*[\]}])", r"\1", joined)


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


class Xml(Collector):
    """An XML document: every attribute and every element's text, by name, as `{name: text}`.

    A document type with declarations of its own, or an entity, is refused.
    """

    format = "XML"

    def __init__(self) -> None:
        super().__init__()
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._open
        self.parser.EndElementHandler = self._close
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.EntityDeclHandler = self._entity
        self.names: list[str] = []
        self.texts: list[str] = []
        self.values: list[Value] = []

    def add(self, line: Line) -> Iterator[Value]:
        self.lines.append(line)
        self.line = line
        try:
            self.parser.Parse(line.text + "\n", False)
        except expat.ExpatError:
            self.state = State.FAILED
        except ValueError as error:
            self.state = State.DONE
            self.values = [Value(line, damage=str(error))]
        values, self.values = self.values, []
        return iter(values)

    def _open(self, name: str, attributes: dict[str, str]) -> None:
        self.names.append(name)
        self.texts.append("")
        if len(self.names) > MAX_DEPTH:
            raise ValueError("XML is nested too deeply")
        self.values += [Value(self.line, {key: text}) for key, text in attributes.items()]

    def _close(self, name: str) -> None:
        self.names.pop()
        if text := self.texts.pop().strip():
            self.values.append(Value(self.line, {name: text}))
        if not self.names:
            self.state = State.DONE

    def _characters(self, text: str) -> None:
        if self.texts and len(self.texts[-1]) < MAX_CHARACTERS:
            self.texts[-1] += text

    def _doctype(self, name: str, system: str | None, public: str | None, has_declarations: int) -> None:
        if has_declarations or system or public:
            raise ValueError("XML with a document type of its own is not read; expected none, or <!DOCTYPE name>")

    def _entity(self, *_: Any) -> None:
        raise ValueError("XML with entities is not read")
