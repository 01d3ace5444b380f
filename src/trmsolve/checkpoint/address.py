"""How a file on the Hugging Face Hub is written, and where it lies in our cache."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from trmsolve.checkpoint.folders import own_dir
from trmsolve.errors import TrmsolveError

_SPEC = re.compile(r"hf://(?P<repo>[^/@]+/[^/@]+)(?:@(?P<revision>[^/@]+))?/(?P<file>[^@]+)(?:@(?P<after>[^@]+))?")
_PAGE = re.compile(
    r"https?://(?:huggingface\.co|hf\.co)/(?P<repo>[^/]+/[^/]+)/(?:resolve|blob|raw)"
    r"/(?P<revision>[^/]+)/(?P<file>[^?#]+)(?:[?#].*)?"
)


@dataclass(frozen=True, slots=True)
class Address:
    """One file on the Hub.

    Written hf://OWNER/REPO/FILE[@REVISION]; hf://OWNER/REPO@REVISION/FILE and the address of a file's page are
    understood too.
    """

    repo: str
    file: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"hf://{self.repo}/{self.file}" + (f"@{self.revision}" if self.revision != "main" else "")

    @staticmethod
    def looks_like(spec: str) -> bool:
        return spec.startswith(("hf://", "https://", "http://"))

    @classmethod
    def parse(cls, spec: str) -> Address:
        """Raises TrmsolveError when it is no such address."""
        match = _SPEC.fullmatch(spec) or _PAGE.fullmatch(spec)
        parts = match.groupdict() if match else {"repo": "", "file": ""}
        revision = parts.get("after") or unquote(parts.get("revision") or "main")
        # Each of these becomes a name on this disk: nothing that could leave the cache, on any platform.
        names = [*parts["repo"].split("/"), *parts["file"].split("/"), quote(revision, safe="")]
        if any(name in ("", ".", "..") or set(name) & set('\\:*?"<>|\0') for name in names):
            raise TrmsolveError(f"'{spec}' is no address of a file", "write hf://OWNER/REPO/FILE or .../FILE@REVISION")
        return cls(parts["repo"], parts["file"], revision)

    @property
    def path(self) -> Path:
        """Where it lies in our cache, there or not."""
        return own_dir() / "hub" / self.repo / quote(self.revision, safe="") / self.file

    @classmethod
    def of(cls, path: Path) -> Address:
        """The inverse of `path`."""
        owner, repo, revision, *file = path.relative_to(own_dir() / "hub").parts
        return cls(f"{owner}/{repo}", "/".join(file), unquote(revision))
