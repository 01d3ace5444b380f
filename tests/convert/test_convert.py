"""Importing published checkpoints: every format, what is inferred, and what is refused before anything is written."""

import io
import os
import pickle
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

import trmsolve
from checkpoint.fake_hub import FakeHub
from networks import HRM
from trmsolve import checkpoint as checkpoints
from trmsolve import device
from trmsolve.convert import convert
from trmsolve.convert.architecture import ImportOptions
from trmsolve.convert.convert import import_checkpoint
from trmsolve.convert.read import our_name, published_name
from trmsolve.errors import TrmsolveError
from trmsolve.model.sequence_model import official
from trmsolve.model.trm import TRM, num_parameters

FIXTURES = ("trm_mlp_sudoku_small", "trm_att_maze_small", "trm_att_arc_small", "hrm_sudoku_small")
INNER = "_orig_mod.model.inner."
CYCLES = ImportOptions(cycles=(1, 1))


def task_of(fixture: str) -> ImportOptions:
    """What has to be said of a fixture: six token ids may be a maze's or a 4x4 Sudoku's."""
    return ImportOptions("maze" if "maze" in fixture else None)


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """A tiny network of the kind TRM-MLP by its published names, without prefix."""
    torch.manual_seed(0)
    model = TRM(official("mlp", 11, 81, hidden_size=8, T=1, n=1, num_puzzles=3))
    model.embed.puzzle_table.normal_()
    return {published_name(name): tensor.clone() for name, tensor in model.state_dict().items()}


def wrapped(state, prefix=INNER):
    return {prefix + name: tensor for name, tensor in state.items()}


def lightning(state):
    return {
        "epoch": 3,
        "state_dict": wrapped(state, "model.inner."),
        "optimizer_states": [{"state": {0: torch.ones(2)}}],
    }


def with_average(key):
    def made(state):
        """The published EMA holds parameters only: no initial states, no table."""
        raw = {name: torch.zeros_like(tensor) if "level" in name else tensor for name, tensor in state.items()}
        buffers = ("H_init", "L_init", "puzzle_emb.weights")
        return {"model": wrapped(raw), key: wrapped({n: t for n, t in state.items() if n not in buffers}), "step": 7}

    return made


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
    made = import_checkpoint(str(tmp_path), tmp_path / "out.safetensors", CYCLES)
    assert made.averaged == ("ema" in form)
    loaded = checkpoints.load_tensors(made.path)
    assert loaded.keys() == {our_name(name) for name in state}
    assert all(torch.equal(loaded[our_name(name)], tensor) for name, tensor in state.items())


def test_safetensors_and_the_older_torch_format_are_read(tmp_path, state):
    save_file(wrapped(state), tmp_path / "a.safetensors")
    torch.save(wrapped(state), tmp_path / "b.pth", _use_new_zipfile_serialization=False)
    for name in ("a.safetensors", "b.pth"):
        made = import_checkpoint(str(tmp_path / name), tmp_path / f"{name}.out", CYCLES)
        assert torch.equal(checkpoints.load_tensors(made.path)["embed.weight"], state["embed_tokens.embedding_weight"])


@pytest.mark.parametrize("name", FIXTURES)
def test_an_imported_checkpoint_gives_the_numbers_of_the_original_code(shared, tmp_path, name):
    folder = shared / "data" / "official_format" / name
    made = import_checkpoint(str(folder), tmp_path / "out.safetensors", task_of(name))
    assert made.task in name and made.config.num_y_layers == (4 if "hrm" in name else 0)
    expected = np.load(folder / "expected.npz")
    model = trmsolve.load(made.path, device="cpu", dtype="float32")
    steps = model.refine(expected["inputs"], expected["puzzle_identifiers"], steps=len(expected["logits"]))
    values = zip(steps, expected["logits"], expected["q_halt"], strict=True)
    for step, ((logits, halt), their_logits, their_halt) in enumerate(values):
        allowed = 1e-4 if step < 3 else 1e-3  # random weights amplify rounding errors: tests/convert/test_parity.py
        assert np.abs(logits.numpy() - their_logits).max() <= allowed
        assert np.abs(halt.numpy() - their_halt).max() <= allowed


