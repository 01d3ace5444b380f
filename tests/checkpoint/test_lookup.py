"""The lookup of checkpoints: names, files and addresses; the list; messages for what is not there."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trmsolve import checkpoint as checkpoints
from trmsolve.checkpoint import lookup
from trmsolve.cli.checkpoints import app
from trmsolve.errors import TrmsolveError
from trmsolve.model.sequence_model import official
from trmsolve.model.trm import TRM

from .samples import ATTENTIVE, CONFIG, write


@pytest.fixture
def shelf(tmp_path, alone, monkeypatch):
    """A bundled sudoku, a maze of our own in the cache, a pulled one, and a broken file."""
    bundled = tmp_path / "bundled"
    write(bundled / "sudoku.safetensors")
    write(alone / "cache" / "checkpoints" / "my-maze.safetensors", task="maze", metrics={})
    write(checkpoints.Address.parse("hf://owner/repo/big.safetensors").path)
    (alone / "cache" / "checkpoints" / "broken.safetensors").write_bytes(b"nothing")
    monkeypatch.setattr(lookup, "bundled_dir", lambda: bundled)
    return bundled


def test_the_default_is_the_bundled_one_of_the_task(shelf):
    checkpoint = checkpoints.find(None, "sudoku")
    assert checkpoint.path == shelf / "sudoku.safetensors" and checkpoint.name == "sudoku"
    assert checkpoint.sha256 == checkpoints.sha256_of(checkpoint.path) and checkpoint.header.task == "sudoku"


def test_names_files_and_addresses_are_found(shelf, tmp_path, monkeypatch):
    assert checkpoints.find("my-maze", "maze").header.task == "maze"
    assert checkpoints.find("big", "sudoku").path == checkpoints.find("hf://owner/repo/big.safetensors", "sudoku").path
    assert checkpoints.find(str(shelf / "sudoku.safetensors"), None).path == shelf / "sudoku.safetensors"
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "plain")
    assert checkpoints.find("plain", "sudoku").name == "plain"


def test_another_task_is_refused(shelf):
    with pytest.raises(TrmsolveError, match="is a maze checkpoint, expected sudoku") as error:
        checkpoints.find("my-maze", "sudoku")
    assert "trmsolve maze" in error.value.hint


@pytest.mark.parametrize(("config", "hint"), [(CONFIG, "run `trmsolve arc`"), (official(**ATTENTIVE), "refine")])
def test_the_hint_for_an_arc_checkpoint_depends_on_whether_it_can_adapt(tmp_path, config, hint):
    checkpoints.save(tmp_path / "a.safetensors", TRM(config).state_dict(), "arc", config.to_dict(), {}, {})
    with pytest.raises(TrmsolveError, match="is an arc checkpoint, expected sudoku") as error:
        checkpoints.find(str(tmp_path / "a.safetensors"), "sudoku")
    assert hint in error.value.hint


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("sudok", "unknown checkpoint 'sudok'", "did you mean 'sudoku'"),
        ("zebra", "unknown checkpoint 'zebra'", "known: big, broken, my-maze, sudoku"),
        ("zebra", "unknown", "trmsolve checkpoints pull"),
        ("./zebra", "no checkpoint file zebra", "checkpoints list"),
        ("zebra.safetensors", "no checkpoint file", "checkpoints list"),
        (".", "is a folder", "in it"),
        ("broken", "not a safetensors file|truncated", "."),
        (None, "no checkpoint given", "checkpoints list"),
    ],
)
def test_an_unknown_checkpoint_lists_the_known_ones(shelf, spec, message, hint):
    with pytest.raises(TrmsolveError, match=message) as error:
        checkpoints.find(spec, None)
    assert re.search(hint, error.value.hint)


def test_without_any_checkpoint_the_hint_says_how_to_get_one(monkeypatch, tmp_path):
    monkeypatch.setattr(lookup, "bundled_dir", lambda: tmp_path / "none")
    assert checkpoints.available() == []
    with pytest.raises(TrmsolveError) as error:
        checkpoints.find(None, "sudoku")
    assert "none is installed" in error.value.hint and "trmsolve train" in error.value.hint


def test_the_list_includes_unreadable_files(shelf):
    rows = [(row.name, row.where, row.task, row.parameters > 0, row.headline) for row in checkpoints.available()]
    assert rows == [
        ("sudoku", "bundled", "sudoku", True, "99.3 % of 300 extreme_dev"),
        ("big", "pulled", "sudoku", True, "99.3 % of 300 extreme_dev"),
        ("broken", "cached", "", False, ""),
        ("my-maze", "cached", "maze", True, ""),
    ]
    assert next(row for row in checkpoints.available() if row.name == "broken").problem


def test_odd_files_in_the_cache_are_listed_with_control_characters_escaped(shelf, alone):
    cache = alone / "cache" / "checkpoints"
    metrics = [
        {"dev": {"solved": 10**400}},
        {"\x1b[2J": {"solved": 1}},
        {"dev": {"solved": 1, "n": "\ud800"}},
        {"d": 1},
    ]
    for number, metric in enumerate(metrics):
        write(cache / f"m{number}.safetensors", task="sudoku\x1b]0;owned\x07\ud800", metrics=metric)
    write(cache / "name\x1b[2J\n.safetensors")
    write(Path(os.fsdecode(os.fsencode(cache) + b"/\xff\xfe.safetensors")))
    write(Path(os.fsdecode(os.fsencode(cache) + b"/hub/o/\xff/main/x.safetensors")))
    (cache / "folder.safetensors").mkdir()
    (cache / "link.safetensors").symlink_to(cache / "nowhere")
    for command in (["list"], ["list", "--json"], ["info", "m1"]):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.stderr
        assert "\x1b" not in done.stdout + done.stderr and "\x07" not in done.stdout + done.stderr
        done.stdout.encode()
    assert len(json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)) == len(checkpoints.available()) == 11


def test_pulled_files_of_equal_name_are_named_by_their_addresses(shelf):
    write(checkpoints.Address.parse("hf://other/repo/big.safetensors@v2").path)
    names = [row.name for row in checkpoints.available()]
    assert "hf://owner/repo/big.safetensors" in names and "hf://other/repo/big.safetensors@v2" in names
    assert "big" not in names


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TRMSOLVE_CACHE": "/a/b", "XDG_CACHE_HOME": "/x"}, "/a/b"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/trmsolve"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/trmsolve"),
        ({"TRMSOLVE_CACHE": "~/c", "HOME": "/h"}, "/h/c"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="other platforms have other places")
def test_the_cache_folder_follows_the_environment(monkeypatch, environment, expected):
    for name in ("TRMSOLVE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(checkpoints.cache_dir()) == expected


def test_a_source_tree_bundles_its_checkpoints_folder():
    assert checkpoints.bundled_dir().name in ("checkpoints", "bundled")
