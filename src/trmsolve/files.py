"""Writing a file so that a reader sees the old one or the new one, whole, and never half of either."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from trmsolve.errors import TrmsolveError


def write_atomically(path: str | Path, data: str | bytes | Iterable[bytes | memoryview], force: bool = False) -> Path:
    """Write `data` (text as UTF-8 with "\\n", or bytes piece by piece) to `path`; returns the path really written.

    The bytes go to a temporary name in the same folder (a rename is only atomic within one file system), reach the
    disk, and are renamed into place. An existing file is kept unless `force`; a symbolic link stays a link and its
    target is replaced; a device or a pipe (/dev/null, a FIFO) is simply written to.
    Raises TrmsolveError for everything the user can mend.
    """
    name = str(path)
    target = Path(os.path.realpath(path))
    text = data.encode("utf-8") if isinstance(data, str) else data
    pieces = [text] if isinstance(text, bytes) else text
    try:
        check_writable(path, force)
        if target.exists() and not target.is_file():
            with target.open("wb") as file:
                file.writelines(pieces)
        else:
            with _replacing(target, name) as file:
                file.writelines(pieces)
    except OSError as error:
        raise _unwritable(name, error) from error
    return target


@contextlib.contextmanager
def writing(path: str | Path, force: bool = False) -> Iterator[TextIO]:
    """A text stream whose lines become `path` when the block ends well, as write_atomically() would write them.

    For texts of any length: nothing is kept in memory. A block that fails leaves `path` as it was.
    """
    target = Path(os.path.realpath(path))
    special = target.exists() and not target.is_file()
    check_writable(path, force)
    with contextlib.ExitStack() as stack:
        try:
            binary = stack.enter_context(_closing(target.open("wb")) if special else _replacing(target, str(path)))
        except OSError as error:
            raise _unwritable(str(path), error) from error
        text = _Text(binary, str(path))
        yield text
        text.flush()
        text.detach()


class _Text(io.TextIOWrapper):
    """Lines for a file. That the disk is full is said of the file as the user named it."""

    def __init__(self, binary: BinaryIO, called: str) -> None:
        super().__init__(binary, encoding="utf-8", newline="\n", write_through=True)
        self.called = called

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            raise _unwritable(self.called, error) from error

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise _unwritable(self.called, error) from error


def check_writable(path: str | Path, force: bool = False) -> None:
    """Raise the TrmsolveError that write_atomically() would; for asking before hours of work, not after them."""
    target = Path(os.path.realpath(path))
    try:
        if target.is_dir():
            raise TrmsolveError(f"cannot write {path}: it is a folder", "give a file name inside it")
        if not target.parent.is_dir():
            raise TrmsolveError(f"cannot write {path}: there is no folder {target.parent}", "create the folder first")
        if target.is_file() and not force:
            raise TrmsolveError(f"{path} already exists", "add --force to overwrite it")
        special = target.exists() and not target.is_file()  # a pipe, /dev/null: written to as it is
        if not special and not os.access(target.parent, os.W_OK):  # a file is made beside its place, then renamed
            raise _unwritable(str(path), PermissionError())
    except OSError as error:  # a folder we may not look into, a name longer than the file system allows
        raise TrmsolveError(f"cannot write {path}: {error.strerror or error}") from error


def _unwritable(name: str, error: OSError) -> TrmsolveError:
    if isinstance(error, PermissionError):
        return TrmsolveError(f"cannot write {name}: permission denied", "choose another file or folder")
    return TrmsolveError(f"cannot write {name}: {error.strerror or error}")


@contextlib.contextmanager
def _replacing(target: Path, called: str) -> Iterator[BinaryIO]:
    """A file under a temporary name that takes the target's place when the block ends well."""
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.part")
    # O_EXCL and 0o666 rather than tempfile, whose files only their owner can read, whatever the umask says.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o666)
    try:
        with _closing(os.fdopen(descriptor, "wb")) as file:
            yield file
            try:
                file.flush()
                os.fsync(file.fileno())
            except OSError as error:
                raise _unwritable(called, error) from error
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


@contextlib.contextmanager
def _closing(file: BinaryIO) -> Iterator[BinaryIO]:
    """The file, closed at the end. One that could not take everything would complain of the rest once more."""
    try:
        yield file
    except BaseException:
        with contextlib.suppress(OSError):
            file.close()
        raise
    file.close()


def _sync_folder(folder: Path) -> None:
    """Make the rename itself last through a power cut, where the system lets a folder be opened at all."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
