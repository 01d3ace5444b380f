"""Files of data sets on the Hub in place of local ones, on a Hub of the loopback."""

from __future__ import annotations

import json

import pytest

from checkpoint.fake_hub import FakeHub
from trmsolve.checkpoint.hub import Address, local_path

from .conftest import EASY, EASY_ANSWER, EXAMPLES, SMALL

ADDRESS = "hf://datasets/owner/puzzles/test.csv"
DATA = f"question,answer\n{EASY},{EASY_ANSWER}\n".encode()


@pytest.fixture
def hub(monkeypatch):
    arc = (EXAMPLES.parent / "arc" / "mirror.json").read_bytes()
    with FakeHub(
        {"datasets/owner/puzzles": {"test.csv": DATA, "small.txt": f"{SMALL}\n".encode(), "a.json": arc}}
    ) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def test_a_file_of_a_data_set_is_fetched_once_and_named_by_its_address(cli, hub):
    for _ in range(2):
        done = cli("sudoku", ADDRESS, "--format", "jsonl")
        assert done.exit_code == 0, done.stderr
        record = json.loads(done.stdout)
        assert record["source"] == f"{ADDRESS}:2" and record["answer"] == EASY_ANSWER
    assert len(hub.gets()) == 1


def test_offline_the_cached_file_will_do_and_another_is_an_error_with_the_next_command(cli, hub, monkeypatch):
    path = local_path(ADDRESS)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub.requests.clear()
    assert local_path(ADDRESS) == path and hub.requests == []
    done = cli("sudoku", "hf://datasets/owner/puzzles/other.csv")
    assert done.exit_code == 2 and "HF_HUB_OFFLINE forbids" in done.stderr
    assert "trmsolve checkpoints pull hf://datasets/owner/puzzles/other.csv" in done.stderr


def test_eval_and_few_shot_tasks_take_such_files_too(cli, hub):
    done = cli("eval", "sudoku", ADDRESS, "--limit", 1, "--no-single-pass", "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)
    done = cli("arc", "hf://datasets/owner/puzzles/a.json", "--steps", 1, "--votes", 1, "--json")
    assert done.exit_code in (0, 1) and json.loads(done.stdout)[0]["name"] == "a"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("hf://datasets/owner/none/test.csv", "no repository owner/none"),
        ("hf://datasets/owner/puzzles/none.csv", "has no file 'none.csv'"),
        ("hf://datasets/owner/puzzles/../x", "is not the address of a file"),
        ("hf://datasets/puzzles", "is not the address of a file"),
    ],
)
def test_missing_files_of_the_hub_are_refused(cli, hub, address, expected):
    done = cli("sudoku", address)
    assert done.exit_code == 2 and expected in done.stderr and "Traceback" not in done.stderr


def test_data_sets_and_models_of_one_name_are_kept_apart():
    data, model = Address.parse("hf://datasets/a/b/c.csv@v1"), Address.parse("hf://a/b/c.csv@v1")
    assert data.path != model.path and str(data) == "hf://datasets/a/b/c.csv@v1"
    assert Address.parse("https://huggingface.co/datasets/a/b/blob/v1/c.csv") == data


def test_training_data_may_lie_on_the_hub(hub):
    from trmsolve.cli.inputs import local_data

    assert local_data(f"{ADDRESS}=2").endswith("test.csv=2") and local_data("generate:9x9=1") == "generate:9x9=1"
    assert local_data(f"demonstrations:{ADDRESS}") == f"demonstrations:{local_path(ADDRESS)}"
