"""Files of the Hugging Face Hub: their addresses, their paths in our cache, and downloads.

huggingface_hub transfers the files (retries, lock, token, Xet). This module adds a check of disk space, a check of the
digest, and error messages with the next command.

huggingface_hub reads its environment when it is imported, so it is imported late, and HF_ENDPOINT and HF_HUB_OFFLINE
are read here, at each call.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from trmsolve import __version__
from trmsolve.checkpoint.format import sha256_of
from trmsolve.errors import TrmsolveError
from trmsolve.text_io import printable, shell_quote

TIMEOUT = 10.0  # seconds until a server that does not answer counts as unreachable

_SPEC = re.compile(
    r"hf://(?P<kind>datasets/)?(?P<repo>[^/@]+/[^/@]+)(?:@(?P<revision>[^/@]+))?/(?P<file>[^@]+)(?:@(?P<after>[^@]+))?"
)
_PAGE = re.compile(
    r"https?://(?:huggingface\.co|hf\.co)/(?P<kind>datasets/)?(?P<repo>[^/]+/[^/]+)/(?:resolve|blob|raw)"
    r"/(?P<revision>[^/]+)/(?P<file>[^?#]+)(?:[?#].*)?"
)


class NoSuchFile(TrmsolveError):
    """The repository exists and has no file of that name."""


def cache_dir() -> Path:
    """Our cache folder: TRMSOLVE_CACHE, else XDG_CACHE_HOME/trmsolve, else the platform's default. It may not exist.

    Raises TrmsolveError if there is no home folder.
    """
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    if configured := os.environ.get("TRMSOLVE_CACHE"):
        folder = configured
    elif Path(xdg).is_absolute():  # relative paths must be ignored (XDG specification)
        folder = f"{xdg}/trmsolve"
    elif sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        folder = f"{local}/trmsolve/Cache"
    else:
        folder = "~/Library/Caches/trmsolve" if sys.platform == "darwin" else "~/.cache/trmsolve"
    try:
        return Path(folder).expanduser().absolute()
    except RuntimeError as error:
        raise TrmsolveError(f"no home folder for the cache: {error}", "set TRMSOLVE_CACHE to a folder") from None


def own_dir() -> Path:
    """The folder of cached checkpoints: `NAME.safetensors` of the user, `hub/OWNER/REPO/REVISION/FILE` pulled."""
    return cache_dir() / "checkpoints"


@dataclass(frozen=True, slots=True)
class Address:
    """One file on the Hub.

    Written hf://OWNER/REPO/FILE[@REVISION], for a data set hf://datasets/OWNER/REPO/FILE[@REVISION];
    hf://OWNER/REPO@REVISION/FILE and the URL of a file's page are accepted.
    """

    repo: str
    file: str
    revision: str = "main"
    is_dataset: bool = False

    def __str__(self) -> str:
        return f"hf://{self.page}/{self.file}" + (f"@{self.revision}" if self.revision != "main" else "")

    @staticmethod
    def looks_like(spec: str) -> bool:
        return spec.startswith(("hf://", "https://", "http://"))

    @classmethod
    def parse(cls, spec: str) -> Address:
        """Parse an address. Raises TrmsolveError for anything else."""
        match = _SPEC.fullmatch(spec) or _PAGE.fullmatch(spec)
        parts = match.groupdict() if match else {"repo": "", "file": ""}
        revision = parts.get("after") or unquote(parts.get("revision") or "main")
        # Each of these becomes a file name: names that could leave the cache, on any platform, are rejected.
        names = [*parts["repo"].split("/"), *parts["file"].split("/"), quote(revision, safe="", errors="replace")]
        if any(name in ("", ".", "..") or set(name) & set('\\:*?"<>|\0') for name in names):
            hint = "write hf://OWNER/REPO/FILE or .../FILE@REVISION"
            raise TrmsolveError(f"'{printable(spec)}' is not the address of a file", hint)
        return cls(parts["repo"], parts["file"], revision, bool(parts.get("kind")))

    @property
    def page(self) -> str:
        """The repository's place on the Hub."""
        return f"datasets/{self.repo}" if self.is_dataset else self.repo

    @property
    def folder(self) -> Path:
        """The repository at this revision in our cache."""
        root = cache_dir() / "datasets" if self.is_dataset else own_dir() / "hub"
        return root / self.repo / quote(self.revision, safe="")

    @property
    def path(self) -> Path:
        """The path of the file in our cache, which may not exist."""
        return self.folder / self.file

    @classmethod
    def of(cls, path: Path) -> Address:
        """The inverse of `path`, for checkpoints."""
        owner, repo, revision, *file = path.relative_to(own_dir() / "hub").parts
        return cls(f"{owner}/{repo}", "/".join(file), unquote(revision))


