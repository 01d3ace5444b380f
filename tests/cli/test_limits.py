"""Numbers of options that no clock or iterator takes, and what is said of puzzles that a limit cut short."""

from __future__ import annotations

import time

import pytest

from trmsolve.errors import DeadlineExceeded
from trmsolve.tasks import get
from trmsolve.text_io import Line

from .conftest import EASY

HUGE = 2**63


@pytest.mark.parametrize("option", ["--timeout", "--pace", "--limit", "--seed", "--max-steps", "--restarts"])
@pytest.mark.parametrize("value", ["inf", str(10**26)])
def test_a_number_that_no_clock_or_iterator_takes_is_refused(cli, option, value):
    done = cli("sudoku", EASY, option, value)
    assert done.exit_code == 2 and "internal" not in done.stderr
    assert f"Invalid value for '{option}'" in done.stderr


def test_the_longest_time_that_is_taken_works(cli):
    assert cli("sudoku", EASY, "--timeout", 10**9, "--limit", HUGE - 1).exit_code == 0


def test_the_bounds_of_every_number_are_no_noise_in_the_help(cli):
    help_text = cli("train", "--help").stdout + cli("sudoku", "--help").stdout
    assert "9223372036854775807" not in help_text and "1000000000" not in help_text and "<=" not in help_text


def test_puzzles_cut_short_are_counted_as_such_and_not_in_the_speed(cli, monkeypatch):
    from trmsolve.api import Model

    def solve(self, *args, **kwargs):
        raise DeadlineExceeded(3)
        yield

    monkeypatch.setattr(Model, "solve", solve)
    done = cli("sudoku", "-", "--timeout", 60, stdin=f"{EASY}\n" * 3)
    assert done.exit_code == 124
    assert "0 of 3 solved and verified (0 without restarts), 3 not finished" in done.stderr
    assert "0.0 puzzles/s" in done.stderr


@pytest.mark.parametrize(("givens", "said"), [(1, "with 1 given it"), (2, "with 2 givens it")])
def test_a_number_of_givens_has_its_noun(givens, said):
    task = get("sudoku")
    line = "12"[:givens].ljust(81, ".")
    puzzle = next(task.read([Line(1, line)], "x"))
    assert said in task.ambiguity_reason(puzzle.question)


def test_a_timeout_also_ends_the_reading_of_a_file_in_which_no_puzzle_begins(cli, tmp_path, monkeypatch):
    from trmsolve.tasks.sudoku import Sudoku

    def read(lines, source):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            pass
        yield from ()

    monkeypatch.setattr(Sudoku, "read", staticmethod(read))
    path = tmp_path / "puzzles.txt"
    path.write_text(EASY)
    done = cli("sudoku", path, "--timeout", 0.5)
    assert done.exit_code == 124 and "no puzzle was finished" in done.stderr
