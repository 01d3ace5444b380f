"""A task by its name, its file or an entry point; the errors of a broken file."""

import subprocess
import sys

import pytest

from trmsolve import tasks
from trmsolve.errors import TrmsolveError
from trmsolve.tasks import get, names, origin, resolve_task
from trmsolve.tasks.check import check_task

from . import EXAMPLES

LATIN = (EXAMPLES / "latin_square.py").read_text()


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Tasks that a test loads are unknown to the next one."""
    monkeypatch.setattr(tasks, "_registered", dict(tasks._registered))
    monkeypatch.setattr(tasks, "_files", dict(tasks._files))


@pytest.mark.parametrize("name", ["latin_square", "queens", "futoshiki", "x_sudoku", "windoku", "jigsaw"])
def test_the_examples_hold_together(name):
    path = str(EXAMPLES / f"{name}.py")
    task = resolve_task(path)
    assert (task.name, get(name), origin(name)) == (name, task, path)
    assert check_task(task, 1 if task.serves else 5).several_solutions == 0
    assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) <= (140 if name == "futoshiki" else 100)


def test_tasks_are_loaded_without_torch():
    """As every command loads them, and some need no network."""
    code = "import sys; from trmsolve import tasks; [tasks.get(name) for name in tasks.BUNDLED]; "
    code += f"tasks.resolve_task({str(EXAMPLES / 'queens.py')!r}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert (done.stdout, done.returncode) == ("False\n", 0), done.stderr


def test_a_name_that_nothing_defines_gets_the_nearest_one():
    with pytest.raises(TrmsolveError, match=r"unknown task 'sudoko'\n.*did you mean 'sudoku'"):
        resolve_task("sudoko")
    assert {"sudoku", "maze", "arc", "grid"} <= set(names())


def test_an_entry_point_of_an_installed_package_is_found(monkeypatch, tmp_path):
    (tmp_path / "their_package.py").write_text(LATIN.replace('"latin_square"', '"theirs"') + "\nTASK = LatinSquare()\n")
    info = tmp_path / "their_package-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[trmsolve.tasks]\ntheirs = their_package:TASK\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    tasks._plugins.cache_clear()
    try:
        assert resolve_task("theirs").name == "theirs" and "theirs" in names()
    finally:
        tasks._plugins.cache_clear()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = (\n", r"task.py:2: SyntaxError"),
        ("import numpy\n\nnumpy.nothing\n", r"task.py:3: AttributeError: module 'numpy' has no attribute 'nothing'"),
        ("import sys\nsys.exit(3)\n", r"task.py:2: SystemExit: 3"),
        ("x = 1\n", "0 tasks are defined"),
        (LATIN + "\nclass Second(LatinSquare):\n    name = 'second'\n", "2 tasks are defined"),
        (LATIN.replace("    name = ", "    title = "), "is not a task"),
        (LATIN.replace('"latin_square"', "7"), "LatinSquare: 7 is not the name of a task"),
        (LATIN.replace('"latin_square"', r'"a\x1b[31m"'), r"LatinSquare: 'a\\x1b\[31m' is not the name of a task"),
        (LATIN.replace('"latin_square"', '"sudoku"'), "task.py: the name 'sudoku' is that of a bundled task"),
        (LATIN.replace('".123456789"', '".112345678"'), "task 'latin_square': symbols has '1' twice"),
        (LATIN.replace('".123456789"', "99"), "task 'latin_square': symbols is 99\n.*such as \".123456789\""),
        (LATIN.replace('".123456789"', "property(lambda self: 1 / 0)"), r"task.py:\d+: ZeroDivisionError"),
        (LATIN.replace('".123456789"', '"/12345678"'), "task 'latin_square': symbols has '/'"),
        (LATIN.replace('".123456789"', '". 2345678"'), "task 'latin_square': symbols has ' '"),
        (LATIN.replace('".123456789"', '"."'), "task 'latin_square': symbols is '.'"),
        (LATIN.replace('("line", "line")', '["line", "line"]'), "task 'latin_square': kinds is "),
        (LATIN.replace("size = (6, 6)", "size = 6"), r"task 'latin_square': size is 6\n.*\(9, 9\)"),
        (LATIN.replace("size = (6, 6)", "size = (6, 0)"), r"task 'latin_square': size is \(6, 0\)"),
        (LATIN.replace("size = (6, 6)", "confidence_floor = 'x'"), "confidence_floor is 'x'"),
        (LATIN.replace("size = (6, 6)", "serves = 5"), "serves is 5"),
        (LATIN.replace("    symbols = ", "    letters = "), "task 'latin_square' lacks: symbols"),
        (LATIN.replace("def constraints", "def rules"), "task 'latin_square' lacks: constraints"),
        (
            "from trmsolve.tasks.base import Task\nclass A(Task):\n    name = 'a'\n",
            "lacks: read, format_grid, format_line, encode, decode",
        ),
    ],
)
def test_a_broken_task_file_is_named_with_line_and_reason(tmp_path, text, message):
    path = tmp_path / "task.py"
    path.write_text(text)
    with pytest.raises(TrmsolveError, match=message):
        resolve_task(str(path))


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("row, column, value = np.indices", "row, column, value = np.index", 30),
        ("return self.remove_givens", "return self.nothing", 38),
    ],
)
def test_an_error_in_the_code_of_a_task_is_named_with_file_and_line(tmp_path, old, new, line):
    path = tmp_path / "task.py"
    path.write_text(LATIN.replace(old, new))
    with pytest.raises(TrmsolveError, match=rf"{path}:{line}: AttributeError"):
        resolve_task(str(path)).generate(0, 0)


def test_a_file_that_is_not_there():
    with pytest.raises(TrmsolveError, match=r"nowhere.py: no such task file"):
        resolve_task("nowhere.py")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "return self.remove_givens(rng, solution), solution",
            "return solution, empty",
            "check.. rejects the generator's own",
        ),
        ("column * side + value", "np.full_like(row, -1)", "constraint 2 of constraints.., 'line', names no candidate"),
        ("return self.remove_givens", "return self.nothing", r"task.py:\d+: AttributeError"),
        (
            "column * side + value",
            "column * side + value + 0.5",
            "groups of the constraint 'line' have the type float64",
        ),
        ("column * side + value", "column == value", "groups of the constraint 'line' have the type bool"),
        ("solution), solution", "solution)[0], solution", "a question that is no grid: uint8 .6,."),
        ("solution), solution", "solution) * 1.0, solution", "a question that is no grid: float64 .6, 6."),
        ("solution), solution", "solution), solution + 9", "a solution with indices from 10 to 15"),
        ("return len(grid)", "return 99", r"num_values.. gives 99\n.*expected 1 to 9, as there are 9 symbols"),
        ("return len(grid)", "return 'x'", "num_values.. gives 'x'"),
        ("return len(grid)", "raise SystemExit(0)", r"task.py:\d+: SystemExit: 0"),
        ("return [ExactlyOne", "return ['x'] or [ExactlyOne", "constraints.. gives a str"),
        ("column * side + value", "5", "groups of the constraint 'line' are a int"),
        ("return self.remove_givens(rng, solution), solution", "return None", "returns NoneType, not two grids"),
        ('name = "latin_square"', 'name = "latin_square"\n    serves = "sudoko"', "serves = 'sudoko' names no task"),
    ],
)
def test_check_task_names_a_contradiction_and_the_puzzle(tmp_path, old, new, message):
    path = tmp_path / "task.py"
    assert old in LATIN
    path.write_text(LATIN.replace(old, new))
    task = resolve_task(str(path))
    with pytest.raises(TrmsolveError, match=message):
        check_task(task, 5)


def test_what_a_task_file_prints_is_kept_out_of_the_answers(tmp_path, capsys):
    path = tmp_path / "task.py"
    text = LATIN.replace("return self.remove_givens", "print('made')\n        return self.remove_givens")
    path.write_text("print('loaded')\n" + text)
    resolve_task(str(path)).generate(0, 0)
    assert capsys.readouterr() == ("", "loaded\nmade\n")


def test_a_constraint_without_candidates_is_found(tmp_path):
    path = tmp_path / "task.py"
    text = LATIN.replace('kinds = ("line", "line")', 'kinds = ("line", "column")')
    path.write_text(
        text.replace('ExactlyOne("line", column * side + value)', 'ExactlyOne("column", np.full_like(row, -1))')
    )
    with pytest.raises(TrmsolveError, match=r"constraint 2 of constraints\(\), 'column', names no candidate"):
        check_task(resolve_task(str(path)), 2)