def test_hrm_is_recognised_without_a_yaml(tmp_path):
    model = TRM(official("attention", 6, 900, hidden_size=16, num_heads=2, **HRM))
    torch.save({published_name(name): tensor for name, tensor in model.state_dict().items()}, tmp_path / "checkpoint")
    made = import_checkpoint(str(tmp_path), tmp_path / "out.safetensors", ImportOptions("maze", (2, 2), 2))
    assert made.config == model.config and made.task == "maze"


def test_dropping_the_embeddings_keeps_their_mean(tmp_path, state):
    torch.save(state, tmp_path / "step_1")
    made = import_checkpoint(str(tmp_path), tmp_path / "out.safetensors", CYCLES, drop_embeddings=True)
    kept = checkpoints.load_tensors(made.path)["embed.puzzle_table"]
    torch.testing.assert_close(kept, state["puzzle_emb.weights"].mean(0, keepdim=True))
    assert made.config.num_puzzles == 1


# -- what is refused --------------------------------------------------------------------------------------------------


class Code:
    """What a pickle may run when it is loaded."""

    def __reduce__(self):
        return (print, ("run",))


def refused(tmp_path: Path, state, message: str, asked: ImportOptions = CYCLES, settings: dict | None = None) -> None:
    torch.save(state, tmp_path / "step_1")
    if settings is not None:
        (tmp_path / "all_config.yaml").write_text(yaml.safe_dump({"arch": settings}))
    with pytest.raises(TrmsolveError, match=message):
        import_checkpoint(str(tmp_path), tmp_path / "out.safetensors", asked)
    assert not list(tmp_path.glob("*out.safetensors*"))


def without(state, *names):
    return {name: tensor for name, tensor in state.items() if name not in names}


SETTINGS = {"H_cycles": 3, "L_cycles": 6, "hidden_size": 8, "L_layers": 2, "mlp_t": True, "num_heads": 1}
SETTINGS |= {"expansion": 4, "pos_encodings": "none", "puzzle_emb_ndim": 8, "puzzle_emb_len": 16, "name": "x.trm@TRM"}


def test_settings_complete_what_tensors_do_not_determine(tmp_path, state):
    torch.save(state, tmp_path / "step_1")
    (tmp_path / "all_config.yaml").write_text(yaml.safe_dump({"arch": SETTINGS}))
    made = import_checkpoint(str(tmp_path), tmp_path / "out.safetensors")
    assert (made.config.T, made.config.n, made.config.prefix_len, made.config.seq_len) == (3, 6, 16, 97)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": 512}, "hidden_size 512, found 8"),
        ({"L_layers": 4}, "L_layers 4, found 2"),
        ({"mlp_t": False}, "mlp_t False, found True"),
        ({"expansion": 100}, "expansion 100 makes 768 inner features, found 256"),
        ({"puzzle_emb_ndim": 0}, "puzzle_emb_ndim 0, found 8"),
        ({"rms_norm_eps": 1e-6}, "rms_norm_eps 1e-06, found 1e-05"),
        ({"name": "recursive_reasoning.hrm@X"}, "found one network"),
        ({"pos_encodings": "learned"}, "pos_encodings learned, found none"),
    ],
)
def test_settings_that_contradict_the_tensors_are_refused(tmp_path, state, change, message):
    refused(tmp_path, state, message, settings=SETTINGS | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"H_cycles": "three"}, "the settings have H_cycles: 'three', expected a whole number of at least 1"),
        ({"puzzle_emb_len": 97}, "a prefix of 97 tokens leaves no cells in a sequence of 97"),
    ],
)
def test_invalid_settings_are_refused(tmp_path, state, change, message):
    refused(tmp_path, state, message, ImportOptions(), SETTINGS | change)


def test_a_huge_layer_number_builds_no_layers(tmp_path, state):
    far = {name.replace("layers.1.", "layers.999999999."): tensor for name, tensor in state.items()}
    refused(tmp_path, far, "4 tensors unknown: L_level.layers.999999999")


def test_a_vocabulary_of_no_known_task_is_refused(tmp_path, state):
    names = ("lm_head.weight", "embed_tokens.embedding_weight")
    refused(
        tmp_path,
        state | dict.fromkeys(names, torch.zeros(99, 8)),
        "this network has 99 token ids",
    )


