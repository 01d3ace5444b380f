"""trmsolve checkpoints list | info | pull | import"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

import typer

from trmsolve.cli import complete
from trmsolve.cli import options as o
from trmsolve.cli.commands import SETTINGS, Group
from trmsolve.cli.options import argument, option
from trmsolve.cli.output import status_line
from trmsolve.cli.run import SOLVED, command, echo_err
from trmsolve.errors import TrmsolveError
from trmsolve.text_io import printable

# What info shows.
WIDTH, MAX_METRICS = 100, 5  # columns, lines
MODEL_FIELDS = ("mixer", "hidden_size", "num_layers", "n", "T", "N_sup")  # first; then those without their default
PROVENANCE = {
    "trained": ("steps", "supervised_puzzles", "seconds"),
    "imported from": ("imported_from",),
    "sha256 of the source": ("sha256",),
    "made with": ("trmsolve", "commit", "torch", "hardware"),
    "note": ("note",),
}
FROM_SETTINGS = "from settings"  # where options of import come from by default

app = typer.Typer(
    cls=Group,
    help="List, show, fetch or import checkpoints.",
    context_settings=SETTINGS,
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)


@dataclass(frozen=True)
class ListArgs:
    """Options of checkpoints list."""

    published: bool = option(False, None, "List published checkpoints that can be imported by name.", "--known")
    as_json: bool = o.AS_JSON()
    quiet: bool = o.QUIET()


@app.command("list", cls=o.Command)
@command(ListArgs)
def list_(args: ListArgs) -> int:
    """List bundled and fetched checkpoints; with --known, published ones."""
    if args.published:
        return _known(args)
    from trmsolve.checkpoint import available

    entries = available()
    if args.as_json:
        keys = ("name", "task", "parameters", "puzzle_table", "size", "where", "headline", "problem")
        rows = [{key: getattr(entry, key) for key in keys} | {"path": str(entry.path)} for entry in entries]
        print(json.dumps(rows, indent=2))
        return SOLVED
    if not entries and not args.quiet:
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


def _known(args: ListArgs) -> int:
    """Print the published checkpoints of checkpoint/lookup.py, at most 100 columns wide."""
    from trmsolve.checkpoint.lookup import UNVERIFIED, known

    entries = known()
    if args.as_json:
        print(json.dumps([entry.to_dict() for entry in entries], indent=2))
        return SOLVED
    if not args.quiet:
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
    if not args.quiet:
        echo_err("\nfetch and convert one: trmsolve checkpoints import NAME -o NAME.safetensors")
        echo_err("only fetch it:         trmsolve checkpoints pull hf://OWNER/REPO/FILE")
    return SOLVED


@dataclass(frozen=True)
class InfoArgs:
    """Options of checkpoints info."""

    checkpoint: str = argument(..., None, "NAME, FILE or hf://owner/repo/file", complete.checkpoints)
    full: bool = option(False, None, "Print the whole header, with all settings and sessions.", "--full")
    as_json: bool = o.AS_JSON()


@app.command("info", cls=o.Command)
@command(InfoArgs)
def info(args: InfoArgs) -> int:
    """Show the architecture, provenance and metrics of a checkpoint."""
    from trmsolve.checkpoint import find

    entry = find(args.checkpoint, None)
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
    if args.as_json:
        print(json.dumps(values, indent=2))
        return SOLVED
    if not args.full:
        print("\n".join(_summary(values)))
        return SOLVED
    for key, value in values.items():
        if isinstance(value, dict):
            print(f"{key}:")
            for name, part in value.items():
                print(f"  {printable(name)}: {printable(part if isinstance(part, str) else json.dumps(part), 100_000)}")
        else:
            shown = " x ".join(f"{n:,}" for n in value) or "none" if key == "puzzle_table" else value
            print(f"{key}: {printable(shown)}")
    return SOLVED


def _summary(values: dict[str, Any]) -> list[str]:
    """At most 15 lines of at most WIDTH columns; a path is not shortened."""
    from trmsolve.model.config import TRMConfig

    defaults, model = TRMConfig().to_dict(), values["model"]
    chosen = [name for name, value in model.items() if value and value != defaults.get(name) and name in defaults]
    names = dict.fromkeys((*MODEL_FIELDS, *chosen))
    measured = list(values["metrics"].items())
    shown = measured if len(measured) <= MAX_METRICS else measured[: MAX_METRICS - 1]
    lines = [f"{name}: {printable(values[name])}" for name in ("name", "path", "sha256", "task")] + [
        f"parameters: {values['parameters']:,} {_rows(values['puzzle_table'])}".rstrip(),
        _line("model", {name: model[name] for name in names if name in model}),
        "metrics:" if measured else "metrics: none",
        *(_line(f"  {name}", result) for name, result in shown),
        *[f"  {len(measured) - len(shown)} more: --full"] * (len(shown) < len(measured)),
    ]
    provenance = values["provenance"]
    for title, keys in PROVENANCE.items():
        if facts := {key: provenance[key] for key in keys if key in provenance}:
            lines.append(_line(title, facts if len(keys) > 1 else next(iter(facts.values()))))
    return lines[:15]


def _line(name: str, value: Any) -> str:
    """A name with its value, or with those parts of it that fit into WIDTH, means after the others."""
    parts = [_on_one_line(value)]
    if isinstance(value, dict):
        parts = [f"{key} {_on_one_line(part)}" for key, part in value.items()]
        parts.sort(key=lambda part: part.startswith("mean_"))
    text = printable(f"{name}: {', '.join(parts)}", 10 * WIDTH)
    while len(text) > WIDTH and len(parts) > 1:
        parts.pop()
        text = printable(f"{name}: {', '.join(parts)} ...", 10 * WIDTH)
    return text if len(text) <= WIDTH else text[: WIDTH - 4].rpartition(" ")[0] + " ..."


def _on_one_line(value: Any) -> str:
    """The names and values of a JSON object, or another JSON value, as text."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_on_one_line(part)}" for name, part in value.items())
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


