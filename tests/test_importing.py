"""Importing published checkpoints: every format, what is inferred, and what is refused before anything is written."""

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

import trmsolve
from trmsolve import store
from trmsolve.errors import TrmsolveError
from trmsolve.importing.architecture import Asked
from trmsolve.importing.convert import import_checkpoint
from trmsolve.importing.names import ours, theirs
from trmsolve.model.official import HRM, official
from trmsolve.model.trm import TRM

FIXTURES = ("trm_mlp_sudoku_small", "trm_att_maze_small", "trm_att_arc_small", "hrm_sudoku_small")
INNER = "_orig_mod.model.inner."
CYCLES = Asked(cycles=(1, 1))


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """A tiny network of the kind TRM-MLP by its published names, without prefix."""
    torch.manual_seed(0)
    model = TRM(official("mlp", 11, 81, width=8, T=1, n=1, puzzles=3))
    model.embed.puzzles.normal_()
    return {theirs(name): tensor.clone() for name, tensor in model.state_dict().items()}


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
    loaded = store.load_tensors(made.path)
    assert loaded.keys() == {ours(name) for name in state}
    assert all(torch.equal(loaded[ours(name)], tensor) for name, tensor in state.items())


def test_safetensors_and_the_older_torch_format_are_read(tmp_path, state):
    save_file(wrapped(state), tmp_path / "a.safetensors")
    torch.save(wrapped(state), tmp_path / "b.pth", _use_new_zipfile_serialization=False)
    for name in ("a.safetensors", "b.pth"):
        made = import_checkpoint(str(tmp_path / name), tmp_path / f"{name}.out", CYCLES)
        assert torch.equal(store.load_tensors(made.path)["embed.weight"], state["embed_tokens.embedding_weight"])


@pytest.mark.parametrize("name", FIXTURES)
def test_an_imported_checkpoint_gives_the_numbers_of_the_original_code(shared, tmp_path, name):
    folder = shared / "data" / "official_format" / name
    made = import_checkpoint(str(folder), tmp_path / "out.safetensors")
    assert made.task in name and made.config.y_layers == (4 if "hrm" in name else 0)
    expected = np.load(folder / "expected.npz")
    model = trmsolve.load(made.path, device="cpu", dtype="float32")
    steps = model.refine(expected["inputs"], expected["puzzle_identifiers"], steps=len(expected["logits"]))
    for (logits, halt), their_logits, their_halt in zip(steps, expected["logits"], expected["q_halt"], strict=True):
        assert np.abs(logits.numpy() - their_logits).max() <= 1e-4
        assert np.abs(halt.numpy() - their_halt).max() <= 1e-4


def test_hrm_is_recognised_without_a_yaml(tmp_path):
    model = TRM(official("attention", 6, 900, width=16, heads=2, **HRM))
    torch.save({theirs(name): tensor for name, tensor in model.state_dict().items()}, tmp_path / "checkpoint")
    made = import_checkpoint(str(tmp_path), tmp_path / "out.safetensors", Asked(cycles=(2, 2), heads=2))
    assert made.config == model.config and made.task == "maze"


def test_dropping_the_embeddings_keeps_their_mean(tmp_path, state):
    torch.save(state, tmp_path / "step_1")
    made = import_checkpoint(str(tmp_path), tmp_path / "out.safetensors", CYCLES, drop_embeddings=True)
    kept = store.load_tensors(made.path)["embed.puzzles"]
    torch.testing.assert_close(kept, state["puzzle_emb.weights"].mean(0, keepdim=True))
    assert made.config.puzzles == 1


# -- refusals -----------------------------------------------------------------------------------------------------


class Code:
    """What a pickle may run when it is loaded."""

    def __reduce__(self):
        return (print, ("run",))


def refused(tmp_path: Path, state, message: str, asked: Asked = CYCLES, settings: dict | None = None) -> None:
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


