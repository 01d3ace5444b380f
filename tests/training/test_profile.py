"""train --profile: a trace, and a table of the slowest operators."""

import json

import pytest
from typer.testing import CliRunner

from trmsolve.cli import app

SMALL = (
    *("train", "--task", "sudoku", "--data", "generate:4x4", "--batch-size", "2", "--width", "8", "--n", "1"),
    *("--set", "train.bptt_steps=1", "--no-compile"),
)


def test_a_profile_is_a_trace_and_the_costliest_operators(tmp_path):
    path = tmp_path / "trace.json"
    result = CliRunner().invoke(app, [*SMALL, "--run", str(tmp_path), "--steps", "22", "--profile", str(path)])
    assert result.exit_code == 0, result.output
    steps = {event["name"] for event in json.loads(path.read_text())["traceEvents"] if "ProfilerStep" in event["name"]}
    assert len(steps) == 10
    lines = result.output.splitlines()
    head = next(number for number, line in enumerate(lines) if "operator, on the CPU" in line)
    costs = [float(line.split()[0]) for line in lines[head + 1 : head + 11]]
    assert costs == sorted(costs, reverse=True) and costs[0] > 0
    assert any("aten::mm" in line for line in lines[head + 1 : head + 11])
    assert f"trace of 10 steps: {path}" in lines[head + 11]


def test_a_run_too_short_for_a_profile_says_so(tmp_path):
    path = tmp_path / "trace.json.gz"
    result = CliRunner().invoke(app, [*SMALL, "--run", str(tmp_path), "--steps", "12", "--profile", str(path)])
    assert result.exit_code == 0 and "no trace: a profile needs 20 steps" in result.output and not path.exists()


@pytest.mark.parametrize(("name", "message"), [("here.json", "already exists"), ("no/where.json", "does not exist")])
def test_a_profile_that_cannot_be_written_is_refused_before_anything_runs(tmp_path, name, message):
    (tmp_path / "here.json").write_text("")
    run = tmp_path / "run"
    command = [*SMALL, "--run", str(run), "--steps", "3", "--profile", str(tmp_path / name)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2 and message in result.output
    assert not run.exists()
