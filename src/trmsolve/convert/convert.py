"""A published checkpoint as one of ours: found, read, understood, checked, and only then written."""

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
from trmsolve.convert.architecture import ImportOptions, fit, infer
from trmsolve.convert.read import INDEX, read_network, require_memory, shards
from trmsolve.convert.settings import merged, read_settings, settings_names, settings_of
from trmsolve.errors import TrmsolveError, did_you_mean
from trmsolve.model.config import TRMConfig
from trmsolve.text_io import check_writable, printable

_NO_WEIGHTS = {".yaml", ".yml", ".json", ".txt", ".md", ".py", ".csv", ".npz", ".npy", ".log", ".png", ".svg"}


@dataclass(frozen=True, slots=True)
class Imported:
    """What was written."""

    path: Path
    task: str
    config: TRMConfig
    parameters: int  # that training changes; the table of puzzle embeddings is beside them
    averaged: bool
    settings: str  # where they come from

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
class Source:
    """A file of weights and what is said of it."""

    name: str  # the file as the user wrote it, or its address
    weights: Path  # of a network in shards: their index
    settings_file: str = ""  # "" where there is none
    settings: dict[str, Any] = field(default_factory=dict)  # in the published training code's names
    explicit: bool = False  # the user named the file of settings
    known: Known | None = None  # what the list of published checkpoints says of it


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
    """Convert SOURCE (see find_source) to `output`, a .safetensors file that `trmsolve.load` takes.

    drop_embeddings: of the table of puzzle embeddings only the mean is kept, as its one row. `output` appears whole or
    not at all. report: called with a few words before each part that may take a while. Raises TrmsolveError for
    everything that the modules of this folder refuse, for an existing output unless `force`, and where disk or memory
    have no room for it.
    """
    check_writable(output, force)
    files = find_source(source, settings_file, quiet)
    report(f"reading {files.name} ({files.weights.stat().st_size / 1e6:,.1f} MB)")
    network = read_network(files.weights, options.averaged)
    inside = {} if files.explicit else settings_of(dict(network.settings))
    settings = merged(inside, files.settings, files.settings_file)
    task, config = infer(network, settings, _with_known(options, files.known, settings))
    tensors = fit(network.tensors, network.strange, config)
    if drop_embeddings and config.num_puzzles:
        tensors["embed.puzzle_table"] = _mean(tensors["embed.puzzle_table"])
        config = replace(config, num_puzzles=1)
    # Tensors are written from where they lie, the mapped file; only such as do not lie in one piece are put together.
    scattered = max((tensor.nbytes for tensor in tensors.values() if not tensor.is_contiguous()), default=0)
    require_memory(scattered, "putting a tensor together", "use a machine with more")
    size, free = sum(t.nbytes for t in tensors.values()), shutil.disk_usage(os.path.realpath(output.parent)).free
    if size > free:
        raise TrmsolveError(f"{output} needs {size / 1e6:,.1f} MB, the disk has {free / 1e6:,.1f}", "make room first")
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
    origins = [files.settings_file] * bool(files.settings_file) + ["hyper_parameters inside"] * bool(inside)
    origin = " and ".join(origins) or "none beside it" + (f"; as known of {files.known.name}" if files.known else "")
    return Imported(output, task, config, read_header(output).parameters, network.averaged, origin)


def _with_known(options: ImportOptions, entry: Known | None, settings: dict[str, Any]) -> ImportOptions:
    """With what is known of a published checkpoint, where neither the user nor the settings say it."""
    if entry is None:
        return options
    cycles = None if {"H_cycles", "L_cycles"} <= settings.keys() else entry.cycles
    heads = None if "num_heads" in settings else entry.heads
    prefix = entry.prefix_len if options.prefix is None and "puzzle_emb_len" not in settings else options.prefix
    return replace(
        options,
        task=options.task or entry.task,
        cycles=options.cycles or cycles,
        heads=options.heads or heads,
        prefix=prefix,
    )


def _mean(table: Tensor) -> Tensor:
    """The mean of the rows, (1, D). In blocks: to add up more precisely, torch would copy the whole table."""
    total = sum(rows.sum(0, dtype=torch.float64) for rows in table.split(8192))
    return (total / len(table)).to(table.dtype)[None]


# -- the source ---------------------------------------------------------------------------------------------------


def find_source(spec: str, settings_file: Path | None = None, quiet: bool = False) -> Source:
    """SOURCE as `trmsolve checkpoints import` takes it; what lies on the Hub is pulled into the cache.

    A file or folder of that name goes before a published checkpoint. settings_file: to believe instead of the one
    beside the weights. Raises TrmsolveError: no such file or name, a published checkpoint that cannot be imported, a
    folder with no or several files of weights, settings that cannot be read, and what pull() raises.
    """
    stated = settings_file and read_settings(settings_file)
    if stated == {}:
        raise TrmsolveError(f"{settings_file} says nothing of an architecture", "name another: --config FILE")
    path = Path(spec).expanduser()
    published = None if Address.looks_like(spec) or path.exists() else by_name(spec)
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
        return Source(name, weights, str(settings_file), stated, True, published)
    for file in beside:
        if settings := read_settings(file):
            return Source(name, weights, str(file), settings, known=published)
    return Source(name, weights, known=published)


def _beside_on_hub(address: Address) -> Iterator[Path]:
    """The settings in the folder of a file on the Hub: those in the cache, and when these will not do, the others."""
    file = PurePosixPath(address.file)
    beside = [Address(address.repo, str(file.with_name(n)), address.revision) for n in settings_names(file.name)]
    missing = [other for other in beside if not cached(other)]
    yield from (path for other in beside if (path := cached(other)))
    for other in () if offline() else missing:
        with suppress(NoSuchFile):
            yield pull(str(other), quiet=True)


def _weights(path: Path) -> Path:
    """The file of weights that a path names: itself, or the only one in a folder. Of several shards, their index."""
    if path.is_file():
        if (shard := re.search(r"-\d+-of-\d+\.\w+$", path.name)) and list(path.parent.glob(f"*{INDEX}")):
            message = f"{path} is one shard of a network ({shard[0][1:]})"
            raise TrmsolveError(message, f"name the index of all: {next(path.parent.glob(f'*{INDEX}'))}")
        return path
    if not path.is_dir():
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
        raise TrmsolveError(f"{path} holds no file of weights")
    names = ", ".join(printable(file.name, 80) for file in files[:10])
    raise TrmsolveError(f"{path} holds {len(files)} files that may be weights: {names}", "name one of them")
