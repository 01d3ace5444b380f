"""Convert a published checkpoint: find it, read it, infer its configuration, check it, and write it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from trmsolve import __version__
from trmsolve.checkpoint.format import read_header, save, sha256_of
from trmsolve.checkpoint.hub import Address, NoSuchFile, cached, offline, pull
from trmsolve.checkpoint.lookup import Known, by_address, by_name, known
from trmsolve.convert.architecture import ImportOptions, checked_tensors, infer
from trmsolve.convert.read import INDEX, read_network, shards
from trmsolve.convert.settings import merged, read_settings, settings_names, settings_of
from trmsolve.device import require_memory
from trmsolve.errors import TrmsolveError, did_you_mean
from trmsolve.model.config import TRMConfig
from trmsolve.text_io import check_writable, is_file, printable

_SHARD = re.compile(r"-\d+-of-\d+\.\w+$")
_NO_WEIGHTS = {".yaml", ".yml", ".json", ".txt", ".md", ".py", ".csv", ".npz", ".npy", ".log", ".png", ".svg"}


@dataclass(frozen=True, slots=True)
class Imported:
    """A summary of the written checkpoint."""

    path: Path
    task: str
    config: TRMConfig
    parameters: int  # trainable ones, without the table of puzzle embeddings
    averaged: bool
    settings: str  # their origin

    def __str__(self) -> str:
        c = self.config
        kind = "HRM" if c.num_y_layers else f"TRM, {c.mixer}"
        return (
            f"{self.task}: {kind}, {self.parameters:,} parameters, hidden size {c.hidden_size}, T={c.T}, n={c.n}, "
            f"prefix {c.prefix_len}, {c.num_puzzles:,} puzzle embedding{'' if c.num_puzzles == 1 else 's'}"
            f"{', averaged weights (EMA)' if self.averaged else ''}"
            f"{f', token ids of nano-trm (published ids + {c.token_shift})' if c.token_shift else ''}"
            f"; settings: {self.settings}"
        )


@dataclass(frozen=True, slots=True)
class ImportSource:
    """A file of weights, and its settings."""

    name: str  # the file as named by the user, or its address
    weights: Path  # for a network in shards: the index
    settings_file: str = ""  # "" for none
    settings: dict[str, Any] = field(default_factory=dict)  # with the names of the published training code
    explicit: bool = False  # the user named the file of settings
    published: Known | None = None  # its entry in the list of published checkpoints


def import_checkpoint(
    source: str,
    output: Path,
    options: ImportOptions = ImportOptions(),  # noqa: B008 - frozen
    settings_file: Path | None = None,
    drop_embeddings: bool = False,
    force: bool = False,
    quiet: bool = False,
    report: Callable[[str], None] = lambda text: None,
) -> Imported:
    """Convert `source` (see resolve_source) to `output`, a .safetensors file for `trmsolve.load`.

    drop_embeddings: replace the table of puzzle embeddings by their mean, as its only row. `output` is written
    atomically. Raises TrmsolveError for an invalid source, for an existing output unless `force`, and if there is not
    enough disk space or memory.
    report: called with a short message before each slow part.
    """
    check_writable(output, force)
    files = resolve_source(source, settings_file, quiet)
    report(f"reading {files.name} ({files.weights.stat().st_size / 1e6:,.1f} MB)")
    network = read_network(files.weights, options.averaged)
    inside = {} if files.explicit else settings_of(network.settings)
    settings = merged(inside, files.settings, files.settings_file)
    task, config = infer(network, settings, _with_known(options, files.published, settings))
    tensors = checked_tensors(network.tensors, network.strange, config)
    if drop_embeddings and config.num_puzzles:
        tensors["embed.puzzle_table"] = _mean(tensors["embed.puzzle_table"])
        config = replace(config, num_puzzles=1)
    # Contiguous tensors are written directly from the mapped file; others are copied to memory.
    scattered = max((tensor.nbytes for tensor in tensors.values() if not tensor.is_contiguous()), default=0)
    require_memory(scattered, "copying a tensor", "use a machine with more memory")
    size, free = sum(t.nbytes for t in tensors.values()), shutil.disk_usage(os.path.realpath(output.parent)).free
    if size > free:
        message = f"{output} needs {size / 1e6:,.1f} MB, but the disk has {free / 1e6:,.1f} MB free"
        raise TrmsolveError(message, "free disk space, or choose another folder")
    report(f"writing {output} ({size / 1e6:,.1f} MB)")
    provenance = {
        "imported_from": printable(files.name),
        "sha256": sha256_of(files.weights),
        "part": network.where,
        "settings": settings,
        "trmsolve": __version__,
    }
    if files.weights.name.endswith(INDEX):
        provenance["shards"] = {name: sha256_of(files.weights.with_name(name)) for name in shards(files.weights)}
    save(output, tensors, task, config.to_dict(), provenance, {})
    origins = [files.settings_file] * bool(files.settings_file) + ["those inside"] * bool(inside)
    origin = " and ".join(origins) or "none found" + (
        f"; defaults of {files.published.name}" if files.published else ""
    )
    return Imported(output, task, config, read_header(output).parameters, network.averaged, origin)


def _with_known(options: ImportOptions, entry: Known | None, settings: dict[str, Any]) -> ImportOptions:
    """The options, with defaults of a listed checkpoint for values that neither options nor settings have."""
    if entry is None:
        return options
    cycles = None if {"H_cycles", "L_cycles"} <= settings.keys() else entry.cycles
    heads = None if "num_heads" in settings else entry.heads
    prefix = entry.prefix if options.prefix is None and "puzzle_emb_len" not in settings else options.prefix
    return replace(
        options,
        task=options.task or entry.task,
        cycles=options.cycles or cycles,
        heads=options.heads or heads,
        prefix=prefix,
    )


def _mean(table: Tensor) -> Tensor:
    """The mean of the rows, (1, D), summed in blocks: a sum in fp64 would otherwise copy the whole table."""
    total = sum(rows.sum(0, dtype=torch.float64) for rows in table.split(8192))
    return (total / len(table)).to(table.dtype)[None]


# -- the source ---------------------------------------------------------------------------------------------------


def resolve_source(spec: str, settings_file: Path | None = None, quiet: bool = False) -> ImportSource:
    """The source of `trmsolve checkpoints import`; files on the Hub are pulled into the cache.

    A file or folder takes precedence over a published checkpoint of the same name. settings_file: use it instead of the
    one next to the weights. Raises TrmsolveError for an unknown file or name, a published checkpoint that cannot be
    imported, a folder without exactly one file of weights, invalid settings, and as pull() does.
    """
    stated = settings_file and read_settings(settings_file)
    if stated == {}:
        raise TrmsolveError(f"{settings_file} has no settings of an architecture", "name another: --config FILE")
    path = Path(spec).expanduser()
    published = None if Address.looks_like(spec) or os.path.lexists(path) else by_name(spec)
    if published and published.refused:
        raise TrmsolveError(f"{spec} cannot be imported: {published.refused}", "see trmsolve checkpoints list --known")
    if published or Address.looks_like(spec):
        address = Address.parse(published.address if published else spec)
        name, published = str(address), published or by_address(address)
        weights = cached(address) or pull(name, quiet=quiet)
        if weights.name.endswith(INDEX):
            folder = PurePosixPath(address.file).parent
            for shard in (Address(address.repo, str(folder / name), address.revision) for name in shards(weights)):
                _ = cached(shard) or pull(str(shard), quiet=quiet)
        beside = _beside_on_hub(address)
    else:
        name, weights = spec, _weights(path)
        beside = (other for n in settings_names(weights.name) if (other := weights.with_name(n)).is_file())
    if stated:
        return ImportSource(name, weights, str(settings_file), stated, True, published)
    for file in beside:
        if settings := read_settings(file):
            return ImportSource(name, weights, str(file), settings, published=published)
    return ImportSource(name, weights, published=published)


def _beside_on_hub(address: Address) -> Iterator[Path]:
    """The files of settings next to a file on the Hub: first those in the cache, then the others."""
    file = PurePosixPath(address.file)
    beside = [Address(address.repo, str(file.with_name(n)), address.revision) for n in settings_names(file.name)]
    missing = [other for other in beside if not cached(other)]
    yield from (path for other in beside if (path := cached(other)))
    for other in () if offline() else missing:
        with suppress(NoSuchFile):
            yield pull(str(other), quiet=True)


def _weights(path: Path) -> Path:
    """The file of weights of a path: the file itself, or the only one in a folder. For shards, their index."""
    if is_file(path):
        if shard := _SHARD.search(path.name):
            index = next(path.parent.glob(f"*{INDEX}"), None)
            hint = f"name the index of all: {index}" if index else f"fetch the others and their index, *{INDEX}"
            raise TrmsolveError(f"{path} is one shard of a network ({shard[0][1:]})", hint)
        return path
    if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir() raises for a name that is too long
        if os.path.lexists(path):
            raise TrmsolveError(f"{path} is not a regular file, expected a file of weights", "copy it to a file")
        if len(path.parts) == 1 and not path.suffix:
            hint = did_you_mean(str(path), [entry.name for entry in known()])
            raise TrmsolveError(f"no file, folder or published checkpoint '{printable(path)}'", hint)
        raise TrmsolveError(f"no file or folder {printable(path)}", "name a file, a folder or hf://OWNER/REPO/FILE")
    entries = sorted(entry for entry in path.iterdir() if entry.is_file() and not entry.name.startswith("."))
    files = [entry for entry in entries if entry.name.endswith(INDEX)]
    files = files or [entry for entry in entries if entry.suffix.lower() not in _NO_WEIGHTS]
    if len(files) == 1:
        return files[0]
    if not files:
        raise TrmsolveError(f"{path}: no file of weights in this folder", "name a file of weights")
    if all(_SHARD.search(file.name) for file in files):
        raise TrmsolveError(f"{path}: {len(files)} shards without their index", f"fetch the index too: *{INDEX}")
    names = ", ".join(printable(file.name, 80) for file in files[:10])
    raise TrmsolveError(f"{path}: {len(files)} files that may be weights: {names}", "name one of them")
