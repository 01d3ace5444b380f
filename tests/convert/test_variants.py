"""Networks as others save them: nano-trm, averaged weights, shards, wrapped layers."""

import io
import json
import os
import tarfile
import zipfile

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

import trmsolve
from trmsolve import checkpoint as checkpoints
from trmsolve.convert.architecture import ImportOptions
from trmsolve.convert.convert import import_checkpoint
from trmsolve.convert.read import split
from trmsolve.errors import TrmsolveError
from trmsolve.model.sequence_model import refine

from .samples import (
    CYCLES,
    SETTINGS,
    imported,
    nano_trm,
    network,
    refusal,
    saved,
    weights,
)


def test_a_nano_trm_file_needs_no_settings_and_gives_its_outputs(folder):
    model, tree = nano_trm()
    result = imported(saved(folder, tree, "last.ckpt"), ImportOptions())
    assert result.task == "sudoku" and "token ids of nano-trm" in str(result) and "inside" in result.settings
    assert (result.config.T, result.config.n, result.config.N_sup, result.config.prefix_len) == (2, 3, 8, 0)
    tokens = np.random.default_rng(0).integers(0, 12, (2, 81))  # all ids that nano-trm has, pad and end too
    loaded = trmsolve.load(result.path, device="cpu", dtype="float32")
    expected, (logits, halt) = (
        next(refine(model, torch.float32, tokens, None, 1)),
        next(loaded.refine(tokens, steps=1)),
    )
    assert torch.equal(logits, expected[0]) and torch.equal(halt, expected[1])
    assert not weights(result)["q_head.weight"][1].any()


def test_solving_uses_nano_trms_token_ids(folder):
    _, tree = nano_trm()
    task = trmsolve.load(imported(saved(folder, tree), ImportOptions()).path, device="cpu").task
    question = np.zeros((9, 9), np.uint8)
    question[0, :3] = 1, 9, 0
    encoded = task.encode(question)
    assert encoded.x[:3].tolist() == [3, 11, 2]  # digit d is d + 2, blank is 2
    assert encoded.first[0] == 2 * 12 + 3  # the first blank is cell 2; its options begin with digit 1
    answer = task.decode(question, encoded.meanings[encoded.first], np.ones(len(encoded.first))).answer
    assert answer.reshape(-1)[2] == 1 and answer[0, 1] == 9


def test_twelve_token_ids_and_81_cells_are_sudoku_under_published_names_too(folder):
    _, tree = nano_trm()
    renamed = {split(name)[1]: tensor for name, tensor in tree["state_dict"].items()}
    result = imported(saved(folder, renamed))
    assert result.task == "sudoku" and result.config.token_shift == 1 and "nano-trm" in str(result)


def test_a_network_of_nano_trm_gives_its_outputs(shared, tmp_path):
    """Random weights amplify rounding: exact arithmetic (fp64) is as far from the peer's fp32 in the later steps."""
    cases = shared / "cases" / "checkpoints"
    peer = {name: np.load(cases / f"{name}.npz") for name in ("nanoR_sudoku", "off_wideemb", "trelis_slim")}
    sources = [
        ("nanoR_sudoku", "nanoR_sudoku/asis.ckpt", ImportOptions()),
        ("off_wideemb", "off_wideemb", ImportOptions()),
        ("trelis_slim", "slim_noyaml", ImportOptions(cycles=(3, 4), heads=4, prefix=1)),
    ]
    for name, source, options in sources:
        result = import_checkpoint(str(cases / source), tmp_path / "x.safetensors", options, force=True)
        model = trmsolve.load(result.path, device="cpu", dtype="float32")
        ids = peer[name]["pids"] if result.config.num_puzzles else None
        logits, halt = next(model.refine(peer[name]["tokens"], ids, steps=1))
        assert np.abs(logits.numpy() - peer[name]["logits"][0]).max() < 1e-4, name
        assert np.abs(halt.numpy() - peer[name]["q"][0]).max() < 1e-5, name


# -- averaged weights ---------------------------------------------------------------------------------------------


def two(state):
    """The averaged tensors, and others that differ from them."""
    return state, {name: tensor + 1 for name, tensor in state.items()}


def prefixed(state):
    return {f"model.{name}": tensor for name, tensor in state.items()}


AVERAGES = {
    "Lightning's WeightAveraging": lambda averaged, plain: {
        "state_dict": prefixed(averaged),
        "current_model_state": prefixed(plain),
        "averaging_state": {"n_averaged": torch.tensor(3)},
    },
    "a callback with shadow": lambda averaged, plain: {
        "state_dict": prefixed(plain),
        "callbacks": {"EMA": {"decay": 0.999, "shadow": prefixed(averaged)}},
    },
    "a callback by its class": lambda averaged, plain: {
        "state_dict": prefixed(plain),
        "callbacks": {"EMACallback{'decay': 0.9}": {"state": prefixed(averaged)}},
    },
    "swa": lambda averaged, plain: {"model": plain, "swa_model": {f"module.{n}": t for n, t in averaged.items()}},
    "in one dict": lambda averaged, plain: {
        **{f"net.{name}": tensor for name, tensor in plain.items()},
        **{f"net_ema.{name}": tensor for name, tensor in averaged.items()},
    },
}


