"""A stream shared among processes: one output per item, in order, and an end for all when one of them ends."""

import os
import signal
import sys
import threading
import time

import pytest
import torch

from group_processes import BOUND, Group
from trmsolve import stream
from trmsolve.distributed import ProcessGroup
from trmsolve.errors import DeadlineExceeded
from trmsolve.stream import sharded_map

pytestmark = [
    pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch is built without distributed"),
    pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL and no fork server"),
]


def squares(items, deadline):
    """The items' squares, each with the process that computed it."""
    for item in items:
        yield item * item, os.environ.get("RANK")


def print_squares(group: ProcessGroup, count: int, window: int, as_available: bool) -> None:
    for square, rank in sharded_map(group, squares, range(count), window, as_available=as_available):
        print(square, "of", rank)
    print("left the loop")


@pytest.mark.parametrize("as_available", [False, True])
@pytest.mark.parametrize(("size", "count", "window"), [(2, 21, 4), (3, 20, 3), (3, 2, 5), (2, 0, 4)])
def test_the_main_process_gets_every_output_in_order(tmp_path, size, count, window, as_available):
    group = Group(size, tmp_path, print_squares, count, window, as_available)
    assert group.join() == [0] * size
    main, *others = group.outputs()
    *lines, last = main.splitlines()
    assert [int(line.split()[0]) for line in lines] == [k * k for k in range(count)] and last == "left the loop"
    assert others == ["left the loop\n"] * (size - 1), "the others get no output"
    if not as_available:  # where windows are full, item k of a window is computed by process k
        assert [line.split()[-1] for line in lines] == [str(k % (size * window) % size) for k in range(count)]


def test_a_single_process_maps_by_itself():
    assert list(sharded_map(ProcessGroup(), squares, range(3))) == [(0, None), (1, None), (4, None)]


def answer_before_the_next_item(group: ProcessGroup) -> None:
    answered = threading.Event()

    def items():
        for k in range(4):
            yield k
            assert answered.wait(60), "an output waits for the next item"
            answered.clear()

    for square, _ in sharded_map(group, squares, items(), as_available=True):
        print(square)
        answered.set()


def test_slow_input_delays_no_output(tmp_path):
    group = Group(2, tmp_path, answer_before_the_next_item)
    assert group.join() == [0, 0]
    assert group.outputs() == ["0\n1\n4\n9\n", ""]


def slow(items, deadline):
    """The items; process 1 needs for ever from item 7 on, and ends at the deadline."""
    for item in items:
        if item >= 7 and os.environ["RANK"] == "1":
            assert deadline is not None
            time.sleep(max(0.0, deadline - time.monotonic()))
            raise DeadlineExceeded
        yield item


def endless():
    """Two items, and silence."""
    yield from range(2)
    threading.Event().wait()


def until_the_deadline(group: ProcessGroup, silent: bool) -> None:
    stream.PEER_DELAY = BOUND  # another process may be slow: the deadline alone is measured in seconds
    deadline = time.monotonic() + (1.0 if group.is_main else 1e9)
    items = endless() if silent else range(100)
    try:
        for item in sharded_map(group, slow, items, 5, deadline, as_available=silent):
            print(item)
    except DeadlineExceeded as error:
        print("out of time,", error.in_progress, "in progress")
    print("left the loop")


@pytest.mark.parametrize(("silent", "outputs", "in_progress"), [(False, 7, 3), (True, 2, 0)])
def test_at_the_deadline_finished_outputs_are_kept_and_all_leave(tmp_path, silent, outputs, in_progress):
    group = Group(2, tmp_path, until_the_deadline, silent)
    assert group.join() == [0, 0]
    main, other = group.outputs()
    assert main.splitlines() == [
        *map(str, range(outputs)),
        f"out of time, {in_progress} in progress",
        "left the loop",
    ]
    assert other == "left the loop\n"


def leave_early(group: ProcessGroup) -> None:
    for k, (square, _) in enumerate(sharded_map(group, squares, range(100), 5)):
        print(square)
        if k == 2:
            break
    print("left the loop")


def test_the_main_process_may_leave_early(tmp_path):
    group = Group(2, tmp_path, leave_early)
    assert group.join() == [0, 0]
    assert group.outputs() == ["0\n1\n4\nleft the loop\n", "left the loop\n"]


def fail_at_item_9(items, deadline):
    for item in items:
        if item == 9:  # process 1's
            if deadline is None:
                raise ValueError("item 9 is broken")
            os.kill(os.getpid(), signal.SIGKILL)
        yield item


def broken_input():
    yield from range(7)
    raise ValueError("line 8 is broken")


def map_failing(group: ProcessGroup, kind: str) -> None:
    deadline = time.monotonic() + 1e6 if kind == "killed" else None
    items = broken_input() if kind == "input" else range(20)
    for item in sharded_map(group, fail_at_item_9, items, 2, deadline, as_available=kind == "input"):
        print(item)


@pytest.mark.parametrize(
    ("kind", "code", "main", "other"),
    [
        ("function", 2, "process 1 has failed: ValueError: item 9 is broken", "ValueError: item 9 is broken"),
        ("killed", -signal.SIGKILL, "PeerLost", ""),
        ("input", 2, "ValueError: line 8 is broken", "process 0 has failed: ValueError: line 8 is broken"),
    ],
)
def test_when_one_process_fails_the_others_end_with_its_reason(tmp_path, kind, code, main, other):
    group = Group(2, tmp_path, map_failing, kind)
    assert group.join() == [2, code]
    outputs = group.outputs()
    assert main in outputs[0] and other in outputs[1]
    assert outputs[0].startswith("0\n1\n2\n3\n4\n5\n6\n" if kind == "input" else "0\n1\n2\n3\n4\n5\n6\n7\n")


def catch_the_failure(group: ProcessGroup) -> None:
    try:
        map_failing(group, "function")
    except BaseException as error:
        print("caught", type(error).__name__)


def test_a_caught_failure_does_not_wait_for_the_others(tmp_path):
    group = Group(2, tmp_path, catch_the_failure)
    assert group.join() == [0, 0]
    assert "caught PeerLost" in group.outputs()[0] and group.outputs()[1] == "caught ValueError\n"


def wait_for_items(group: ProcessGroup) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as the command line does: it raises in the main thread
    print("ready")
    for _ in sharded_map(group, squares, endless(), 5, as_available=False):
        pass


@pytest.mark.parametrize("rank", [0, 1])
def test_sigterm_ends_a_process_that_waits_for_the_others(tmp_path, rank):
    group = Group(2, tmp_path, wait_for_items)
    until = time.monotonic() + 60
    while not all(text.startswith("ready") for text in group.outputs()) and time.monotonic() < until:
        time.sleep(0.1)
    os.kill(group.processes[rank].pid, signal.SIGTERM)
    group.processes[rank].join(60)
    assert group.processes[rank].exitcode == 143
    assert group.join()[1 - rank] == 2 and "has failed: SystemExit" in group.outputs()[1 - rank]


def hold_unequal_values(group: ProcessGroup) -> None:
    group.assert_equal(checkpoint="same")
    group.assert_equal(data=group.rank)


def test_unequal_values_are_reported_by_name(tmp_path):
    group = Group(2, tmp_path, hold_unequal_values)
    assert group.join() == [2, 2]
    assert "process 1 has another data than process 0" in group.outputs()[1]
