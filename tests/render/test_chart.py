"""The chart of checkpoints, measured in the SVG."""

import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest

from trmsolve.render.chart import COLOURS, NAME, Curves, Spot, chart

STEPS = (1, 2, 4, 8, 16, 32, 64)
SVG = "{http://www.w3.org/2000/svg}"
RISING = {k: i / 10 for i, k in enumerate(STEPS)}
SPOTS = [Spot(0.05, 0.0, 25), Spot(0.5, 1.0, 100)]


def curves(name="sudoku", accepted=RISING, exact=None, spots=SPOTS, error=0.1234):
    return Curves(name, accepted, exact, spots, error)


def panels(text):
    """The two charts: accuracy, halting head."""
    return [child for child in ElementTree.fromstring(text) if child.tag == f"{SVG}svg"]


def dots(panel):
    """(x, y, radius) of every dot."""
    return [tuple(float(dot.get(key)) for key in ("cx", "cy", "r")) for dot in panel.iter(f"{SVG}circle")]


def lines(panel):
    return [path for path in panel.iter(f"{SVG}path") if "reactive" in path.get("class", "").split()]


def test_steps_lie_on_a_logarithmic_axis_and_shares_on_a_linear_one():
    marks = dots(panels(chart("h", 16, [curves()]))[0])
    xs, ys = [x for x, _, _ in marks], [y for _, y, _ in marks]
    assert len(marks) == len(STEPS)
    widths = [b - a for a, b in pairwise(xs)]
    assert max(widths) - min(widths) < 1e-6 and min(widths) > 40  # each step is twice the one before
    drops = [a - b for a, b in pairwise(ys)]
    assert max(drops) - min(drops) < 1e-6 and min(drops) > 10  # shares rise by a tenth each
    ticks = {text.text for text in panels(chart("h", 16, [curves()]))[0].iter(f"{SVG}text")}
    assert set(map(str, STEPS)) <= ticks and {"0 %", "100 %"} <= ticks


def test_calibration_dots_are_placed_by_probability_and_sized_by_count():
    (few, many) = dots(panels(chart("h", 16, [curves()]))[1])
    corner = dots(panels(chart("h", 16, [curves(spots=[Spot(0, 0, 1), Spot(1, 1, 1)])]))[1])
    (left, bottom, _), (right, top, _) = corner
    assert few[0] == pytest.approx(left + 0.05 * (right - left), abs=0.1) and few[1] == pytest.approx(bottom, abs=0.1)
    assert many[0] == pytest.approx((left + right) / 2, abs=0.1) and many[1] == pytest.approx(top, abs=0.1)
    assert many[2] / few[2] == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize("exact", [None, RISING])
def test_exact_match_is_a_dotted_line_only_with_known_answers(exact):
    text = chart("h", 16, [curves(exact=exact)])
    assert ("dotted: exact match" in text) == (exact is not None)
    dashed = re.findall(r"#chart-accuracy \.series\.serie-\d+\{[^}]*stroke-dasharray:", text)
    assert len(dashed) == (exact is not None) and len(lines(panels(text)[0])) == 1 + len(dashed)


def test_every_checkpoint_has_a_line_a_colour_and_a_legend_row():
    several = [curves(f"model {i}", error=i / 100) for i in range(len(COLOURS))]
    text = chart("h", 16, several)
    accuracy, trust = panels(text)
    assert len(lines(accuracy)) == len(several) and len(lines(trust)) == len(several) + 1  # and the diagonal
    root = ElementTree.fromstring(text)
    rows = [t.text for t in root.iter(f"{SVG}text") if "model" in (t.text or "")]
    assert rows == [f"model {i} (expected calibration error {i / 100:.3f})" for i in range(len(several))]
    for name, skipped in (("accuracy", 0), ("calibration", 1)):  # the colour of series i, as the panel's own style says
        for i, colour in enumerate(COLOURS):
            rule = rf"#chart-{name} \.color-{i + skipped},[^}}]*}}"
            assert re.search(rule, text).group().lower().count(colour) >= 1


def test_the_chart_is_deterministic_and_has_no_scripts_or_links():
    text = chart("h", 16, [curves(exact=RISING)])
    assert text == chart("h", 16, [curves(exact=RISING)])
    assert set(re.findall(r"https?://[^\"' )]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "<script" not in text and "@import" not in text and "url(" not in text and "<!--" not in text


def test_names_are_escaped_and_shortened_to_fit():
    wicked = "<script>&\x1b" + "W" * 300
    text = chart(wicked, 16, [curves(wicked), curves("sudoku")])
    root = ElementTree.fromstring(text)
    width = float(root.get("width"))
    for element in root.iter(f"{SVG}text"):
        if element.get("x") and "W" in (element.text or ""):
            assert float(element.get("x")) + 7.5 * len(element.text) < width and len(element.text) < NAME + 50
    assert "<script" not in text and "\x1b" not in text


def test_without_halting_probabilities_there_is_no_calibration_error():
    text = chart("h", 16, [curves(spots=[], error=0.0)])
    assert "calibration not measured" in text and "calibration error" not in text


def test_line_colours_are_distinct_to_the_colour_blind():
    """Viénot, Brettel and Mollon's projections (1999) for missing long and middle cones, in linear RGB."""
    protan = ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0))
    deutan = ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0))
    plain = ((1, 0, 0), (0, 1, 0), (0, 0, 1))

    def seen(colour, how):
        linear = [(int(colour[i : i + 2], 16) / 255) ** 2.2 for i in (1, 3, 5)]
        return [max(sum(w * c for w, c in zip(row, linear, strict=True)), 0) ** (1 / 2.2) for row in how]

    for how in (plain, protan, deutan):
        for i, a in enumerate(COLOURS):
            for b in COLOURS[:i]:
                assert sum((x - y) ** 2 for x, y in zip(seen(a, how), seen(b, how), strict=True)) ** 0.5 > 0.1, (a, b)
