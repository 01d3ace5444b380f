"""Getting a file's bytes over a connection that may break: what has arrived stays, the rest is asked for again."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

Progress = Callable[[int, int], None]  # (bytes so far, bytes in all)

TIMEOUT = 10.0  # seconds without a byte until a connection counts as broken
ATTEMPTS = 5  # in a row that bring nothing new


def download(url: str, headers: dict[str, str], part: Path, size: int | None, progress: Progress | None) -> None:
    """Fill `part` up to `size` bytes (None: the server did not say), going on from what it holds.

    Raises OSError when the disk does not take it, else the last error of the connection after ATTEMPTS in a row
    without progress. Whatever is raised, KeyboardInterrupt too, `part` stays for the next call.
    """
    part.touch()
    if size is None or part.stat().st_size > size:  # nothing to go on from
        part.write_bytes(b"")
    if size is not None and shutil.disk_usage(part.parent).free < size - part.stat().st_size:
        raise OSError(
            errno.ENOSPC, f"the disk has less room than the {(size - part.stat().st_size) / 1e6:,.1f} MB needed"
        )
    failures = 0
    while size is None or part.stat().st_size < size:
        before = part.stat().st_size
        try:
            with part.open("ab") as file:
                _one_request(url, headers, file, size, progress)
            if size is None or part.stat().st_size == size:
                return
            error: Exception = ConnectionError("the connection closed early")
        except Exception as caught:
            if not passing(caught):
                raise
            error = caught
        failures = 0 if part.stat().st_size > before else failures + 1
        if failures >= ATTEMPTS:
            raise error
        pause(min(0.5 * 2**failures, 8))


def passing(error: Exception) -> bool:
    """Whether trying again may help: the network's errors and an overloaded server's, not the disk's, not ours."""
    if status := status_of(error):
        return status in (408, 429, 500, 502, 503, 504)
    return of_network(error)


def of_network(error: Exception) -> bool:
    """Whether it tells of a connection: requests' errors are OSErrors without errno, those of httpx only say httpx."""
    if isinstance(error, OSError):
        return not error.errno or isinstance(error, ConnectionError | TimeoutError)
    return type(error).__module__.startswith("httpx")


def status_of(error: Exception) -> int:
    """The HTTP status an exception carries, or 0."""
    return getattr(getattr(error, "response", None), "status_code", 0) or 0


def pause(seconds: float) -> None:
    time.sleep(seconds)


def _one_request(
    url: str, headers: dict[str, str], file: BinaryIO, size: int | None, progress: Progress | None
) -> None:
    have = file.tell()
    wanted = {**headers, "Accept-Encoding": "identity"}  # a compressed answer would have no ranges
    if have:
        wanted["Range"] = f"bytes={have}-"
    with _get(url, wanted) as (status, pieces):
        if have and status != 206:  # a server without ranges sends everything again
            file.truncate(0)
            have = 0
        for piece in pieces:
            file.write(piece)
            file.flush()
            have += len(piece)
            if progress:
                progress(have, size or have)
            if size is not None and have > size:  # not what was announced: the digest will say so
                return


@contextmanager
def _get(url: str, headers: dict[str, str]) -> Iterator[tuple[int, Iterator[bytes]]]:
    """A streamed GET through huggingface_hub's own session: httpx since its version 1, requests before."""
    from huggingface_hub.utils import get_session, hf_raise_for_status

    session: Any = get_session()
    if callable(getattr(session, "stream", None)):  # requests has a flag of that name
        context = session.stream("GET", url, headers=headers, timeout=TIMEOUT)
    else:
        context = session.get(url, headers=headers, timeout=TIMEOUT, stream=True)
    with context as response:
        hf_raise_for_status(response)
        yield (
            response.status_code,
            response.iter_bytes() if hasattr(response, "iter_bytes") else response.iter_content(1 << 16),
        )
