"""The published checkpoints by name: known.yaml as records, and the commands that fetch and convert each."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from trmsolve.checkpoint.address import Address

UNVERIFIED = "What their own pages state; trmsolve has verified none of it."


@dataclass(frozen=True, slots=True)
class Known:
    """One published file; known.yaml says what the fields mean. "" where nothing is known or stated."""

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

    @property
    def address(self) -> str:
        """What `trmsolve checkpoints pull` takes."""
        return f"hf://{self.repository}/{self.file}"

    @property
    def pull(self) -> str:
        """The command that fetches it."""
        return f"trmsolve checkpoints pull {self.address}"

    @property
    def import_(self) -> str:
        """The command that fetches and converts it; "" where that cannot be done."""
        return "" if self.refused else f"trmsolve checkpoints import {self.name} -o {self.name}.safetensors"

    @property
    def cycles(self) -> tuple[int, int]:
        """T and n of the published recipe, for files without a yaml beside them."""
        if self.network == "HRM":
            return 2, 2
        return (3, 6) if self.task == "sudoku" else (3, 4)

    @property
    def heads(self) -> int:
        """Of attention, likewise."""
        return 8

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        made = {"address": self.address, "pull": self.pull, "import": self.import_}
        return asdict(self) | {"cycles": self.cycles, "heads": self.heads, "verified": False} | made


@lru_cache(maxsize=1)
def known() -> tuple[Known, ...]:
    """All of them, in the order of the list."""
    import yaml

    text = Path(__file__).with_name("known.yaml").read_text("utf-8")
    made = []
    for repository, about in yaml.safe_load(text)["repositories"].items():
        files = about.pop("files")
        made += [Known(name=name, repository=repository, **about | of_file) for name, of_file in files.items()]
    return tuple(made)


def by_name(name: str) -> Known | None:
    """The published checkpoint of that name."""
    return next((entry for entry in known() if entry.name == name), None)


def by_address(address: Address) -> Known | None:
    """The published checkpoint at that address, of whatever revision."""
    owner, repository = address.repo.split("/")
    for entry in known():
        publisher, published = entry.repository.split("/")
        if (published, entry.file) == (repository, address.file) and owner in (publisher, entry.also):
            return entry
    return None
