"""Child processes of the benchmark: they import what the parent does and nothing from the current folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import trmsolve
from networks import SUDOKU_MODEL
from trmsolve.benchmark import measure
from trmsolve.checkpoint import save
from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.trm import TRM

MODEL = TRMConfig(**SUDOKU_MODEL | {"hidden_size": 4, "intermediate_size": 4, "n": 1})
FOREIGN = ("torch", "json", "runpy", "trmsolve", "numpy", "typer")


@pytest.fixture
def hostile_folder(tmp_path, monkeypatch):
    """The current folder, with modules that leave a mark when they are imported."""
    for name in FOREIGN:
        (tmp_path / f"{name}.py").write_text(f"from pathlib import Path\nPath(r'{tmp_path}/ran-{name}').touch()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))  # as `python -m trmsolve` does with the current folder
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_a_child_runs_nothing_from_the_current_folder(hostile_folder):
    assert measure.run_trmsolve(["--version"]).strip().endswith(trmsolve.__version__)
    code = f"import {', '.join(FOREIGN)}; print(json.dumps([torch.__file__, trmsolve.__file__]))"
    files = json.loads(measure.run_python(code))
    assert files[1] == trmsolve.__file__ and not files[0].startswith(str(hostile_folder))
    assert list(hostile_folder.glob("ran-*")) == []


def test_run_python_passes_arguments_and_stdin():
    code = "print([*sys.argv[1:], sys.stdin.read()])"
    assert measure.run_python(code, ["--a", "b c"], "\u00e9") == "['--a', 'b c', '\u00e9']\n"


def test_the_failure_of_a_child_is_reported():
    with pytest.raises(TrmsolveError, match=r"trmsolve eval sudoku ended with exit code 2: .*no checkpoint"):
        measure.solving_rate("sudoku", "/nowhere/missing.safetensors", ["1...\n..3.\n.4..\n...2"])
    with pytest.raises(TrmsolveError, match=r"python ended with exit code 7: it printed no error"):
        measure.run_python("sys.exit(7)")


def test_training_rate_of_a_task_file_reads_the_checkpoint_that_was_written(monkeypatch):
    """The checkpoint's path does not depend on the task, which may be a file."""
    commands = []

    def run_trmsolve(arguments):
        commands.append(arguments)
        path = Path(arguments[arguments.index("-o") + 1])
        save(path, TRM(MODEL).state_dict(), "latin", MODEL.to_dict(), {"steps": 6, "seconds": 2.0}, {})

    monkeypatch.setattr(measure, "run_trmsolve", run_trmsolve)
    assert measure.training_rate("tasks/latin.py", "start.safetensors", ["a.csv"], 6) == 3.0
    assert commands[0][:5] == ["train", "--task", "tasks/latin.py", "--from", "start.safetensors"]
    assert commands[0][-2:] == ["--data", "a.csv"]


def test_rates_alone_and_beside_a_neighbor_are_measured_in_turns(monkeypatch):
    neighbors, values = [], iter([4.0, 1.0, 8.0, 4.0])
    monkeypatch.setattr(measure, "SPIN", "pass")
    real = measure.busy_neighbor
    monkeypatch.setattr(measure, "busy_neighbor", lambda: neighbors.append(1) or real())
    report = measure.measure_busy({"solving": lambda: next(values)}, 2)
    assert len(neighbors) == 2
    assert report["solving"]["quiet"]["median"] == 6 and report["solving"]["busy"]["median"] == 2.5
    assert report["solving"]["busy_share"] == {"median": 0.375, "low": 0.25, "high": 0.5, "n": 2}
