"""Text input and output: streams of numbered lines, atomic writes, and escaping of untrusted text.

Reading: a line is yielded as soon as it is complete, so that answers do not wait for the end of the input. Memory is
bounded for any length of lines. Bytes that are not UTF-8 become U+FFFD, and lines longer than LINE_LIMIT are cut; the
task's reader reports both as errors of their record. Only input that is not text ends the stream.

Writing: files are replaced atomically, so a reader sees the old content or the new one.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import os
import secrets
import shlex
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, TextIO

from trmsolve.containers import is_container, unpacked
from trmsolve.errors import InputError, TrmsolveError

LINE_LIMIT = 1 << 20  # bytes of a line that are kept, far beyond any puzzle; a longer line arrives one byte longer
CHUNK = 1 << 16
EXPECTED = "expected text with one puzzle or more"


class Line(NamedTuple):
    """One line of input: 1-based number, text without its line ending."""

    number: int
    text: str


def printable(text: object, limit: int = 500) -> str:
    """Escape untrusted text (file names, headers, task names, input) for printing on a terminal.

    Characters that are not printable, such as control characters and those that change the writing direction, become
    \\x1b or \\u202e; text beyond `limit` characters is cut.
    """
    shown = str(text)
    shown = shown[: limit - 1] + "…" if len(shown) > limit else shown
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in shown)


def shorten(text: str, limit: int = 100) -> str:
    """The beginning of a text, at most `limit` characters, with spaces for characters that are not printable."""
    start = text[: limit - 1] + "…" if len(text) > limit else text
    return "".join(mark if mark.isprintable() else " " for mark in start)


def character_name(mark: str) -> str:
    """A character for a message: quoted, or its code point if it is not printable."""
    if mark == "\ufffd":
        return "a byte that is not UTF-8"
    return f"'{mark}'" if mark.isprintable() else f"U+{ord(mark):04X}"


def shell_quote(argument: object) -> str:
    """An argument of a suggested command, quoted for a POSIX shell."""
    return shlex.quote(printable(argument))


def source_name(path: str | Path) -> str:
    """The name of an input in messages: the path as typed, `stdin` for `-`."""
    return "stdin" if str(path) == "-" else str(path)


def is_file(path: str | Path) -> bool:
    """Whether there is a regular file of that name; False also for a name that no file can have."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def open_lines(path: str | Path, limit: int = LINE_LIMIT) -> Iterator[Line]:
    """The lines of a file, or of stdin for `-`, without their endings (LF, CRLF or CR) and without a byte order mark.

    gzip streams and arrays of numpy are unpacked on the way (containers.py).

    Raises InputError at once for a file that is missing, a directory or not readable, and while it is iterated for
    binary data, an input without a single byte, or a read that fails half-way.
    """
    return _lines(*_stream(path), limit)


