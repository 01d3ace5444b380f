"""trmsolve checkpoints list | info | pull"""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from trmsolve.cli import options as o
from trmsolve.cli.guard import SOLVED, guarded, say

app = typer.Typer(
    help="Checkpoints: what there is, what one says of itself, fetch one.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
@guarded
def list_(as_json: o.AsJson = False) -> int:
    """Bundled and fetched checkpoints."""
    from trmsolve.store import available

    found = available()
    if as_json:
        keys = ("name", "task", "parameters", "size", "where", "headline", "problem")
        print(
            json.dumps(
                [{key: getattr(entry, key) for key in keys} | {"path": str(entry.path)} for entry in found], indent=2
            )
        )
        return SOLVED
    if not found:
        say("no checkpoints; fetch one: trmsolve checkpoints pull hf://OWNER/REPO/FILE")
    width = max((len(entry.name) for entry in found), default=0)
    for entry in found:
        about = (
            entry.problem
            or f"{entry.task:<8}{entry.parameters:>11,} parameters  {entry.size / 1e6:6.1f} MB  {entry.headline}"
        )
        print(f"{entry.name:<{width}}  {entry.where:<8} {about}")
    return SOLVED


@app.command("info")
@guarded
def info(
    checkpoint: Annotated[str, typer.Argument(help="NAME, FILE or hf://owner/repo/file")],
    as_json: o.AsJson = False,
) -> int:
    """Architecture, provenance and metrics of a checkpoint."""
    from trmsolve.store import find

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
        "model": header.model,
        "metrics": header.metrics,
        "provenance": header.provenance,
    }
    if as_json:
        print(json.dumps(values, indent=2))
        return SOLVED
    for key, value in values.items():
        if isinstance(value, dict):
            print(f"{key}:")
            for name, entry in value.items():
                print(f"  {name}: {entry if isinstance(entry, str) else json.dumps(entry)}")
        else:
            print(f"{key}: {value}")
    return SOLVED


@app.command("pull")
@guarded
def pull(
    address: Annotated[str, typer.Argument(help="hf://owner/repo/file[@revision]")],
    sha256: Annotated[str | None, typer.Option("--sha256", help="What the file's digest must be.")] = None,
    quiet: o.Quiet = False,
) -> int:
    """Fetch a checkpoint into the cache, resuming a broken download. HF_ENDPOINT and HF_HUB_OFFLINE are honoured."""
    from trmsolve.store import pull as fetch

    def progress(done: int, total: int | None) -> None:
        if not quiet and sys.stderr.isatty():
            of = f" of {total / 1e6:.1f}" if total else ""
            print(f"\r{done / 1e6:.1f}{of} MB", end="", file=sys.stderr, flush=True)

    path = fetch(address, sha256, progress)
    if not quiet and sys.stderr.isatty():
        print(file=sys.stderr)
    print(path)
    return SOLVED
