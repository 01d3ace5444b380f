"""Read the roles of cells back from the paths of an SVG."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

from trmsolve.render.drawing import OUTLINE
from trmsolve.tasks.base import Picture

SQUARE = re.compile(r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)h-([\d.]+)z")


def painted(root: ElementTree.Element, size: int) -> dict[tuple[int, int], str]:
    """The role of every cell (row, column) that a path covers; a cell is covered once."""
    painted_cells: dict[tuple[int, int], str] = {}
    for path in root.iter():
        role = (path.get("class") or "").split()[0:1]
        for x, y, width, high, back in (map(float, m) for m in SQUARE.findall(path.get("d") or "")):
            assert width == back
            if "tile" in path.get("class").split():
                assert high == width == pytest.approx((1 - 2 * OUTLINE) * size)
                x, y, width = x - OUTLINE * size, y - OUTLINE * size, size
            for i in range(round(width / size)):
                at = (round(y / size), round(x / size) + i)
                assert at not in painted_cells and (x / size) % 1 == pytest.approx(0, abs=1e-6)
                painted_cells[at] = role[0].removesuffix("-ground")
    return painted_cells


def roles_by_cell(shown: Picture) -> dict[tuple[int, int], str]:
    """The role of every cell (row, column)."""
    return {(r, c): cell.role for r, row in enumerate(shown.cells) for c, cell in enumerate(row)}