def read_text(path: str | Path, limit: int) -> str:
    """The text of a file, or of stdin for `-`, without a byte order mark.

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
    start, after_cr = bytearray(), False  # start: the beginning of the line that has not ended yet
    for chunk in chunks:
        if after_cr and chunk.startswith(b"\n"):  # a CRLF across two chunks: its line was already yielded
            chunk = chunk[1:]
        after_cr = chunk.endswith(b"\r")
        *complete, rest = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for part in complete:
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
    """The bytes of an input, and its name in messages."""
    name = source_name(path)
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
    if is_container(chunk):
        yield from unpacked(_pieces(read, chunk), name)
        return
    if chunk.startswith((b"\xff\xfe", b"\xfe\xff")):
        command = f"iconv -f UTF-16 -t UTF-8 {'FILE' if name == 'stdin' else name}"
        raise InputError(name, "is UTF-16 text, expected UTF-8", f"convert it: {command}")
    if b"\0" in chunk and _is_binary(chunk):  # other NULs are foreign characters of their lines, which alone are bad
        raise InputError(name, f"is binary (a NUL at byte {chunk.index(0) + 1}), no text", EXPECTED)
    yield from _pieces(read, chunk)


def _pieces(read: Callable[[int], bytes], chunk: bytes) -> Iterator[bytes]:
    while chunk:
        yield chunk
        chunk = read(CHUNK)


def _is_binary(chunk: bytes) -> bool:
    """Whether more than a tenth of the characters are invalid in text."""
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
    """A hint for a missing file: the most similar name in its folder, or that the folder is missing too."""
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f"the folder {path.parent} does not exist"
    close = difflib.get_close_matches(path.name, [name for name in names if name != path.name], 1)
    return f"did you mean '{path.with_name(close[0])}'?" if close else ""


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        raise InputError("stdin", "is closed, expected puzzles", "name a file instead")
    if hasattr(sys.stdin, "buffer"):
        # Unbuffered: Python aborts at exit while a thread waits inside the buffered reader of an open pipe.
        return getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
    return io.BytesIO(sys.stdin.read().encode("utf-8", errors="replace"))  # a replaced stdin that knows only text


# -- writing ----------------------------------------------------------------------------------------------------


def atomic_write(path: str | Path, data: str | bytes | Iterable[bytes | memoryview], force: bool = False) -> Path:
    """Write `data` (text as UTF-8 with "\n", or bytes piece by piece) to `path`; returns the path really written.

    The bytes go to a temporary name in the same folder (a rename is only atomic within one file system), reach the
    disk, and are renamed into place. An existing file is kept unless `force`; a symbolic link stays a link and its
    target is replaced; a device or a pipe (/dev/null, a FIFO) is simply written to.
    Raises TrmsolveError for errors that the user can correct.
    """
    text = data.encode("utf-8") if isinstance(data, str) else data
    with _replacement(path, force) as file, _naming(path):
        file.writelines([text] if isinstance(text, bytes) else text)
    return Path(os.path.realpath(path))


@contextlib.contextmanager
def atomic_writer(path: str | Path, force: bool = False) -> Iterator[TextIO]:
    """A text stream that replaces `path` when the block ends without an exception, as atomic_write() does.

    The text is not kept in memory. If the block raises, `path` is unchanged.
    """
    with _replacement(path, force) as binary:
        text = _Text(binary, str(path))
        yield text
        text.flush()
        text.detach()


class _Text(io.TextIOWrapper):
    """A text stream whose errors name the file as the user did."""

    def __init__(self, binary: BinaryIO, called: str) -> None:
        super().__init__(binary, encoding="utf-8", newline="\n", write_through=True)
        self.called = called

    def write(self, text: str) -> int:
        with _naming(self.called):
            return super().write(text)

    def flush(self) -> None:
        with _naming(self.called):
            super().flush()


@contextlib.contextmanager
def _naming(path: str | Path) -> Iterator[None]:
    """OSErrors of the block as TrmsolveErrors that name the file as the user did."""
    try:
        yield
    except OSError as error:
        raise _unwritable(path, error) from error


def check_writable(path: str | Path, force: bool = False) -> None:
    """Raise the TrmsolveError that atomic_write() would raise, before hours of work rather than after."""
    target = Path(os.path.realpath(path))
    try:
        if target.is_dir():
            raise TrmsolveError(f"cannot write {path}: it is a folder", "name a file in it")
        if not target.parent.is_dir():
            raise TrmsolveError(
                f"cannot write {path}: the folder {target.parent} does not exist", "create the folder first"
            )
        if target.is_file() and not force:
            raise TrmsolveError(f"{path} already exists", "add --force to overwrite it")
        if target.is_block_device():
            raise TrmsolveError(f"cannot write {path}: it is a block device (a disk)", "name a file")
        special = target.exists() and not target.is_file()  # a pipe, /dev/null: written to as it is
        if not special and not os.access(target.parent, os.W_OK):  # the temporary file is in the same folder
            raise _unwritable(path, PermissionError())
    except OSError as error:  # a folder we may not look into, a name longer than the file system allows
        raise TrmsolveError(f"cannot write {path}: {error.strerror or error}") from error


def _unwritable(path: str | Path, error: OSError) -> TrmsolveError:
    if isinstance(error, PermissionError):
        return TrmsolveError(f"cannot write {path}: permission denied", "choose another file or folder")
    return TrmsolveError(f"cannot write {path}: {error.strerror or error}")


@contextlib.contextmanager
def _replacement(path: str | Path, force: bool) -> Iterator[BinaryIO]:
    """A binary stream whose content replaces the file; for a device or a pipe, the stream to it."""
    check_writable(path, force)
    target = Path(os.path.realpath(path))
    is_special = target.exists() and not target.is_file()
    with contextlib.nullcontext(target) if is_special else replacing(path) as written:
        with _naming(path):
            file = written.open("wb")
        try:
            yield file
        except BaseException:
            with contextlib.suppress(OSError):  # flushing again fails again
                file.close()
            raise
        with _naming(path):
            file.close()


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A new empty file, under a temporary name, that replaces `path` when the block ends without an exception.

    It reaches the disk before it is renamed. Raises TrmsolveError if that fails; exceptions of the block pass through.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        with _naming(path):
            # O_EXCL and 0o666 rather than tempfile, whose files only their owner can read, whatever the umask says.
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        _copy_mode(target, temporary)
        yield temporary
        with _naming(path):
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    _sync_folder(target.parent)


def _copy_mode(target: Path, temporary: Path) -> None:
    """Give the temporary file the owner and the mode of the file that it replaces, as far as the system allows."""
    try:
        status = target.stat()
    except OSError:  # a new file
        return
    if hasattr(os, "chown"):
        with contextlib.suppress(OSError):  # only root may give files away
            os.chown(temporary, status.st_uid, status.st_gid)
    with contextlib.suppress(OSError):
        temporary.chmod(stat.S_IMODE(status.st_mode))


def _sync_folder(folder: Path) -> None:
    """Make the rename durable, on systems that allow a folder to be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
