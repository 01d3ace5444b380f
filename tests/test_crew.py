"""A crew of two: what is dealt comes back in order, none runs ahead, and whoever fails ends it for all.

The second process is a thread here, with a link of its own; processes are in tests/cli/test_torchrun.py.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import Pipe
from types import SimpleNamespace

import pytest

from trmsolve.errors import TrmsolveError
from trmsolve.place import Place, place
from trmsolve.solving.crew import Crew, Ready, _linked, serve
from trmsolve.solving.feed import OutOfTime

PATIENCE = 60


def model(rank: int, sha256: str = "ab12"):
    """In a model's place: knows whose it is."""
    device = SimpleNamespace(type="cpu")
    checkpoint = SimpleNamespace(sha256=sha256, name="net")
    return SimpleNamespace(rank=rank, checkpoint=checkpoint, choice=SimpleNamespace(device=device))


@dataclass(frozen=True)
class Square:
    """The rank that did it, and the square; slowly, or failing at some number."""

    ahead: int = 4
    pause: tuple[float, float] = (0.0, 0.0)  # seconds, by rank
    fails_at: int | None = None

    def __call__(self, models, items) -> Iterator[tuple[int, int] | None]:
        (mine,) = models
        for number in items:
            yield None
            time.sleep(self.pause[mine.rank])
            if number == self.fails_at:
                raise ValueError(f"{number} is too many")
            yield mine.rank, number * number


class Second(threading.Thread):
    """The process with rank 1."""

    def __init__(self, work) -> None:
        super().__init__(daemon=True)
        self.work, self.well, self.error = work, None, None

    def run(self) -> None:
        try:
            self.well = self.work(Place(1, 2, 1, 2))
        except TrmsolveError as error:
            self.error = error


@pytest.fixture
def together(monkeypatch):
    """Begins a crew of two; after the block the second one has ended."""

    @contextmanager
    def begin(load=lambda: [model(1)], work=None):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
        monkeypatch.setenv("MASTER_PORT", str(port))
        second = Second(work or (lambda where: serve(where, load)))
        second.start()
        try:
            with Crew(Place(0, 2, 0, 2)) as crew:
                yield crew, second
        finally:
            second.join(PATIENCE)
            assert not second.is_alive()

    return begin


def test_outputs_come_in_order_and_take_turns(together):
    with together() as (crew, second):
        crew.start([model(0)])
        for pause in ((0, 0.004), (0.004, 0)):
            found = list(crew.map(Square(pause=pause), range(30)))
            assert found == [(number % 2, number * number) for number in range(30)]
        assert list(crew.map(Square(), [])) == []
    assert second.well is True


def test_an_output_waits_for_no_further_item(together):
    seen = threading.Event()

    def items():
        for number in range(4):
            yield number
            assert seen.wait(PATIENCE)
            seen.clear()

    with together() as (crew, _):
        crew.start([model(0)])
        for number, output in enumerate(crew.map(Square(), items())):
            assert output == (number % 2, number * number)
            seen.set()
        assert number == 3


@pytest.mark.parametrize("slow", [0, 1])
def test_nobody_runs_ahead_of_the_slowest(together, slow):
    taken = []
    with together() as (crew, _):
        crew.start([model(0)])
        outputs = crew.map(
            Square(pause=(0.05, 0) if slow == 0 else (0, 0.05)), (taken.append(n) or n for n in range(10**6))
        )
        for delivered in range(1, 9):
            next(outputs)
            assert len(taken) <= delivered + 2 * Square.ahead + 1


def test_left_early(together):
    with together() as (crew, second):
        crew.start([model(0)])
        assert next(crew.map(Square(ahead=1000), iter(range(10**6)))) == (0, 0)
        began = time.monotonic()
    assert second.well is True and time.monotonic() - began < 20


@pytest.mark.parametrize("rank", [0, 1])
def test_who_fails_is_named(together, rank):
    said = f"process {rank} of 2: internal error: ValueError: 1{rank} is too many"
    with pytest.raises(TrmsolveError, match=said), together() as (crew, second):
        crew.start([model(0)])
        list(crew.map(Square(fails_at=10 + rank), range(100)))
    assert second.well is (rank == 0)


def test_who_cannot_load_says_why(together):
    def load():
        raise TrmsolveError("no checkpoint here", "copy it")

    with pytest.raises(TrmsolveError) as error, together(load) as (crew, second):
        crew.start([model(0)])
    assert (error.value.message, error.value.hint) == ("process 1 of 2: no checkpoint here", "copy it")
    assert second.well is False


def test_what_taking_an_item_raises(together):
    def items():
        yield 1
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"), together() as (crew, second):
        crew.start([model(0)])
        list(crew.map(Square(), items()))
    assert second.well is True


def test_out_of_time(together):
    with pytest.raises(OutOfTime), together() as (crew, second):
        crew.start([model(0)])
        list(crew.map(Square(pause=(0, 0.5)), range(100), time.monotonic() + 0.7))
    assert second.well is True


def test_all_have_the_same_weights(together):
    said = "process 1 of 2 has another file for net: cd34, here ab12"
    with pytest.raises(TrmsolveError, match=said), together(lambda: [model(1, "cd34")]) as (crew, _):
        crew.start([model(0)])


def test_one_that_is_gone(together):
    def work(where):
        link = _linked(where)
        link.send(Ready(("ab12",)))
        link.recv()  # the job
        link.close()

    said = "process 1 of 2 is gone before its work was done"
    with pytest.raises(TrmsolveError, match=said), together(work=work) as (crew, _):
        crew.start([model(0)])
        list(crew.map(Square(), range(100)))


def test_the_first_that_is_gone(together):
    with together() as (crew, second):
        crew.start([model(0)])
        crew.links[1].close()  # without a word
        crew.links[1], theirs = Pipe()
        theirs.close()
        second.join(PATIENCE)
    assert "process 0 is gone" in str(second.error)


def test_one_process_is_in_no_place(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    assert place() is None
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    assert place() is None
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert place() == Place(0, 4, 0, 2)
