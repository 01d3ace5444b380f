"""Look up a checkpoint by name, file or hf:// address, and list bundled, cached and published ones (known.yaml)."""

from __future__ import annotations

import difflib
import os
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from trmsolve.checkpoint.format import Header, read_header, replaced, sha256_of
from trmsolve.checkpoint.hub import Address, cached, own_dir, pull
from trmsolve.errors import TrmsolveError
from trmsolve.text_io import is_file, printable

_SUFFIX = ".safetensors"
_PACKAGE = Path(__file__).resolve().parent.parent
_MORE = "get more: trmsolve checkpoints pull hf://OWNER/REPO/FILE, or train: trmsolve train"


@dataclass(frozen=True, slots=True)
class CheckpointFile:
    """One checkpoint file that is readable and for the expected task."""

    path: Path
    name: str  # in reports: "sudoku", "hf://owner/repo/file", or the file as named by the user
    sha256: str
    header: Header


@dataclass(frozen=True, slots=True)
class Listing:
    """One line of `trmsolve checkpoints list`."""

    name: str  # value for --checkpoint
    path: Path
    where: str  # "bundled", "cached" or "pulled"
    size: int  # bytes
    header: Header | None  # None: not readable, `problem` says why
    problem: str = ""

    @property
    def task(self) -> str:
        return self.header.task if self.header else ""

    @property
    def parameters(self) -> int:
        return self.header.parameters if self.header else 0

    @property
    def puzzle_table(self) -> tuple[int, ...]:
        return self.header.puzzle_table if self.header else ()

    @property
    def headline(self) -> str:
        return self.header.headline if self.header else ""


def bundled_dir() -> Path:
    """The folder of the checkpoints that ship: `trmsolve/bundled` in a wheel, `checkpoints/` in a source tree."""
    source_tree = _PACKAGE.parent.parent
    if (source_tree / "pyproject.toml").is_file() and _PACKAGE.parent.name == "src":
        return source_tree / "checkpoints"
    return _PACKAGE / "bundled"


def find(spec: str | None, task: str | None) -> CheckpointFile:
    """The checkpoint of `--checkpoint spec`; spec None: the bundled one of the task.

    A name means a bundled or cached checkpoint; a spec with a path separator or the suffix .safetensors a file;
    hf://owner/repo/file[@revision] a file of the Hub, pulled unless it is cached. Raises TrmsolveError if there is no
    such checkpoint, if it is not readable, or if it is for another task.
    """
    if spec is None:
        if task is None:
            raise TrmsolveError("no checkpoint given", "list checkpoints: trmsolve checkpoints list")
        spec = task
    if Address.looks_like(spec):
        address = Address.parse(spec)
        return _checkpoint_file(cached(address) or pull(spec), str(address), task)
    if _looks_like_file(spec):
        return _checkpoint_file(Path(spec).expanduser(), spec, task)
    if path := _names().get(spec):
        return _checkpoint_file(path, spec, task)
    if is_file(spec):
        return _checkpoint_file(Path(spec), spec, task)
    raise _unknown(spec)


def available() -> list[Listing]:
    """All bundled and cached checkpoints, bundled ones first. Unreadable files are listed with their problem."""
    entries = [_listing(name, path) for name, path in _names().items()]
    return sorted(entries, key=lambda entry: (entry.where != "bundled", entry.name))


def _checkpoint_file(path: Path, name: str, task: str | None) -> CheckpointFile:
    header = read_header(path)
    header.require_task(task)
    checkpoint = CheckpointFile(path=path, name=name, sha256=sha256_of(path), header=header)
    if read_header(path) != header:
        raise replaced(path)
    return checkpoint


def _looks_like_file(spec: str) -> bool:
    return spec.endswith(_SUFFIX) or os.sep in spec or "/" in spec or spec in ("", ".", "..", "~")


