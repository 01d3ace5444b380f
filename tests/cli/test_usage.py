"""Help, wrong usage, and checkpoints that are none: one clear message, exit code 2."""

from __future__ import annotations

import json
import re

import pytest

from trmsolve import __version__
from trmsolve.checkpoint import bundled_dir
from trmsolve.cli.commands import SETTINGS

from .conftest import EASY


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["sudko"], "Did you mean 'sudoku'?"),
        (["checkpoints", "lst"], "Did you mean 'list'?"),
        (["checkpoints", "show"], "Did you mean 'info'?"),
        (["download"], "No such command 'download'"),
        (["generate", "6x6"], "trmsolve generate sudoku --size 6x6"),
        (["sudoku", "--formt", "line"], "--format"),
        (["sudoku", "--format", "jsn"], "did you mean 'json'?"),
        (["sudoku", "--device", "gpu"], "cpu"),
        (["sudoku", "--dtype", "half"], "float32"),
        (["sudoku", "--max-steps", "0"], "--max-steps"),
        (["sudoku", "--checkpoint", "sudok"], "did you mean 'sudoku'?"),
        (["sudoku", "--checkpoint", "no/such.safetensors"], "checkpoints list"),
        (["generate", "sudko"], "did you mean 'sudoku'?"),
        (["generate", "sudoku", "--size", "5x5"], "4, 6, 8, 9, 12, 16"),
        (["generate", "sudoku", "--size", "9x6"], "for example 9x9"),
        (["generate", "sudoku", "--extra", "100"], "extra"),
        (["generate", "sudoku", "--format", "gird"], "did you mean 'grid'?"),
        (["eval", "sudko", "x"], "did you mean 'sudoku'?"),
        (["train", "--task", "sudko"], "did you mean 'sudoku'?"),
        (["train"], "--task"),
        (["bench", "--task", "sudko"], "did you mean 'sudoku'?"),
        (["checkpoints", "info", "sudok"], "did you mean 'sudoku'?"),
        (["checkpoints", "pull", "nonsense"], "hf://"),
    ],
)
def test_wrong_usage(cli, args, expected):
    done = cli(*args, stdin=f"{EASY}\n")
    assert done.exit_code == 2
    assert expected in done.stderr
    assert done.stdout == ""


def test_help_and_version(cli):
    assert cli("--version").stdout == f"trmsolve {__version__}\n"
    for option in ("-h", "--help"):
        done = cli(option)
        assert done.exit_code == 0 and "\x1b" not in done.stdout
        for command in ("sudoku", "maze", "arc", "train", "eval", "generate", "checkpoints", "bench", "doctor"):
            assert re.search(rf"^  {command} ", done.stdout, re.M)
            assert "Usage:" in cli(command, option).stdout
    assert cli().exit_code == 2


@pytest.mark.parametrize(
    "command", ["sudoku", "arc", "solve", "eval", "train", "generate", "bench", "checkpoints info"]
)
def test_help_fits_80_columns_and_names_no_types_of_python(cli, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = cli(*command.split(), "--help").stdout
    assert max(map(len, text.splitlines())) <= 80
    assert not re.search(r"<\w|list\[|\bint\b|x>=", text)


@pytest.mark.parametrize("command", ["", "sudoku", "arc", "train", "checkpoints", "checkpoints import"])
def test_help_fits_a_narrow_terminal(cli, command, monkeypatch):
    monkeypatch.setitem(SETTINGS, "terminal_width", 38)
    text = cli(*command.split(), "--help").stdout
    text = text.partition("\nExamples:")[0]  # these lines can be copied
    assert "Options:" in text and max(map(len, text.splitlines())) <= 40


def test_options_are_grouped_and_examples_stand_at_the_end(cli):
    lines = cli("arc", "--help").stdout.splitlines()
    heads = [line for line in lines if re.fullmatch(r"[A-Z][\w -]+:", line)]
    assert heads[:3] == ["Arguments:", "Model:", "Test-time training:"] and heads[-1] == "Examples:"
    assert lines[-1].startswith("  trmsolve arc ") and "--restarts" not in "".join(lines)


@pytest.mark.parametrize("kind", ["truncated", "foreign", "newer", "other", "empty", "folder", "pickle", "lfs"])
def test_bad_checkpoints(cli, tmp_path, kind):
    data = (bundled_dir() / "sudoku.safetensors").read_bytes()
    path = tmp_path / "c.safetensors"
    contents, expected = {
        "truncated": (data[: len(data) // 2], "is truncated"),
        "foreign": (data.replace(b'"trmsolve"', b'"elsewhat"', 1), "not of trmsolve"),
        "newer": (data.replace(rb"\"format_version\": 2", rb"\"format_version\": 9", 1), "newer trmsolve"),
        "other": (
            data.replace(rb"\"task\": \"sudoku\"", rb"\"task\": \"sokoba\"", 1),
            "sokoba checkpoint, expected sudoku",
        ),
        "empty": (b"", "is empty"),
        "folder": (None, "is a folder"),
        "pickle": (b"PK\x03\x04" + bytes(100), "PyTorch (pickle)"),
        "lfs": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    }[kind]
    path.mkdir() if contents is None else path.write_bytes(contents)
    done = cli("sudoku", "-", "--checkpoint", path, stdin=EASY)
    assert done.exit_code == 2 and expected in done.stderr and done.stdout == ""


def test_debug_prints_the_traceback(monkeypatch):
    from typer.testing import CliRunner

    from trmsolve.cli import app

    monkeypatch.setenv("TRMSOLVE_DEBUG", "1")
    done = CliRunner().invoke(app, ["sudoku", "--checkpoint", "sudok"], input=EASY)
    assert done.exit_code == 2 and "Traceback" in done.stderr and "did you mean" in done.stderr


def test_checkpoints(cli):
    listed = cli("checkpoints", "list").stdout.splitlines()
    assert [line.split()[:2] for line in listed] == [[name, "bundled"] for name in ("arc", "maze", "sudoku")]
    tasks = [entry["task"] for entry in json.loads(cli("checkpoints", "list", "--json").stdout)]
    assert tasks == ["arc", "maze", "sudoku"]
    for name in ("sudoku", "maze", "arc"):
        text = cli("checkpoints", "info", name).stdout
        assert "parameters: " in text and "mixer " in text and "N_sup " in text and "metrics:\n  " in text
        assert len(text.splitlines()) <= 15
        assert max(len(line) for line in text.splitlines() if not line.startswith("path: ")) <= 100
    text = cli("checkpoints", "info", "sudoku", "--full").stdout
    assert "--minutes 60" in text and "halt_pooling: sum" in text
    info = json.loads(cli("checkpoints", "info", "sudoku", "--json").stdout)
    assert info["task"] == "sudoku" and info["parameters"] <= 1_000_000 and len(info["sha256"]) == 64


def test_doctor(cli):
    done = cli("doctor")
    assert done.exit_code == 0, done.stdout
    assert "self-test" in done.stdout and "torch" in done.stdout and "fail" not in done.stdout