@pytest.mark.parametrize("form", AVERAGES)
def test_averaged_or_plain_weights_can_be_chosen(folder, form):
    averaged, plain = two(network()[1])
    saved(folder, AVERAGES[form](averaged, plain))
    for choice, expected in ((None, averaged), (True, averaged), (False, plain)):
        result = imported(folder, ImportOptions(cycles=(1, 1), averaged=choice))
        assert torch.equal(weights(result)["embed.weight"], expected["embed_tokens.embedding_weight"])
        assert result.averaged is (choice is not False)
        assert ("averaged weights (EMA)" in str(result)) is result.averaged


def test_a_choice_that_the_file_does_not_have_is_refused(folder):
    _, state = network()
    assert "no averaged weights" in refusal(saved(folder, state), ImportOptions(cycles=(1, 1), averaged=True))
    saved(folder, {"ema": state})
    assert "averaged weights only" in refusal(folder, ImportOptions(cycles=(1, 1), averaged=False))


def test_averaged_weights_without_names_are_an_error(folder):
    _, state = network()
    saved(folder, {"model": state, "ema": {"shadow_params": list(state.values())}})
    assert "have no names (ema.shadow_params.)" in refusal(folder)
    assert not imported(folder, ImportOptions(cycles=(1, 1), averaged=False)).averaged


# -- what must be said --------------------------------------------------------------------------------------------


def test_an_unknown_prefix_is_required_as_an_option(folder):
    _, state = network("attention", 12, 900, hidden_size=16, num_heads=2, num_puzzles=6, prefix_len=1)
    saved(folder, state)
    message = refusal(folder, ImportOptions(cycles=(3, 4), heads=2))
    assert "the number of tokens before the cells" in message and "--prefix N" in message
    result = imported(folder, ImportOptions(cycles=(3, 4), heads=2, prefix=1))
    assert (result.task, result.config.prefix_len, result.config.seq_len) == ("arc", 1, 901)


@pytest.mark.parametrize(
    ("mixer", "ids", "cells", "more", "message"),
    [
        ("attention", 6, 900, {}, "6 token ids fit 4x4 Sudoku or mazes"),
        ("attention", 12, 900, {"num_puzzles": 1}, "12 token ids fit 9x9 Sudoku of nano-trm or ARC"),
        ("mlp", 6, 16, {"prefix_len": 0, "num_puzzles": 0}, "a 4x4 Sudoku network"),
        ("mlp", 12, 49, {"prefix_len": 0, "num_puzzles": 0}, "12 token ids and 49 cells"),
    ],
)
def test_an_ambiguous_task_is_required_as_an_option(folder, mixer, ids, cells, more, message):
    _, state = network(mixer, ids, cells, **{"hidden_size": 16, "num_heads": 2} | more)
    assert message in refusal(
        saved(folder, state), ImportOptions(cycles=(1, 1), heads=2, prefix=more.get("prefix_len", 16))
    )


@pytest.mark.parametrize(("path", "task"), [("data/maze-30x30-hard-1k", "maze"), ("data/x", None)])
def test_the_task_is_inferred_from_data_paths(folder, path, task):
    _, state = network("attention", 6, 900, hidden_size=16, num_heads=2)
    saved(folder, state)
    (folder / "all_config.yaml").write_text(yaml.safe_dump({"arch": SETTINGS, "data_paths": [path]}))
    if task:
        assert imported(folder, ImportOptions()).task == task
    else:
        assert "--task TASK" in refusal(folder, ImportOptions())