def test_at_most_ten_missing_unknown_or_misshapen_tensors_are_named(tmp_path, state):
    lacking = without(state, "q_head.bias", "L_init")
    refused(tmp_path, lacking, r"2 tensors missing: (q_head.bias, L_init|L_init, q_head.bias)")
    more = {f"L_level.layers.0.extra{i}.weight": torch.zeros(1) for i in range(12)}
    refused(tmp_path, wrapped(state | more), r"12 tensors unknown: (\S+, ){9}\S+ and 2 more")
    bent = state | {"lm_head.weight": torch.zeros(10, 8)}
    refused(tmp_path, bent, r"lm_head.weight \(expected 11x8, found 10x8\)")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (ImportOptions(), "the number of recursions T and n is unknown"),
        (ImportOptions(task="maze", cycles=(1, 1)), "not a checkpoint for maze: this network has 11 token ids"),
    ],
)
def test_undetermined_values_are_required_as_options(tmp_path, state, asked, message):
    refused(tmp_path, state, message, asked)


def test_the_number_of_heads_is_not_guessed(tmp_path):
    model = TRM(official("attention", 6, 900, hidden_size=16, num_heads=2))
    bare = {published_name(n): t for n, t in model.state_dict().items()}
    refused(tmp_path, bare, "the number of attention heads", ImportOptions("maze", (1, 1), prefix=16))


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
    ("holds", "message"),
    [([1], "found a list, expected a state dict"), ({"a": torch.ones(1)}, "no published TRM or HRM")],
)
def test_other_files_are_refused(tmp_path, holds, message):
    refused(tmp_path, holds, message)


def test_two_networks_in_one_file_are_refused(tmp_path, state):
    refused(tmp_path, {"a": state, "b": dict(state)}, "2 networks in this file: 'a.', 'b.'")


def test_a_folder_must_hold_one_file_of_weights(tmp_path):
    with pytest.raises(TrmsolveError, match="no file of weights"):
        import_checkpoint(str(tmp_path), tmp_path / "out.safetensors")
    for name in ("step_1", "step_2"):
        (tmp_path / name).write_bytes(pickle.dumps(1))
    with pytest.raises(TrmsolveError, match="step_1, step_2"):
        import_checkpoint(str(tmp_path), tmp_path / "out.safetensors")


def test_an_existing_output_is_kept_and_nothing_is_read(tmp_path):
    (tmp_path / "out.safetensors").write_text("mine")
    with pytest.raises(TrmsolveError, match="already exists"):
        import_checkpoint(str(tmp_path / "nowhere"), tmp_path / "out.safetensors")
    assert (tmp_path / "out.safetensors").read_text() == "mine"


def test_our_own_checkpoint_needs_no_import(tmp_path, state):
    torch.save(state, tmp_path / "step_1")
    made = import_checkpoint(str(tmp_path), tmp_path / "out.safetensors", CYCLES)
    with pytest.raises(TrmsolveError, match="already a checkpoint of trmsolve"):
        import_checkpoint(str(made.path), tmp_path / "again.safetensors", CYCLES)


# -- more that goes wrong -----------------------------------------------------------------------------------------


def test_all_missing_tensors_of_every_network_are_named_at_once(tmp_path, state):
    lacking = {name: tensor for name, tensor in state.items() if "layers.0.mlp." not in name and "q_head" not in name}
    parts = ("down_proj", "gate_up_proj")
    named = [f"L_level.layers.0.mlp.{part}.weight" for part in parts] + ["q_head.weight", "q_head.bias"]
    refused(tmp_path, lacking, f"4 tensors of every TRM and HRM missing: {', '.join(named)}")


def test_a_network_without_initial_states_is_refused_with_the_reason(tmp_path):
    model = TRM(official("mlp", 11, 81, hidden_size=8, prefix_len=0, num_puzzles=0))
    bare = {published_name(name): tensor for name, tensor in model.state_dict().items() if not name.endswith("_init")}
    refused(tmp_path, bare, r"(?s)2 tensors missing: H_init, L_init.*with random initial states \(EqR\)")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.long(), "int64"),
        (lambda t: t.to(torch.complex64), "complex64"),
        (lambda t: t.to(torch.float8_e4m3fn), "float8"),
        (lambda t: t.to_sparse(), "sparse_coo"),
        (lambda t: t.to("meta"), "meta"),
    ],
)
def test_sparse_and_integer_tensors_are_named(tmp_path, state, change, message):
    strange = state | {"lm_head.weight": change(state["lm_head.weight"])}
    refused(tmp_path, strange, rf"1 tensor of another kind: lm_head.weight \(.*{message}")


