"""The refinement as one web page that needs nothing else: a step slider, a play button, the arrow keys.

The page holds its frames as data and redraws one table, or, for solid pictures, one SVG of a path per role; the last
frame is already there when the page arrives, so that it shows the answer without scripts too. It loads nothing and can
be opened from a disk or sent by mail.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files

from trmsolve.render import caption
from trmsolve.render.areas import shapes
from trmsolve.render.frame import Frame
from trmsolve.render.theme import DARK, FONT, LIGHT, ROLES, Page, Role, haze, in_legend_order, looks, paint, sample
from trmsolve.tasks.base import Cell

ABOUT = 'aria-label="The grid at the chosen step"'
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"  # as JavaScript's parseInt(digit, 36) reads them
PIXELS = 10  # of a solid cell; the page scales them


def html(frames: Sequence[Frame]) -> str:
    """The frames as an HTML document."""
    last, solid = frames[-1], frames[-1].picture.solid
    layers = sorted(set().union(*(frame.roles for frame in frames)))
    parts = {
        "TITLE": escape(caption.heading(last)),
        "CSS": _css(last),
        "GRID": _drawing(last, layers) if solid else _table(last),
        "STATE": escape(caption.state(last)),
        "DETAILS": escape(caption.joined(caption.details(last))),
        "METER": caption.meter(last)[0],
        "HISTORY": caption.history(last),
        "LEGEND": _legend(frames),
        "LAST": str(len(frames) - 1),
        "PAINT": _part("paint_areas.js" if solid else "paint_table.js"),
        "DATA": _data(frames, layers),
    }
    # One pass over the template: text that was put in is never searched for the next placeholder.
    head, *rest = _part("page.html").split("{{")
    out = [head]
    for piece in rest:
        name, tail = piece.split("}}", 1)
        out += [parts[name], tail]
    return "".join(out)


def _part(name: str) -> str:
    return files("trmsolve.render").joinpath(name).read_text(encoding="utf-8")


def _data(frames: Sequence[Frame], layers: list[str]) -> str:
    """The frames as JSON for the script; "<" is escaped so that no text can end the script element."""
    records = [
        {
            "state": caption.state(frame),
            "details": caption.joined(caption.details(frame)),
            "end": caption.tone(frame),
            "meter": caption.meter(frame)[0],
            "share": round(caption.meter(frame)[1], 4),
            "percent": caption.percent(caption.meter(frame)[1]),
            "left": caption.left(frame),
            "cells": _digits(frame, layers) if frame.picture.solid else _symbols(frame),
        }
        for frame in frames
    ]
    text = json.dumps(records, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _symbols(frame: Frame) -> list[list[str | float]]:
    return [
        [cell.text, cell.role, round(haze(cell), 2), label(cell, r, c)]
        for r, row in enumerate(frame.picture.cells)
        for c, cell in enumerate(row)
    ]


def _digits(frame: Frame, layers: list[str]) -> str:
    """Each cell's role as one digit, its place among the layers: a maze has thousands of cells, and many steps."""
    digit = dict(zip(layers, DIGITS, strict=False))
    return "".join(digit[cell.role] for row in frame.picture.cells for cell in row)


def label(cell: Cell, row: int, column: int) -> str:
    """What a cell is, in words: the tooltip, and what a screen reader says."""
    said = [f"row {row + 1} column {column + 1}", cell.text or "open", ROLES[cell.role].word]
    said += [caption.percent(cell.confidence)] if cell.confidence < 1 else []
    return ", ".join(part for part in said if part)


def _table(frame: Frame) -> str:
    rows = []
    for r, row in enumerate(frame.picture.cells):
        cells = "".join(
            f'<td class="{cell.role}{_edges(frame, r, c)}" title="{escape(label(cell, r, c))}"'
            f' style="--haze:{haze(cell):.2f}">{escape(cell.text)}</td>'
            for c, cell in enumerate(row)
        )
        rows.append(f"<tr>{cells}</tr>")
    return "\n".join([f'<table id="grid" {ABOUT}><tbody>', *rows, "</tbody></table>"])


def _drawing(frame: Frame, layers: list[str]) -> str:
    rows, columns = len(frame.picture.cells), len(frame.picture.cells[0])
    box = f"0 0 {columns * PIXELS} {rows * PIXELS}"
    parts = shapes(frame.picture, layers, PIXELS)
    return "\n".join([f'<svg id="grid" viewBox="{box}" role="img" {ABOUT}>', *parts, "</svg>"])


def _edges(frame: Frame, r: int, c: int) -> str:
    """Classes for the heavier lines: above and left of every box."""
    if frame.picture.box is None:
        return ""
    high, wide = frame.picture.box
    return (" top" if r % high == 0 else "") + (" left" if c % wide == 0 else "")


def _legend(frames: Sequence[Frame]) -> str:
    table = looks(frames[-1].picture)
    samples = [(name, sample(name, table)) for name in in_legend_order(set().union(*(f.roles for f in frames)), table)]
    return "".join(
        f'<li><span class="sample {name}" style="--haze:{haze(it, table):.2f}" aria-hidden="true">'
        f"{it.text or '&nbsp;'}</span>{table[name].word}</li>"
        for name, it in samples
    )


def _css(frame: Frame) -> str:
    rows, columns, table = len(frame.picture.cells), len(frame.picture.cells[0]), looks(frame.picture)
    accent = "changed-ground" if frame.picture.solid else "changed"
    sizes = f"--side:{max(rows, columns)};--rows:{rows};--columns:{columns};--accent:var(--{accent})"
    out = [
        f":root{{--font:{FONT};{sizes};{_variables(LIGHT, table)}}}",
        f"@media (prefers-color-scheme:dark){{:root{{{_variables(DARK, table)}}}}}",
    ]
    for name, role in table.items():
        rules = [f"color:var(--{name})", f"--ground:var(--{name}-ground)"]
        rules += ["font-weight:700"] if role.bold else []
        rules += ["font-style:italic"] if role.italic else []
        rules += ["text-decoration:underline", "text-underline-offset:.15em"] if role.underline else []
        if role.corner:
            rules.append("background-image:linear-gradient(45deg,transparent 82%,currentColor 82.5%)")
        out.append(f".{name}{{{';'.join(rules)}}}")
        if frame.picture.solid:
            out.append(f".{name}-ground{{fill:var(--{name}-ground)}}")
    return "\n".join(out)


def _variables(page: Page, table: dict[str, Role]) -> str:
    names = ("paper", "ink", "faint", "thin", "thick", "haze", "good", "bad", "track")
    out = [f"--{'mist' if name == 'haze' else name}:{getattr(page, name)}" for name in names]
    for name in table:
        colours = paint(name, page, table)
        out += [f"--{name}:{colours.ink}", f"--{name}-ground:{colours.fill or page.paper}"]
    return ";".join(out)
