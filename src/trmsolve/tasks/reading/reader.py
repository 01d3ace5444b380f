"""The loop that takes lines and returns puzzles, whatever the task: documents, tables, and text for the task to read.

A task's reader knows its cells and its typed grids; everything that contains puzzles is unpacked here. A record that is
no puzzle becomes an InvalidPuzzle and reading continues behind it. Nothing but what `lines` raises is raised.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from trmsolve.tasks.base import InvalidPuzzle, Line
from trmsolve.tasks.reading import places
from trmsolve.tasks.reading import table as tables
from trmsolve.tasks.reading.collectors import Collector, State, Value
from trmsolve.tasks.reading.documents import collector
from trmsolve.tasks.reading.lines import clean
from trmsolve.tasks.reading.markup import Markup
from trmsolve.tasks.reading.values import Malformed, Record, ValueReader
from trmsolve.text_io import LINE_LIMIT, source_name

_ESCAPED = re.compile(r"""[^"'{\[]{0,60}(["'])(?P<rows>[^"'\\]*(?:\\n[^"'\\]*){2,})\1[^"']{0,40}(\1\\n\1\)?;?)?""")
MAX_PROSE = 3  # lines of text around puzzles that are kept, for the message when there is no puzzle


class Reader(ValueReader):
    """Reads one input, line by line. Subclasses are the tasks' readers."""

    def __init__(self, source: str) -> None:
        super().__init__(source_name(source))
        self.table: tables.Table | None = None
        self.after_gap = False  # an empty line has come since the table's last row
        self.record: list[Line] = []  # lines of a table's row whose quotes are still open
        self.collector: Collector | None = None
        self.no_tags = False  # what looked like HTML or XML was text
        self.tagged: tuple[Line, Any] | None = None  # waits for its solution
        self.prose: list[Line] = []  # text around puzzles
        self.started = False

    def read(self, lines: Iterable[Line]) -> Iterator[Record]:
        """The records of an input in order, at least one."""
        for line in lines:
            for record in self.feed(line):
                self.count += 1
                yield record
        records = [*self._end_of_containers(), *self.end_text()]
        self.count += len(records)
        yield from records
        if not self.count:
            if self.prose:
                yield self.no_puzzle(self.prose[0])
            else:
                yield InvalidPuzzle(self.name, f"holds no puzzle; expected {self.expected}")

    # -- what a task adds ---------------------------------------------------------------------------------------
    def text(self, line: Line) -> Iterator[Record]:
        """Take a line of text that is neither in a document nor in a table."""
        raise NotImplementedError

    def end_text(self) -> Iterator[Record]:
        """What is open at the end of the text."""
        raise NotImplementedError

    def no_puzzle(self, line: Line) -> InvalidPuzzle:
        """The record of a line of prose where a puzzle was expected."""
        raise NotImplementedError

    # -- lines --------------------------------------------------------------------------------------------------
    def feed(self, line: Line) -> Iterator[Record]:
        """Take a line; returns the records that are complete with it."""
        if self.collector is not None:
            yield from self._collect(line)
            return
        if len(line.text) > LINE_LIMIT:
            self.started = True
            yield from self.text(line)
            return
        if "\\n" in line.text and self.table is None and (text := _ESCAPED.fullmatch(line.text)):
            for part in ("", *text["rows"].split("\\n"), ""):
                yield from self.feed(Line(line.number, part))
            return
        line = self._cleaned(line)
        is_first, self.started = not self.started, self.started or bool(line.text.strip())
        if self.table is None and (new := self._begun(line, is_first)):
            self.collector = new
            yield from self._collect(line)
            return
        yield from self._table_or_text(line)

    def _table_or_text(self, line: Line) -> Iterator[Record]:
        if not self.record and (head := self.header(line.text)):
            yield from self.end_text()
            self.table, self.after_gap = head, False
        elif self.table is not None:
            yield from self._in_table(line, self.table)
        else:
            yield from self.text(line)

    def header(self, text: str) -> tables.Table | None:
        """The table that a line begins."""
        return tables.header(text)

    def note(self, line: Line) -> None:
        """Leave out a line of prose."""
        if len(self.prose) < MAX_PROSE:
            self.prose.append(line)

    # -- documents ----------------------------------------------------------------------------------------------
    def _cleaned(self, line: Line) -> Line:
        return Line(line.number, clean(line.text)) if self.table is None else line

    def _begun(self, line: Line, is_first: bool = False) -> Collector | None:
        """The document that begins with a line; after tags that were none, tags begin no other."""
        return None if self.no_tags and line.text.lstrip().startswith("<") else collector(line, is_first)

    def _collect(self, line: Line) -> Iterator[Record]:
        assert self.collector is not None
        yield from self._values(list(self.collector.add(line)))

    def _end_of_containers(self) -> Iterator[Record]:
        while self.collector is not None:  # lines that are handed back may begin another document
            yield from self._values(list(self.collector.end()))
        if self.record:
            first, *others = self.record
            yield from self._unclosed(first, others)

    def _values(self, values: list[Value]) -> Iterator[Record]:
        current = self.collector
        assert current is not None
        if values:
            yield from self.end_text()
        for value in values:
            if isinstance(current, Markup) and not value.damage:
                yield from self._tagged(value)
            else:
                yield from self._from_value(value, current.format)
        if current.state is State.MORE:
            return
        self.collector = None
        if current.behind and any(map(str.isalpha, current.behind.text)):
            self.note(current.behind)
        if isinstance(current, Markup):
            yield from self._end_of_markup()
            self.no_tags = current.state is State.FAILED
            for line in current.lines[: current.state is State.DONE]:
                self.note(line)
        if current.state is State.FAILED or isinstance(current, places.CellTable):  # it was text after all
            lines, current.lines = current.lines, []
            for number, line in enumerate(lines, current.state is State.DONE):
                if number and self.collector is not None:
                    yield from self._collect(line)
                    continue
                line = self._cleaned(line)
                if number and (new := self._begun(line)):
                    self.collector = new
                    yield from self._collect(line)
                else:
                    yield from self._table_or_text(line)

    def _tagged(self, value: Value) -> Iterator[Record]:
        """The records of what a tag holds; the next tag may be the solution."""
        ((name, content),) = value.value.items()
        if isinstance(content, str):
            joined = "".join(content.split())
            content = joined if self.is_whole(joined) else content
            if not self.is_whole(content):
                if content.strip("\n").count("\n") > 1:
                    yield from self._end_of_markup()
                    yield from self.within(content, value.line, Markup.format, step=1)
                return
        elif any(isinstance(row, dict) for row in content):
            yield from self._end_of_markup()
            yield from self._from_value(Value(value.line, content), Markup.format)
            return
        elif len(content) == 1:
            (content,) = content
        elif all(isinstance(row, list) for row in content) and not self._is_whole_matrix(content):
            content = "\n".join("\t".join(row) for row in content)  # with labels
        if tables.columns([name])[1] >= 0 and self.tagged is not None:
            (line, question), self.tagged = self.tagged, None
            yield self._guarded(question, content, line, Markup.format)
        else:
            yield from self._end_of_markup()
            self.tagged = value.line, content

    def _is_whole_matrix(self, rows: list[list[str]]) -> bool:
        try:
            self.from_cells(rows)
        except Malformed:
            return False
        return True

    def _end_of_markup(self) -> Iterator[Record]:
        if self.tagged is not None:
            (line, question), self.tagged = self.tagged, None
            yield self._guarded(question, None, line, Markup.format)

    # -- tables -------------------------------------------------------------------------------------------------
    def _in_table(self, line: Line, table: tables.Table) -> Iterator[Record]:
        """A line of a table: a row, or part of one whose quotes are still open."""
        if self.record:
            if tables.is_open(line.text):
                rows, self.record = [*self.record, line], []
                joined = "\n".join(row.text for row in rows)
                yield self._table_row(Line(rows[0].number, joined), table)
            elif len(self.record) > tables.MAX_FIELD_LINES or self._is_row(line.text, table):
                first, *others = self.record
                yield from self._unclosed(first, [*others, line])
            else:
                self.record.append(line)
        elif tables.is_open(line.text):
            self.record = [line]
        elif not line.text.strip():
            self.after_gap = True
        elif self.ends_table(line.text, table) or (self.after_gap and not self._is_row(line.text, table)):
            self.table = None
            if self.after_gap:
                yield from self.text(Line(line.number, ""))
            yield from self.text(line)
        else:
            yield self._table_row(line, table)

    def ends_table(self, text: str, table: tables.Table) -> bool:
        """Whether a line is no row of the table."""
        return table.columns > 1 and table.delimiter not in text

    def _is_row(self, text: str, table: tables.Table) -> bool:
        parts = tables.fields(text, table.delimiter)
        return len(parts) == table.columns and self.is_whole(parts[table.question].strip())

    def _unclosed(self, first: Line, others: list[Line]) -> Iterator[Record]:
        self.record = []
        yield self.bad(first, 'a quoted field without its closing "; expected one in the same row')
        for line in others:
            yield from self._table_or_text(line)

    def _table_row(self, line: Line, table: tables.Table) -> Record:
        parts = tables.fields(line.text, table.delimiter) if table.columns > 1 or '"' in line.text else [line.text]
        if len(parts) <= table.question:
            return self.bad(line, f"a row of {len(parts)} fields; the question is field {table.question + 1}")
        answer = parts[table.answer] if 0 <= table.answer < len(parts) else ""
        return self.from_fields(line, parts[table.question], answer)

    def from_fields(self, line: Line, question: str, answer: str) -> Record:
        """The record of a table's row."""
        return self._guarded(question, answer, line, "table", "csv")
