"""The help texts of all commands as one Markdown document: `python -m trmsolve.cli.reference > docs/cli.md`.

tests/cli/test_reference.py fails if docs/cli.md differs from this output.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WIDTH = 100  # columns
TITLE = """# Command line

The help texts of all commands. This file is generated: `python -m trmsolve.cli.reference > docs/cli.md`."""


def reference() -> str:
    """The document, with a trailing newline. It does not depend on the terminal, the environment or absolute paths."""
    import typer

    from trmsolve.cli.commands import app

    sections = [TITLE]
    for path, command in _commands(("trmsolve",), typer.main.get_command(app)):
        sections.append(f"## {' '.join(path)}\n\n```text\n{_help(path, command)}\n```")
    return "\n\n".join(sections) + "\n"


def _commands(path: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """A command and its subcommands, recursively: the words that call it, and the click command."""
    yield path, command
    for name, subcommand in getattr(command, "commands", {}).items():
        yield from _commands((*path, name), subcommand)


def _help(path: tuple[str, ...], command: Any) -> str:
    context = command.make_context(
        " ".join(path), [], resilient_parsing=True, terminal_width=WIDTH, max_content_width=WIDTH, color=False
    )
    text = re.sub(r"\x1b\[[0-9;]*m", "", command.get_help(context))
    text = text.replace(str(Path.home()), "~")
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


if __name__ == "__main__":
    print(reference(), end="")