@pytest.mark.parametrize("table", [torch.zeros(8), torch.zeros(0, 8)])
@pytest.mark.parametrize("drop", [False, True])
def test_an_invalid_puzzle_table_is_refused_whether_kept_or_dropped(tmp_path, state, table, drop):
    torch.save(state | {"puzzle_emb.weights": table}, tmp_path / "step_1")
    with pytest.raises(TrmsolveError, match=r"puzzle_emb.weights is .*, expected a matrix"):
        import_checkpoint(str(tmp_path), tmp_path / "out.safetensors", CYCLES, drop_embeddings=drop)


@pytest.mark.parametrize(
    ("yaml_text", "message"),
    [
        ("arch: {H_cycles: 3", "cannot read .*all_config.yaml"),
        ("[" * 5000, "cannot read .*recursion"),
        ("arch: {H_cycles: 3, when: 2024-13-01}", "cannot read .*month"),
        ("arch: !!python/object/apply:os.system [echo]", "cannot read .*constructor"),
        ("arch: {H_cycles: 3, L_cycles: 6, puzzle_emb_ndim: 8, expansion: 1e308, mlp_t: true}", "makes countless"),
        (
            "arch: {H_cycles: 3, L_cycles: 6, puzzle_emb_ndim: 8, puzzle_emb_len: 5, mlp_t: true}",
            "11 token ids and 92 cells",
        ),
    ],
)
def test_unreadable_settings_files_are_errors(tmp_path, state, yaml_text, message):
    (tmp_path / "all_config.yaml").write_text(yaml_text)
    refused(tmp_path, state, message, ImportOptions())


def test_unknown_position_encodings_are_refused(tmp_path):
    model = TRM(official("attention", 6, 900, hidden_size=16, num_heads=2))
    settings = {"H_cycles": 3, "L_cycles": 4, "num_heads": 2, "puzzle_emb_ndim": 16, "pos_encodings": "rope2d"}
    state = {published_name(name): tensor for name, tensor in model.state_dict().items()}
    options = ImportOptions("maze", prefix=16)
    refused(tmp_path, state, "pos_encodings rope2d, expected rope, learned or none", options, settings)


def test_other_entries_of_a_settings_file_are_ignored(tmp_path, state):
    """A date, bytes, a list, 1e-5 (a text to YAML 1.1), and a yaml that speaks of no architecture at all."""
    torch.save(state, tmp_path / "step_1")
    text = "arch: {H_cycles: 3, L_cycles: 6, puzzle_emb_ndim: 8, mlp_t: true, rms_norm_eps: 1e-5, loss: {loss_type: s},"
    (tmp_path / "all_config.yaml").write_text(f"{text} when: 2024-01-01, x: !!binary aGk=, y: [1], z: .nan, 3: 4}}")
    (tmp_path / "step_1.yaml").write_text("arch: trm\nlr: 0.1\n")
    made = import_checkpoint(str(tmp_path), tmp_path / "out.safetensors")
    assert (made.config.T, made.config.n) == (3, 6) and "all_config" in made.settings
    kept = checkpoints.read_header(made.path).provenance["settings"]
    assert kept["loss"] == {"loss_type": "s"} and kept["rms_norm_eps"] == 1e-5
    assert not {"when", "x", "y", "z", "3"} & kept.keys()
    with pytest.raises(TrmsolveError, match=r"step_1.yaml has no settings of an architecture"):
        import_checkpoint(str(tmp_path / "step_1"), tmp_path / "b.safetensors", CYCLES, tmp_path / "step_1.yaml")


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


# -- room ---------------------------------------------------------------------------------------------------------


def test_a_full_disk_is_an_error_before_anything_is_written(tmp_path, state, monkeypatch):
    monkeypatch.setattr(convert.shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000_000))
    refused(tmp_path, state, r"out.safetensors needs 1.2 MB, but the disk has 1.0")


