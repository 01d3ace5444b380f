"""The optimizers: AdamATan2 by its formula, sign-SGD on rows of a table, and that all of them resume."""

import math

import pytest
import torch

from networks import SUDOKU_MODEL
from trmsolve.model.config import TRMConfig
from trmsolve.model.sequence_model import official
from trmsolve.model.trm import TRM
from trmsolve.training.config import OPTIMIZERS, TrainConfig
from trmsolve.training.optim import EMA, AdamATan2, Muon, Optimizers, orthogonal, sign_step


def test_adam_atan2_is_its_formula():
    lr, decay, b1, b2 = 0.1, 0.5, 0.9, 0.95
    w = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = AdamATan2([w], lr=lr, betas=(b1, b2), weight_decay=decay)
    expected, m, v = [1.0, -2.0], [0.0, 0.0], [0.0, 0.0]
    for t, grad in enumerate([[0.3, -4.0], [1e-9, 2.0], [-0.3, 0.0]], 1):
        w.grad = torch.tensor(grad)
        optimizer.step()
        for i, g in enumerate(grad):
            m[i], v[i] = b1 * m[i] + (1 - b1) * g, b2 * v[i] + (1 - b2) * g * g
            angle = math.atan2(m[i], math.sqrt(v[i] / (1 - b2**t)))
            expected[i] = expected[i] * (1 - lr * decay) - lr / (1 - b1**t) * angle
        assert w.tolist() == pytest.approx(expected, rel=1e-5)


def test_adam_atan2_is_invariant_to_the_scale_of_gradients():
    moved = []
    for scale in (1.0, 1e-6):
        w = torch.nn.Parameter(torch.zeros(3))
        optimizer = AdamATan2([w], lr=0.01)
        for _ in range(3):
            w.grad = scale * torch.tensor([1.0, -2.0, 3.0])
            optimizer.step()
        moved.append(w.detach())
    torch.testing.assert_close(*moved)
    assert moved[0].abs().min() > 0.01


def test_parameters_without_gradient_are_unchanged():
    w, idle = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    optimizer = AdamATan2([w, idle], lr=0.1, weight_decay=1.0)
    w.grad = torch.ones(2)
    optimizer.step()
    assert (idle == 1).all() and (w < 1).all()


def test_sign_step_updates_used_rows_and_sums_duplicates():
    table = torch.ones(4, 2)
    ids, grad = torch.tensor([2, 0, 2]), torch.tensor([[3.0, -1.0], [0.0, 5.0], [-1.0, 4.0]])
    sign_step(table, ids, grad, lr=0.1, decay=0.5)
    shrunk = 1 - 0.1 * 0.5
    expected = [[shrunk, shrunk - 0.1], [1, 1], [shrunk - 0.1, shrunk - 0.1], [1, 1]]
    torch.testing.assert_close(table, torch.tensor(expected))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_resume_exactly(name):
    config = TrainConfig(optimizer=name, lr=0.01)
    tiny = TRMConfig(**SUDOKU_MODEL | {"hidden_size": 8, "intermediate_size": 16, "n": 1})

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
    model = TRM(official("attention", 6, 9, hidden_size=16, num_heads=2, num_layers=1, num_y_layers=1, T=1, n=1))
    parts = Optimizers(model, TrainConfig()).parts
    sizes = {name: sum(len(g["params"]) for g in optimizer.param_groups) for name, (optimizer, _) in parts.items()}
    assert sizes == {"muon": 8, "adam": 4}  # qkv, out, gate_up, down, twice; embedding, answer head, q_head's two


def test_ema_shares_buffers():
    model = TRM(official("attention", 6, 9, hidden_size=16, num_heads=2, num_puzzles=3, T=1, n=1))
    ema = EMA(model, 0.9)
    model.embed.puzzle_table[1] = 7.0
    assert (ema.model.embed.puzzle_table[1] == 7).all()
    assert ema.model.embed.weight.data_ptr() != model.embed.weight.data_ptr()