def test_the_yaml_says_what_the_tensors_do_not(tmp_path, state):
    torch.save(state, tmp_path / "step_1")
    (tmp_path / "all_config.yaml").write_text(yaml.safe_dump({"arch": SETTINGS}))
    made = import_checkpoint(str(tmp_path), tmp_path / "out.safetensors")
    assert (made.config.T, made.config.n, made.config.prefix, made.config.length) == (3, 6, 16, 97)


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
def test_a_yaml_that_contradicts_the_tensors_is_refused(tmp_path, state, change, message):
    refused(tmp_path, state, message, settings=SETTINGS | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"H_cycles": "three"}, "the yaml says H_cycles: 'three', a whole number from 1 on needed"),
        ({"puzzle_emb_len": 97}, "a prefix of 97 leaves no cells of 97 tokens"),
    ],
)
def test_a_yaml_that_makes_no_sense_is_refused(tmp_path, state, change, message):
    refused(tmp_path, state, message, Asked(), SETTINGS | change)


def test_a_layer_number_out_of_all_proportion_is_no_reason_to_build_so_many(tmp_path, state):
    far = {name.replace("layers.1.", "layers.999999999."): tensor for name, tensor in state.items()}
    refused(tmp_path, far, "4 tensors missing: L_level.layers.1.")


def test_the_vocabulary_must_be_a_known_tasks(tmp_path, state):
    names = ("lm_head.weight", "embed_tokens.embedding_weight")
    refused(tmp_path, state | dict.fromkeys(names, torch.zeros(99, 8)), "no task of trmsolve has 99 token ids")


def test_missing_unknown_and_misshapen_tensors_are_named_ten_at_most(tmp_path, state):
    lacking = without(state, "q_head.bias", "L_init")
    refused(tmp_path, lacking, r"2 tensors missing: (q_head.bias, L_init|L_init, q_head.bias)")
    more = {f"L_level.layers.0.extra{i}.weight": torch.zeros(1) for i in range(12)}
    refused(tmp_path, wrapped(state | more), r"12 tensors unknown: (\S+, ){9}\S+ and 2 more")
    bent = state | {"lm_head.weight": torch.zeros(10, 8)}
    refused(tmp_path, bent, r"lm_head.weight \(expected 11x8, found 10x8\)")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Asked(), "no yaml says how often the network recurs"),
        (Asked(task="maze", cycles=(1, 1)), "no maze checkpoint: maze has 6 token ids, this network 11"),
        (Asked(task="sudoko", cycles=(1, 1)), "unknown task 'sudoko'"),
    ],
)
def test_what_the_user_has_to_say_is_asked_for(tmp_path, state, asked, message):
    refused(tmp_path, state, message, asked)


def test_heads_cannot_be_guessed(tmp_path):
    model = TRM(official("attention", 6, 900, width=16, heads=2))
    refused(tmp_path, {theirs(n): t for n, t in model.state_dict().items()}, "how many heads")


def test_a_pickle_that_would_run_code_is_refused_and_not_run(tmp_path, capsys):
    refused(tmp_path, {"lm_head.weight": Code()}, "holds more than weights: loading it would run .*print")
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
    [([1], "holds a list, a state dict needed"), ({"a": torch.ones(1)}, "holds no published TRM or HRM")],
)
def test_other_files_are_refused(tmp_path, holds, message):
    refused(tmp_path, holds, message)


def test_two_networks_in_one_file_are_not_chosen_between(tmp_path, state):
    refused(tmp_path, {"a": state, "b": state}, "holds 2 networks: 'a.', 'b.'")


def test_a_folder_must_hold_one_file_of_weights(tmp_path):
    with pytest.raises(TrmsolveError, match="holds no file of weights"):
        import_checkpoint(str(tmp_path), tmp_path / "out.safetensors")
    for name in ("step_1", "step_2"):
        (tmp_path / name).write_bytes(pickle.dumps(1))
    with pytest.raises(TrmsolveError, match="step_1, step_2"):
        import_checkpoint(str(tmp_path), tmp_path / "out.safetensors")


def test_an_existing_file_is_kept_and_nothing_is_read_for_it(tmp_path):
    (tmp_path / "out.safetensors").write_text("mine")
    with pytest.raises(TrmsolveError, match="already exists"):
        import_checkpoint(str(tmp_path / "nowhere"), tmp_path / "out.safetensors")
    assert (tmp_path / "out.safetensors").read_text() == "mine"


def test_our_own_checkpoint_needs_no_import(tmp_path, state):
    torch.save(state, tmp_path / "step_1")
    made = import_checkpoint(str(tmp_path), tmp_path / "out.safetensors", CYCLES)
    with pytest.raises(TrmsolveError, match="a checkpoint of trmsolve already"):
        import_checkpoint(str(made.path), tmp_path / "again.safetensors", CYCLES)
