"""The refinement as one web page that needs nothing else: a step slider, a play button, the arrow keys.

The page holds its frames as data and redraws one table; the last frame is already in the table when the page arrives,
so that it shows the answer without scripts too. It loads nothing and can be opened from a disk or sent by mail.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files

from trmsolve.tasks.base import Cell
from trmsolve.view import caption
from trmsolve.view.frame import Frame
from trmsolve.view.theme import DARK, FONT, LIGHT, ROLES, Page, haze, in_legend_order, paint, sample


def html(frames: Sequence[Frame]) -> str:
    """The frames as an HTML document."""
    last = frames[-1]
    template = files("trmsolve.view").joinpath("page.html").read_text(encoding="utf-8")
    parts = {
        "TITLE": escape(caption.heading(last)),
        "CSS": _css(last),
        "GRID": _table(last),
        "STATE": escape(caption.state(last)),
        "DETAILS": escape(caption.details(last)),
        "LEGEND": _legend(frames),
        "LAST": str(len(frames) - 1),
        "DATA": _data(frames),
    }
    # One pass over the template: text that was put in is never searched for the next placeholder.
    head, *rest = template.split("{{")
    out = [head]
    for piece in rest:
        name, tail = piece.split("}}", 1)
        out += [parts[name], tail]
    return "".join(out)


def _data(frames: Sequence[Frame]) -> str:
    """The frames as JSON for the script; "<" is escaped so that no text can end the script element."""
    records = [
        {
            "state": caption.state(frame),
            "details": caption.details(frame),
            "end": ("good" if frame.solved else "bad") if frame.done else "",
            "halt": round(frame.halt_probability, 4),
            "halting": caption.percent(frame.halt_probability),
            "broken": frame.violations,
            "cells": [
                [cell.text, cell.role, round(haze(cell), 2), label(cell, r, c)]
                for r, row in enumerate(frame.picture.cells)
                for c, cell in enumerate(row)
            ],
        }
        for frame in frames
    ]
    text = json.dumps(records, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


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
    return "\n".join(rows)


def _edges(frame: Frame, r: int, c: int) -> str:
    """Classes for the heavier lines: above and left of every box."""
    if frame.picture.box is None:
        return ""
    high, wide = frame.picture.box
    return (" top" if r % high == 0 else "") + (" left" if c % wide == 0 else "")


def _legend(frames: Sequence[Frame]) -> str:
    roles = in_legend_order(set().union(*(frame.roles for frame in frames)))
    return "".join(
        f'<li><span class="sample {name}" style="--haze:{haze(sample(name)):.2f}" aria-hidden="true">a</span>'
        f"{ROLES[name].word}</li>"
        for name in roles
    )


def _css(frame: Frame) -> str:
    side = max(len(frame.picture.cells), len(frame.picture.cells[0]))
    out = [
        f":root{{--font:{FONT};--side:{side};{_variables(LIGHT)}}}",
        f"@media (prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}",
    ]
    for name, role in ROLES.items():
        rules = [f"color:var(--{name})", f"--ground:var(--{name}-ground)"]
        rules += ["font-weight:700"] if role.bold else []
        rules += ["font-style:italic"] if role.italic else []
        rules += ["text-decoration:underline", "text-underline-offset:.15em"] if role.underline else []
        if role.corner:
            rules.append("background-image:linear-gradient(45deg,transparent 82%,currentColor 82.5%)")
        out.append(f".{name}{{{';'.join(rules)}}}")
    return "\n".join(out)


def _variables(page: Page) -> str:
    names = ("paper", "ink", "faint", "thin", "thick", "haze", "good", "bad", "track")
    out = [f"--{'mist' if name == 'haze' else name}:{getattr(page, name)}" for name in names]
    for name in ROLES:
        colours = paint(name, page)
        out += [f"--{name}:{colours.ink}", f"--{name}-ground:{colours.fill or page.paper}"]
    return ";".join(out)