def test_ema_decay_0_is_the_model():
    model = torch.nn.Linear(2, 2)
    ema = EMA(model, 0.0)
    with torch.no_grad():
        model.weight += 1
    ema.update(model, 1)
    assert torch.equal(ema.model.weight, model.weight)


SHAPES = [(8, 24), (24, 8), (8, 24), (16, 16), (24, 8), (40, 8)]


def grads(params, step: int) -> None:
    torch.manual_seed(step)
    for p in params:
        p.grad = torch.randn_like(p)


def test_muon_equals_torch_optim_muon(monkeypatch):
    monkeypatch.setattr("trmsolve.training.optim.iteration_dtype", lambda device: torch.bfloat16)  # as torch's
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in SHAPES]
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    optimizers = Muon(ours, lr=0.1, weight_decay=0.05), torch.optim.Muon(theirs, lr=0.1, weight_decay=0.05)
    for step in range(4):
        grads(ours, step)
        grads(theirs, step)
        for optimizer in optimizers:
            optimizer.step()
    for p, q in zip(ours, theirs, strict=True):  # 4 steps of 0.1 times at most 1.2, of which bf16 keeps 8 bits
        torch.testing.assert_close(p, q, atol=4e-3, rtol=0.0)
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(optimizers[0].state[p], dict(optimizers[1].state[q]))


def test_newton_schulz_orthogonalises():
    torch.manual_seed(0)
    computed = orthogonal([torch.randn(shape) for shape in SHAPES])
    assert [tuple(m.shape) for m in computed] == SHAPES
    for m in computed:
        values = torch.linalg.svdvals(m)
        assert values.min() > 0.5 and values.max() < 1.3


def test_muon_skips_parameters_without_gradient():
    idle, w = (torch.nn.Parameter(torch.ones(4, 4)) for _ in range(2))
    optimizer = Muon([idle, w], lr=0.1, weight_decay=0.1)
    w.grad = torch.eye(4)
    optimizer.step()
    assert (idle == 1).all() and not (w == 1).any()


def test_states_from_before_muon_took_many_matrices_at_once_go_on():
    torch.manual_seed(0)
    model, config = (
        TRM(TRMConfig(**SUDOKU_MODEL | {"hidden_size": 8, "intermediate_size": 16, "n": 1})),
        TrainConfig(lr=0.02),
    )
    matrices = [p for p in model.layers.parameters() if p.ndim == 2]
    rest = [p for p in model.parameters() if all(p is not m for m in matrices)]
    before = {
        "muon": torch.optim.Muon(matrices, lr=config.lr, weight_decay=config.weight_decay),
        "adam": torch.optim.AdamW(rest, lr=config.adam_lr, betas=(0.9, 0.95), weight_decay=config.adam_weight_decay),
    }

    def step(number: int) -> None:
        grads(list(model.parameters()), number)
        for optimizer in before.values():
            optimizer.step()

    for number in range(3):
        step(number)
    flat = {
        f"{which}.{index}.{name}": value.clone()
        for which, optimizer in before.items()
        for index, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
    }
    later = TRM(model.config)
    later.load_state_dict(model.state_dict())
    again = Optimizers(later, config)
    again.restore(flat)
    step(3)
    grads(list(later.parameters()), 3)
    again.step(1.0)
    for (name, p), q in zip(later.named_parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-3 if name.startswith("layers") else 1e-6, rtol=0.0)
    assert again.state().keys() == flat.keys()


def test_ema_in_fp32_follows_small_updates():
    model = torch.nn.Linear(4, 4)
    ema = EMA(model, 0.999)
    before = ema.model.weight.clone()
    with torch.no_grad():
        model.weight += 1e-3
    for step in range(1, 200):
        ema.update(model, step)
    assert ema.model.weight.dtype == torch.float32
    assert (ema.model.weight > before).all() and (ema.model.weight <= model.weight + 1e-6).all()
