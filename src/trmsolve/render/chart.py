"""The accuracy of checkpoints as one SVG of two panels: accuracy by steps, and calibration of the halting head.

Each panel is a pygal chart. The file loads nothing and has no script; equal figures give equal bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from math import log2, sqrt
from typing import Any, NamedTuple

import pygal
from pygal.style import Style

from trmsolve.render.caption import shorten_start
from trmsolve.render.theme import FONT, LIGHT
from trmsolve.text_io import printable

# Okabe and Ito's colours (jfly.uni-koeln.de/color), distinct to colour-blind readers; yellow is too faint for lines.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")

PANEL, PLOT = 500, 400  # pixels: width and height of a panel
HEADING, ROW, MARGIN = 44, 24, 24  # pixels: above the panels; a row of the legend below them; around all
NAME = 90  # letters of a name that fit in the legend
MIN_DOT, MAX_DOT = 2.5, 12.0  # radius
PERCENT = [{"label": f"{20 * fifth} %", "value": fifth / 5} for fifth in range(6)]
LOOK = (
    f"#chart-{{name}} .axis .line{{{{stroke:{LIGHT.thick}}}}}#chart-{{name}} .dot{{{{stroke:{LIGHT.paper}}}}}"
    f"#chart-{{name}} .axis .guide.line{{{{stroke:{LIGHT.thin}}}}}"
)


class Spot(NamedTuple):
    """Predictions of about the same probability."""

    predicted: float  # mean probability
    right: float  # share that is correct
    puzzles: int


class Curves(NamedTuple):
    """The figures of one checkpoint."""

    name: str
    accepted: Mapping[int, float]  # by steps: share that the rules accept
    exact: Mapping[int, float] | None  # share equal to the known answers; None: answers are unknown
    spots: Sequence[Spot]
    error: float  # expected calibration error; meaningless without spots


def chart(heading: str, step: int, curves: Sequence[Curves]) -> str:
    """The SVG of up to len(COLOURS) checkpoints. step: the supervision step whose halting probability is shown."""
    width, bottom = 2 * PANEL + 2 * MARGIN, HEADING + PLOT
    height = bottom + ROW * len(curves) + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' role="img" aria-labelledby="title">',
        f'<title id="title">{escape(printable(heading))}</title>',
        f'<rect width="{width}" height="{height}" rx="12" fill="{LIGHT.paper}"/>',
        f'<g font-family="{FONT}" font-size="14" fill="{LIGHT.ink}">',
        _text(MARGIN, 34, shorten_start(printable(heading), 105), ' font-size="17" font-weight="600"'),
    ]
    for top, colour, curve in zip(range(bottom, height, ROW), COLOURS, curves, strict=False):
        parts.append(f'<rect x="{MARGIN + 10}" y="{top + 5}" width="14" height="14" rx="2" fill="{colour}"/>')
        calibration_text = (
            f"expected calibration error {curve.error:.3f}" if curve.spots else "calibration not measured"
        )
        parts.append(_text(MARGIN + 34, top + 17, f"{shorten_start(printable(curve.name), NAME)} ({calibration_text})"))
    parts.append("</g>")
    plots = (("accuracy", _accuracy(curves)), ("calibration", _calibration(curves, step)))
    for i, (plot_name, plot) in enumerate(plots):
        panel = rendered(plot, plot_name)
        parts.append(f'<svg x="{MARGIN + PANEL * i}" y="{HEADING}" width="{PANEL}" height="{PLOT}">{panel}</svg>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def rendered(plot: pygal.XY, name: str) -> str:
    """The SVG of a pygal chart, without scripts, without a date and with an id that is not random."""
    plot.uuid = name
    text = plot.render(is_unicode=True, disable_xml_declaration=True)
    return re.sub(r"<!--.*?-->|<script.*?</script>", "", text, flags=re.DOTALL)


def style(colors: Sequence[str], **settings: Any) -> Style:
    """The look of all charts on a light page. colors: of the series, in order."""
    return Style(
        colors=tuple(colors),
        background="transparent",
        plot_background="transparent",
        foreground=LIGHT.ink,
        foreground_strong=LIGHT.ink,
        foreground_subtle=LIGHT.faint,
        guide_stroke_color=LIGHT.thin,
        major_guide_stroke_color=LIGHT.thin,
        guide_stroke_dasharray="none",
        major_guide_stroke_dasharray="none",
        font_family=FONT,
        opacity="1",
        stroke_opacity="1",
        stroke_width="2",
        dot_opacity="1",
        **settings,
    )


def _text(x: float, y: float, text: str, look: str = "") -> str:
    return f'<text x="{x}" y="{y}"{look}>{escape(text)}</text>'


def _accuracy(curves: Sequence[Curves]) -> pygal.XY:
    dotted = any(curve.exact is not None for curve in curves)
    plot = _plot(
        "accuracy",
        curves,
        twice=dotted,
        title="Accuracy without restarts",
        x_title="supervision steps" + (" (dotted: exact match)" if dotted else ""),
        y_title="accepted by the rules",
    )
    steps = sorted({k for curve in curves for k in curve.accepted})
    plot.x_labels = [{"label": str(k), "value": log2(k)} for k in steps]
    for curve in curves:
        plot.add(None, [_at(log2(k), share, f"{k} steps") for k, share in sorted(curve.accepted.items())])
        if dotted:
            exact = sorted((curve.exact or {}).items())
            points = [_at(log2(k), share, f"{k} steps, exact match") for k, share in exact]
            plot.add(None, points, stroke_style={"dasharray": "2, 5"}, dots_size=2)
    return plot


def _calibration(curves: Sequence[Curves], step: int) -> pygal.XY:
    plot = _plot(
        "calibration",
        curves,
        before=(LIGHT.faint,),
        title=f"The halting head after {step} steps",
        x_title="predicted probability (dot's area: puzzles)",
        y_title="share that is correct",
    )
    plot.x_labels = PERCENT
    plot.add(None, [(0, 0), (1, 1)], show_dots=False, stroke_style={"dasharray": "6, 4"})
    most = max((spot.puzzles for curve in curves for spot in curve.spots), default=1)
    for curve in curves:
        points = []
        for spot in curve.spots:
            radius = max(MIN_DOT, MAX_DOT * sqrt(spot.puzzles / most))
            points.append(_at(spot.predicted, spot.right, f"{spot.puzzles} puzzles") | {"node": {"r": f"{radius:.1f}"}})
        plot.add(None, points)
    return plot


def _at(x: float, y: float, label: str) -> dict[str, Any]:
    return {"value": (x, y), "label": label}


def _plot(
    name: str, curves: Sequence[Curves], before: tuple[str, ...] = (), twice: bool = False, **titles: str
) -> pygal.XY:
    """An empty chart. Its series take the colours `before`, then one per checkpoint (`twice`: for two series)."""
    own = [colour for colour in COLOURS[: len(curves)] for _ in range(1 + twice)]
    return pygal.XY(
        style=style([*before, *own], label_font_size=13, major_label_font_size=13, title_font_size=14),
        css=("file://style.css", "file://graph.css", f"inline:{LOOK.format(name=name)}"),
        js=(),
        range=(0, 1),
        y_labels=PERCENT,
        value_formatter=lambda share: f"{100 * share:.1f} %",
        x_value_formatter=lambda _: "",
        dots_size=3.5,
        show_legend=False,
        width=PANEL,
        height=PLOT,
        **titles,
    )