def _names() -> dict[str, Path]:
    """Name -> file. The name of a pulled file is its stem if that is unique, else its hf:// address."""
    names = {path.stem: path for folder in (own_dir(), bundled_dir()) for path in _files(folder, f"*{_SUFFIX}")}
    hub = {path: str(Address.of(path)) for path in _files(own_dir() / "hub", f"*/*/*/**/*{_SUFFIX}")}
    stems = [path.stem for path in hub]
    for path, address in hub.items():
        unique = stems.count(path.stem) == 1 and path.stem not in names
        names[path.stem if unique else address] = path
    return names


def _files(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(path for path in folder.glob(pattern) if path.is_file() and not path.name.startswith("."))
    except OSError:  # a folder without permission counts as empty; `trmsolve doctor` reports it
        return []


def _listing(name: str, path: Path) -> Listing:
    if path.parent == bundled_dir():
        where = "bundled"
    else:
        where = "cached" if path.parent == own_dir() else "pulled"
    try:
        header = read_header(path)
        return Listing(name, path, where, header.size, header)
    except TrmsolveError as error:
        return Listing(name, path, where, path.stat().st_size if path.exists() else 0, None, error.message)


def _unknown(spec: str) -> TrmsolveError:
    if published := by_name(spec):
        why = f": {published.refused}" if published.refused else ""
        hint = published.import_ or "see trmsolve checkpoints list --known"
        return TrmsolveError(f"'{printable(spec)}' is a published checkpoint that must be imported first{why}", hint)
    names = sorted(_names())
    near = difflib.get_close_matches(spec, names, 1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    hint += f"known: {', '.join(map(printable, names))}" if names else "none is installed"
    return TrmsolveError(f"unknown checkpoint '{printable(spec)}'", f"{hint}\n  {_MORE}")


# -- published checkpoints ----------------------------------------------------------------------------------------

UNVERIFIED = "Figures as stated by the publishers; not verified by trmsolve."


@dataclass(frozen=True, slots=True)
class Known:
    """One published file; known.yaml explains the fields. "" means unknown."""

    name: str
    repository: str
    file: str
    task: str
    network: str
    stated: str = ""
    licence: str = ""
    size: str = ""
    also: str = ""
    note: str = ""
    refused: str = ""
    # Settings of the published recipe, for files without any
    prefix: int = 16  # tokens before the cells
    cycles: tuple[int, int] = (3, 4)  # T and n
    heads: int = 8  # of attention

    @property
    def address(self) -> str:
        """The address for `trmsolve checkpoints pull`."""
        return f"hf://{self.repository}/{self.file}"

    @property
    def import_(self) -> str:
        """The command that fetches and converts it; "" if it cannot be imported."""
        return "" if self.refused else f"trmsolve checkpoints import {self.name} -o {self.name}.safetensors"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        pull = f"trmsolve checkpoints pull {self.address}"
        return asdict(self) | {"verified": False, "address": self.address, "pull": pull, "import": self.import_}


@lru_cache(maxsize=1)
def known() -> tuple[Known, ...]:
    """All published checkpoints, in the order of known.yaml."""
    import yaml

    text = Path(__file__).with_name("known.yaml").read_text("utf-8")
    entries = []
    for repository, about in yaml.safe_load(text)["repositories"].items():
        for name, fields in about.pop("files").items():
            values = about | fields
            if values["network"] == "HRM":
                values = {"prefix": 1, "cycles": (2, 2)} | values
            elif values["task"] == "sudoku":
                values = {"cycles": (3, 6)} | values
            entries.append(Known(name=name, repository=repository, **values))
    return tuple(entries)


def by_name(name: str) -> Known | None:
    """The published checkpoint of that name."""
    return next((entry for entry in known() if entry.name == name), None)


def by_address(address: Address) -> Known | None:
    """The published checkpoint at that address, in any revision."""
    owner, repository = address.repo.split("/")
    for entry in known():
        publisher, published = entry.repository.split("/")
        if (published, entry.file) == (repository, address.file) and owner in (publisher, entry.also):
            return entry
    return None