def test_a_disk_that_fills_up_leaves_no_file(tmp_path, state, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused(tmp_path, state, r"cannot write .*No space left")


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_mean_of_a_long_table_is_exact(dtype):
    table = torch.randn(20_000, 4, generator=torch.Generator().manual_seed(0)).to(dtype)
    expected = table.double().mean(0, keepdim=True).to(dtype)
    assert convert._mean(table).dtype == dtype and torch.equal(convert._mean(table), expected)


# -- the report ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIXTURES)
def test_imported_parameters_exclude_buffers(shared, tmp_path, name):
    folder = shared / "data" / "official_format" / name
    made = import_checkpoint(str(folder), tmp_path / "out.safetensors", task_of(name))
    header = checkpoints.read_header(made.path)
    assert made.parameters == header.parameters == num_parameters(TRM(made.config))
    assert header.puzzle_table == (made.config.num_puzzles, made.config.hidden_size)


# -- from the Hub -------------------------------------------------------------------------------------------------

SPEC = "hf://owner/repo/runs/step_100"


@pytest.fixture(scope="module")
def data(state) -> bytes:
    """The file as it lies on the Hub."""
    written = io.BytesIO()
    torch.save(wrapped(state), written)
    return written.getvalue()


@pytest.fixture
def hub(data, monkeypatch):
    settings = yaml.safe_dump({"arch": SETTINGS}).encode()
    files = {"runs/step_100": data, "runs/all_config.yaml": settings, "bare/step_100": data}
    with FakeHub({"owner/repo": files}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def test_an_address_fetches_the_weights_and_their_settings(hub, tmp_path):
    made = import_checkpoint(SPEC, tmp_path / "x.safetensors")
    assert (made.config.T, made.config.n) == (3, 6) and made.settings.endswith("all_config.yaml")
    assert {get.split("/repo/")[1] for get in hub.gets()} == {"runs/step_100", "runs/all_config.yaml"}
    assert checkpoints.read_header(made.path).provenance["imported_from"] == SPEC


def test_cached_files_are_not_requested_again(hub, tmp_path, monkeypatch):
    import_checkpoint(SPEC, tmp_path / "x.safetensors")
    hub.requests.clear()
    import_checkpoint(SPEC, tmp_path / "y.safetensors")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import_checkpoint(SPEC, tmp_path / "z.safetensors")
    assert hub.requests == []
    assert len({checkpoints.sha256_of(tmp_path / f"{name}.safetensors") for name in "xyz"}) == 1


def test_without_a_settings_file_options_are_needed(hub, tmp_path, monkeypatch):
    bare = SPEC.replace("runs", "bare")
    with pytest.raises(TrmsolveError, match="the number of recursions") as raised:
        import_checkpoint(bare, tmp_path / "x.safetensors")
    assert "--cycles" in raised.value.hint
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # the weights are here now, and that there is no yaml stops nobody
    made = import_checkpoint(bare, tmp_path / "x.safetensors", ImportOptions(cycles=(2, 5)))
    assert (made.config.T, made.config.n, made.settings) == (2, 5, "none found")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("hf://owner/repo/runs/step_999", "owner/repo has no file 'runs/step_999'"),
        ("hf://owner/none/step_100", "no repository owner/none"),
        ("hf://owner/repo", "not the address of a file"),
    ],
)
def test_files_missing_on_the_hub_are_named(hub, tmp_path, spec, message):
    with pytest.raises(TrmsolveError, match=message) as raised:
        import_checkpoint(spec, tmp_path / "x.safetensors", CYCLES)
    assert raised.value.hint and not list(tmp_path.iterdir())


def test_invalid_options_are_refused_before_the_download(hub, tmp_path):
    with pytest.raises(TrmsolveError, match="unknown task 'sudoko'") as raised:
        ImportOptions(task="sudoko")
    assert "did you mean 'sudoku'" in raised.value.hint
    with pytest.raises(TrmsolveError, match=r"cannot read .*none.yaml"):
        import_checkpoint(SPEC, tmp_path / "x.safetensors", settings_file=tmp_path / "none.yaml")
    assert hub.requests == []


def test_offline_without_a_cached_file_is_an_error(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(TrmsolveError, match="not in the cache, and HF_HUB_OFFLINE"):
        import_checkpoint(SPEC, tmp_path / "x.safetensors")
    assert hub.requests == []
