"""Fixtures of tests of the import."""

import pytest
import torch

from trmsolve.convert.read import published_name
from trmsolve.model.sequence_model import official
from trmsolve.model.trm import TRM


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """A tiny network of the kind TRM-MLP by its published names, without prefix."""
    torch.manual_seed(0)
    model = TRM(official("mlp", 11, 81, hidden_size=8, T=1, n=1, num_puzzles=3))
    model.embed.puzzle_table.normal_()
    return {published_name(name): tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"
