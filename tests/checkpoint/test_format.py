"""The checkpoint file and lookup one: what is written is read, what is broken is named, never a traceback."""

from __future__ import annotations

import json
import os
import pickle
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from networks import HRM, SUDOKU_MODEL
from trmsolve import checkpoint as checkpoints
from trmsolve.checkpoint import lookup
from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.sequence_model import official
from trmsolve.model.trm import TRM, num_parameters

MODEL = {"width": 128, "layers": 2, "mixer": "units"}
PROVENANCE = {"command": "trmsolve train --task sudoku", "steps": 1000, "data": {"train.csv": "ab12"}}
METRICS = {"extreme_dev": {"solved": 0.9933, "n": 300}, "clue17_dev": {"solved": 1.0, "n": 1000}}


def tensors():
    torch.manual_seed(0)
    base = torch.randn(4, 6)
    return {
        "a": base,
        "tied": base,
        "half": torch.randn(3, 5).to(torch.bfloat16),
        "view": base.T[1:3],
        "flag": torch.tensor([True, False, True]),
        "scalar": torch.tensor(7),
        "empty": torch.zeros(0, 3),
    }


def write(path, task="sudoku", metrics=METRICS):
    checkpoints.save(path, tensors(), task, MODEL, PROVENANCE, metrics)
    return path


