"""The Python API in a notebook: short representations, pictures, a slider, errors for wrong types, the example."""

from __future__ import annotations

import base64
import inspect
import json
import pickle
import re
from html import unescape
from pathlib import Path

import pytest

import trmsolve
from trmsolve import Puzzle, Result, TrmsolveError

NOTEBOOK = Path(__file__).parents[2] / "examples" / "notebook.ipynb"
SMALL = "4..3....1....2.4"


@pytest.fixture(scope="module")
def model():
    return trmsolve.load("sudoku")


def image(html: str) -> str:
    """The SVG of an <img> element."""
    return base64.b64decode(re.search(r"base64,([^\"]+)", html)[1]).decode()


def test_dir_lists_the_public_names():
    assert dir(trmsolve) == sorted(trmsolve.__all__)
    assert all(getattr(trmsolve, name) for name in dir(trmsolve))


def test_a_result_has_a_short_repr_and_a_picture(model, capsys):
    result = model.solve_one(SMALL)
    assert repr(result) == f"<Result puzzle 1:1: solved in {result.steps} step{'s'[: result.steps != 1]}>"
    svg = image(result._repr_html_())
    assert svg.startswith("<svg") and "solved in" in svg
    result.show()
    shown = capsys.readouterr().out
    assert "solved in" in shown and "┌" in shown and shown.count("4") >= 4


def test_steps_draw_themselves_and_a_watched_result_has_a_slider(model):
    *steps, result = model.watch(SMALL)
    assert repr(steps[0]).startswith("<StepEvent puzzle 1:1: step 1 of at most ")
    assert image(steps[0]._repr_html_()).startswith("<svg")
    page = unescape(re.fullmatch(r'<iframe srcdoc="([^"]+)".*</iframe>', result._repr_html_(), re.S)[1])
    assert 'type="range"' in page and page.count('{"state"') == len(steps) + 1


def test_unsolved_and_invalid_puzzles_say_so(model):
    unsolved = model.solve_one(
        "8..........36......7..9.2...5...7.......457.....1...3...1....68..85...1..9....4..", max_steps=1, restarts=0
    )
    assert repr(unsolved) == "<Result puzzle 1:1: not solved after 1 step>"
    assert "not solved after 1 step" in image(unsolved._repr_html_())
    invalid = model.solve_one(SMALL[:-1])
    assert "15 characters" in repr(invalid) and "<pre>" in invalid._repr_html_()


def test_what_stands_in_a_repr_cannot_become_markup(model):
    invalid = model.solve_one("<b>puzzle</b>")
    assert "<b>" not in invalid._repr_html_()


def test_what_stands_in_a_repr_cannot_steer_a_terminal(model, capsys):
    model.solve_one("\x1b[2Jpuzzle").show()
    assert "\x1b" not in capsys.readouterr().out


def test_a_result_without_a_model_has_no_picture():
    result = Result(Puzzle(None))
    assert result._repr_html_() is None
    with pytest.raises(TrmsolveError, match="no picture"):
        result.show()


def test_a_result_goes_to_another_process_without_its_view(model):
    result = model.solve_one(SMALL)
    assert pickle.loads(pickle.dumps(result)).view is None and result.view is not None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.solve(5), "puzzles: expected the text of puzzles"),
        (lambda m: list(m.solve([5])), "puzzle 1: expected the text of a puzzle"),
        (lambda m: m.solve_one([SMALL]), "puzzle: expected the text of a puzzle"),
        (lambda m: m.solve_one(f"{SMALL}\n{SMALL}"), "one puzzle expected, found 2"),
        (lambda m: m.solve(SMALL, restarts="many"), "restarts: expected int, found 'many'"),
        (lambda m: m.solve(SMALL, max_steps=True), "max_steps: expected int or None"),
        (lambda m: m.solve(SMALL, restart=3), "unknown setting 'restart'\n  did you mean 'restarts'?"),
        (lambda m: m.watch(SMALL, 3), "options: expected SolveOptions, found 3"),
        (lambda m: trmsolve.load(3), "checkpoint: expected a name"),
        (lambda m: trmsolve.load(task=3), "task: expected a name"),
        (lambda m: trmsolve.load(device=0), "device: expected auto"),
        (lambda m: trmsolve.load(dtype=float), "dtype: expected auto"),
    ],
)
def test_wrong_types_are_refused_with_what_is_right(model, call, message):
    with pytest.raises(TrmsolveError) as caught:
        call(model)
    assert message in str(caught.value)


def test_the_cells_of_the_example_run_in_order(capsys):
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    names: dict[str, object] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), str(NOTEBOOK), "exec"), names)
    assert names["result"].error and names["watched"].solved and names["maze"].solved
    out = capsys.readouterr().out
    assert "did you mean 'restarts'?" in out and "solved in" in out
    assert not inspect.isgenerator(names["result"])
