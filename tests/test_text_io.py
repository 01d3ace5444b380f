"""Reading inputs (endings, encodings, limits, streaming) and writing files atomically, with clear errors."""

from __future__ import annotations

import io
import os
import stat
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trmsolve.containers import is_container
from trmsolve.errors import InputError, TrmsolveError
from trmsolve.tasks.base import InvalidPuzzle, Line, Puzzle
from trmsolve.tasks.sudoku.read import read
from trmsolve.text_io import (
    LINE_LIMIT,
    atomic_write,
    atomic_writer,
    check_writable,
    open_lines,
    source_name,
    split_lines,
)

FUZZ = int(os.environ.get("TRMSOLVE_FUZZ", "1000"))
P4 = "1..4..1.2..3.4.."


def texts(path) -> list[str]:
    return [line.text for line in open_lines(path)]


class Stdin:
    def __init__(self, raw) -> None:
        self.buffer = raw


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\rb\r", ["a", "b"]),
        (b"a\r\n\r\nb", ["a", "", "b"]),
        (b"\n\na", ["", "", "a"]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb", ["a", "\ufeffb"]),
        ("ä│1".encode(), ["ä│1"]),
        (b"good\n\xe4\xf6\ngood", ["good", "\ufffd\ufffd", "good"]),
        (b"\n", [""]),
    ],
)
def test_line_endings_and_numbers(tmp_path, raw, expected):
    (tmp_path / "f").write_bytes(raw)
    assert texts(tmp_path / "f") == expected
    assert [line.number for line in open_lines(tmp_path / "f")] == list(range(1, len(expected) + 1))


@given(st.binary(max_size=60).map(lambda raw: raw.replace(b"x", b"\r\n")), st.integers(1, 7), st.integers(1, 9))
def test_lines_do_not_depend_on_chunks(raw, size, limit):
    chunks = [raw[start : start + size] for start in range(0, len(raw), size)]
    whole = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    whole = whole[:-1] if whole[-1] == b"" else whole
    assert list(split_lines(chunks, limit)) == [line[: limit + 1] for line in whole]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "holds no puzzle"),
        (b"1234\0\n", "is binary (a NUL at byte 5)"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is binary"),
        ("1234".encode("utf-16"), "is UTF-16 text, expected UTF-8"),
    ],
)
def test_empty_and_binary_input_is_refused(tmp_path, raw, message):
    (tmp_path / "f").write_bytes(raw)
    with pytest.raises(InputError) as caught:
        texts(tmp_path / "f")
    assert message in caught.value.message and caught.value.source == str(tmp_path / "f")


def test_missing_file_names_its_neighbour(tmp_path):
    (tmp_path / "puzzles.txt").write_text(P4)
    with pytest.raises(InputError, match="no such file") as caught:
        open_lines(tmp_path / "puzles.txt")
    assert caught.value.hint == f"did you mean '{tmp_path / 'puzzles.txt'}'?"
    with pytest.raises(InputError, match="no such file") as caught:
        open_lines(tmp_path / "nowhere" / "puzzles.txt")
    assert "does not exist" in caught.value.hint


def test_a_single_nul_affects_only_its_line(tmp_path):
    path = tmp_path / "in"
    path.write_bytes(b"1" * 20 + b"\0" + b"1" * 60 + b"\n" + b"2" * 81 + b"\n")
    first, second = open_lines(path)
    assert first.text[20] == "\0" and second == (2, "2" * 81)


@pytest.mark.parametrize("name", ["", "x" * 5000, "a\0b"])
def test_invalid_file_names_are_errors(tmp_path, name):
    with pytest.raises(InputError):
        open_lines(f"{tmp_path}/{name}")


def test_directory(tmp_path):
    with pytest.raises(InputError, match="is a directory"):
        open_lines(tmp_path)


def test_no_permission(tmp_path, monkeypatch):
    (tmp_path / "f").write_text(P4)
    if os.geteuid() == 0:  # root may read everything: let the system's answer be played

        def refuse(*_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("pathlib.Path.open", refuse)
    else:
        (tmp_path / "f").chmod(0)
    with pytest.raises(InputError, match="no permission"):
        open_lines(tmp_path / "f")


def test_a_read_that_fails_half_way(monkeypatch):
    class Failing(io.BytesIO):
        def read1(self, size=-1):
            data = super().read1(4)
            if not data:
                raise OSError(5, "Input/output error")
            return data

    monkeypatch.setattr(sys, "stdin", Stdin(Failing(b"1234\n567")))
    lines = open_lines("-")
    assert next(lines) == Line(1, "1234")
    with pytest.raises(InputError, match="stdin: reading failed: Input/output error"):
        next(lines)


def test_stdin_without_bytes_and_closed(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("a\nb"))
    assert texts("-") == ["a", "b"]
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="is closed"):
        open_lines("-")
    assert source_name("-") == "stdin" and source_name("a/b") == "a/b"


