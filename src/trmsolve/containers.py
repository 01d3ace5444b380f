"""Bytes that hold text in another form: gzip streams, and arrays of numpy (.npy, .npz) as lines of JSON.

Both are known by their first bytes. Nothing is unpickled, and neither may grow without bound.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trmsolve.errors import InputError

if TYPE_CHECKING:
    import numpy as np

GZIP, NUMPY, ZIP = b"\x1f\x8b", b"\x93NUMPY", b"PK\x03\x04"
EXPANDED_LIMIT = 1 << 32  # bytes out of a gzip stream
EXPANSION_LIMIT = 400  # bytes out for each byte in, beyond FREE_EXPANSION: puzzles compress 3 to 100 times
FREE_EXPANSION = 1 << 24
ARRAY_LIMIT = 1 << 28  # bytes of all arrays of a file
PIECE = 1 << 16

QUESTIONS = ("question", "questions", "puzzle", "puzzles", "inputs", "quizzes", "x", "arr_0")
ANSWERS = ("answer", "answers", "solution", "solutions", "labels", "y", "arr_1")


def is_container(start: bytes) -> bool:
    """Whether an input that begins with these bytes is to be unpacked."""
    return start.startswith((GZIP, NUMPY, ZIP))


def unpacked(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """The text of a container as UTF-8, piece by piece. Raises InputError for a damaged or a hostile one."""
    iterator = iter(chunks)
    first = next(iterator, b"")
    whole = chain([first], iterator)
    if first.startswith(GZIP):
        yield from _checked_again(gunzipped(whole, name), name)
    else:
        yield from _array_lines(whole, name)


def _checked_again(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """The content of a gzip stream, which may be an array in its turn."""
    first = next(chunks, b"")
    if first.startswith((NUMPY, ZIP)):
        yield from _array_lines(chain([first], chunks), name)
    elif first.startswith(GZIP):
        raise InputError(name, "is a gzip stream within a gzip stream", "unpack it once: gunzip")
    else:
        yield from chain([first], chunks)


def gunzipped(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """The content of a gzip stream of one member or several. Raises InputError when it is damaged or grows too much."""
    decoder, bytes_in, bytes_out = zlib.decompressobj(wbits=31), 0, 0
    try:
        for chunk in chunks:
            bytes_in += len(chunk)
            while chunk:
                if decoder.eof:
                    decoder = zlib.decompressobj(wbits=31)
                piece = decoder.decompress(chunk, PIECE)
                chunk = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
                bytes_out += len(piece)
                if bytes_out > min(EXPANDED_LIMIT, FREE_EXPANSION + EXPANSION_LIMIT * bytes_in):
                    raise InputError(
                        name, f"expands from {bytes_in:,} to more than {bytes_out:,} bytes", "unpack it yourself"
                    )
                if piece:
                    yield piece
    except zlib.error as error:
        raise InputError(name, f"is a damaged gzip stream: {error}", "fetch it again") from error
    if not decoder.eof:
        raise InputError(name, "is a gzip stream that was cut off", "fetch it again")


def _array_lines(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Every puzzle of an array file as a line of JSON, with its solution where there is an array of them."""
    data = bytearray()
    for chunk in chunks:
        data += chunk
        _check_size(len(data), name)
    expected = "expected .npy or .npz of numbers or texts"
    arrays = load_arrays(io.BytesIO(bytes(data)), name, expected, (*QUESTIONS, *ANSWERS))
    question = next((key for key in ("", *QUESTIONS) if key in arrays), None)
    if question is None:
        with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
            keys = ", ".join(part.removesuffix(".npy") for part in archive.namelist()[:8]) or "nothing"
        raise InputError(name, f"an archive of {keys}", f"expected an array {', '.join(QUESTIONS[:4])}")
    answer = next((key for key in ANSWERS if key in arrays), None)
    yield from _puzzles(arrays[question], None if answer is None else arrays[answer], name)


def load_arrays(
    file: Path | io.BytesIO, name: str, expected: str, names: Collection[str] | None = None
) -> dict[str, np.ndarray]:
    """The arrays of an .npz by name, or that of an .npy as "". Nothing is unpickled.

    name, expected: for messages. names: of the arrays to read, whatever else the .npz holds; None: all.
    Raises InputError for what is damaged, too large, or holds Python objects.
    """
    from numpy.lib.format import read_array

    part = ""
    try:
        with file.open("rb") if isinstance(file, Path) else file as stream:
            if stream.read(len(NUMPY)) == NUMPY:
                _check_size(stream.seek(0, io.SEEK_END), name)
                stream.seek(0)
                return {"": read_array(stream, allow_pickle=False)}
            arrays = {}
            with zipfile.ZipFile(stream) as archive:
                sizes = {member.filename: member.file_size for member in archive.infolist()}
                parts = [part for part in sizes if names is None or part.removesuffix(".npy") in names]
                _check_size(sum(sizes[part] for part in parts), name)
                for part in parts:
                    if not part.endswith(".npy"):
                        raise InputError(name, f"a zip archive that holds {part!r:.100}", "unpack it first")
                    with archive.open(part) as member:
                        arrays[part.removesuffix(".npy")] = read_array(member, allow_pickle=False)
            return arrays
    except InputError:
        raise
    except OSError as error:
        raise InputError(name, error.strerror or str(error), expected) from error
    except Exception as error:  # of numpy, zipfile and zlib
        array = f"the array {part.removesuffix('.npy')!r:.100}" if part else "its arrays"
        reason = "".join(filter(str.isprintable, str(error)))[:100]
        raise InputError(name, f"{array} cannot be read: {reason}", expected) from error


def _check_size(size: int, name: str) -> None:
    if size > ARRAY_LIMIT:
        raise InputError(name, f"arrays of {size:,} bytes", f"split it: expected {ARRAY_LIMIT:,} at most")


def _puzzles(questions: np.ndarray, answers: np.ndarray | None, name: str) -> Iterator[bytes]:
    """Lines of JSON for one puzzle (rows, columns) or many (n, cells), (n, rows, columns); texts (n,) too."""
    single = questions.ndim == 2 and abs(questions.shape[0] - questions.shape[1]) < 2
    if questions.ndim == 0 or (questions.ndim == 2 and single):
        questions, answers = questions[None], None if answers is None else answers[None]
    if questions.ndim not in (1, 2, 3) or (answers is not None and len(answers) != len(questions)):
        raise InputError(name, f"an array of shape {questions.shape}", "expected (n, rows, columns) or (n, cells)")
    if questions.ndim == 1 and questions.dtype.kind not in "US":
        questions = questions[None]
    for index in range(len(questions)):
        record: dict[str, Any] = {"question": _plain(questions[index])}
        if answers is not None:
            record["answer"] = _plain(answers[index])
        yield json.dumps(record).encode() + b"\n"


def _plain(value: Any) -> Any:
    plain = value.tolist() if hasattr(value, "tolist") else value
    return plain.decode("utf-8", "replace") if isinstance(plain, bytes) else plain
