"""Solid pictures as files: the colour of every cell, file sizes, distinct colours."""

import itertools
import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image
from rich.color import Color, ColorSystem

from trmsolve.render import theme
from trmsolve.render.drawing import MARGIN, TITLE
from trmsolve.render.gif import cell_size, save_gif
from trmsolve.render.html import PIXELS, html
from trmsolve.render.svg import cell_size as svg_cell_size
from trmsolve.render.svg import svg

from .mazes import growth, maze
from .painted import painted, roles_by_cell
from .test_files import SVG, Page, contrast


def roles(frame):
    return [[cell.role for cell in row] for row in frame.picture.cells]


@pytest.mark.parametrize(("height", "width"), [(3, 3), (30, 30), (15, 40), (101, 30)])
def test_svg_covers_every_cell_with_its_role(height, width):
    frame = growth(maze(height, width))[-2]
    root = ElementTree.fromstring(svg(frame))
    assert painted(root, svg_cell_size(frame.picture)) == roles_by_cell(frame.picture)
    letters = [it for it in root.iter(f"{SVG}text") if it.get("class").startswith("cell ")]
    assert sorted(it.text for it in letters) == ["G", "S"]
    assert set(root.itertext()) >= {"start", "goal"}


def test_files_stay_small(tmp_path):
    assert len(svg(growth(maze(61, 61))[-2])) < 150_000
    assert save_gif(growth(maze(30, 30), steps=30), tmp_path / "a.gif").stat().st_size < 400_000
    assert len(html(growth(maze(61, 61), steps=60))) < 1_500_000


def test_gif_keeps_the_exact_colour_of_every_cell(tmp_path):
    frames = growth(maze(15, 20), steps=4)
    image = Image.open(save_gif(frames, tmp_path / "a.gif"))
    size = cell_size(frames[0].picture)
    for k, frame in enumerate(frames):
        image.seek(k)
        pixels = image.convert("RGB")
        for r, row in enumerate(roles(frame)):
            for c, role in enumerate(row):
                colour = theme.SOLID_ROLES[role].light.fill
                corner = pixels.getpixel((MARGIN + c * size + 2, TITLE + r * size + 2))  # beside the letter
                assert "#{:02x}{:02x}{:02x}".format(*corner) == colour, (k, r, c, role)


def test_html_stores_one_character_per_cell_and_step():
    frames = growth(maze(12, 17))
    text = html(frames)
    page = Page(text)
    drawing = re.search(r'<svg id="grid".*?</svg>', text, re.S)[0]
    assert painted(ElementTree.fromstring(drawing), PIXELS) == roles_by_cell(frames[-1].picture)  # without scripts
    layers = [path.get("class").removesuffix("-ground") for path in ElementTree.fromstring(drawing).iter("path")]
    data = json.loads(page.scripts[0])
    for record, frame in zip(data, frames, strict=True):
        assert [layers[int(digit)] for digit in record["cells"]] == [role for row in roles(frame) for role in row]
    assert "{{" not in text and not re.search(r"https?://|url\(|src=|href=", text)


# -- the colours ----------------------------------------------------------------------------------------------------
# How dichromats see linear RGB (Machado, Oliveira, Fernandes 2009, severity 1).
SIGHT = {
    "full": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour, sight):
    """CIE L*a*b* of a hex colour as that eye sees it."""
    rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(XYZ @ np.clip(np.array(SIGHT[sight]) @ linear, 0.001, 1) / XYZ.sum(1))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


TILES = [name for name, role in theme.ARC.items() if role.tile]


@pytest.mark.parametrize("page", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("names", [list(theme.MAZE), TILES], ids=["maze", "arc"])
def test_fills_are_distinct_for_every_kind_of_colour_vision(page, sight, names):
    """2 is a just noticeable difference between large fields; `former` is meant to be faint."""
    fills = {name: theme.page_colors(name, page, theme.SOLID_ROLES).fill for name in names}
    for a, b in itertools.combinations(fills, 2):
        least = 8 if {a, b} == {"floor", "former"} else 16
        assert np.linalg.norm(lab(fills[a], sight) - lab(fills[b], sight)) >= least, (a, b)


@pytest.mark.parametrize("page", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_contrast_meets_wcag_aa(page):
    """WCAG AA: 4.5 for letters, 3 for the shapes that carry the meaning."""
    look = {name: theme.page_colors(name, page, theme.MAZE) for name in theme.MAZE}
    assert sum(role.letter for role in theme.MAZE.values()) == 2
    for name, role in theme.MAZE.items():
        assert not role.letter or contrast(look[name].ink, look[name].fill) >= 4.5, name
    for name in ("wall", "path", "unsure", "goal"):
        assert contrast(look[name].fill, look["floor"].fill) >= 2.99, name


def test_maze_roles_differ_in_a_terminal():
    named = [role.color for role in theme.MAZE.values() if role.color]
    assert len(set(named)) == len(named)
    marks = [role.mark for role in theme.MAZE.values() if role.word and role.color]
    assert len(set(marks)) == len(marks) and " " not in marks


def test_the_ten_arc_colours_are_equal_on_light_and_dark_pages():
    assert [f"arc{colour}" for colour in range(10)] == TILES
    assert all(theme.ARC[name].light == theme.ARC[name].dark for name in TILES)
    for name in TILES:
        ink, fill = theme.ARC[name].light.ink, theme.ARC[name].light.fill
        assert contrast(ink, fill) >= 4.5, name


USUAL = ["#000000", "#0074d9", "#ff4136", "#2ecc40", "#ffdc00", "#aaaaaa", "#f012be", "#ff851b", "#7fdbff", "#870c25"]


@pytest.mark.parametrize("colour", range(10))
def test_each_arc_colour_is_nearest_to_its_usual_one(colour):
    own = lab(theme.ARC[f"arc{colour}"].light.fill, "full")
    assert int(np.argmin([np.linalg.norm(own - lab(usual, "full")) for usual in USUAL])) == colour


@pytest.mark.parametrize("system", [ColorSystem.STANDARD, ColorSystem.EIGHT_BIT], ids=["16 colours", "256 colours"])
def test_arc_colours_stay_distinct_in_16_and_256_colours(system):
    shown = {Color.parse(theme.ARC[name].color).downgrade(system).number for name in (*TILES, "mat")}
    assert len(shown) == 11
