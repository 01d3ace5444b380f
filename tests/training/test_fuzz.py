"""Damaged recipes and run folders: each is refused with a clear error, or works; nothing else is ever raised.

The mutations are seeded. Few are tried by default; `-m slow` tries 20,000 of each.
"""

import json
import struct
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from networks import SUDOKU_MODEL
from training.runs import Recorder
from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.tasks.sudoku import TASK
from trmsolve.training import recipe as recipes
from trmsolve.training.config import TrainConfig
from trmsolve.training.run_dir import RunDir
from trmsolve.training.trainer import Trainer

MODEL = TRMConfig(**SUDOKU_MODEL | {"hidden_size": 4, "intermediate_size": 4, "n": 1, "N_sup": 2})
CONFIG = TrainConfig(batch_size=2, steps=4, seed=3)
TOKENS = [
    *("null", "true", "-1", "0", "1e999", ".nan", ".inf", "2020-13-01", "2020-01-01", "{}", "[]", "[[]]", "''", "~"),
    *("&a [x, x]", "*a", "<<: *a", "? [1]: 2", "1: 2", "!!python/object:os.system x", "!!int ''", "!!bool x", "\x00"),
    *("[" * 40, "9" * 400, "x" * 3000, "0x", "1:2:3", "\ud7ff", "- ", ": ", "#", "|", "%TAG", "---\n", "\t", "😀"),
]
VALUES = [None, True, -1, 0, 2**70, 1e300, float("nan"), "", "x" * 500, "\x1b[2J", [], {}, [[]], {"step": -1}, [None]]


def outcome(attempt) -> str:
    """`fine` or `refused`; any other exception fails the test."""
    try:
        attempt()
        return "fine"
    except TrmsolveError as error:
        assert len(str(error)) < 3000 and "\x1b" not in str(error)
        return "refused"


# -- recipes ------------------------------------------------------------------------------------------------------
def mutated_text(rng: np.random.Generator, text: str) -> str:
    """One to three random edits: a token in place of a value, a line or a piece lost or doubled, other bytes."""
    for _ in range(rng.integers(1, 4)):
        lines = text.split("\n")
        number = int(rng.integers(len(lines)))
        start, length = int(rng.integers(len(text) + 1)), int(rng.integers(20))
        token = TOKENS[rng.integers(len(TOKENS))]
        edit = rng.integers(6)
        if edit == 0:
            key = lines[number].partition(":")[0]
            lines[number] = f"{key}: {token}"
        elif edit == 1:
            lines[number] = f"{lines[number][: rng.integers(1 + len(lines[number]))]}{token}"
        elif edit == 2:
            lines.insert(number, lines[rng.integers(len(lines))])
        elif edit == 3:
            del lines[number]
        text = "\n".join(lines)
        if edit == 4:
            text = text[:start] + text[start + length :]
        elif edit == 5:
            text = text[:start] + token + text[start:]
    return text


def check_recipes(folder: Path, count: int, first: int = 0) -> None:
    texts = [(recipes.BUNDLED / f"{name}.yaml").read_text() for name in recipes.names()]
    texts += [recipes.build(recipes.of_task(task)).text() for task in ("sudoku", "maze", "arc")]
    outcomes = []
    for seed, text in islice(enumerate(cycle(texts)), first, first + count):
        rng = np.random.default_rng([5, seed])
        path = folder / "mutated.yaml"
        path.write_bytes(mutated_text(rng, text).encode("utf-8", "surrogatepass"))

        def attempt(path=path):
            recipe = recipes.build(recipes.read(str(path)))
            path.write_text(recipe.text())
            again = recipes.build(recipes.read(str(path)))
            assert again.text() == recipe.text()
            _ = recipe.task_for_model

        outcomes.append(outcome(attempt))
    assert set(outcomes) == {"fine", "refused"}, "mutations too weak or too strong"


def test_mutated_recipes(tmp_path):
    check_recipes(tmp_path, 300)


