"""Pulling checkpoint files from the Hugging Face Hub into our own cache: resumed, verified, never half there.

Addresses, login and the server's answers are huggingface_hub's business; the transfer itself is done in transfer.py,
because since version 2 `hf_hub_download` deletes what it has when it is interrupted, so that a 2 GB file would start
again from nothing. Here the part stays beside the file (`FILE.ETAG.part`) and the next pull goes on from it.

huggingface_hub reads its environment when it is imported, so it is imported late, and HF_ENDPOINT and HF_HUB_OFFLINE
are read here, at each call.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

from trmsolve import __version__
from trmsolve.checkpoint.address import Address
from trmsolve.checkpoint.format import hash_file, sha256_of
from trmsolve.checkpoint.transfer import TIMEOUT, Progress, download, of_network, passing, status_of
from trmsolve.errors import TrmsolveError


class NoSuchFile(TrmsolveError):
    """The repository is there, and has no file of that name."""


def cached(address: Address) -> Path | None:
    """The file in our cache, or None. No network."""
    return address.path if address.path.is_file() else None


def pull(spec: str, sha256: str | None = None, progress: Progress | None = None) -> Path:
    """Fetch hf://owner/repo/file[@revision] unless the cache already has what the Hub has; returns the cached file.

    `progress` is called with (bytes so far, bytes in all). Every file is checked against the Hub's digest, and
    against `sha256` when given; one that does not match is removed. Without a network (HF_HUB_OFFLINE, no connection)
    a cached file will do. Raises TrmsolveError: bad address, no such repository or file, no access, no network, disk
    full, wrong digest. KeyboardInterrupt passes through and leaves the part for the next pull.
    """
    address = Address.parse(spec)
    if sha256 is not None:
        sha256 = sha256.lower().removeprefix("sha256:")
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            raise TrmsolveError(f"'{sha256}' is no sha256", "64 hexadecimal digits are needed")
    if not offline():
        _update(address, progress)
    elif not cached(address):
        hint = f"without it set: trmsolve checkpoints pull {address}"
        raise TrmsolveError(f"{address} is not in the cache, and HF_HUB_OFFLINE forbids fetching it", hint)
    found = sha256_of(address.path)
    if sha256 not in (None, found):
        address.path.unlink()
        raise TrmsolveError(f"{address} has sha256 {found}, not {sha256}; removed", "ask its publisher which is right")
    return address.path


def _update(address: Address, progress: Progress | None) -> None:
    """Bring the cached file to the Hub's version of it; no connection is no matter when there is a cached file."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.utils import build_hf_headers

    path = address.path
    headers = build_hf_headers(library_name="trmsolve", library_version=__version__)
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or None
    try:
        url = hf_hub_url(address.repo, address.file, revision=address.revision, endpoint=endpoint)
        remote = get_hf_file_metadata(url, timeout=TIMEOUT, headers=headers)
    except Exception as error:  # of requests, httpx or httpx2
        if cached(address) and passing(error):
            return
        raise _explained(error, address) from None
    etag = remote.etag or ""
    if cached(address) and _is_content(path, etag):
        return
    if urlsplit(remote.location).netloc != urlsplit(url).netloc:
        headers.pop("authorization", None)  # the token is for the Hub, not for the storage it points to
    part = path.with_name(f"{path.name}.{quote(etag, safe='')[:64]}.part")
    _place(address, part, lambda: download(remote.location, headers, part, remote.size, progress), etag)


def _place(address: Address, part: Path, fill: Callable[[], None], etag: str) -> None:
    """Fill the part, check it, give it its name; one process at a time."""
    from filelock import FileLock, Timeout

    path = address.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=0):
            try:
                fill()
            except Exception as error:
                raise _explained(error, address) from None
            if _names_content(etag) and not _is_content(part, etag):
                part.unlink()
                raise TrmsolveError(f"{address} arrived damaged (its digest is not {etag}); removed", _again(address))
            part.replace(path)
            for old in path.parent.glob(f"{path.name}.*.part"):  # of versions the Hub no longer has
                old.unlink(missing_ok=True)
    except Timeout:
        raise TrmsolveError(f"another process is pulling {address}", "when it is done, run this again") from None
    except OSError as error:
        hint = "free some space, or set TRMSOLVE_CACHE to another folder"
        raise TrmsolveError(f"cannot write to {path.parent}: {error.strerror or error}", hint) from None


def _names_content(etag: str) -> bool:
    """Whether the etag is a digest: sha256 for large files (LFS), git's blob sha1 for small ones."""
    return bool(re.fullmatch("[0-9a-f]{64}|[0-9a-f]{40}", etag))


def _is_content(path: Path, etag: str) -> bool:
    """Whether the file is the one the etag names."""
    if not _names_content(etag):
        return False
    if len(etag) == 64:
        return sha256_of(path) == etag
    return hash_file(path, hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)) == etag


def offline() -> bool:
    """Whether the user forbids the network."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")  # both, as huggingface_hub does
    return any(os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE") for name in names)


def _again(address: Address) -> str:
    return f"try again: trmsolve checkpoints pull {address}"


def _explained(error: Exception, address: Address) -> Exception:
    """The error as one sentence with the next command; the disk's errors, and mistakes of ours, as they are.

    Told apart by status code and by the classes that all versions of huggingface_hub share, because the network's own
    exceptions come from requests, httpx or httpx2.
    """
    from huggingface_hub import errors

    page = f"https://huggingface.co/{address.repo}"
    login = "log in: hf auth login (or set HF_TOKEN)"
    status = status_of(error)
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
    if isinstance(error, ValueError):  # huggingface_hub's own idea of a valid name
        return TrmsolveError(f"'{address}' is no address on the Hub: {error}", "write hf://OWNER/REPO/FILE")
    if not of_network(error):
        return error
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    host = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    hint = f"check the connection{' and HF_ENDPOINT' if os.environ.get('HF_ENDPOINT') else ''}, then {_again(address)}"
    return TrmsolveError(f"cannot get {address} from {host}: {reason}", f"{hint} (what has arrived is kept)")
