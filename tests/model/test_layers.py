"""The fast path of a layer, for inference, against its formula."""

import pytest
import torch

import trmsolve
from trmsolve.model.layers import inference_path, reference_mode
from trmsolve.model.packing import pack


@pytest.mark.parametrize("task", ["sudoku", "maze"])
def test_fast_path_agrees_with_formula(task):
    model = trmsolve.load(task, device="cpu", dtype="float32")
    tokens, batch = pack([model.task.encode(model.task.generate(2, 0, 9)[0])])
    y, z = model.network.init_state(len(tokens), torch.float32)
    with torch.inference_mode():
        fast = model.network(tokens, y, z, batch)
        with reference_mode():
            formula = model.network(tokens, y, z, batch)
        again = model.network(tokens, y, z, batch)
    assert torch.allclose(fast.logits, formula.logits, atol=1e-3)
    assert not torch.equal(fast.y, formula.y)  # otherwise both took one path
    assert torch.equal(fast.y, again.y)


def test_reference_mode_ends_with_its_block_after_an_exception():
    h = torch.zeros(2, 2)
    with torch.inference_mode():
        with pytest.raises(ValueError), reference_mode(), reference_mode():
            assert not inference_path(h, h)
            raise ValueError
        assert inference_path(h, h)
        assert not inference_path(h, h.double())
    assert not inference_path(h, h)  # autograd
