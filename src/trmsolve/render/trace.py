"""A recorded solve as JSON lines: a header, then one frame per line. `trmsolve replay` plays it back.

    {"trmsolve_trace": 1, "version": "0.2.0"}
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

FORMAT = 1
MAX_SIDE = 1024  # cells
HINT = "write one with --trace FILE.jsonl"
FIGURES: dict[str, type | tuple[type, ...]] = {
    "task": str,
    "source": str,
    "step": int,
    "max_steps": int,
    "run": int,
    "halt_probability": (int, float),
    "violations": int,
    "assumption": str,
    "seconds": (int, float),
    "solved": (bool, type(None)),
    "done": bool,
}


def save_trace(frames: Sequence[Frame], path: str | Path, force: bool = False) -> Path:
    """Write the frames. Returns the path; raises TrmsolveError if it exists (without force) or cannot be written."""
    records: list[dict[str, Any]] = [{"trmsolve_trace": FORMAT, "version": __version__}]
    records += [_frame_record(frame) for frame in frames]
    lines = (json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in records)
    return atomic_write(path, "".join(f"{line}\n" for line in lines), force)


def load_trace(path: str | Path) -> list[Frame]:
    """The frames of a trace. Raises TrmsolveError (file, line, what was found and expected) for anything else."""
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


def _frame_record(frame: Frame) -> dict[str, Any]:
    record = {name: getattr(frame, name) for name in FIGURES}
    record["picture"] = _picture_record(frame.picture)
    if frame.zoom_levels:
        record["zoom_levels"] = [_picture_record(picture) for picture in frame.zoom_levels]
    if (status := frame.status) is not None:
        record["status"] = {
            "state": status.state,
            "meter": list(status.meter),
            "stats": [list(stat) for stat in status.stats],
            "unsure": status.unsure,
        }
    return record


def _picture_record(picture: Picture) -> dict[str, Any]:
    indices: dict[Cell, int] = {}
    rows = [[indices.setdefault(cell, len(indices)) for cell in row] for row in picture.cells]
    record: dict[str, Any] = {
        "cells": [[cell.text, cell.role, round(cell.confidence, 4), cell.candidates] for cell in indices],
        "rows": rows,
        "solid": picture.solid,
    }
    if picture.box is not None:
        record["box"] = list(picture.box)
    if picture.labels:
        record["labels"] = [[label.row, label.column, label.text] for label in picture.labels]
    return record


# -- reading: every ValueError below becomes a TrmsolveError with file and line -----------------------------------
def _check(condition: object, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _frame(record: Any) -> Frame:
    _check(isinstance(record, dict), "expected an object for each frame")
    for name, kind in FIGURES.items():
        value = record.get(name)
        is_bool = isinstance(value, bool) and kind in (int, (int, float))
        _check(name in record and isinstance(value, kind) and not is_bool, f"{name}: {_quoted(value)}")
    return Frame(
        _picture(record.get("picture")),
        **{name: record[name] for name in FIGURES},
        status=None if record.get("status") is None else _status(record["status"]),
        zoom_levels=tuple(_items(record.get("zoom_levels", []), _picture, "zoom_levels")),
    )


def _status(record: Any) -> StatusText:
    _check(isinstance(record, dict), "status: expected an object")
    meter, unsure = record.get("meter"), record.get("unsure", 0)
    _check(_matches(meter, str, (int, float)), f"status, meter: {_quoted(meter)}")
    _check(isinstance(record.get("state"), str) and isinstance(unsure, int), "status: state or unsure is wrong")

    def stat(value: Any) -> Stat:
        _check(_matches(value, str, str, (bool, type(None))), f"stat {_quoted(value)}")
        return Stat(*value)

    return StatusText(record["state"], tuple(meter), tuple(_items(record.get("stats"), stat, "stats")), unsure)


def _picture(record: Any) -> Picture:
    _check(isinstance(record, dict), "picture: expected an object")
    solid, box = record.get("solid") is True, record.get("box")
    roles = role_table(Picture((), solid=solid))

    def cell(value: Any) -> Cell:
        _check(_matches(value, str, str, (int, float), str), f"cell {_quoted(value)}")
        _check(value[1] in roles, f"unknown role {_quoted(value[1])}")
        _check(all(text.isprintable() for text in (value[0], value[3])), f"cell {_quoted(value)}")
        return Cell(*value)

    def label(value: Any) -> Label:
        _check(_matches(value, int, int, str) and value[2].isprintable(), f"label {_quoted(value)}")
        return Label(*value)

    cells = _items(record.get("cells"), cell, "cells")

    def row(value: Any) -> list[Cell]:
        _check(isinstance(value, list) and 0 < len(value) <= MAX_SIDE, "a row that is not a list of cells")
        is_valid = all(isinstance(index, int) and 0 <= index < len(cells) for index in value)
        _check(is_valid, f"a row with an index outside 0..{len(cells) - 1}")
        return [cells[index] for index in value]

    rows = _items(record.get("rows"), row, "rows")
    _check(0 < len(rows) <= MAX_SIDE and len({len(it) for it in rows}) == 1, "rows of unequal length, or none")
    if box is not None:
        _check(_matches(box, int, int) and min(box) > 0, f"box: {_quoted(box)}")
    return Picture(
        rows, None if box is None else tuple(box), solid, tuple(_items(record.get("labels", []), label, "labels"))
    )


def _items(value: Any, read: Callable[[Any], Any], name: str) -> list[Any]:
    _check(isinstance(value, list), f"{name}: expected a list")
    return [read(item) for item in value]


def _matches(value: Any, *kinds: type | tuple[type, ...]) -> bool:
    """Whether the value is a list of items of these kinds."""
    return isinstance(value, list) and len(value) == len(kinds) and all(map(isinstance, value, kinds))


def _quoted(value: Any) -> str:
    text = json.dumps(value)
    return f"unexpected {text if len(text) <= 60 else text[:57] + '...'}"