def cached(address: Address) -> Path | None:
    """The file in our cache, or None. No network."""
    return address.path if address.path.is_file() else None


def offline() -> bool:
    """Whether the user forbids the network."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")  # both, as huggingface_hub does
    return any(os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE") for name in names)


def pull(spec: str, sha256: str | None = None, quiet: bool = False) -> Path:
    """Fetch hf://owner/repo/file[@revision] unless the cached file is up to date. Returns the cached file.

    Every file is checked against the Hub's digest, and against `sha256` if given; a file that does not match is
    removed. Without a network (HF_HUB_OFFLINE, no connection) a cached file is used. A terminal shows progress unless
    `quiet`. Raises TrmsolveError for an invalid address, an unknown repository or file, missing access, no network, a
    full disk, or a wrong digest.
    """
    address = Address.parse(spec)
    if sha256 is not None:
        sha256 = sha256.lower().removeprefix("sha256:")
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            raise TrmsolveError(f"'{printable(sha256)}' is not a sha256", "expected 64 hexadecimal digits")
    if not offline():
        try:
            _update(address, sha256, quiet)
        except OSError as error:  # of the disk; those of the network are explained
            hint = "free some space, or set TRMSOLVE_CACHE to another folder"
            raise TrmsolveError(f"cannot write to {address.path.parent}: {error.strerror or error}", hint) from None
    elif not cached(address):
        hint = f"unset it, then fetch: trmsolve checkpoints pull {shell_quote(address)}"
        raise TrmsolveError(f"{address} is not in the cache, and HF_HUB_OFFLINE forbids fetching it", hint)
    digest = sha256_of(address.path)
    if sha256 not in (None, digest):
        address.path.unlink()
        raise TrmsolveError(
            f"{address} has sha256 {digest}, expected {sha256}; removed", "check the digest with the publisher"
        )
    return address.path


def local_path(file: str) -> str:
    """The file itself, or the cached copy of hf://datasets/OWNER/REPO/FILE, fetched if need be; raises as pull()."""
    return str(pull(file)) if file.startswith("hf://datasets/") else file


def cached_path(file: str) -> Path | None:
    """Where the bytes of a file lie, without fetching it; None for an address that is not in the cache."""
    if not file.startswith("hf://"):
        return Path(file)
    try:
        return cached(Address.parse(file))
    except TrmsolveError:
        return None