@dataclass(frozen=True)
class PullArgs:
    """Options of checkpoints pull."""

    address: str = argument(..., None, "hf://owner/repo/file[@revision], or a NAME of list --known", complete.published)
    sha256: str | None = option(None, None, "Expected digest of the file.")
    quiet: bool = o.QUIET()


@app.command("pull", cls=o.Command)
@command(PullArgs)
def pull(args: PullArgs) -> int:
    """Fetch a checkpoint into the cache and check its digest.

    HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE have their usual meaning.
    """
    from trmsolve.checkpoint import pull as fetch
    from trmsolve.checkpoint.lookup import by_name

    published = by_name(args.address)
    address = published.address if published else args.address
    print(printable(fetch(address, args.sha256, args.quiet), 5000))
    return SOLVED


@dataclass(frozen=True)
class ImportArgs:
    """Options of checkpoints import."""

    source: str = argument(..., None, "NAME of list --known, file, folder, or hf://owner/repo/file", complete.published)
    output: Path = option(..., o.OUTPUT, "The .safetensors file to write.", "-o", "--output")
    task: str | None = option(
        None,
        o.MODEL,
        "sudoku, maze or arc.",
        show_default="detected from tokens and settings",
        complete=complete.tasks,
    )
    cycles: str | None = option(
        None, o.MODEL, "Recursions T and n of the model.", metavar="T,n", show_default=FROM_SETTINGS
    )
    heads: int | None = option(None, o.MODEL, "Number of attention heads.", min=1, show_default=FROM_SETTINGS)
    prefix: int | None = option(None, o.MODEL, "Tokens before the cells.", min=0, show_default=FROM_SETTINGS)
    config: Path | None = option(
        None, o.MODEL, "Settings of the training run (YAML or JSON).", show_default="next to the checkpoint"
    )
    ema: bool | None = option(None, o.MODEL, "Import averaged or plain weights.", show_default="averaged if present")
    drop_embeddings: bool = option(False, o.MODEL, "Keep only the mean of the puzzle embeddings.", "--drop-embeddings")
    force: bool = o.FORCE()
    quiet: bool = o.QUIET()


@app.command("import", cls=o.Command)
@command(ImportArgs)
def import_(args: ImportArgs) -> int:
    """Convert a published TRM or HRM checkpoint (torch.save, Lightning, safetensors) to this project's format."""
    T_n = None if args.cycles is None else _cycles(args.cycles)
    from trmsolve.convert.architecture import ImportOptions
    from trmsolve.convert.convert import import_checkpoint

    options = ImportOptions(args.task, T_n, args.heads, args.prefix, args.ema)
    with status_line(not args.quiet) as show:
        imported = import_checkpoint(
            args.source, args.output, options, args.config, args.drop_embeddings, args.force, args.quiet, show
        )
    if not args.quiet:
        echo_err(str(imported))
    print(printable(imported.path, 5000))
    return SOLVED


def _cycles(text: str) -> tuple[int, int]:
    match text.split(","):
        case [T, n] if T.strip().isdecimal() and n.strip().isdecimal() and int(T) and int(n):
            return int(T), int(n)
    raise TrmsolveError(f"--cycles {text}: expected two whole numbers, T and n", "for example --cycles 3,6")
