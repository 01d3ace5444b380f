"""Charts of training runs: loss, accuracy and learning rate by step."""

from __future__ import annotations

import re
from itertools import pairwise

from trmsolve.render.chart import COLOURS
from trmsolve.render.run_chart import run_charts

STEPS = (50, 100, 150, 200)


def charts(**runs: tuple[float, ...]) -> list[str]:
    """The charts of runs with these losses. The first run also has an evaluation."""
    records = {
        name: [{"step": s, "loss": v, "exact_accuracy": 0.5, "lr": 0.01} for s, v in zip(STEPS, losses, strict=True)]
        for name, losses in runs.items()
    }
    for step in STEPS[1:3]:
        next(iter(records.values())).append({"step": step, "kind": "evaluation", "exact_at_32": 0.25})
    return run_charts(records).split("<svg y=")[1:]


def test_a_run_has_one_colour_in_all_charts():
    for chart in charts(first=(4.0, 3.0, 2.0, 1.0), second=(4.0, 2.0, 1.0, 0.5)):
        colors = dict(re.findall(r"\.color-(\d) a:visited\{stroke:(#\w+)", chart))
        names = re.findall(r">((?:first|second)(?:, held out)?)</text>", chart)
        assert len(names) >= 2
        for number, name in enumerate(names):
            assert colors[str(number)].lower() == COLOURS[name == "second"].lower()


def test_equal_metrics_give_equal_bytes_without_scripts():
    text = "".join(charts(run=(4.0, 3.0, 2.0, 1.0)))
    assert text == "".join(charts(run=(4.0, 3.0, 2.0, 1.0))) and "<script" not in text


def test_steps_are_linear_and_the_loss_is_logarithmic():
    loss, exact, _ = charts(run=(1000.0, 100.0, 10.0, 1.0))
    path = re.findall(r'<path d="M([^"]+)" class="line reactive', loss)[0]
    numbers = list(map(float, re.findall(r"-?[\d.]+(?:e-?\d+)?", path)))
    for values in (numbers[::2], numbers[1::2]):
        differences = {round(b - a, 1) for a, b in pairwise(values)}
        assert len(differences) == 1 and len(values) == 4 and 0 not in differences
    assert all(f">{label}</text>" in loss for label in (1, 10, 100, 1000))
    assert "run, held out" in exact and "held out" not in loss