def _update(address: Address, sha256: str | None, quiet: bool) -> None:
    """Update the cached file to the Hub's version; without a connection, a cached file is kept."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, disable_progress_bars

    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or None
    kind = "dataset" if address.is_dataset else "model"
    headers = build_hf_headers(library_name="trmsolve", library_version=__version__)
    try:
        url = hf_hub_url(address.repo, address.file, repo_type=kind, revision=address.revision, endpoint=endpoint)
        remote = get_hf_file_metadata(url, timeout=TIMEOUT, headers=headers)
    except Exception as error:  # of requests, httpx or httpx2
        if cached(address) and _is_passing(error):
            return
        raise _explained(error, address) from None
    etag = remote.etag or ""
    if cached(address) and (_is_content(address.path, etag) or sha256 == sha256_of(address.path)):
        return
    if not _is_digest(etag) and not sha256:
        message = f"the server has no digest of {address} to check the file against"
        raise TrmsolveError(message, "give its digest: trmsolve checkpoints pull ADDRESS --sha256 HEX")
    # Downloads have their own folder, so that the cached file stays until the new one has been checked.
    folder = cache_dir() / "downloads" / address.page / quote(address.revision, safe="")
    folder.mkdir(parents=True, exist_ok=True)
    if remote.size and shutil.disk_usage(folder).free < remote.size:
        raise OSError(0, f"not enough disk space: {remote.size / 1e6:,.1f} MB needed")
    if quiet:
        disable_progress_bars()
    try:
        name = hf_hub_download(
            address.repo,
            address.file,
            repo_type=kind,
            revision=remote.commit_hash or address.revision,
            local_dir=folder,
            endpoint=endpoint,
            etag_timeout=TIMEOUT,
            library_name="trmsolve",
            library_version=__version__,
        )
    except Exception as error:
        raise _explained(error, address) from None
    file = Path(name)
    if _is_digest(etag) and not _is_content(file, etag):
        file.unlink()
        message = f"{address} was damaged in the transfer (its digest is not {etag}); removed"
        raise TrmsolveError(message, _again(address))
    address.path.parent.mkdir(parents=True, exist_ok=True)
    file.replace(address.path)


def _is_digest(etag: str) -> bool:
    """Whether the etag is a digest: sha256 for large files (LFS, Xet), git's blob sha1 for small ones."""
    return bool(re.fullmatch("[0-9a-f]{64}|[0-9a-f]{40}", etag))


def _is_content(path: Path, etag: str) -> bool:
    """Whether the file is the one the etag names."""
    if len(etag) == 64:
        return sha256_of(path) == etag
    blob = b"blob %d\0" % path.stat().st_size
    return _is_digest(etag) and hashlib.sha1(blob + path.read_bytes(), usedforsecurity=False).hexdigest() == etag


def _status(error: Exception) -> int:
    """The HTTP status an exception carries, or 0."""
    return getattr(getattr(error, "response", None), "status_code", 0) or 0


def _is_of_network(error: Exception) -> bool:
    """Whether it is a network error: those of requests are OSErrors without errno, those of httpx are in its module."""
    if isinstance(error, OSError):
        return not error.errno or isinstance(error, ConnectionError | TimeoutError)
    return type(error).__module__.startswith("httpx")


def _is_passing(error: Exception) -> bool:
    """Whether it is temporary: a network error, or an overloaded server."""
    status = _status(error)
    return status in (408, 429, 500, 502, 503, 504) if status else _is_of_network(error)


def _again(address: Address) -> str:
    return f"try again: trmsolve checkpoints pull {shell_quote(address)}"


def _explained(error: Exception, address: Address) -> Exception:
    """A network error as TrmsolveError with the next command; other errors unchanged.

    Errors are recognised by status code and by classes that all versions of huggingface_hub have, because network
    exceptions come from requests, httpx or httpx2.
    """
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    page = f"https://huggingface.co/{address.page}"
    login = "log in: hf auth login (or set HF_TOKEN)"
    status = _status(error)
    match error:
        case errors.GatedRepoError():
            return TrmsolveError(f"{address.repo} is gated", f"accept its conditions at {page}, then {login}")
        case errors.RevisionNotFoundError():
            return TrmsolveError(f"{address.repo} has no revision '{address.revision}'", f"see {page}/commits")
        case errors.EntryNotFoundError():
            return NoSuchFile(f"{address.repo} has no file '{address.file}'", f"see {page}/tree/{address.revision}")
    if status in (401, 404):
        hint = f"check the name at {page}; if it is private or gated, {login}"
        return TrmsolveError(f"no repository {address.repo} that you may read", hint)
    if status == 403:
        return TrmsolveError(f"access to {address} is refused", f"accept its conditions at {page}, then {login}")
    if status:
        return TrmsolveError(f"the Hub answered {status} for {address}", _again(address))
    if isinstance(error, ValueError):  # a name that huggingface_hub rejects
        return TrmsolveError(f"'{address}' is not an address on the Hub: {error}", "write hf://OWNER/REPO/FILE")
    if not _is_of_network(error):
        return error
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    host = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    check = f"check the connection{' and HF_ENDPOINT' if os.environ.get('HF_ENDPOINT') else ''}"
    return TrmsolveError(f"cannot get {address} from {host}: {reason}", f"{check}, then {_again(address)}")
