"""The refinement as one self-contained web page: a step slider, a play button, the arrow keys.

The page has its frames as data and redraws one table or, for solid pictures, one SVG with a path per role. The last
frame is part of the page itself, so that it shows the answer without scripts too. It loads nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files

from trmsolve.render import caption
from trmsolve.render.drawing import draw_areas, label_positions
from trmsolve.render.frame import Frame
from trmsolve.render.svg import SvgCanvas
from trmsolve.render.theme import (
    DARK,
    FONT,
    LIGHT,
    ROLES,
    Role,
    class_colors,
    confidence_shade,
    legend_cell,
    legend_roles,
    role_styles,
    role_table,
)
from trmsolve.tasks.base import Cell

ABOUT = 'aria-label="The grid at the chosen step"'
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"  # as JavaScript's parseInt(digit, 36) reads them
PIXELS = 10  # per cell of a solid picture; the page scales them


def html(frames: Sequence[Frame]) -> str:
    """The frames as an HTML document."""
    last = frames[-1]
    roles = set().union(*(frame.roles for frame in frames))
    layers = sorted(roles)
    parts = {
        "TITLE": escape(last.heading),
        "CSS": _css(last),
        "GRID": _svg(last, layers) if last.picture.solid else _table(last),
        "STATE": escape(last.state),
        "DETAILS": escape(caption.joined(last.details())),
        "METER": last.meter[0],
        "HISTORY": f"{last.status.unit.capitalize()} at each step",
        "LEGEND": _legend(roles, role_table(last.picture)),
        "LAST": str(len(frames) - 1),
        "DATA": _data(frames, layers),
    }
    # One pass over the template: inserted text is never searched for the next placeholder.
    head, *rest = files("trmsolve.render").joinpath("page.html").read_text(encoding="utf-8").split("{{")
    pieces = [head]
    for piece in rest:
        name, tail = piece.split("}}", 1)
        pieces += [parts[name], tail]
    return "".join(pieces)


def _data(frames: Sequence[Frame], layers: list[str]) -> str:
    """The frames as JSON for the script; "<" is escaped so that no text can end the script element."""
    records = [
        {
            "state": frame.state,
            "details": caption.joined(frame.details()),
            "end": frame.outcome,
            "meter": frame.meter[0],
            "share": round(frame.meter[1], 4),
            "percent": caption.percent(frame.meter[1]),
            "left": frame.status.remaining,
            "cells": _layer_digits(frame, layers) if frame.picture.solid else _cell_records(frame),
            **({"labels": label_positions(frame.picture, PIXELS)} if frame.picture.labels else {}),
        }
        for frame in frames
    ]
    text = json.dumps(records, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _cell_records(frame: Frame) -> list[list[str | float]]:
    return [
        [cell.text, cell.role, round(confidence_shade(cell), 2), _label(cell, r, c)]
        for r, row in enumerate(frame.picture.cells)
        for c, cell in enumerate(row)
    ]


def _layer_digits(frame: Frame, layers: list[str]) -> str:
    """One digit per cell, the index of its role in `layers`: a maze has thousands of cells and many steps."""
    digits = dict(zip(layers, DIGITS, strict=False))
    return "".join(digits[cell.role] for row in frame.picture.cells for cell in row)


def _label(cell: Cell, row: int, column: int) -> str:
    """A cell in words: the tooltip, and what a screen reader reads."""
    parts = [f"row {row + 1} column {column + 1}", cell.text or "open", ROLES[cell.role].word]
    parts += [caption.percent(cell.confidence)] if cell.confidence < 1 else []
    return ", ".join(part for part in parts if part)


def _table(frame: Frame) -> str:
    rows = []
    for r, row in enumerate(frame.picture.cells):
        cells = "".join(
            f'<td class="{cell.role}{_edges(frame, r, c)}" title="{escape(_label(cell, r, c))}"'
            f' style="--doubt:{confidence_shade(cell):.2f}">{escape(cell.text)}</td>'
            for c, cell in enumerate(row)
        )
        rows.append(f"<tr>{cells}</tr>")
    return "\n".join([f'<table id="grid" {ABOUT}><tbody>', *rows, "</tbody></table>"])


def _edges(frame: Frame, r: int, c: int) -> str:
    """Classes for the heavier lines: above and left of every box."""
    if frame.picture.box is None:
        return ""
    high, wide = frame.picture.box
    return (" top" if r % high == 0 else "") + (" left" if c % wide == 0 else "")


def _svg(frame: Frame, layers: list[str]) -> str:
    rows, columns = len(frame.picture.cells), len(frame.picture.cells[0])
    box = f"0 0 {columns * PIXELS} {rows * PIXELS}"
    canvas = SvgCanvas()
    draw_areas(canvas, frame.picture, layers, PIXELS)
    return "\n".join([f'<svg id="grid" viewBox="{box}" role="img" {ABOUT}>', *canvas.parts, "</svg>"])


def _legend(roles: set[str], table: dict[str, Role]) -> str:
    cells = [legend_cell(name, table) for name in legend_roles(roles, table)]
    return "".join(
        f'<li><span class="sample {cell.role}" style="--doubt:{confidence_shade(cell, table):.2f}" aria-hidden="true">'
        f"{cell.text or '&nbsp;'}</span>{table[cell.role].word}</li>"
        for cell in cells
    )


def _css(frame: Frame) -> str:
    rows, columns, table = len(frame.picture.cells), len(frame.picture.cells[0]), role_table(frame.picture)
    accent = "changed-ground" if frame.picture.solid else "changed"
    sizes = f"--side:{max(rows, columns)};--rows:{rows};--columns:{columns};--accent:var(--{accent})"
    light, dark = (
        ";".join(f"--{name}:{color}" for name, color in class_colors(page, table).items()) for page in (LIGHT, DARK)
    )
    rules = [f":root{{--font:{FONT};{sizes};{light}}}", f"@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"]
    for name, role in table.items():
        ground = f"var(--{name}-ground)" if role.light.fill else "var(--paper)"
        corner = "background-image:linear-gradient(45deg,transparent 82%,currentColor 82.5%)"
        styles = [f"color:var(--{name})", f"--ground:{ground}", *role_styles(role), *[corner] * role.corner]
        rules.append(f".{name}{{{';'.join(styles)}}}")
        if frame.picture.solid:
            rules.append(f".{name}-ground{{fill:{ground}}}")
    return "\n".join(rules)
