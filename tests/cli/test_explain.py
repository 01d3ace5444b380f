"""trmsolve explain: the tour shows the network's own numbers, bounded, straight through in pipes, page by page else."""

from __future__ import annotations

import re

import trmsolve


def test_the_tour_of_a_sudoku_shows_the_shapes_and_the_steps_of_the_network(cli):
    done = cli("explain")
    assert done.exit_code == 0 and done.stderr == ""
    config = trmsolve.load("sudoku").config
    tokens = int(re.search(r"becomes (\d+) tokens", done.stdout)[1])
    for name in "xyz":
        assert re.search(rf"^  {name}  {tokens} x {config.hidden_size} ", done.stdout, re.M)
    assert done.stdout.count("z <- f(x + y + z)") == config.n and f"N_sup = {config.N_sup}" in done.stdout
    steps = re.findall(r"^ +\d+ +(?:\d+ +)?(\d+) +[█░]+ (\d+) %$", done.stdout, re.M)
    broken, halting = zip(*[map(int, step) for step in steps], strict=True)
    assert broken[0] > broken[-1] == 0 and min(broken[:-1]) > 0  # the run ends at the first answer without a conflict
    assert halting[-1] == max(halting) > halting[0]
    runs = done.stdout.partition("broken  assuming\n")[2].partition("\n\n")[0].splitlines()
    assert 2 <= len(runs) <= 9 and runs[0].endswith(" nothing") and re.search(r" 0  r\dc\d=\d", runs[-1])
    assert "solved in" in done.stdout
    assert "Enter" not in done.stdout and max(map(len, done.stdout.splitlines())) <= 80


def test_the_tour_of_a_maze_sees_it_again_under_a_symmetry(cli):
    done = cli("explain", "maze")
    assert done.exit_code == 0 and "another view of the same maze" in done.stdout
    assert done.stdout.count("Here: solved in") == 1 and max(map(len, done.stdout.splitlines())) <= 80


def test_the_tour_of_arc_trains_and_votes(cli):
    done = cli("explain", "arc", "--steps", 2)
    assert done.exit_code == 0 and "Test-time training: 2 steps" in done.stdout
    assert re.search(r"^ +2  everything +\d\.\d+ +\d+ %$", done.stdout, re.M) and "votes" in done.stdout


def test_a_narrow_terminal_gets_no_line_that_it_would_break(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    for topic in ("sudoku", "maze"):
        lines = cli("explain", topic).stdout.splitlines()
        assert max(map(len, lines)) <= 40 and any("update 1 of" in line for line in lines)


def test_an_unknown_topic_is_refused(cli):
    assert cli("explain", "chess").exit_code == 2


def test_on_a_terminal_a_page_waits_for_enter_and_q_ends(cli, monkeypatch):
    monkeypatch.setattr("trmsolve.cli.explain.is_terminal", lambda stream: True)
    text = cli("explain", stdin="\nq\n").stdout
    assert text.count("Enter continues") == 2
    assert "2. Three tensors" in text and "3. The inner loop" not in text
    assert "Enter continues" not in cli("explain", "arc", "--steps", 1, "--no-wait").stdout
