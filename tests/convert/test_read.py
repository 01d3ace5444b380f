"""Files of weights: every format gives the same tensors; what is damaged or has code in it is refused."""

import io
import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from trmsolve import checkpoint as checkpoints
from trmsolve import device
from trmsolve.convert.convert import import_checkpoint
from trmsolve.convert.read import our_name
from trmsolve.errors import TrmsolveError

from .samples import CYCLES, refused, wrapped


def lightning(state):
    return {
        "epoch": 3,
        "state_dict": wrapped(state, "model.inner."),
        "optimizer_states": [{"state": {0: torch.ones(2)}}],
    }


def with_average(key):
    def result(state):
        """The published EMA holds parameters only: no initial states, no table."""
        raw = {name: torch.zeros_like(tensor) if "level" in name else tensor for name, tensor in state.items()}
        buffers = ("H_init", "L_init", "puzzle_emb.weights")
        return {"model": wrapped(raw), key: wrapped({n: t for n, t in state.items() if n not in buffers}), "step": 7}

    return result


FORMATS = {
    "bare": lambda state: state,
    "compiled": wrapped,
    "parallel": lambda state: wrapped(state, "module._orig_mod.model.inner."),
    "lightning": lightning,
    "ema": with_average("ema"),
    "model_ema": with_average("model_ema"),
    "with a work space": lambda state: state | {"puzzle_emb.local_weights": torch.zeros(4, 8)},
}


@pytest.mark.parametrize("suffix", ["", ".pt", ".ckpt"])
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_the_same_weights(tmp_path, state, form, suffix):
    torch.save(FORMATS[form](state), tmp_path / f"step_100{suffix}")
    result = import_checkpoint(str(tmp_path), tmp_path / "out.safetensors", CYCLES)
    assert result.averaged == ("ema" in form)
    loaded = checkpoints.load_tensors(result.path)
    assert loaded.keys() == {our_name(name) for name in state}
    assert all(torch.equal(loaded[our_name(name)], tensor) for name, tensor in state.items())


def test_safetensors_and_the_older_torch_format_are_read(tmp_path, state):
    save_file(wrapped(state), tmp_path / "a.safetensors")
    torch.save(wrapped(state), tmp_path / "b.pth", _use_new_zipfile_serialization=False)
    for name in ("a.safetensors", "b.pth"):
        result = import_checkpoint(str(tmp_path / name), tmp_path / f"{name}.out", CYCLES)
        assert torch.equal(
            checkpoints.load_tensors(result.path)["embed.weight"], state["embed_tokens.embedding_weight"]
        )


class Code:
    """What a pickle may run when it is loaded."""

    def __reduce__(self):
        return (print, ("run",))


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, capsys):
    refused(tmp_path, {"lm_head.weight": Code()}, "has more than weights: loading it would run .*print")
    assert "run" not in capsys.readouterr().out


def test_a_truncated_file_is_refused_at_any_length(tmp_path, state):
    whole = io.BytesIO()
    torch.save(state, whole)
    for length in (0, 1, 100, len(whole.getvalue()) // 2, len(whole.getvalue()) - 30):
        (tmp_path / "step_1").write_bytes(whole.getvalue()[:length])
        with pytest.raises(TrmsolveError, match=r"is truncated|is empty"):
            import_checkpoint(str(tmp_path), tmp_path / "out.safetensors", CYCLES)


@pytest.mark.parametrize(
    ("content", "message"),
    [([1], "found a list, expected a state dict"), ({"a": torch.ones(1)}, "no published TRM or HRM")],
)
def test_other_files_are_refused(tmp_path, content, message):
    refused(tmp_path, content, message)


def test_two_networks_in_one_file_are_refused(tmp_path, state):
    refused(tmp_path, {"a": state, "b": dict(state)}, "2 networks in this file: 'a.', 'b.'")


def test_our_own_checkpoint_needs_no_import(tmp_path, state):
    torch.save(state, tmp_path / "step_1")
    result = import_checkpoint(str(tmp_path), tmp_path / "out.safetensors", CYCLES)
    with pytest.raises(TrmsolveError, match="already a checkpoint of trmsolve"):
        import_checkpoint(str(result.path), tmp_path / "again.safetensors", CYCLES)


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_damaged_weights_raise_only_trmsolve_errors(tmp_path, state, form):
    path, output = tmp_path / "step_1", tmp_path / "out.safetensors"
    if form == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    cuts = [1, 8, 9, 64, len(whole) - 1, len(whole) - 8, *rng.integers(9, len(whole), 12)]
    for cut in cuts:
        path.write_bytes(whole[:cut])
        with pytest.raises(TrmsolveError, match="truncated") as raised:
            import_checkpoint(str(path), output, CYCLES)
        assert "weights_only" not in str(raised.value) and not output.exists()
    for _ in range(40):  # where the structure is, so that most damage is found; a changed weight cannot be
        damaged = bytearray(whole)
        for place in rng.integers(0, 3000, 3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            import_checkpoint(str(path), output, CYCLES, force=True)
        except TrmsolveError as raised:
            assert str(raised)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "only a Git LFS pointer"),
        ("<!doctype html>", "truncated or no file of weights$"),
    ],
)
def test_files_that_are_no_weights_are_named(tmp_path, text, message):
    (tmp_path / "step_1").write_text(text)
    with pytest.raises(TrmsolveError) as raised:
        import_checkpoint(str(tmp_path), tmp_path / "out.safetensors", CYCLES)
    assert re.search(message, raised.value.message)


def test_only_a_file_that_cannot_be_mapped_needs_its_size_in_memory(tmp_path, state, monkeypatch):
    monkeypatch.setattr(device, "available_memory", lambda: 1_100_000)
    torch.save(state, tmp_path / "new")
    torch.save(state, tmp_path / "old", _use_new_zipfile_serialization=False)
    size = (tmp_path / "old").stat().st_size
    with pytest.raises(TrmsolveError, match=rf"reading .*old needs {size / 1e6:.1f} MB of memory, 1.1 are free"):
        import_checkpoint(str(tmp_path / "old"), tmp_path / "out.safetensors", CYCLES)
    monkeypatch.setattr(device, "available_memory", lambda: None)  # not known: try
    assert import_checkpoint(str(tmp_path / "old"), tmp_path / "old.safetensors", CYCLES).path.exists()


@pytest.mark.parametrize(("name", "shape"), [("puzzle_emb.weights", (10**12, 8)), ("lm_head.weight", (11, 10**13))])
def test_a_small_file_that_claims_to_be_huge_is_refused(tmp_path, state, name, shape):
    refused(tmp_path, state | {name: torch.zeros(1, 1).expand(shape)}, "of memory|of another shape|expected an integer")


def test_available_memory_is_known_on_this_machine():
    left = device.available_memory()
    assert left is None or 1e6 < left < 1e15
