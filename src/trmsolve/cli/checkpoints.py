"""trmsolve checkpoints list | info | pull | import"""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import wrap
from typing import Annotated, Any

import typer

from trmsolve.cli import complete
from trmsolve.cli import options as o
from trmsolve.cli.output import status_line
from trmsolve.cli.run import SOLVED, command, echo_err
from trmsolve.errors import TrmsolveError
from trmsolve.text_io import printable

app = typer.Typer(
    help="List, show, fetch or import checkpoints.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
@command
def list_(
    published: Annotated[
        bool, typer.Option("--known", help="List published checkpoints that can be imported by name.")
    ] = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> int:
    """List bundled and fetched checkpoints; with --known, published ones."""
    if published:
        return _known(as_json, quiet)
    from trmsolve.checkpoint import available

    entries = available()
    if as_json:
        keys = ("name", "task", "parameters", "puzzle_table", "size", "where", "headline", "problem")
        rows = [{key: getattr(entry, key) for key in keys} | {"path": str(entry.path)} for entry in entries]
        print(json.dumps(rows, indent=2))
        return SOLVED
    if not entries and not quiet:
        echo_err("no checkpoints; fetch one: trmsolve checkpoints pull hf://OWNER/REPO/FILE")
    width = max((len(printable(entry.name)) for entry in entries), default=0)
    for entry in entries:
        about = entry.problem or (
            f"{printable(entry.task):<8}{entry.parameters:>11,} parameters  {entry.size / 1e6:6.1f} MB  "
            f"{_rows(entry.puzzle_table)}{entry.headline}"
        )
        print(f"{printable(entry.name):<{width}}  {entry.where:<8} {printable(about)}".rstrip())
    return SOLVED


def _rows(table: tuple[int, ...]) -> str:
    """The size of the table of puzzle embeddings, which the number of parameters does not include; "" for none."""
    return f"and {table[0]:,} puzzle embedding{'s'[: table[0] != 1]} of {table[1]:,}  " if table else ""


def _known(as_json: bool, quiet: bool) -> int:
    """Print the published checkpoints of checkpoint/lookup.py, at most 100 columns wide."""
    from trmsolve.checkpoint.lookup import UNVERIFIED, known

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
    checkpoint: Annotated[
        str, typer.Argument(help="NAME, FILE or hf://owner/repo/file", autocompletion=complete.checkpoints)
    ],
    as_json: o.AsJson = False,
) -> int:
    """Show the architecture, provenance and metrics of a checkpoint."""
    from trmsolve.checkpoint import find

    entry = find(checkpoint, None)
    header = entry.header
    values: dict[str, Any] = {
        "name": entry.name,
        "path": str(entry.path),
        "sha256": entry.sha256,
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
            for name, part in value.items():
                print(f"  {printable(name)}: {printable(part if isinstance(part, str) else json.dumps(part), 100_000)}")
        else:
            print(f"{key}: {printable(value)}")
    return SOLVED


@app.command("pull")
@command
def pull(
    address: Annotated[
        str,
        typer.Argument(
            help="hf://owner/repo/file[@revision], or a NAME of list --known", autocompletion=complete.published
        ),
    ],
    sha256: Annotated[str | None, typer.Option("--sha256", help="Expected digest of the file.")] = None,
    quiet: o.Quiet = False,
) -> int:
    """Fetch a checkpoint into the cache and check its digest.

    HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE have their usual meaning.
    """
    from trmsolve.checkpoint import pull as fetch
    from trmsolve.checkpoint.lookup import by_name

    published = by_name(address)
    print(printable(fetch(published.address if published else address, sha256, quiet), 5000))
    return SOLVED


@app.command("import")
@command
def import_(
    source: Annotated[
        str,
        typer.Argument(
            help="NAME of list --known, file, folder, or hf://owner/repo/file", autocompletion=complete.published
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .safetensors file to write.")],
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            help="sudoku, maze or arc.",
            show_default="detected from tokens and settings",
            autocompletion=complete.tasks,
        ),
    ] = None,
    cycles: Annotated[
        str | None,
        typer.Option("--cycles", metavar="T,n", help="Recursions T and n of the model.", show_default="from settings"),
    ] = None,
    heads: Annotated[
        int | None, typer.Option("--heads", min=1, help="Number of attention heads.", show_default="from settings")
    ] = None,
    prefix: Annotated[
        int | None, typer.Option("--prefix", min=0, help="Tokens before the cells.", show_default="from settings")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", help="Settings of the training run (YAML or JSON).", show_default="next to the checkpoint"
        ),
    ] = None,
    ema: Annotated[
        bool | None,
        typer.Option("--ema/--no-ema", help="Import averaged or plain weights.", show_default="averaged if present"),
    ] = None,
    drop_embeddings: Annotated[
        bool, typer.Option("--drop-embeddings", help="Keep only the mean of the puzzle embeddings.")
    ] = False,
    force: o.Force = False,
    quiet: o.Quiet = False,
) -> int:
    """Convert a published TRM or HRM checkpoint (torch.save, Lightning, safetensors) to this project's format."""
    T_n = None if cycles is None else _cycles(cycles)
    from trmsolve.convert.architecture import ImportOptions
    from trmsolve.convert.convert import import_checkpoint

    options = ImportOptions(task, T_n, heads, prefix, ema)
    with status_line(not quiet) as show:
        imported = import_checkpoint(source, output, options, config, drop_embeddings, force, quiet, show)
    if not quiet:
        echo_err(str(imported))
    print(printable(imported.path, 5000))
    return SOLVED


def _cycles(text: str) -> tuple[int, int]:
    match text.split(","):
        case [T, n] if T.strip().isdecimal() and n.strip().isdecimal() and int(T) and int(n):
            return int(T), int(n)
    raise TrmsolveError(f"--cycles {text}: expected two whole numbers, T and n", "for example --cycles 3,6")
