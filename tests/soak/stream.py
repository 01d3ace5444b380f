"""A long stream through `trmsolve sudoku -`: every line is answered, in order, and memory does not grow.

Meanwhile the checkpoint's file is replaced: by renaming and where it lies, by another checkpoint, by noise, by nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any, BinaryIO

from trmsolve.checkpoint import find

from . import COMMAND, PATIENCE
from .mixture import PUZZLES, UNSOLVABLE, Sent, mixture

GROWTH = 16 << 20  # bytes that the last quarter of a run may take more than the third


@dataclass
class Outcome:
    """What came of a stream."""

    kinds: Counter[str] = field(default_factory=Counter)  # of the lines that were answered
    memory: list[int] = field(default_factory=list)  # bytes of all its processes, at even intervals
    replaced: int = 0
    seconds: float = 0.0
    code: int = 0
    said: str = ""  # the last line on stderr

    @property
    def records(self) -> int:
        """How many lines were answered."""
        return sum(self.kinds.values())

    @property
    def growth(self) -> float:
        """Bytes by which the last quarter's median exceeds that of the third quarter; the first half is warming up."""
        quarter = len(self.memory) // 4
        return statistics.median(self.memory[-quarter:]) - statistics.median(self.memory[-2 * quarter : -quarter])

    @property
    def course(self) -> str:
        """The median of the memory in each eighth of the run, MB."""
        eighth = max(1, len(self.memory) // 8)
        parts = [self.memory[at : at + eighth] for at in range(0, 8 * eighth, eighth)]
        return ", ".join(f"{statistics.median(part) / 1e6:,.0f}" for part in parts if part)

    def __str__(self) -> str:
        return (
            f"{self.records:,} lines answered in {self.seconds:,.0f} s, exit code {self.code}; "
            f"{max(self.memory) / 1e6:,.0f} MB at most, {self.growth / 1e6:+.1f} MB from third quarter to last "
            f"(medians of eighths: {self.course} MB); "
            f"the checkpoint's file replaced {self.replaced} times; "
            + ", ".join(f"{number:,} {kind}" for kind, number in self.kinds.most_common())
        )


class Stream:
    """A process that is fed for so many seconds. `run` raises AssertionError at the first answer that is wrong.

    bad: the share of lines that are no puzzle. end: the signal that ends it; None: its input ends.
    """

    def __init__(
        self,
        folder: Path,
        seconds: float,
        bad: float = 0.25,
        seed: int = 0,
        command: Sequence[str] = COMMAND,
        end: signal.Signals | None = None,
    ) -> None:
        self.seconds, self.end, self.lines = seconds, end, mixture(seed, bad)
        bundled = find(None, "sudoku")
        self.checkpoint, self.digest = folder / "loaded.safetensors", bundled.sha256
        shutil.copy(bundled.path, self.checkpoint)
        self.arguments = [*command, "sudoku", "-", "--format", "jsonl", "--checkpoint", str(self.checkpoint)]
        self.expected: deque[Sent] = deque()
        self.outcome = Outcome()
        self.over = threading.Event()

    def run(self) -> Outcome:
        """Feed it, and look at what comes."""
        with tempfile.TemporaryFile() as said:
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": said}
            self.process = subprocess.Popen(self.arguments, **pipes)
            try:
                self._look(self.process.stdout)
                self.outcome.code = self.process.wait(PATIENCE)
            finally:
                self.over.set()
                self.process.kill()
                self.process.wait()
                self.process.stdout.close()
            said.seek(0)
            self.outcome.said = said.read()[-1000:].decode(errors="replace").strip().rpartition("\n")[2]
        return self.outcome

    def _look(self, answers: BinaryIO) -> None:
        threading.Thread(target=self._feed, daemon=True).start()
        for raw in answers:
            if not self.outcome.records:  # who answers has loaded
                started = time.monotonic()
                for work in (self._watch, self._replace):
                    threading.Thread(target=work, daemon=True).start()
            assert raw.endswith(b"\n"), raw
            sent, record = self.expected.popleft(), json.loads(raw)
            assert record["source"] == f"stdin:{self.outcome.records + 1}", (sent, record)
            assert record["checkpoint_sha256"] == self.digest, record
            assert right(sent, record), (sent, record)
            self.outcome.kinds[sent.kind] += 1
            self.outcome.seconds = time.monotonic() - started

    def _feed(self) -> None:
        """Lines until the time is over, which begins with the first answer."""
        started = None
        try:
            with self.process.stdin as pipe:
                for sent in self.lines:
                    self.expected.append(sent)
                    pipe.write(sent.line + b"\n")
                    if started is None and self.outcome.records:
                        started = time.monotonic()
                    if started is None:
                        pipe.flush()
                    elif time.monotonic() > started + self.seconds:
                        break
                if self.end is not None:
                    pipe.flush()
                    self.process.send_signal(self.end)
                    self.process.wait(PATIENCE)
        except BrokenPipeError:  # it has ended, which its exit code tells
            pass

    def _watch(self) -> None:
        """The memory, a hundred times in a run at most."""
        while not self.over.wait(max(0.2, self.seconds / 100)):
            if taken := memory(self.process.pid):
                self.outcome.memory.append(taken)

    def _replace(self) -> None:
        """Another file under the checkpoint's name, now and then."""
        content, other = self.checkpoint.read_bytes(), find(None, "maze").path.read_bytes()
        beside = self.checkpoint.with_suffix(".new")
        for number, new in enumerate(
            cycle([other, os.urandom(len(content)), content, b"", content[: len(content) // 2]])
        ):
            if self.over.wait(self.seconds / 12):
                return
            if number % 2:
                self.checkpoint.write_bytes(new)
            else:
                beside.write_bytes(new)
                beside.replace(self.checkpoint)
            self.outcome.replaced += 1


def right(sent: Sent, record: dict[str, Any]) -> bool:
    """Whether a record is what has to become of a line."""
    if sent.kind in PUZZLES:
        return record["verified"] and record["answer"] == sent.answer and record["error"] is None
    unanswered = record["answer"] is None and not record["solved"]
    proven = (record["error"] or "").startswith("no solution exists")
    return unanswered and (proven or not record["error"] if sent.kind == UNSOLVABLE else bool(record["error"]))


def memory(pid: int) -> int:
    """Bytes in memory of a process and all its descendants (ps, which Linux and macOS have); 0 when it is gone."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,rss="], capture_output=True, text=True).stdout
    rows = [tuple(map(int, line.split())) for line in listed.splitlines()]
    family, before = {pid}, 0
    while len(family) > before:
        before = len(family)
        family |= {child for child, parent, _ in rows if parent in family}
    return 1024 * sum(taken for member, _, taken in rows if member in family)
