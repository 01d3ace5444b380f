"""ARC's pictures, whose cells are areas of colour, in each renderer."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from rich.style import Style

from tasks.arc.examples import grid, task
from trmsolve.render import blocks, theme
from trmsolve.render.console import ASCII
from trmsolve.render.drawing import MARGIN, TITLE
from trmsolve.render.frame import Frame
from trmsolve.render.gif import cell_size, save_gif
from trmsolve.render.html import html
from trmsolve.render.panel import PuzzlePanel
from trmsolve.render.svg import cell_size as svg_cell_size
from trmsolve.render.svg import svg
from trmsolve.tasks.arc.picture import above, beside, grid_picture, task_picture
from trmsolve.tasks.base import Picture

from .painted import painted, roles_by_cell

COLORS = grid("01234", "56789")


def rows(shown: Picture) -> list[str]:
    return ["".join(cell.text for cell in row) for row in shown.cells]


def roles(shown: Picture) -> list[list[str]]:
    return [[cell.role for cell in row] for row in shown.cells]


def frame(shown: Picture, step: int = 1) -> Frame:
    return Frame(shown, "arc", "arc.json:x", step)


SHOWN = task_picture(task(), [[grid("09", "00"), grid("567")], [grid("876")]])


@pytest.mark.parametrize("shown", [SHOWN, grid_picture(COLORS)], ids=["task", "grid"])
def test_svg_and_html_cover_every_cell_with_its_colour(shown):
    root = ElementTree.fromstring(svg(frame(shown)))
    assert painted(root, svg_cell_size(shown)) == roles_by_cell(shown)
    drawing = re.search(r'<svg id="grid".*?</svg>', html([frame(shown)]), re.S)[0]
    assert painted(ElementTree.fromstring(drawing), 10) == roles_by_cell(shown)


def test_html_encodes_more_than_ten_roles():
    frames = [frame(task_picture(task(), attempt_sizes=[(2, 3)] * 2), 0), frame(SHOWN)]
    text = html(frames)
    layers = [path[0] for path in re.findall(r'<path class="(\w+)-ground( tile)?"', text)]
    assert len(layers) > 10
    records = json.loads(re.search(r'id="frames">(.*?)</script>', text, re.S)[1])
    for record, it in zip(records, frames, strict=True):
        layer_names = [layers[int(digit, 36)] for digit in record["cells"]]
        assert layer_names == [role for row in roles(it.picture) for role in row]


def test_gif_shows_every_cell_in_its_colour(tmp_path):
    image = Image.open(save_gif([frame(SHOWN)], tmp_path / "a.gif")).convert("RGB")
    size = cell_size(SHOWN)
    left = (image.width - len(SHOWN.cells[0]) * size) // 2
    assert left >= MARGIN
    for (r, c), role in roles_by_cell(SHOWN).items():
        pixel = image.getpixel((left + c * size + size // 2, TITLE + r * size + size // 2))
        assert "#{:02x}{:02x}{:02x}".format(*pixel) == theme.SOLID_ROLES[role].light.fill, (r, c, role)


def panel_lines(shown: Picture, width: int = 120, height: int = 50, **console) -> list:
    panel = PuzzlePanel(Console(width=width, height=height, force_terminal=True, **console))
    panel.add(frame(shown))
    return panel.lines(width, height)


def test_without_colour_a_terminal_shows_digits():
    lines = [line.plain for line in panel_lines(SHOWN, no_color=True)]
    inside = [re.search("│(.*?)│", line)[1] for line in lines if "│" in line]
    assert inside == rows(SHOWN)


def test_with_colour_a_terminal_shows_the_colours():
    """Half blocks: the upper half of a character is one row, the lower half the next."""
    lines = panel_lines(SHOWN, height=20, color_system="truecolor")[1:]
    height, width = len(SHOWN.cells), len(SHOWN.cells[0])
    seen = [["" for _ in range(width + 2)] for _ in range(2 * len(lines))]
    for i, line in enumerate(lines):
        for c, character in enumerate(line.plain[: width + 2]):
            style = Style.combine([Style.parse(str(span.style)) for span in line.spans if span.start <= c < span.end])
            fore, back = (colour.name if colour else "" for colour in (style.color, style.bgcolor))
            halves = {" ": (back, back), "█": (fore, fore), "▀": (fore, back), "▄": (back, fore)}
            if character in halves:
                seen[2 * i][c], seen[2 * i + 1][c] = halves[character]
    inside = [row[1:-1] for row in seen[2 : 2 + height]]
    assert inside == [[theme.SOLID_ROLES[role].color for role in row] for row in roles(SHOWN)]


def test_an_old_windows_pipe_with_colours_shows_digits_on_their_colours():
    for line in blocks.draw_solid(SHOWN.cells, blocks.SYMBOLS[0], ASCII, color=True):
        line.plain.encode("cp1252")
        for span in line.spans:
            if line.plain[span.start : span.end].isdigit():
                style = Style.parse(str(span.style))
                assert style.color and style.bgcolor and style.color != style.bgcolor


def test_the_largest_arc_task_fits_a_window_and_a_file():
    large = np.arange(900, dtype=np.uint8).reshape(30, 30) % 10
    shown = grid_picture(above([beside([large, large]) for _ in range(4)]))
    assert len(panel_lines(shown, 80, 24)) <= 24
    assert len(svg(frame(shown))) < 400_000


LABELLED = task_picture(task(), [[grid("09", "00")], [grid("876")]], 0, [(2, 3)] * 2, ("attempt 1", "attempt 2"))
LABELS = ["demonstrations", "test", "attempt 1", "test", "attempt 1"]


@pytest.mark.parametrize(
    ("height", "options"),
    [(50, {"color_system": "truecolor"}), (24, {"color_system": "truecolor"}), (50, {"no_color": True})],
    ids=["two columns a cell", "half blocks", "no colour"],
)
def test_a_terminal_shows_the_labels(height, options):
    lines = panel_lines(LABELLED, height=height, **options)
    labels_shown = re.findall("|".join(set(LABELS)), "\n".join(line.plain for line in lines))
    assert sorted(labels_shown) == sorted(LABELS)


def test_files_show_the_labels(tmp_path):
    root = ElementTree.fromstring(svg(frame(LABELLED)))
    texts = [it for it in root.iter("{http://www.w3.org/2000/svg}text") if it.get("class") == "label mat"]
    assert sorted(it.text for it in texts) == sorted(LABELS)
    assert painted(root, svg_cell_size(LABELLED)) == roles_by_cell(LABELLED)
    page = html([frame(SHOWN, 0), frame(LABELLED)])
    first, second = json.loads(re.search(r'id="frames">(.*?)</script>', page, re.S)[1])
    assert "labels" not in first and sorted(label[2] for label in second["labels"]) == sorted(LABELS)
    unlabelled = Picture(LABELLED.cells, solid=True)
    images = [
        Image.open(save_gif([frame(it)], tmp_path / f"{i}.gif")).convert("RGB")
        for i, it in enumerate((LABELLED, unlabelled))
    ]
    assert images[0].size == images[1].size and images[0].tobytes() != images[1].tobytes()