def test_stdin_is_read_line_by_line(monkeypatch):
    """A line is delivered while the writer still holds the pipe open."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stdin, os.fdopen(writing, "wb", buffering=0) as writer:
        monkeypatch.setattr(sys, "stdin", Stdin(stdin))
        guard = threading.Timer(10, writer.close)  # a failing test must not hang
        guard.start()
        lines = open_lines("-")
        for number in (1, 2, 3):
            writer.write(P4.encode() + b"\r\n")
            assert next(lines) == Line(number, P4)
            assert not writer.closed
        guard.cancel()


def test_a_huge_line_is_cut_and_affects_no_other(tmp_path):
    (tmp_path / "f").write_bytes(P4.encode() + b"\n" + b"1" * 10_000_000 + b"\n" + P4[:-1].encode() + b"1\n")
    lines = list(open_lines(tmp_path / "f"))
    assert [len(line.text) for line in lines] == [16, LINE_LIMIT + 1, 16]
    first, huge, last = read(open_lines(tmp_path / "f"), "f")
    assert isinstance(first, Puzzle) and isinstance(last, Puzzle) and last.source == "f:3"
    assert isinstance(huge, InvalidPuzzle) and huge.source == "f:2" and "more than 1,048,576" in huge.message


def test_an_undecodable_line_affects_no_other(tmp_path):
    (tmp_path / "f").write_bytes(
        P4.encode() + b"\n" + P4[:3].encode() + b"\xe4" + P4[4:].encode() + b"\n" + P4.encode()
    )
    first, broken, last = read(open_lines(tmp_path / "f"), "f")
    assert isinstance(first, Puzzle) and isinstance(last, Puzzle)
    assert broken.source == "f:2" and "a byte that is not UTF-8 in column 4" in broken.message


@settings(max_examples=max(1, FUZZ // 4), deadline=None, database=None)
@given(
    st.one_of(
        st.binary(max_size=400),
        st.lists(st.sampled_from([P4.encode(), b"\n", b"\r", b"\xff", b"\0", b"1,"])).map(b"".join),
    )
)
def test_fuzz_bytes(raw):
    """Random bytes end in records or in one InputError, nothing else."""
    before, sys.stdin = sys.stdin, Stdin(io.BytesIO(raw))
    try:
        for record in read(open_lines("-", limit=100), "-"):
            assert isinstance(record, (Puzzle, InvalidPuzzle)) and record.source.startswith("stdin")
    except InputError as error:
        assert error.source == "stdin"
        assert b"\0" in raw or not raw or raw[:1] in b"\xff\xfe" or is_container(raw)
    finally:
        sys.stdin = before


# -- writing ------------------------------------------------------------------------------------------------------
def test_a_failing_block_keeps_the_old_file_and_a_finished_one_replaces_it(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_writer(path, force=True) as stream:
        stream.write("new")
        raise RuntimeError
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    with atomic_writer(path, force=True) as stream:
        stream.write("new\n")
        assert path.read_text() == "old"
    assert path.read_bytes() == b"new\n"


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_a_replaced_file_keeps_its_mode_and_owner(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o640)
    if os.getuid() == 0:
        os.chown(path, 12345, 12346)
    before = path.stat()
    atomic_write(path, "new", force=True)
    after = path.stat()
    assert path.read_text() == "new"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_a_disk_is_never_written_to(tmp_path, monkeypatch):
    path = tmp_path / "sda"
    path.touch()
    monkeypatch.setattr(type(path), "is_block_device", lambda self: self.name == "sda")
    monkeypatch.setattr(type(path), "is_file", lambda self: False)
    with pytest.raises(TrmsolveError, match="it is a block device"):
        atomic_write(path, "x", force=True)
    with pytest.raises(TrmsolveError, match="it is a block device"):
        check_writable(path, force=True)


def test_write_keeps_an_existing_file_unless_forced(tmp_path):
    path = tmp_path / "a.svg"
    atomic_write(path, "one\n")
    with pytest.raises(TrmsolveError, match="already exists") as error:
        atomic_write(path, "two\n")
    assert "--force" in error.value.hint and path.read_bytes() == b"one\n"
    atomic_write(path, b"two\n", force=True)
    assert path.read_bytes() == b"two\n" and [p.name for p in tmp_path.iterdir()] == ["a.svg"]


def test_a_failed_write_leaves_no_temporary_file(tmp_path, monkeypatch):
    path = tmp_path / "a.svg"
    path.write_text("old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trmsolve.text_io.os.fsync", full)
    with pytest.raises(TrmsolveError, match="No space left"):
        atomic_write(path, "new", force=True)
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.svg"]


@pytest.mark.parametrize("name", [".", "missing/a.svg", "file/a.svg", "x" * 5000])
def test_write_names_the_error(tmp_path, name):
    (tmp_path / "file").write_text("")
    for write in (lambda path: atomic_write(path, ""), check_writable):
        with pytest.raises(TrmsolveError, match="cannot write"):
            write(tmp_path / name)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")
def test_write_respects_umask_links_and_devices(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    old = os.umask(0o027)
    try:
        atomic_write(target, "x")
    finally:
        os.umask(old)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    link.symlink_to(target)
    atomic_write(link, "y", force=True)
    assert link.is_symlink() and target.read_text() == "y"
    atomic_write(os.devnull, "gone")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


@pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may all")
def test_write_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(TrmsolveError, match="permission denied"):
        atomic_write(tmp_path / "a", "x")
    tmp_path.chmod(0o700)
