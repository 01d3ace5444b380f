"""A recorded solve as JSON lines: a header, then one frame per line. `trmsolve replay` plays it back.

    {"trmsolve_trace": 2, "version": "0.2.0"}
    {"task": "sudoku", "source": "puzzle.txt:1", "step": 0, ..., "picture": {"cells": [...], "rows": [[0, 0, 1, ...]]}}

A picture lists its distinct cells once; `rows` has indices into that list. Traces are untrusted input: everything is
checked on reading.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from trmsolve import __version__
from trmsolve.errors import TrmsolveError
from trmsolve.render.frame import Frame, Stat, StatusText
from trmsolve.render.theme import role_table
from trmsolve.tasks.base import Cell, Label, Picture
from trmsolve.text_io import atomic_write

FORMAT = 2
MAX_SIDE = 1024  # cells
HINT = "write one with --trace FILE.jsonl"
Kind = type | tuple[type, ...]
NUMBER, OPTIONAL_BOOL = (int, float), (bool, type(None))
FIGURES: dict[str, Kind] = {
    "task": str,
    "source": str,
    "step": int,
    "seconds": NUMBER,
    "solved": OPTIONAL_BOOL,
    "done": bool,
}


def save_trace(frames: Sequence[Frame], path: str | Path, force: bool = False) -> Path:
    """Write the frames. Returns the path; raises TrmsolveError if it exists (without force) or cannot be written."""
    records: list[dict[str, Any]] = [{"trmsolve_trace": FORMAT, "version": __version__}]
    for frame in frames:
        record = {name: getattr(frame, name) for name in FIGURES}
        status = {name: getattr(frame.status, name) for name in StatusText.__dataclass_fields__}
        pictures = [_picture_record(picture) for picture in (frame.picture, *frame.zoom_levels)]
        records.append({**record, "status": status, "picture": pictures[0], "zoom_levels": pictures[1:]})
    lines = (json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in records)
    return atomic_write(path, "".join(f"{line}\n" for line in lines), force)


def _picture_record(picture: Picture) -> dict[str, Any]:
    indices: dict[Cell, int] = {}
    rows = [[indices.setdefault(cell, len(indices)) for cell in row] for row in picture.cells]
    return {
        "cells": [[cell.text, cell.role, round(cell.confidence, 4), cell.candidates] for cell in indices],
        "rows": rows,
        "solid": picture.solid,
        "box": picture.box,
        "labels": [[label.row, label.column, label.text] for label in picture.labels],
    }


def load_trace(path: str | Path) -> list[Frame]:
    """The frames of a trace. Raises TrmsolveError (file, line, what was found and expected) for anything else."""
    if str(path) == "-":
        raise TrmsolveError("a trace is read from a file, not from stdin", HINT)
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise TrmsolveError(f"cannot read {path}: {error.strerror or error}", HINT) from None
    except UnicodeDecodeError:
        raise TrmsolveError(f"{path}: not UTF-8 text, expected a trace of JSON lines", HINT) from None
    frames = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            if number == 1:
                _check(isinstance(record, dict) and "trmsolve_trace" in record, 'no trace: "trmsolve_trace" is missing')
                version = record["trmsolve_trace"]
                _check(version == FORMAT, f"trace format {version!r}, expected {FORMAT}")
            else:
                frames.append(_frame(record))
        except (ValueError, RecursionError) as error:
            reason = "not JSON" if isinstance(error, json.JSONDecodeError | RecursionError) else str(error)
            raise TrmsolveError(f"{path}:{number}: {reason}", HINT) from None
    if not frames:
        raise TrmsolveError(f"{path}: no frames", HINT)
    sizes = {(len(frame.picture.cells), len(frame.picture.cells[0]), frame.picture.solid) for frame in frames}
    if len(sizes) > 1:
        raise TrmsolveError(f"{path}: pictures of {len(sizes)} sizes, expected one puzzle", HINT)
    return frames


# -- reading: every ValueError below becomes a TrmsolveError with file and line -----------------------------------
def _frame(record: Any) -> Frame:
    figures = {name: _field(record, name, kind) for name, kind in FIGURES.items()}
    status, zoom_levels = _field(record, "status", dict), _field(record, "zoom_levels", list)
    return Frame(
        _picture(_field(record, "picture", dict)),
        **figures,
        status=StatusText(
            _field(status, "state", str),
            _tuple("meter", str, NUMBER)(status.get("meter")),
            tuple(
                Stat(*stat)
                for stat in map(_tuple("stat", str, str, OPTIONAL_BOOL, bool), _field(status, "stats", list))
            ),
            _field(status, "remaining", int),
            _field(status, "unit", str),
        ),
        zoom_levels=tuple(map(_picture, zoom_levels)),
    )


def _picture(record: Any) -> Picture:
    solid, box, labels = _field(record, "solid", bool), record.get("box"), _field(record, "labels", list)
    roles = role_table(Picture((), solid=solid))
    cells = [Cell(*cell) for cell in map(_tuple("cell", str, str, NUMBER, str), _field(record, "cells", list))]
    for cell in cells:
        _check(cell.role in roles, f"unknown role {_quoted(cell.role)}")
        _check((cell.text + cell.candidates).isprintable(), f"cell {_quoted(cell.text)}")
    rows = _field(record, "rows", list)
    _check(all(isinstance(row, list) for row in rows), "a row that is not a list of cells")
    _check(len({len(row) for row in rows}) == 1, "rows of unequal length, or none")
    _check(len(rows) <= MAX_SIDE and 0 < len(rows[0]) <= MAX_SIDE, f"expected 1 to {MAX_SIDE} rows and columns")
    is_valid = all(type(index) is int and 0 <= index < len(cells) for row in rows for index in row)
    _check(is_valid, f"a row with an index outside 0..{len(cells) - 1}")
    if box is not None:
        box = _tuple("box", int, int)(box)
        _check(min(box) > 0, f"box: {_quoted(box)}")
    labels = [Label(*label) for label in map(_tuple("label", int, int, str), labels)]
    _check(all(label.text.isprintable() for label in labels), "a label with control characters")
    return Picture([[cells[index] for index in row] for row in rows], box, solid, tuple(labels))


def _check(condition: object, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _field(record: Any, name: str, kind: Kind) -> Any:
    _check(isinstance(record, dict), f"expected an object with {name}")
    _check(name in record and _is(record[name], kind), f"{name}: {_quoted(record.get(name))}")
    return record[name]


def _tuple(name: str, *kinds: Kind) -> Callable[[Any], tuple[Any, ...]]:
    """A function that returns the items of a list of these kinds."""

    def read(value: Any) -> tuple[Any, ...]:
        is_valid = isinstance(value, list) and len(value) == len(kinds) and all(map(_is, value, kinds))
        _check(is_valid, f"{name}: {_quoted(value)}")
        return tuple(value)

    return read


def _is(value: Any, kind: Kind) -> bool:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _quoted(value: Any) -> str:
    text = json.dumps(value)
    return f"unexpected {text if len(text) <= 60 else text[:57] + '...'}"
