"""docs/cli.md: the help texts of all commands, as the commands print them."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from trmsolve.cli.commands import app
from trmsolve.cli.reference import WIDTH, reference

ROOT = Path(__file__).parents[2]
REGENERATE = "regenerate it: python -m trmsolve.cli.reference > docs/cli.md"


def test_the_document_is_that_of_the_help_texts():
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == reference(), REGENERATE


@pytest.mark.parametrize("name", typer.main.get_command(app).list_commands(None))
def test_every_command_has_a_section(name):
    assert f"\n## trmsolve {name}\n" in reference()


def test_no_line_is_wider_than_the_document():
    assert max(map(len, reference().splitlines())) <= WIDTH + 10  # examples keep their lines


def test_the_document_does_not_depend_on_terminal_and_environment(tmp_path, monkeypatch):
    expected = reference()
    for name, value in {"COLUMNS": "40", "FORCE_COLOR": "1", "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    assert reference() == expected
    assert str(ROOT) not in expected and "\x1b" not in expected