def with_header(path, change):
    """Rewrite the file's JSON header."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "sudoku.safetensors")


# -- the file -----------------------------------------------------------------------------------------------------


def test_what_is_saved_is_read_back(file):
    header = checkpoints.read_header(file)
    assert (header.task, header.model, header.provenance, header.metrics) == ("sudoku", MODEL, PROVENANCE, METRICS)
    assert header.parameters == sum(tensor.numel() for tensor in tensors().values())
    assert header.headline == "99.3 % of 300 extreme_dev"
    assert header.size == file.stat().st_size
    loaded = checkpoints.load_tensors(file)
    for name, tensor in tensors().items():
        assert loaded[name].dtype == tensor.dtype and torch.equal(loaded[name], tensor), name


ATTENTIVE = {"mixer": "attention", "vocab_size": 6, "cells": 9, "hidden_size": 16, "num_heads": 2, "num_puzzles": 3}


@pytest.mark.parametrize(
    "config",
    [
        TRMConfig(**SUDOKU_MODEL | {"hidden_size": 16, "intermediate_size": 16}),
        official(**ATTENTIVE),
        official(**ATTENTIVE | HRM),
    ],
    ids=["ours", "trm", "hrm"],
)
def test_what_is_counted_are_the_models_parameters_and_the_table_is_told_beside_them(tmp_path, config):
    """Not its buffers: the start of y and z, and the embeddings of single puzzles."""
    model = TRM(config)
    checkpoints.save(tmp_path / "x.safetensors", model.state_dict(), "sudoku", config.to_dict(), {}, {})
    header = checkpoints.read_header(tmp_path / "x.safetensors")
    assert header.parameters == num_parameters(model) < sum(tensor.numel() for tensor in model.state_dict().values())
    assert header.puzzle_table == ((3, 16) if config.num_puzzles else ())


def test_safetensors_itself_reads_our_files_and_we_read_its(file, tmp_path):
    assert load_file(file).keys() == tensors().keys()
    again = tmp_path / "theirs.safetensors"
    with_parts = {"format": "trmsolve", "format_version": "1", "task": "maze"}
    save_file({"w": torch.ones(2)}, again, with_parts | dict.fromkeys(("model", "provenance", "metrics"), "{}"))
    assert checkpoints.read_header(again).task == "maze"


def test_the_same_content_has_the_same_digest_in_every_process(file, tmp_path):
    code = (
        "import sys; sys.path[:0] = ['tests']; import checkpoint.test_format as t; from pathlib import Path;"
        "from trmsolve import checkpoint as checkpoints; print(checkpoints.sha256_of(t.write(Path(sys.argv[1]))))"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "other.safetensors")]
    found = subprocess.run(run, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert found.stdout.strip() == checkpoints.sha256_of(file)


def test_the_digest_follows_the_file(file):
    before = checkpoints.sha256_of(file)
    write(file, task="maze")
    assert checkpoints.sha256_of(file) != before


def test_what_is_loaded_stays_when_the_file_is_written_over(file):
    loaded = checkpoints.load_tensors(file)
    file.write_bytes(b"\1" * file.stat().st_size)  # where it is; a mapped file would be changed too
    for name, tensor in tensors().items():
        assert torch.equal(loaded[name], tensor), name


@pytest.mark.parametrize("mapped", [0, checkpoints.format.MAPPED])
def test_weights_of_another_version_are_refused(file, monkeypatch, mapped):
    monkeypatch.setattr(checkpoints.format, "MAPPED", mapped)
    found = checkpoints.find(str(file), None)
    assert checkpoints.load_tensors(file, found.sha256).keys() == found.header.tensors.keys()
    content = file.read_bytes()
    file.write_bytes(content[:-16] + b"\1" * 16)
    with pytest.raises(TrmsolveError, match="was replaced while it was being loaded"):
        checkpoints.load_tensors(file, found.sha256)


def test_a_failing_save_leaves_the_old_file_and_no_litter(file, monkeypatch):
    before = file.read_bytes()

    def broken(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(TrmsolveError, match=r"cannot write .*No space left"):
        write(file)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_saving_where_nothing_can_be_is_told(file):
    with pytest.raises(TrmsolveError, match="cannot write"):
        write(file / "below.safetensors")


def test_reading_a_header_imports_neither_torch_nor_numpy(file):
    code = "import sys; from trmsolve import checkpoint; "
    code += "checkpoint.find(sys.argv[1], 'sudoku'); checkpoint.available()"
    code += "; print({'torch', 'numpy', 'safetensors', 'huggingface_hub'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True)
    assert found.stdout.strip() == "set()", found.stderr


# -- broken files -------------------------------------------------------------------------------------------------


def broken_files(tmp_path):
    good = write(tmp_path / "good.safetensors").read_bytes()
    length = int.from_bytes(good[:8], "little")
    cases = {
        "empty": (b"", "is empty"),
        "start": (good[:5], "truncated or no checkpoint: only 5 bytes"),
        "header": (good[:200], f"truncated: its header alone takes {8 + length:,} bytes, the file has 200"),
        "body": (good[:-7], f"truncated: its header announces {len(good):,} bytes, the file has {len(good) - 7:,}"),
        "long": (good + b"xyz", "3 bytes too many"),
        "pickle": (pickle.dumps({"w": 1}), "is a PyTorch .pickle. file"),
        "text": (b"epoch,loss\n1,2\n3,4\n", "not a safetensors file"),
        "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:...", "Git LFS pointer"),
        "json": (good[:8] + b"{" + b"x" * (length - 1) + good[8 + length :], "its header is no JSON"),
        "deep": (good[:8] + b'{"a":' + b"[" * (length - 5) + good[8 + length :], "its header is no JSON"),
    }
    for name, (data, message) in cases.items():
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(data)
        yield path, message
    torch.save({"w": torch.ones(2)}, tmp_path / "zip.safetensors")
    yield tmp_path / "zip.safetensors", "is a PyTorch .pickle. file"
    yield tmp_path / "absent.safetensors", "no checkpoint file"
    yield tmp_path, "is a folder"


def test_broken_files_are_named(tmp_path):
    for path, message in broken_files(tmp_path):
        for read in (checkpoints.read_header, checkpoints.load_tensors):
            with pytest.raises(TrmsolveError, match=message) as error:
                read(path)
            assert str(path) in error.value.message and error.value.hint, path


def test_a_pickle_points_to_import(tmp_path):
    torch.save({"w": torch.ones(2)}, tmp_path / "step_32550")
    with pytest.raises(TrmsolveError) as error:
        checkpoints.read_header(tmp_path / "step_32550")
    assert "trmsolve checkpoints import" in error.value.hint


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TrmsolveError, match="no regular file"):
        checkpoints.read_header(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format_version", 3, "made by a newer trmsolve .format 3, known: up to 2"),
        ("format_version", "one", "no format version"),
        ("format_version", 0, "no format version"),
        ("format_version", None, "no format version"),
        ("task", None, "does not say which task"),
        ("task", 7, "does not say which task"),
        ("model", "{", "no readable 'model'"),
        ("model", [1], "no readable 'model'"),
        ("provenance", None, "no readable 'provenance'"),
        ("metrics", "nine", "no readable 'metrics'"),
    ],
)
def test_metadata_that_cannot_be_is_named(file, key, value, message):
    def change(header):
        fields = json.loads(header["__metadata__"]["trmsolve"])
        fields.pop(key)
        if value is not None:
            fields[key] = value
        header["__metadata__"]["trmsolve"] = json.dumps(fields)

    with_header(file, change)
    with pytest.raises(TrmsolveError, match=message) as error:
        checkpoints.read_header(file)
    assert error.value.hint


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "not of trmsolve"),
        ({"format": "pt"}, "not of trmsolve"),
        ({"trmsolve": "{"}, "no readable 'trmsolve'"),
        ({"format": "trmsolve", "format_version": "1", "task": "maze", "model": "{"}, "no readable 'model'"),
    ],
)
def test_metadata_of_others_and_damaged_metadata_are_named(file, metadata, message):
    with_header(file, lambda header: header.update(__metadata__=metadata))
    with pytest.raises(TrmsolveError, match=message) as error:
        checkpoints.read_header(file)
    assert error.value.hint


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"dtype": "F32", "shape": [4, 6]}, "does not describe tensors"),
        ({"dtype": "F33", "shape": [4, 6], "data_offsets": [0, 96]}, "does not describe tensors"),
        ({"dtype": "F32", "shape": [4, 7], "data_offsets": [8, 104]}, "does not describe tensors"),
        ({"dtype": "F32", "shape": [-4, -6], "data_offsets": [8, 104]}, "does not describe tensors"),
        ({"dtype": "F32", "shape": "46", "data_offsets": [8, 104]}, "does not describe tensors"),
        ({"dtype": "F32", "shape": [4, 6], "data_offsets": [0, 96]}, "overlap or leave gaps"),
        (None, "does not describe tensors"),
        (3, "does not describe tensors"),
    ],
)
def test_tensors_that_cannot_be_are_named(file, entry, message):
    with_header(file, lambda header: header.update(a=entry))
    with pytest.raises(TrmsolveError, match=message):
        checkpoints.read_header(file)


def test_no_damage_gives_anything_but_a_clear_error(tmp_path):
    data = write(tmp_path / "good.safetensors").read_bytes()
    path = tmp_path / "damaged.safetensors"
    end = 8 + int.from_bytes(data[:8], "little")
    rng = random.Random(0)
    told = 0
    for trial in range(3000):
        damaged = bytearray(data)
        if trial % 3 == 0:
            del damaged[rng.randrange(len(data)) :]
        for _ in range(rng.randrange(1, 4) if trial % 3 else 0):
            where = rng.randrange(end)
            if trial % 3 == 1:
                damaged[where] ^= 1 << rng.randrange(8)
            else:
                damaged[where] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            header = checkpoints.read_header(path)
            checkpoints.load_tensors(path)
            assert header.headline is not None and header.parameters >= 0
        except TrmsolveError:
            told += 1
    assert told > 2000


# -- lookup ------------------------------------------------------------------------------------------------------


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
    found = checkpoints.find(None, "sudoku")
    assert found.path == shelf / "sudoku.safetensors" and found.name == "sudoku"
    assert found.sha256 == checkpoints.sha256_of(found.path) and found.header.task == "sudoku"


def test_names_files_and_addresses_are_found(shelf, tmp_path, monkeypatch):
    assert checkpoints.find("my-maze", "maze").header.task == "maze"
    assert checkpoints.find("big", "sudoku").path == checkpoints.find("hf://owner/repo/big.safetensors", "sudoku").path
    assert checkpoints.find(str(shelf / "sudoku.safetensors"), None).path == shelf / "sudoku.safetensors"
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "plain")
    assert checkpoints.find("plain", "sudoku").name == "plain"


def test_another_task_is_refused(shelf):
    with pytest.raises(TrmsolveError, match="is a maze checkpoint, sudoku needed") as error:
        checkpoints.find("my-maze", "sudoku")
    assert "trmsolve maze" in error.value.hint


@pytest.mark.parametrize(("model", "hint"), [({}, "run `trmsolve arc` with it"), ({"seq_len": 916}, "refine")])
def test_an_arc_checkpoint_is_sent_to_arc_unless_it_cannot_adapt(tmp_path, model, hint):
    checkpoints.save(tmp_path / "a.safetensors", {}, "arc", model, {}, {})
    with pytest.raises(TrmsolveError, match="is an arc checkpoint, sudoku needed") as error:
        checkpoints.find(str(tmp_path / "a.safetensors"), "sudoku")
    assert hint in error.value.hint


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("sudok", "unknown checkpoint 'sudok'", "did you mean 'sudoku'"),
        ("zebra", "unknown checkpoint 'zebra'", "there is: big, broken, my-maze, sudoku"),
        ("zebra", "unknown", "trmsolve checkpoints pull"),
        ("./zebra", "no checkpoint file zebra", "checkpoints list"),
        ("zebra.safetensors", "no checkpoint file", "checkpoints list"),
        (".", "is a folder", "inside"),
        ("broken", "not a safetensors file|truncated", "."),
        (None, "no checkpoint named", "checkpoints list"),
    ],
)
def test_what_is_not_found_says_what_there_is(shelf, spec, message, hint):
    with pytest.raises(TrmsolveError, match=message) as error:
        checkpoints.find(spec, None)
    assert re.search(hint, error.value.hint)


def test_an_empty_shelf_says_how_to_get_one(monkeypatch, tmp_path):
    monkeypatch.setattr(lookup, "bundled_dir", lambda: tmp_path / "none")
    assert checkpoints.available() == []
    with pytest.raises(TrmsolveError) as error:
        checkpoints.find(None, "sudoku")
    assert "none is installed" in error.value.hint and "trmsolve train" in error.value.hint


def test_the_list_shows_everything_broken_ones_too(shelf):
    rows = [(row.name, row.where, row.task, row.parameters > 0, row.headline) for row in checkpoints.available()]
    assert rows == [
        ("sudoku", "bundled", "sudoku", True, "99.3 % of 300 extreme_dev"),
        ("big", "pulled", "sudoku", True, "99.3 % of 300 extreme_dev"),
        ("broken", "cached", "", False, ""),
        ("my-maze", "cached", "maze", True, ""),
    ]
    assert next(row for row in checkpoints.available() if row.name == "broken").problem


def test_pulled_files_of_one_name_go_by_their_addresses(shelf):
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
def test_the_cache_is_where_the_environment_says(monkeypatch, environment, expected):
    for name in ("TRMSOLVE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(checkpoints.cache_dir()) == expected


def test_a_source_tree_bundles_its_checkpoints_folder():
    assert checkpoints.bundled_dir().name in ("checkpoints", "bundled")