# -- other files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [5, 16, 24, 40])
def test_puzzle_embeddings_are_padded_to_whole_tokens(folder, width):
    """As the published code pads it: what was trained with zeros in the padding is the same network."""
    tokens = -(-width // 16)
    model, state = network("attention", 11, 81, hidden_size=16, num_heads=2, puzzle_tokens=tokens, num_puzzles=3)
    model.embed.puzzle_table[:, width:] = 0
    state["puzzle_emb.weights"] = model.embed.puzzle_table[:, :width].clone()
    result = imported(saved(folder, state), ImportOptions("sudoku", (1, 1), 2, 16))
    assert result.config.puzzle_tokens == tokens
    cells, ids = np.random.default_rng(0).integers(0, 11, (2, 81)), [2, 0]
    loaded = trmsolve.load(result.path, device="cpu", dtype="float32")
    logits, _ = next(loaded.refine(cells, ids, steps=1))
    torch.testing.assert_close(logits, next(refine(model, torch.float32, cells, ids, 1))[0])
    rows = model.embed.puzzle_table.view(3, tokens, 16)
    x = model.embed(*packed(model.config, cells[:1], ids[:1]))
    torch.testing.assert_close(x[:tokens], 4 * rows[2])  # embed_scale is the root of 16
    assert not x[tokens:16].any()


def packed(config, cells, ids):
    from trmsolve.model.inputs import Encoded
    from trmsolve.model.mixers.attention import SequenceEdges
    from trmsolve.model.packing import pack
    from trmsolve.model.sequence_model import sequence_tokens

    none = np.zeros(0, np.int64)
    rows = [
        sequence_tokens(row, config.prefix_len, config.vocab_size + id_) for row, id_ in zip(cells, ids, strict=True)
    ]
    return pack([Encoded(row, SequenceEdges(len(row)), none, none, none) for row in rows])


def test_shards_are_joined_by_their_index(folder):
    _, state = network()
    names = sorted(state)
    shards = {"model-00001-of-00002.safetensors": names[:4], "model-00002-of-00002.safetensors": names[4:]}
    for file, part in shards.items():
        save_file({name: state[name] for name in part}, folder / file)
    assert "2 shards without their index" in refusal(folder)
    index = {"weight_map": {name: file for file, part in shards.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    for source in (folder, folder / "model.safetensors.index.json"):
        result = import_checkpoint(str(source), folder.parent / "out.safetensors", CYCLES, force=True)
        assert torch.equal(weights(result)["answer_head.weight"], state["lm_head.weight"])
        assert set(checkpoints.read_header(result.path).provenance["shards"]) == set(shards)
    with pytest.raises(TrmsolveError, match="is one shard of a network"):
        import_checkpoint(str(folder / next(iter(shards))), folder.parent / "x.safetensors", CYCLES)
    for bad in ("../../x.safetensors", "a/b", "x.index.json", "gone.safetensors", ""):
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": bad}}))
        with pytest.raises(TrmsolveError, match="cannot read"):
            import_checkpoint(str(folder), folder.parent / "x.safetensors", CYCLES)


def test_a_compressed_zip_is_decompressed_and_not_mapped(folder):
    _, state = network()
    saved(folder, state, "plain")
    with zipfile.ZipFile(folder / "plain") as plain, zipfile.ZipFile(folder / "step_1", "w") as deflated:
        for entry in plain.infolist():
            deflated.writestr(entry.filename, plain.read(entry), zipfile.ZIP_DEFLATED)
    (folder / "plain").unlink()
    assert torch.equal(weights(imported(folder))["embed.weight"], state["embed_tokens.embedding_weight"])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_weights_are_refused_by_name(folder, value):
    _, state = network()
    state["L_level.layers.1.mlp.down_proj.weight"][3, 2] = value
    assert "1 tensor with NaN or infinite weights: L_level.layers.1.mlp.down_proj" in refusal(saved(folder, state))


def test_wrappers_of_single_layers_are_removed_from_names(folder):
    _, state = network()
    compiled = {name.replace(".mlp", "._orig_mod.mlp"): tensor for name, tensor in state.items()}
    assert compiled.keys() != state.keys()
    assert imported(saved(folder, {f"m._orig_mod.{n}": t for n, t in compiled.items()})).config.num_layers == 2


def test_archives_and_programs_are_named(folder):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), folder / "step_1")
    assert "TorchScript program" in refusal(folder)
    with tarfile.open(folder / "step_1", "w") as archive:
        archive.addfile(tarfile.TarInfo("weights.pt"), io.BytesIO())
    assert "a tar archive" in refusal(folder)
    with zipfile.ZipFile(folder / "step_1", "w") as archive:
        archive.writestr("readme", "x")
    assert "a zip archive" in refusal(folder)
    (folder / "step_1").write_bytes(b"\x1f\x8b\x08\0abc")
    assert "compressed" in refusal(folder)


def test_a_tensor_comes_from_the_shard_that_the_index_names(folder):
    _, state = network()
    names = sorted(state)
    save_file({name: state[name] for name in names[:5]}, folder / "a-00001-of-00002.safetensors")
    save_file({name: state[name] + (name in names[:5]) for name in names[3:]}, folder / "a-00002-of-00002.safetensors")
    index = {name: f"a-0000{1 + (name not in names[:5])}-of-00002.safetensors" for name in names}
    (folder / "a.index.json").write_text(json.dumps({"weight_map": index}))
    result = imported(folder)
    assert torch.equal(weights(result)["embed.weight"], state["embed_tokens.embedding_weight"])
    result.path.unlink()
    (folder / "a.index.json").write_text(json.dumps({"weight_map": index | {names[5]: index[names[0]]}}))
    assert f"has no tensor {names[5]}, which a.index.json expects" in refusal(folder)


@pytest.mark.parametrize("key", ["optimizer", "exp_avg", "momentum_buffer"])
def test_moments_of_an_optimizer_are_no_averaged_weights(folder, key):
    averaged, plain = two(network()[1])
    result = imported(saved(folder, {"model": plain, key: averaged, "x": {key: {"exp_avg": averaged}}}))
    assert not result.averaged
    assert torch.equal(weights(result)["embed.weight"], plain["embed_tokens.embedding_weight"])


def test_what_is_no_file_is_named(folder):
    os.mkfifo(folder / "pipe")
    with pytest.raises(TrmsolveError, match="not a regular file"):
        import_checkpoint(str(folder / "pipe"), folder / "x.safetensors")
    with pytest.raises(TrmsolveError, match="no file"):
        import_checkpoint("x" * 5000, folder / "x.safetensors")
