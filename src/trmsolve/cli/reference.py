"""The help texts of all commands as one Markdown document: `python -m trmsolve.cli.reference > docs/cli.md`.

tests/cli/test_reference.py fails if docs/cli.md differs from this output.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.core import TyperGroup

WIDTH = 100  # columns
TITLE = """# Command line

The help texts of all commands. This file is generated: `python -m trmsolve.cli.reference > docs/cli.md`."""


def reference() -> str:
    """The document, with a trailing newline. It does not depend on the terminal, the environment or absolute paths."""
    import typer

    from trmsolve.cli.commands import app

    sections = [TITLE]
    for context in _contexts("trmsolve", typer.main.get_command(app)):
        sections.append(f"## {context.command_path}\n\n```text\n{_help(context)}\n```")
    return "\n\n".join(sections) + "\n"


def _contexts(name: str, command: Any, parent: Any = None) -> Iterator[Any]:
    """The click contexts of a command and of its subcommands, recursively."""
    context = command.make_context(
        name, [], parent, resilient_parsing=True, terminal_width=WIDTH, max_content_width=WIDTH, color=False
    )
    yield context
    if isinstance(command, TyperGroup):
        for subname in command.list_commands(context):
            yield from _contexts(subname, command.get_command(context, subname), context)


def _help(context: Any) -> str:
    text = re.sub(r"\x1b\[[0-9;]*m", "", context.command.get_help(context))
    text = text.replace(str(Path.home()), "~")
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


if __name__ == "__main__":
    print(reference(), end="")
