"""Pictures as files: SVG, GIF, HTML, and how they are written."""

import dataclasses
import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest
from PIL import Image

from trmsolve.render import gif, theme
from trmsolve.render.drawing import CELL
from trmsolve.render.frame import Stat, StatusText
from trmsolve.render.gif import save_gif
from trmsolve.render.html import html
from trmsolve.render.svg import svg

from .fake import refinement, solution

SVG = "{http://www.w3.org/2000/svg}"
NASTY = "</script><script>alert(1)</script>&\"'\x1b\x00{{DATA}}"


def letters(side):
    return [["123456789ABCDEFG"[d - 1] for d in row] for row in solution(side)]


# -- SVG ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("side", [4, 6, 9, 16])
def test_svg_has_every_digit_in_its_cell(side):
    root = ElementTree.fromstring(svg(refinement(side)[-1]))
    grid = [["" for _ in range(side)] for _ in range(side)]
    for text in root.iter(f"{SVG}text"):
        if text.get("class").startswith("cell "):
            grid[int(float(text.get("y")) // CELL)][int(float(text.get("x")) // CELL)] = text.text
    assert grid == letters(side)


def test_svg_states_the_outcome_and_loads_nothing():
    text = svg(refinement(9, solved=False)[-1])
    root = ElementTree.fromstring(text)
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert "not solved" in texts and any("still broken" in line for line in texts)
    assert {"given", "settled", "conflict"} <= set(texts)
    assert "halting" in root.find(f"{SVG}desc").text
    assert "prefers-color-scheme:dark" in text
    assert re.findall(r"https?://[^\"' ]+", text) == ["http://www.w3.org/2000/svg"]


def test_svg_escapes_names():
    frame = dataclasses.replace(refinement(4)[-1], source=NASTY, status=StatusText(NASTY))
    root = ElementTree.fromstring(svg(frame))
    assert "</script>" in root.find(f"{SVG}title").text
    assert not list(root.iter(f"{SVG}script"))


# -- GIF ----------------------------------------------------------------------------------------------------------
def test_gif_has_every_frame_and_shows_the_last_one_longer(tmp_path):
    path = save_gif(refinement(9, steps=8), tmp_path / "run.gif")
    image = Image.open(path)
    durations = []
    for i in range(image.n_frames):
        image.seek(i)
        durations.append(image.info["duration"])
    assert durations == [gif.FRAME_MS] * 8 + [gif.LAST_MS]
    assert image.info["loop"] == 0
    assert max(image.size) < 700 and path.stat().st_size < 300_000
    assert image.convert("RGB").getpixel((2, 2)) == (255, 255, 255)


def test_gif_of_a_long_run_has_fewer_and_shorter_frames(tmp_path):
    frames = refinement(4, steps=300)
    few = gif.thinned(frames)
    assert len(few) == gif.MAX_FRAMES and few[0] is frames[0] and few[-1] is frames[-1]
    assert [f.step for f in few] == sorted({f.step for f in few})
    image = Image.open(save_gif(refinement(4, steps=40), tmp_path / "long.gif"))
    assert image.n_frames == 41
    assert 0 < image.info["duration"] * 40 <= gif.TOTAL_MS < gif.FRAME_MS * 40


def test_gif_of_one_frame(tmp_path):
    image = Image.open(save_gif(refinement(16)[-1:], tmp_path / "one.gif"))
    assert image.n_frames == 1


# -- HTML ---------------------------------------------------------------------------------------------------------
class Page(HTMLParser):
    """Collects what the tests ask about."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.cells, self.scripts, self._open = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._open = tag
        if tag == "td":
            self.cells.append("")
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self._open == "td":
            self.cells[-1] += data.strip()
        if self._open == "script":
            self.scripts[-1] += data

    def handle_endtag(self, tag):
        self._open = ""


@pytest.mark.parametrize("side", [4, 9, 16])
def test_html_has_the_data_of_every_step(side):
    frames = refinement(side)
    text = html(frames)
    page = Page(text)
    assert page.cells == [letter for row in letters(side) for letter in row]  # the answer is there without scripts
    data = json.loads(page.scripts[0])
    assert len(data) == len(frames)
    for record, frame in zip(data, frames, strict=True):
        cells_shown = [(cell.text, cell.role) for row in frame.picture.cells for cell in row]
        assert [(symbol, role) for symbol, role, *_ in record["cells"]] == cells_shown
    assert data[-1]["state"] == "solved at step 6" and data[-1]["end"] == "good"
    slider = next(attributes for tag, attributes in page.tags if attributes.get("type") == "range")
    assert slider["max"] == str(len(frames) - 1) and slider["aria-label"]


def test_html_loads_nothing():
    text = html(refinement(9))
    assert not re.search(r"https?://|//[a-z]+\.[a-z]+/|@import|url\(", text)
    assert not [a for _, attributes in Page(text).tags for a in attributes if a in ("src", "href")]
    assert "default-src 'none'" in text and "{{" not in text


def test_html_escapes_names():
    status = StatusText("x", stats=(Stat("error", NASTY),))
    frames = [dataclasses.replace(frame, source=NASTY, status=status) for frame in refinement(4)]
    page = Page(html(frames))
    assert len(page.scripts) == 2 and not any(script.strip() == "alert(1)" for script in page.scripts)
    assert "</script><script>alert(1)</script>" in json.loads(page.scripts[0])[-1]["details"]


# -- the theme ----------------------------------------------------------------------------------------------------
def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("page", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_text_contrast_of_every_role(page):
    for name, role in theme.ROLES.items():
        colours = theme.page_colors(name, page)
        grounds = [colours.fill or page.paper] + [page.shade] * role.shaded
        for ground in grounds:
            assert contrast(colours.ink, ground) >= 4.5, (name, ground)
    for ink in (page.ink, page.faint, page.good, page.bad):
        assert contrast(ink, page.paper) >= 4.5


def test_roles_differ_without_colour():
    looks = [(role.plain, role.mark) for role in theme.ROLES.values() if role.word]
    assert len(set(looks)) == len(looks)
    assert len({role.mark for role in theme.ROLES.values() if role.word}) == len(looks)  # where nothing but text is
    shapes = [(r.bold, r.italic, r.underline, r.corner) for r in theme.ROLES.values() if r.word]
    assert len(set(shapes)) == len(shapes)
