"""Opens what the user names (a file or `-` for stdin) as a stream of numbered text lines, whatever the task.

Three promises: a line is delivered as soon as its ending has arrived, so the first answer can come before the input
ends; memory stays bounded however long a line is; one damaged line spoils only its own record. So bytes that are not
UTF-8 become U+FFFD, and a line longer than LINE_LIMIT bytes is cut behind it: the task's reader, which knows where a
record begins and ends, reports both with file and line. Only input that is no text at all stops the stream.
"""

from __future__ import annotations

import difflib
import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from trmsolve.errors import InputError
from trmsolve.tasks.base import Line

LINE_LIMIT = 1 << 20  # bytes of a line that are kept, far beyond any puzzle; a longer line arrives one byte longer
CHUNK = 1 << 16
EXPECTED = "expected text with one puzzle or more"


def name_of(path: str | Path) -> str:
    """How messages call an input: the path as typed, `stdin` for `-`."""
    return "stdin" if str(path) == "-" else str(path)


def open_lines(path: str | Path, limit: int = LINE_LIMIT) -> Iterator[Line]:
    """The lines of a file, or of stdin for `-`, without their endings (LF, CRLF or CR) and without a byte order mark.

    Raises InputError at once for a file that is missing, a directory or not readable, and while it is iterated for
    binary data, an input without a single byte, or a read that fails half-way.
    """
    return _lines(*_stream(path), limit)


def read_text(path: str | Path, limit: int) -> str:
    """All of a file, or of stdin for `-`, for formats to which lines mean nothing; without a byte order mark.

    Raises InputError as open_lines() and its iteration do, and for more than `limit` bytes.
    """
    stream, name = _stream(path)
    data = bytearray()
    for chunk in _chunks(stream, name):
        data += chunk
        if len(data) > limit:
            raise InputError(name, f"more than {limit:,} bytes", "split it into several files")
    return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="replace")


def split_lines(chunks: Iterable[bytes], limit: int = LINE_LIMIT) -> Iterator[bytes]:
    """Cuts chunks of bytes at LF, CRLF or CR; of a line longer than `limit` it keeps the first limit + 1 bytes."""
    start, after_cr = bytearray(), False  # start: what is known of the line that has not ended yet
    for chunk in chunks:
        if after_cr and chunk.startswith(b"\n"):  # a CRLF torn apart by the chunks: its line is already out
            chunk = chunk[1:]
        after_cr = chunk.endswith(b"\r")
        *whole, rest = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for part in whole:
            yield bytes(start + part)[: limit + 1]
            start.clear()
        start += rest[: max(0, limit + 1 - len(start))]
    if start:
        yield bytes(start)


def _lines(stream: BinaryIO, name: str, limit: int) -> Iterator[Line]:
    for number, raw in enumerate(split_lines(_chunks(stream, name), limit), 1):
        if number == 1:
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        yield Line(number, raw.decode("utf-8", errors="replace"))


def _stream(path: str | Path) -> tuple[BinaryIO, str]:
    """The bytes of an input, and how messages call it."""
    name = name_of(path)
    return (_stdin() if name == "stdin" else _open(Path(path))), name


def _chunks(stream: BinaryIO, name: str) -> Iterator[bytes]:
    # stdin belongs to the process and is left open
    try:
        yield from _checked(stream, name)
    except OSError as error:
        raise InputError(name, f"reading failed: {error.strerror or error}") from error
    finally:
        if name != "stdin":
            stream.close()


def _checked(stream: BinaryIO, name: str) -> Iterator[bytes]:
    read = getattr(stream, "read1", stream.read)  # what is there now, without waiting for more
    chunk = read(CHUNK)
    if not chunk:
        raise InputError(name, "holds no puzzle: it is empty", EXPECTED)
    if chunk.startswith((b"\xff\xfe", b"\xfe\xff")):
        command = f"iconv -f UTF-16 -t UTF-8 {'FILE' if name == 'stdin' else name}"
        raise InputError(name, "is UTF-16 text, expected UTF-8", f"convert it: {command}")
    if b"\0" in chunk and _is_binary(chunk):  # other NULs are foreign characters of their lines, which alone are bad
        raise InputError(name, f"is binary (a NUL at byte {chunk.index(0) + 1}), no text", EXPECTED)
    while chunk:
        yield chunk
        chunk = read(CHUNK)


def _is_binary(chunk: bytes) -> bool:
    """Whether more than a tenth of the characters are none that a text has."""
    text = chunk.decode("utf-8", errors="replace")
    return 10 * sum(c == "\ufffd" or (c < " " and c not in "\t\n\v\f\r") for c in text) > len(text)


def _open(path: Path) -> BinaryIO:
    try:
        if path.is_dir():
            raise InputError(str(path), "is a directory, expected a file", f"name its files: {path}/*")
        return path.open("rb")
    except FileNotFoundError as error:
        raise InputError(str(path), "no such file", _neighbour(path)) from error
    except PermissionError as error:
        raise InputError(str(path), "no permission to read it") from error
    except (OSError, ValueError) as error:  # a name too long, a NUL in the name, a loop of links
        raise InputError(
            repr(str(path))[:200], f"cannot be opened: {getattr(error, 'strerror', None) or error}"
        ) from error


def _neighbour(path: Path) -> str:
    """A hint for a file that is not there: the most similar name beside it, or the folder that is missing too."""
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f"there is no folder {path.parent} either"
    near = difflib.get_close_matches(path.name, names, 1)
    return f"did you mean '{path.with_name(near[0])}'?" if near else ""


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        raise InputError("stdin", "is closed, expected puzzles", "name a file instead")
    if hasattr(sys.stdin, "buffer"):
        # Unbuffered: Python aborts at exit while a thread waits inside the buffered reader of an open pipe.
        return getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
    return io.BytesIO(sys.stdin.read().encode("utf-8", errors="replace"))  # a replaced stdin that knows only text
