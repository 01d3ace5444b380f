"""Settings beside the weights and inside them."""

import argparse
import json
import types

import pytest
import torch
import yaml

from trmsolve import checkpoint as checkpoints
from trmsolve.convert.architecture import ImportOptions
from trmsolve.convert.convert import import_checkpoint
from trmsolve.convert.settings import read_settings, settings_of
from trmsolve.errors import TrmsolveError

from .samples import (
    CYCLES,
    NANO_SETTINGS,
    SETTINGS,
    imported,
    nano_trm,
    network,
    refusal,
    refused,
    saved,
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", json.dumps({"arch": SETTINGS})),
        ("config.json", json.dumps(SETTINGS | {"architectures": ["TRM"], "torch_dtype": "float32"})),
        ("hparams.yaml", yaml.safe_dump(SETTINGS)),
        ("config.yaml", yaml.safe_dump({k: {"value": v, "desc": None} for k, v in SETTINGS.items()} | {"_wandb": {}})),
        ("config.yaml", yaml.safe_dump({"arch": {"desc": None, "value": SETTINGS}, "wandb_version": 1})),
        (
            "all_config.yaml",
            yaml.safe_dump({"arch": SETTINGS | {"puzzle_emb_ndim": "${.x}", "x": 16}}),
        ),
        ("all_config.yaml", yaml.safe_dump({"a": {"b": 16}, "arch": SETTINGS | {"puzzle_emb_ndim": "${a.b}"}})),
    ],
)
def test_settings_are_found_in_every_usual_file(folder, name, content):
    _, state = network("attention", 11, 81, hidden_size=16, num_heads=2)
    (folder / name).write_text(content)
    result = imported(saved(folder, state), ImportOptions())
    assert (result.config.T, result.config.num_heads, result.config.prefix_len) == (1, 2, 16)
    assert result.settings == str(folder / name)


def test_an_unresolved_interpolation_is_ignored(folder):
    assert "H_cycles" not in {k for k, v in settings_of({"H_cycles": "${oc.env:X}", "L_cycles": 2}).items() if v}
    assert settings_of({"H_cycles": "${.L_cycles}", "L_cycles": "${.H_cycles}"}) == {"H_cycles": None, "L_cycles": None}
    _, state = network()
    (folder / "all_config.yaml").write_text(yaml.safe_dump({"arch": SETTINGS | {"H_cycles": "${gone}", "mlp_t": True}}))
    assert "the number of recursions T and n is unknown" in refusal(saved(folder, state), ImportOptions())


def test_contradicting_settings_files_are_refused(folder):
    _, tree = nano_trm()
    saved(folder, tree)
    (folder / "config.json").write_text(json.dumps({"H_cycles": 3, "L_cycles": 3}))
    assert "H_cycles 2 inside, 3 in" in refusal(folder, ImportOptions())
    (folder / "right.json").write_text(json.dumps({"H_cycles": 2, "L_cycles": 3, "mlp_t": True, "hidden_size": 16}))
    assert imported(folder, ImportOptions(), settings_file=folder / "right.json").config.T == 2


def test_a_yaml_bomb_needs_little_memory_and_time(tmp_path):
    text = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
    (tmp_path / "x.yaml").write_text(f"{text}arch: {{H_cycles: 1, L_cycles: 2, name: *a11, data_paths: *a11}}\n")
    settings = read_settings(tmp_path / "x.yaml")
    assert settings == {"H_cycles": 1, "L_cycles": 2}


@pytest.mark.parametrize(
    "inside",
    [
        {"hyper_parameters": argparse.Namespace(**NANO_SETTINGS)},
        {"hyper_parameters": types.SimpleNamespace(**NANO_SETTINGS)},
        {"hyper_parameters": {"config": {"arch": NANO_SETTINGS}}},
        {"hyper_parameters": {"model": NANO_SETTINGS}},
        {"config": NANO_SETTINGS},
        {"args": argparse.Namespace(**NANO_SETTINGS)},
    ],
)
def test_settings_are_found_in_every_usual_part_of_a_file(folder, inside):
    _, tree = nano_trm()
    result = imported(saved(folder, {"state_dict": tree["state_dict"]} | inside), ImportOptions())
    assert (result.config.T, result.config.n) == (2, 3)


@pytest.mark.parametrize("key", ["model", "network", "config"])
def test_settings_are_found_in_every_usual_part_of_a_yaml(folder, key):
    (folder / "config.yaml").write_text(
        yaml.safe_dump({key: {"_target_": "src.TRM"} | NANO_SETTINGS, "data": {"x": 1}})
    )
    _, tree = nano_trm()
    assert imported(saved(folder, tree["state_dict"]), ImportOptions()).config.T == 2


def test_contradicting_parts_of_a_file_are_refused():
    with pytest.raises(TrmsolveError, match="H_cycles 2 inside, 3 in another part"):
        settings_of({"config": {"H_cycles": 3, "L_cycles": 3}, "arch": {"H_cycles": 2, "L_cycles": 3}})


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


def test_other_entries_of_a_settings_file_are_ignored(tmp_path, state):
    """A date, bytes, a list, 1e-5 (a text to YAML 1.1), and a yaml that speaks of no architecture at all."""
    torch.save(state, tmp_path / "step_1")
    text = "arch: {H_cycles: 3, L_cycles: 6, puzzle_emb_ndim: 8, mlp_t: true, rms_norm_eps: 1e-5, loss: {loss_type: s},"
    (tmp_path / "all_config.yaml").write_text(f"{text} when: 2024-01-01, x: !!binary aGk=, y: [1], z: .nan, 3: 4}}")
    (tmp_path / "step_1.yaml").write_text("arch: trm\nlr: 0.1\n")
    result = import_checkpoint(str(tmp_path), tmp_path / "out.safetensors")
    assert (result.config.T, result.config.n) == (3, 6) and "all_config" in result.settings
    saved_settings = checkpoints.read_header(result.path).provenance["settings"]
    assert saved_settings["loss"] == {"loss_type": "s"} and saved_settings["rms_norm_eps"] == 1e-5
    assert not {"when", "x", "y", "z", "3"} & saved_settings.keys()
    with pytest.raises(TrmsolveError, match=r"step_1.yaml has no settings of an architecture"):
        import_checkpoint(str(tmp_path / "step_1"), tmp_path / "b.safetensors", CYCLES, tmp_path / "step_1.yaml")
