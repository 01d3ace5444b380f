"""The configuration of an imported network: what tensors and settings determine, and where they contradict."""

import pytest
import torch
import yaml

from networks import HRM
from trmsolve.convert.architecture import ImportOptions
from trmsolve.convert.convert import import_checkpoint
from trmsolve.convert.read import published_name
from trmsolve.errors import TrmsolveError
from trmsolve.model.sequence_model import official
from trmsolve.model.trm import TRM

from .samples import CYCLES, TRM_SETTINGS, refused, without, wrapped


def test_hrm_is_recognised_without_a_yaml(tmp_path):
    model = TRM(official("attention", 6, 900, hidden_size=16, num_heads=2, **HRM))
    torch.save({published_name(name): tensor for name, tensor in model.state_dict().items()}, tmp_path / "checkpoint")
    result = import_checkpoint(str(tmp_path), tmp_path / "out.safetensors", ImportOptions("maze", (2, 2), 2))
    assert result.config == model.config and result.task == "maze"


def test_settings_complete_what_tensors_do_not_determine(tmp_path, state):
    torch.save(state, tmp_path / "step_1")
    (tmp_path / "all_config.yaml").write_text(yaml.safe_dump({"arch": TRM_SETTINGS}))
    result = import_checkpoint(str(tmp_path), tmp_path / "out.safetensors")
    assert (result.config.T, result.config.n, result.config.prefix_len, result.config.seq_len) == (3, 6, 16, 97)


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
    refused(tmp_path, state, message, settings=TRM_SETTINGS | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"H_cycles": "three"}, "the settings have H_cycles: 'three', expected a whole number of at least 1"),
        ({"puzzle_emb_len": 97}, "a prefix of 97 tokens leaves no cells in a sequence of 97"),
    ],
)
def test_invalid_settings_are_refused(tmp_path, state, change, message):
    refused(tmp_path, state, message, ImportOptions(), TRM_SETTINGS | change)


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
    ("options", "message"),
    [
        (ImportOptions(), "the number of recursions T and n is unknown"),
        (ImportOptions(task="maze", cycles=(1, 1)), "not a checkpoint for maze: this network has 11 token ids"),
    ],
)
def test_undetermined_values_are_required_as_options(tmp_path, state, options, message):
    refused(tmp_path, state, message, options)


def test_the_number_of_heads_is_not_guessed(tmp_path):
    model = TRM(official("attention", 6, 900, hidden_size=16, num_heads=2))
    bare = {published_name(n): t for n, t in model.state_dict().items()}
    refused(tmp_path, bare, "the number of attention heads", ImportOptions("maze", (1, 1), prefix=16))


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


def test_unknown_position_encodings_are_refused(tmp_path):
    model = TRM(official("attention", 6, 900, hidden_size=16, num_heads=2))
    settings = {"H_cycles": 3, "L_cycles": 4, "num_heads": 2, "puzzle_emb_ndim": 16, "pos_encodings": "rope2d"}
    state = {published_name(name): tensor for name, tensor in model.state_dict().items()}
    options = ImportOptions("maze", prefix=16)
    refused(tmp_path, state, "pos_encodings rope2d, expected rope, learned or none", options, settings)
