"""Settings beside the weights and inside them."""

import argparse
import json
import types

import pytest
import yaml

from trmsolve.convert.architecture import ImportOptions
from trmsolve.convert.settings import read_settings, settings_of
from trmsolve.errors import TrmsolveError

from .samples import (
    NANO_SETTINGS,
    SETTINGS,
    imported,
    nano_trm,
    network,
    refusal,
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
