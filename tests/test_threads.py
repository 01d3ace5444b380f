"""The choice of the number of threads by measured rates, with a fake clock."""

import os
import subprocess
import sys

import pytest

from trmsolve.threads import ThreadTuner, candidates


class Machine:
    """A clock, and steps whose duration depends on the number of threads."""

    def __init__(self, seconds: dict[int, float], most: int = 2) -> None:
        self.now, self.seconds, self.threads, self.used = 0.0, seconds, most, []
        self.tuner = ThreadTuner(most, self.set_threads, lambda: self.now)

    def set_threads(self, threads: int) -> None:
        self.threads = threads

    def run(self, steps: int) -> None:
        for _ in range(steps):
            with self.tuner.step(100):
                self.used.append(self.threads)
                self.now += self.seconds[self.threads]


@pytest.mark.parametrize(("most", "numbers"), [(1, [1]), (2, [1, 2]), (8, [1, 2, 4, 7, 8])])
def test_candidates_are_all_one_less_and_halves(most, numbers):
    assert candidates(most) == numbers


def test_an_idle_machine_keeps_all_threads_and_compares_less_and_less_often():
    machine = Machine({1: 0.020, 2: 0.012})
    machine.run(10_000)
    assert machine.tuner.threads == 2
    assert machine.used[-5_000:].count(1) < 50


def test_next_to_a_busy_process_fewer_threads_are_used_early():
    machine = Machine({1: 0.020, 2: 0.200})
    machine.run(100)
    assert machine.tuner.threads == 1
    assert machine.used.count(2) < 20


def test_long_steps_next_to_a_busy_process_are_compared_after_one_of_them():
    machine = Machine({1: 0.100, 2: 0.300})
    machine.run(10)
    assert machine.used == [2, 2, *[1] * 8]  # the first step loads libraries and is not counted


def test_the_number_of_threads_follows_a_changing_load():
    machine = Machine({1: 0.020, 2: 0.012})
    machine.run(2_000)
    machine.seconds = {1: 0.020, 2: 0.200}
    machine.run(100)
    assert machine.tuner.threads == 1
    machine.seconds = {1: 0.020, 2: 0.012}
    machine.run(4_000)
    assert machine.tuner.threads == 2


def test_the_number_of_threads_is_restored_after_every_step():
    machine = Machine({1: 0.020, 2: 0.200})
    machine.run(100)
    assert machine.used[-1] == 1 and machine.threads == 2


def test_an_error_in_a_step_restores_the_number_of_threads():
    machine = Machine({1: 0.020, 2: 0.200})
    machine.run(100)
    with pytest.raises(ValueError), machine.tuner.step(100):
        raise ValueError
    assert machine.threads == 2


@pytest.mark.parametrize(("given", "expected"), [({}, "0"), ({"GOMP_SPINCOUNT": "7"}, "7")])
def test_wait_passively_respects_the_environment_and_a_loaded_torch(given, expected):
    code = "from trmsolve.threads import wait_passively as w; w(); import os; print(os.environ['GOMP_SPINCOUNT'])"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))} | given
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