@pytest.mark.slow
def test_very_many_mutated_recipes(tmp_path):
    check_recipes(tmp_path, 20_000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task: sudoku\ntrain: {lr: 2020-13-01}", "cannot read .*month must be in"),
        ("task: sudoku\ntrain: {lr: 2020-12-01}", "train.lr: found .*, expected a number"),
        ("task: sudoku\n1: 2", "1: not a section of a recipe"),
        ("task: sudoku\nmodel: {1: 2}", "model: found 1, expected the name of a setting"),
        ("task: sudoku\ndata: {null: 2}", "data: found None, expected the name of a setting"),
        ("a: " + "[" * 4000, "nested more than"),
        ("a: &a [x, x]\nb: [*a, *a]", r"references \(\*name\) are not supported"),
        ("task: sudoku\ntrain: {lr: 1" + "0" * 3000 + "}", "a value of more than"),
        ("#" * 100_000, "longer than"),
        ("task: sudoku\ntrain: {depth_curriculum: [[0.5, 0, 1]]}", "rows of"),
        ("task: sudoku\ntrain: {depth_curriculum: [[0.5, 1, 1000000]]}", "rows of"),
        ("task: sudoku\ntrain: {depth_curriculum: [[7, 1, 1]]}", "rows of"),
        ("task: sudoku\nmodel: {num_layers: 1" + "0" * 400 + "}", "model.num_layers"),
        (
            "base: trm-mlp-sudoku\nmodel: {hidden_size: 1" + "0" * 400 + "}",
            "model.hidden_size: found an integer of more than 64 bits, expected an integer",
        ),
        ("base: [a, b]", r"no recipe"),
        ("base: " + "a" * 2000, "no recipe"),
        ("base: ~nobody-of-this-name/x", "no recipe"),
        ('base: "\\0"', "no recipe"),
    ],
)
def test_yaml_beyond_the_limits_is_refused(text, message, tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(TrmsolveError, match=message):
        recipes.build(recipes.read(str(path)))


@pytest.mark.parametrize("text", ["[", "&a [*a]", "2020-13-01", "!!int ''", "x" * 5000, "[" * 50])
def test_set_values_have_the_same_limits(text):
    with pytest.raises(TrmsolveError, match="is not a YAML value"):
        recipes.with_settings({}, [f"train.lr={text}"])


# -- run folders --------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Trainer:
    """A finished run."""
    with RunDir(tmp_path_factory.mktemp("run")) as folder:
        trainer = Trainer(CONFIG, MODEL, TASK.training_data(["generate:4x4"], 3).draw, folder, autocast=False)
        trainer.run(Recorder())
    return trainer


@pytest.fixture(scope="module")
def good(session) -> tuple[dict[str, torch.Tensor], dict, bytes]:
    """Tensors, header values and bytes of its state."""
    return *session.run_dir.load(), session.run_dir.state_file.read_bytes()


def places(value) -> list[tuple]:
    """The paths of all values inside nested dicts and lists."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(key, *path) for key, inner in items for path in [(), *places(inner)]]


def mutated_state(rng: np.random.Generator, path: Path, good) -> None:
    """Write a state with one thing wrong: a header value, a tensor, or bytes of the file."""
    tensors, values, data = dict(good[0]), json.loads(json.dumps(good[1])), bytearray(good[2])
    kind = rng.integers(4)
    if kind == 0:
        *parents, last = (options := places(values))[rng.integers(len(options))]
        inner = values
        for key in parents:
            inner = inner[key]
        if rng.random() < 0.3:
            del inner[last]
        else:
            inner[last] = VALUES[rng.integers(len(VALUES))]
    elif kind == 1:
        name = sorted(tensors)[rng.integers(len(tensors))]
        t = tensors.pop(name)
        replacements = [None, t[:0] if t.ndim else t[None], t.double(), t.long(), t.flatten()[:1], t[None]]
        replacements += [torch.full_like(t, -1), t.float() * float("nan"), torch.zeros(3)]
        replacement = replacements[rng.integers(len(replacements))]
        if replacement is not None:
            tensors[name if rng.random() < 0.9 else "x/../y"] = replacement.contiguous().clone()
    if kind < 2:
        save_file(tensors, path, {"state": json.dumps({**values, **({} if kind else {"format_version": 2})})})
        if kind == 1:
            save_file(tensors, path, {"state": json.dumps({**values, "format_version": 2})})
        return
    (header_size,) = struct.unpack("<Q", data[:8])
    end = 8 + header_size if kind == 2 else len(data)
    for _ in range(rng.integers(1, 4)):
        data[rng.integers(8, end)] = rng.integers(256)
    path.write_bytes(data[: rng.integers(len(data))] if rng.random() < 0.2 else data)


def check_run_folders(folder: Path, session: Trainer, good, count: int) -> None:
    """Each state is restored into one trainer, as a new one would do at its start."""
    outcomes = []
    for seed in range(count):
        rng = np.random.default_rng([6, seed])
        mutated_state(rng, folder / "state.safetensors", good)

        def resume():
            session._restore(*RunDir(folder).load())
            session.run_dir.rewind_log(session.step)

        outcomes.append(outcome(resume))
    assert set(outcomes) == {"fine", "refused"}, "mutations too weak or too strong"


def test_mutated_run_folders(tmp_path, session, good):
    check_run_folders(tmp_path, session, good, 120)


@pytest.mark.slow
def test_very_many_mutated_run_folders(tmp_path, session, good):
    check_run_folders(tmp_path, session, good, 20_000)


@pytest.mark.parametrize(
    "text", ['{"step": 2', "[]", "7", '"x"', "\xff", '{"step": "x"}', '{"step": null}', "[" * 100_000]
)
def test_damaged_metrics_are_dropped(text, tmp_path):
    folder = RunDir(tmp_path)
    folder.log({"step": 1})
    with folder.metrics_file.open("ab") as file:
        file.write(text.encode("latin-1") + b"\n")
    folder.rewind_log(5)
    assert folder.metrics_file.read_text() == '{"step": 1}\n'
