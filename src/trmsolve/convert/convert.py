"""A published checkpoint as one of ours: read, understood, checked, and only then written."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from trmsolve import __version__
from trmsolve.checkpoint.format import read_header, save, sha256_of
from trmsolve.checkpoint.transfer import Progress
from trmsolve.convert.architecture import ImportOptions, fit, infer
from trmsolve.convert.formats import read_network
from trmsolve.convert.memory import require
from trmsolve.convert.source import Source, find_source
from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.text_io import check_writable


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
            f"{', averaged weights (EMA)' if self.averaged else ''}; settings: {self.settings}"
        )


def import_checkpoint(
    source: str,
    output: Path,
    options: ImportOptions = ImportOptions(),  # noqa: B008 - frozen
    settings_file: Path | None = None,
    drop_embeddings: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Convert SOURCE (see find_source) to `output`, a .safetensors file that `trmsolve.load` takes.

    drop_embeddings: of the table of puzzle embeddings only the mean is kept, as its one row. `output` appears whole or
    not at all. Raises TrmsolveError for everything that the modules of this folder refuse, for an existing output
    unless `force`, and where disk or memory have no room for it.
    """
    check_writable(output, force)
    found = find_source(source, settings_file, progress)
    network = read_network(found.weights)
    task, config = infer(network.tensors, found.settings, _with_known(options, found))
    tensors = fit(network.tensors, network.strange, config)
    if drop_embeddings and config.num_puzzles:
        tensors["embed.puzzle_table"] = _mean(tensors["embed.puzzle_table"])
        config = replace(config, num_puzzles=1)
    size = sum(map(_bytes, tensors.values()))
    # Tensors are written from where they lie, the mapped file; only such as do not lie in one piece are put together.
    scattered = max((_bytes(tensor) for tensor in tensors.values() if not tensor.is_contiguous()), default=0)
    require(scattered, "putting a tensor together", "use a machine with more")
    free = shutil.disk_usage(os.path.realpath(output.parent)).free
    if size > free:
        raise TrmsolveError(f"{output} needs {size / 1e6:,.1f} MB, the disk has {free / 1e6:,.1f}", "make room first")
    provenance = {
        "imported_from": found.name,
        "sha256": sha256_of(found.weights),
        "part": network.where,
        "settings": found.settings,
        "trmsolve": __version__,
    }
    save(output, tensors, task, config.to_dict(), provenance, {})
    settings = found.settings_file or (f"no yaml; as known of {found.known.name}" if found.known else "no yaml")
    return Imported(output, task, config, read_header(output).parameters, network.averaged, settings)


def _with_known(options: ImportOptions, source: Source) -> ImportOptions:
    """With what is known of a published checkpoint, where neither the user nor the yaml says it."""
    if source.known is None:
        return options
    cycles = None if {"H_cycles", "L_cycles"} <= source.settings.keys() else source.known.cycles
    heads = None if "num_heads" in source.settings else source.known.heads
    return replace(options, cycles=options.cycles or cycles, heads=options.heads or heads)


def _mean(table: Tensor) -> Tensor:
    """The mean of the rows, (1, D). In blocks: to add up more precisely, torch would copy the whole table."""
    total = sum(rows.sum(0, dtype=torch.float64) for rows in table.split(8192))
    return (total / len(table)).to(table.dtype)[None]


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
