"""trmsolve checkpoints list | info | pull | import"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import wrap
from typing import Annotated

import typer

from trmsolve.cli import options as o
from trmsolve.cli.run import SOLVED, command, echo_err
from trmsolve.errors import TrmsolveError

app = typer.Typer(
    help="Checkpoints: what there is, what one says of itself, fetch or import one.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
@command
def list_(
    published: Annotated[
        bool, typer.Option("--known", help="The published ones that can be imported, by name.")
    ] = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> int:
    """Bundled and fetched checkpoints; with --known the published ones."""
    if published:
        return _known(as_json, quiet)
    from trmsolve.checkpoint import available

    found = available()
    if as_json:
        keys = ("name", "task", "parameters", "puzzle_table", "size", "where", "headline", "problem")
        print(
            json.dumps(
                [{key: getattr(entry, key) for key in keys} | {"path": str(entry.path)} for entry in found], indent=2
            )
        )
        return SOLVED
    if not found and not quiet:
        echo_err("no checkpoints; fetch one: trmsolve checkpoints pull hf://OWNER/REPO/FILE")
    width = max((len(entry.name) for entry in found), default=0)
    for entry in found:
        about = entry.problem or (
            f"{entry.task:<8}{entry.parameters:>11,} parameters  {entry.size / 1e6:6.1f} MB  "
            f"{_rows(entry.puzzle_table)}{entry.headline}"
        )
        print(f"{entry.name:<{width}}  {entry.where:<8} {about}".rstrip())
    return SOLVED


def _rows(table: tuple[int, ...]) -> str:
    """How much of a file is puzzle embeddings, which no count of parameters holds."""
    return f"and {table[0]:,} puzzle embedding{'s'[: table[0] != 1]} of {table[1]:,}  " if table else ""


def _known(as_json: bool, quiet: bool) -> int:
    """The published checkpoints, as far as known, in 100 columns."""
    from trmsolve.checkpoint.known import UNVERIFIED, known

    entries = known()
    if as_json:
        print(json.dumps([entry.to_dict() for entry in entries], indent=2))
        return SOLVED
    if not quiet:
        echo_err(UNVERIFIED + "\n")
    width = max(len(entry.name) for entry in entries)
    row = f"{{:<{width}}}  {{:<7}}  {{:<7}}  {{:<31}}  {{:<10}}  {{}}".format
    print(row("name", "task", "network", "stated, not verified", "licence", "size"))
    for entry in entries:
        stated = (entry.stated or "-", entry.licence or "not stated", entry.size or "-")
        print(row(entry.name, entry.task, entry.network, *stated).rstrip())
        also = f"Also at {entry.also}." if entry.also else ""
        refused = f"Cannot be imported: {entry.refused}." if entry.refused else ""
        print(f"    {entry.address}")
        for line in wrap(" ".join(filter(None, (refused, entry.note, also))), 94):
            print(f"    {line}")
    if not quiet:
        echo_err("\nfetch and convert one: trmsolve checkpoints import NAME -o NAME.safetensors")
        echo_err("only fetch it:         trmsolve checkpoints pull hf://OWNER/REPO/FILE")
    return SOLVED


@app.command("info")
@command
def info(
    checkpoint: Annotated[str, typer.Argument(help="NAME, FILE or hf://owner/repo/file")],
    as_json: o.AsJson = False,
) -> int:
    """Architecture, provenance and metrics of a checkpoint."""
    from trmsolve.checkpoint import find

    found = find(checkpoint, None)
    header = found.header
    values = {
        "name": found.name,
        "path": str(found.path),
        "sha256": found.sha256,
        "size": header.size,
        "format_version": header.format_version,
        "task": header.task,
        "parameters": header.parameters,
        "puzzle_table": header.puzzle_table,
        "model": header.model,
        "metrics": header.metrics,
        "provenance": header.provenance,
    }
    if as_json:
        print(json.dumps(values, indent=2))
        return SOLVED
    for key, value in values.items():
        if key == "puzzle_table":
            print(f"{key}: {' x '.join(f'{n:,}' for n in value) or 'none'}")
        elif isinstance(value, dict):
            print(f"{key}:")
            for name, entry in value.items():
                print(f"  {name}: {entry if isinstance(entry, str) else json.dumps(entry)}")
        else:
            print(f"{key}: {value}")
    return SOLVED


@app.command("pull")
@command
def pull(
    address: Annotated[str, typer.Argument(help="hf://owner/repo/file[@revision], or a NAME of list --known")],
    sha256: Annotated[str | None, typer.Option("--sha256", help="What the file's digest must be.")] = None,
    quiet: o.Quiet = False,
) -> int:
    """Fetch a checkpoint into the cache, resuming a broken download. HF_ENDPOINT and HF_HUB_OFFLINE are honoured."""
    from trmsolve.checkpoint import pull as fetch
    from trmsolve.checkpoint.known import by_name

    published = by_name(address)
    print(fetch(published.address if published else address, sha256, _progress(quiet)))
    return SOLVED


@app.command("import")
@command
def import_(
    source: Annotated[str, typer.Argument(help="A NAME of list --known, a file, a folder, or hf://owner/repo/file")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .safetensors file to write.")],
    task: Annotated[
        str | None, typer.Option("--task", help="sudoku, maze or arc.", show_default="by the tokens")
    ] = None,
    cycles: Annotated[
        str | None, typer.Option("--cycles", metavar="T,n", show_default="as the yaml says, or as known")
    ] = None,
    heads: Annotated[int | None, typer.Option("--heads", min=1, help="Of attention.", show_default="likewise")] = None,
    prefix: Annotated[
        int | None, typer.Option("--prefix", min=0, help="Tokens before the cells.", show_default="as published")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="The yaml of the training run.", show_default="the one beside")
    ] = None,
    drop_embeddings: Annotated[
        bool, typer.Option("--drop-embeddings", help="Keep only the mean of the puzzle embeddings.")
    ] = False,
    force: o.Force = False,
    quiet: o.Quiet = False,
) -> int:
    """Convert a published TRM or HRM (torch.save, Lightning, safetensors), with the yaml beside it."""
    asked_cycles = None if cycles is None else _cycles(cycles)
    from trmsolve.convert.architecture import ImportOptions
    from trmsolve.convert.convert import import_checkpoint

    asked = ImportOptions(task, asked_cycles, heads, prefix)
    made = import_checkpoint(source, output, asked, config, drop_embeddings, force, _progress(quiet))
    if not quiet:
        echo_err(str(made))
    print(made.path)
    return SOLVED


def _cycles(text: str) -> tuple[int, int]:
    match text.split(","):
        case [T, n] if T.strip().isdecimal() and n.strip().isdecimal() and int(T) and int(n):
            return int(T), int(n)
    raise TrmsolveError(f"--cycles {text}: two whole numbers needed", "for example --cycles 3,6")


def _progress(quiet: bool) -> Callable[[int, int | None], None]:
    """How far a download is, on a terminal."""

    def progress(done: int, total: int | None) -> None:
        if not quiet and sys.stderr.isatty():
            of = f" of {total / 1e6:.1f}" if total else ""
            end = "\n" if done == total else ""
            print(f"\r{done / 1e6:.1f}{of} MB", end=end, file=sys.stderr, flush=True)

    return progress
