"""The optimizers: AdamATan2 by its formula, sign-SGD on rows of a table, and that all of them resume."""

import math

import pytest
import torch

from trmsolve.model.config import TRMConfig
from trmsolve.model.official import official
from trmsolve.model.trm import TRM
from trmsolve.training.atan2 import AdamATan2
from trmsolve.training.config import OPTIMIZERS, TrainConfig
from trmsolve.training.optim import EMA, Optimizers, sign_step


def test_adam_atan2_is_its_formula():
    lr, decay, b1, b2 = 0.1, 0.5, 0.9, 0.95
    w = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    made = AdamATan2([w], lr=lr, betas=(b1, b2), weight_decay=decay)
    expected, m, v = [1.0, -2.0], [0.0, 0.0], [0.0, 0.0]
    for t, grad in enumerate([[0.3, -4.0], [1e-9, 2.0], [-0.3, 0.0]], 1):
        w.grad = torch.tensor(grad)
        made.step()
        for i, g in enumerate(grad):
            m[i], v[i] = b1 * m[i] + (1 - b1) * g, b2 * v[i] + (1 - b2) * g * g
            angle = math.atan2(m[i], math.sqrt(v[i] / (1 - b2**t)))
            expected[i] = expected[i] * (1 - lr * decay) - lr / (1 - b1**t) * angle
        assert w.tolist() == pytest.approx(expected, rel=1e-5)


def test_adam_atan2_does_not_mind_how_large_gradients_are():
    moved = []
    for scale in (1.0, 1e-6):
        w = torch.nn.Parameter(torch.zeros(3))
        made = AdamATan2([w], lr=0.01)
        for _ in range(3):
            w.grad = scale * torch.tensor([1.0, -2.0, 3.0])
            made.step()
        moved.append(w.detach())
    torch.testing.assert_close(*moved)
    assert moved[0].abs().min() > 0.01


def test_parameters_without_gradient_stay():
    w, idle = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    made = AdamATan2([w, idle], lr=0.1, weight_decay=1.0)
    w.grad = torch.ones(2)
    made.step()
    assert (idle == 1).all() and (w < 1).all()


def test_sign_steps_reach_the_rows_met_and_add_up_their_uses():
    table = torch.ones(4, 2)
    ids, grad = torch.tensor([2, 0, 2]), torch.tensor([[3.0, -1.0], [0.0, 5.0], [-1.0, 4.0]])
    sign_step(table, ids, grad, lr=0.1, decay=0.5)
    shrunk = 1 - 0.1 * 0.5
    expected = [[shrunk, shrunk - 0.1], [1, 1], [shrunk - 0.1, shrunk - 0.1], [1, 1]]
    torch.testing.assert_close(table, torch.tensor(expected))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_on_from_its_saved_state(name):
    config = TrainConfig(optimizer=name, lr=0.01)
    tiny = TRMConfig(width=8, hidden=16, n=1)

    def run(model: TRM, optimizers: Optimizers, steps: range) -> None:
        for step in steps:
            torch.manual_seed(step)
            for p in model.parameters():
                p.grad = torch.randn_like(p)
            optimizers.step(1.0)

    torch.manual_seed(0)
    whole = TRM(tiny)
    own = Optimizers(whole, config)
    start = whole.embed.weight.detach().clone()
    run(whole, own, range(3))
    saved, weights = ({k: v.clone() for k, v in state.items()} for state in (own.state(), whole.state_dict()))
    run(whole, own, range(3, 6))

    later = TRM(tiny)
    later.load_state_dict(weights)
    again = Optimizers(later, config)
    again.restore(saved)
    run(later, again, range(3, 6))
    for key, value in whole.state_dict().items():
        assert torch.equal(value, later.state_dict()[key]), key
    assert not torch.equal(start, whole.embed.weight)


def test_muon_has_the_matrices_of_both_networks_and_adam_the_rest():
    model = TRM(official("attention", 6, 9, width=16, heads=2, layers=1, y_layers=1, T=1, n=1))
    parts = Optimizers(model, TrainConfig()).parts
    sizes = {name: sum(len(g["params"]) for g in optimizer.param_groups) for name, (optimizer, _) in parts.items()}
    assert sizes == {"muon": 8, "adam": 4}  # qkv, out, gate_up, down, twice; embedding, answer head, q_head's two


def test_the_average_of_a_model_shares_what_is_no_parameter():
    model = TRM(official("attention", 6, 9, width=16, heads=2, puzzles=3, T=1, n=1))
    ema = EMA(model, 0.9)
    model.embed.puzzles[1] = 7.0
    assert (ema.model.embed.puzzles[1] == 7).all()
    assert ema.model.embed.weight.data_ptr() != model.embed.weight.data_ptr()


def test_no_average_is_the_model_itself():
    model = torch.nn.Linear(2, 2)
    ema = EMA(model, 0.0)
    with torch.no_grad():
        model.weight += 1
    ema.update(model, 1)
    assert torch.equal(ema.model.weight, model.weight)
