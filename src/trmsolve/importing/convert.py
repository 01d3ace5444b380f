"""A published checkpoint as one of ours: read, understood, checked, and only then written."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from trmsolve import __version__
from trmsolve.errors import TrmsolveError
from trmsolve.files import check_writable
from trmsolve.importing.architecture import Asked, fit, infer
from trmsolve.importing.formats import read_network
from trmsolve.importing.source import find_source
from trmsolve.model.config import TRMConfig
from trmsolve.store.file import save, sha256_of
from trmsolve.store.transfer import Progress


@dataclass(frozen=True, slots=True)
class Imported:
    """What was written."""

    path: Path
    task: str
    config: TRMConfig
    parameters: int  # that training changes; the table of puzzle embeddings is beside them
    averaged: bool
    settings_file: str

    def __str__(self) -> str:
        c = self.config
        kind = "HRM" if c.y_layers else f"TRM, {c.mixer}"
        return (
            f"{self.task}: {kind}, {self.parameters:,} parameters, width {c.width}, T={c.T}, n={c.n}, "
            f"prefix {c.prefix}, {c.puzzles:,} puzzle embedding{'' if c.puzzles == 1 else 's'}"
            f"{', averaged weights (EMA)' if self.averaged else ''}; settings: {self.settings_file or 'no yaml'}"
        )


def import_checkpoint(
    source: str,
    output: Path,
    asked: Asked = Asked(),  # noqa: B008 - frozen
    settings_file: Path | None = None,
    drop_embeddings: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Convert SOURCE (see find_source) to `output`, a .safetensors file that `trmsolve.load` takes.

    drop_embeddings: of the table of puzzle embeddings only the mean is kept, as its one row. `output` appears whole or
    not at all. Raises TrmsolveError for everything that the modules of this folder refuse, for an existing output
    unless `force`, and for a disk without room.
    """
    check_writable(output, force)
    found = find_source(source, settings_file, progress)
    network = read_network(found.weights)
    if drop_embeddings and "puzzle_emb.weights" in network.tensors:
        table = network.tensors["puzzle_emb.weights"]
        network.tensors["puzzle_emb.weights"] = table.mean(0, keepdim=True, dtype=torch.float32).to(table.dtype)
    task, config = infer(network.tensors, found.settings, asked)
    tensors = fit(network.tensors, network.strange, config)
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
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
    parameters = sum(t.numel() for name, t in tensors.items() if name not in ("embed.puzzles", "y_init", "z_init"))
    return Imported(output, task, config, parameters, network.averaged, found.settings_file)
