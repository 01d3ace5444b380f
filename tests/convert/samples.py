"""Tiny networks as others save them, and their import."""

from pathlib import Path

import pytest
import torch
import yaml

from trmsolve import checkpoint as checkpoints
from trmsolve.convert.architecture import ImportOptions
from trmsolve.convert.convert import import_checkpoint
from trmsolve.convert.read import published_name
from trmsolve.errors import TrmsolveError
from trmsolve.model.sequence_model import official
from trmsolve.model.trm import TRM

CYCLES = ImportOptions(cycles=(1, 1))
SETTINGS = {"H_cycles": 1, "L_cycles": 1, "num_heads": 2, "puzzle_emb_len": 16, "puzzle_emb_ndim": 16}


def network(mixer: str = "mlp", vocab_size: int = 11, cells: int = 81, **settings):
    """A tiny network, and its tensors by their published names."""
    torch.manual_seed(0)
    config = official(mixer, vocab_size, cells, **{"hidden_size": 8, "T": 1, "n": 1} | settings)
    model = TRM(config).eval()
    torch.nn.init.normal_(model.q_head.weight)
    if config.num_puzzles:
        model.embed.puzzle_table.normal_()
    return model, {published_name(name): tensor.clone() for name, tensor in model.state_dict().items()}


def imported(folder, options=CYCLES, **keywords):
    return import_checkpoint(str(folder), folder.parent / "out.safetensors", options, force=True, **keywords)


def saved(folder, tree, name="step_1"):
    torch.save(tree, folder / name)
    return folder


def weights(result):
    return checkpoints.load_tensors(result.path)


def refusal(folder, options=CYCLES, **keywords):
    with pytest.raises(TrmsolveError) as error:
        imported(folder, options, **keywords)
    assert not (folder.parent / "out.safetensors").exists() and error.value.hint
    return str(error.value)


NANO_NAMES = {"L_level": "lenet", "embed_tokens": "input_embedding", "H_init": "z_H_init", "L_init": "z_L_init"}
NANO_SETTINGS = {"hidden_size": 16, "num_layers": 2, "num_heads": 2, "H_cycles": 2, "L_cycles": 3, "use_mlp_t": True}
NANO_SETTINGS |= {"ffn_expansion": 4, "puzzle_emb_dim": 0, "puzzle_emb_len": 0, "pos_emb_type": None, "seq_len": 81}
NANO_SETTINGS |= {"vocab_size": 12, "max_grid_size": 9, "N_supervision": 8}


def nano_trm():
    """A network without prefix and puzzle embedding, twelve token ids, and one row of q_head; a Lightning file."""
    model, state = network(vocab_size=12, hidden_size=16, T=2, n=3, prefix_len=0, num_puzzles=0)
    named = {}
    for name, tensor in state.items():
        root, _, rest = name.partition(".")
        named[".".join(filter(None, (NANO_NAMES.get(root, root), rest)))] = tensor
    named["q_head.weight"], named["q_head.bias"] = named["q_head.weight"][:1], named["q_head.bias"][:1]
    return model, {"state_dict": named, "hyper_parameters": NANO_SETTINGS, "epoch": 3}


FIXTURES = ("trm_mlp_sudoku_small", "trm_att_maze_small", "trm_att_arc_small", "hrm_sudoku_small")
INNER = "_orig_mod.model.inner."


def wrapped(state, prefix=INNER):
    return {prefix + name: tensor for name, tensor in state.items()}


def refused(tmp_path: Path, state, message: str, options: ImportOptions = CYCLES, settings: dict | None = None) -> None:
    torch.save(state, tmp_path / "step_1")
    if settings is not None:
        (tmp_path / "all_config.yaml").write_text(yaml.safe_dump({"arch": settings}))
    with pytest.raises(TrmsolveError, match=message):
        import_checkpoint(str(tmp_path), tmp_path / "out.safetensors", options)
    assert not list(tmp_path.glob("*out.safetensors*"))


def without(state, *names):
    return {name: tensor for name, tensor in state.items() if name not in names}


TRM_SETTINGS = {"H_cycles": 3, "L_cycles": 6, "hidden_size": 8, "L_layers": 2, "mlp_t": True, "num_heads": 1}
TRM_SETTINGS |= {
    "expansion": 4,
    "pos_encodings": "none",
    "puzzle_emb_ndim": 8,
    "puzzle_emb_len": 16,
    "name": "x.trm@TRM",
}
