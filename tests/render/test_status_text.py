"""The text of a frame in every view."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from trmsolve.render import theme
from trmsolve.render.frame import Frame, Stat, StatusText
from trmsolve.render.gif import save_gif
from trmsolve.render.html import html
from trmsolve.render.panel import PuzzlePanel
from trmsolve.render.svg import svg
from trmsolve.render.terminal import LiveView
from trmsolve.tasks.base import Cell, Picture

from .fake import refinement
from .streams import Stream
from .test_files import SVG

FACTS = (Stat("unsure", "7 cells"), Stat("loss", "0.125"), Stat("error", "too much", False), Stat("time", "3 s of 9 s"))
PUZZLING = ("rule", "first run", "restart", "guess", "broken")


def area(height: int, width: int, role: str = "arc0", other: str = "arc0") -> Picture:
    cells = [[Cell("0", role) for _ in range(width)] for _ in range(height)]
    cells[0][0] = Cell("0", other)
    return Picture(cells, solid=True)


def frame(facts=FACTS, state="adapting everything", picture=None, **more) -> Frame:
    status = StatusText(state, ("budget", 0.4), tuple(facts), more.pop("unsure", 0))
    return Frame(picture or area(6, 10), "arc", "a.json", more.pop("step", 1), status, **more)


def scene(*frames, color="auto", encoding="utf-8") -> PuzzlePanel:
    panel = PuzzlePanel(LiveView(Stream(terminal=True, encoding=encoding), color).console)
    for it in frames:
        panel.add(it)
    return panel


def text(lines) -> str:
    return "\n".join(line.plain for line in lines)


# -- what is said ---------------------------------------------------------------------------------------------------
def test_a_sentence_has_all_text_of_a_frame():
    shown = frame().sentence()
    assert shown == (
        "adapting everything · budget 40 % · unsure 7 cells · loss 0.125 · error too much · time 3 s of 9 s"
    )


@pytest.mark.parametrize(("width", "height"), [(80, 24), (140, 40), (200, 60), (36, 24)])
def test_a_terminal_shows_the_text_beside_or_below_the_picture(width, height):
    shown = text(scene(frame()).lines(width, height - 1))
    for part in ("adapting everything", "budget", "40 %", "unsure", "7 cells", "0.125", "too much", "3 s of 9 s"):
        assert part in shown, part
    assert not any(word in shown for word in PUZZLING)


@pytest.mark.parametrize("window", [(80, 24), (40, 24), (80, 12), (30, 10), (20, 5), (10, 3), (200, 60)])
@pytest.mark.parametrize(("color", "encoding"), [("always", "utf-8"), ("never", "utf-8"), ("always", "cp1252")])
@pytest.mark.parametrize("size", [(3, 3), (30, 30), (60, 100)])
def test_fits_every_window(size, window, color, encoding):
    near = area(size[0] // 2 + 1, size[1] // 2 + 1, other="redrawn")
    panel = scene(frame(picture=area(*size), zoom_levels=(near,)), color=color, encoding=encoding)
    lines = panel.lines(*window)
    assert len(lines) <= window[1] and max(line.cell_len for line in lines) <= window[0]
    text(lines).encode(encoding)


@pytest.mark.parametrize(("solved", "tone"), [(True, "good"), (False, "bad"), (None, "")])
def test_the_outcome_is_coloured_if_it_is_known(solved, tone, tmp_path):
    last = frame(state="over and out", solved=solved, done=True)
    assert last.outcome == tone and frame(solved=solved).outcome == ""
    verdict = next(it for it in ElementTree.fromstring(svg(last)).iter(f"{SVG}text") if it.text == "over and out")
    assert verdict.get("class") == f"verdict {tone}".strip()
    assert json.loads(re.search(r'id="frames">(.*?)</script>', html([last]), re.S)[1])[0]["end"] == tone
    style = {"good": "green", "bad": "red"}.get(tone)
    line = next(line for line in scene(last, color="always").lines(80, 23) if "over and out" in line.plain)
    assert [colour for colour in ("green", "red") if any(colour in str(span.style) for span in line.spans)] == (
        [style] if style else []
    )


def test_svg_wraps_long_text():
    many = [Stat(f"test {i}:", "12 and 3 of 16, first right") for i in range(1, 9)]
    short, long = (ElementTree.fromstring(svg(frame(facts))) for facts in (FACTS[:1], many))
    texts = [it.text for it in long.iter(f"{SVG}text")]
    assert all(any(f"test {i}: 12 and 3 of 16, first right" in line for line in texts) for i in range(1, 9))
    assert float(long.get("height")) > float(short.get("height"))
    assert all(float(it.get("y")) < float(long.get("height")) for it in long.iter(f"{SVG}text"))
    assert not any(word in line for line in texts for word in PUZZLING)


def test_html_has_the_text_and_the_history_of_what_remains():
    frames = [frame(unsure=n, step=k) for k, n in enumerate((0, 9, 4, 1))]
    page = html(frames)
    records = json.loads(re.search(r'id="frames">(.*?)</script>', page, re.S)[1])
    assert [record["left"] for record in records] == [0, 9, 4, 1]
    assert records[0]["meter"] == "budget" and records[0]["percent"] == "40 %" and records[0]["share"] == 0.4
    assert "Unsure cells at each step" in page and "Broken rules" not in page
    assert "Broken rules at each step" in html(refinement(4))


def test_frames_of_a_gif_have_one_size(tmp_path):
    many = [Stat(f"test {i}:", "12 and 3 of 16, first right") for i in range(1, 9)]
    image = Image.open(save_gif([frame(FACTS[:1]), frame(many), frame()], tmp_path / "a.gif"))
    alone = Image.open(save_gif([frame(FACTS[:1])], tmp_path / "b.gif"))
    assert image.n_frames == 3 and image.height > alone.height and image.width == alone.width


def test_control_characters_and_markup_in_text_are_escaped():
    nasty = frame([Stat("error", "\x1b[2J</script>")], state="\x1b]0;hm\x07<b>")
    for said in (text(scene(nasty).lines(80, 23)), svg(nasty), html([nasty])):
        assert "\x1b" not in said and "\x07" not in said
    assert (
        "<b>" not in svg(nasty) + html([nasty])
        and "</script>" not in svg(nasty)
        and html([nasty]).count("</script>") == html([frame()]).count("</script>")
    )


# -- pictures -------------------------------------------------------------------------------------------------------
def test_a_small_window_shows_a_closer_zoom_level():
    whole, near, nearest = area(60, 100, "arc1"), area(20, 70, "arc2"), area(12, 30, "arc3")
    it = frame(picture=whole, zoom_levels=(near, nearest))

    def seen(width, height):
        styles = {str(span.style) for line in scene(it, color="always").lines(width, height) for span in line.spans}
        return [name for name in ("arc1", "arc2", "arc3") if any(theme.ARC[name].color in style for style in styles)]

    assert seen(140, 45) == ["arc1"]
    assert seen(80, 23) == ["arc2"]
    assert seen(60, 23) == ["arc3"]
    assert seen(20, 8) == ["arc3"]  # a part of it


def test_the_viewport_follows_changed_cells():
    cells = [[Cell("0", "arc0") for _ in range(100)] for _ in range(100)]
    cells[80][90] = Cell("*", "redrawn")
    title = scene(frame(picture=Picture(cells, solid=True)), color="always").lines(80, 23)[0].plain
    top, bottom, left, right = map(int, re.search(r"rows (\d+)-(\d+) of 100, columns (\d+)-(\d+)", title).groups())
    assert top <= 81 <= bottom and left <= 91 <= right


def test_a_gif_keeps_rare_colours(tmp_path):
    # Told apart by their words: equal frames would become one.
    frames = [
        frame([Stat("test", str(k))], picture=area(30, 30, other="arc9" if k == 5 else "arc0")) for k in range(12)
    ]
    image = Image.open(save_gif(frames, tmp_path / "a.gif"))
    image.seek(5)
    colours = {pixel for _, pixel in image.convert("RGB").getcolors(1 << 20)}
    assert tuple(bytes.fromhex(theme.ARC["arc9"].light.fill[1:])) in colours


def test_the_last_frame_has_no_legend_of_the_change_map():
    busy = frame(picture=area(6, 10, other="redrawn"))
    assert "changed" in text(scene(busy).lines(80, 23)) and "changed" in svg(busy)
    last = frame(state="over", done=True)
    assert "changed" not in text(scene(busy, last).lines(80, 23))
