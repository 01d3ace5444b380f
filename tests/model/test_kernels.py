"""Our Triton kernels against the formulas that they stand for: by Triton's interpreter, or on a GPU if there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from networks import SUDOKU_MODEL

ON_GPU = torch.cuda.is_available()
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS warns of what `poisoned` asks for
if not ON_GPU:  # Triton looks when it is first imported, and again when it runs
    before = os.environ.get("TRITON_INTERPRET")
    os.environ["TRITON_INTERPRET"] = "1"
pytest.importorskip("triton", reason="Triton is not installed")
from trmsolve.model import kernels  # noqa: E402
from trmsolve.model.config import TRMConfig  # noqa: E402
from trmsolve.model.kernels import MAX_HIDDEN_SIZE, MAX_SEQ_LEN, Kernels, reference_mode  # noqa: E402
from trmsolve.model.kernels.triton_kernels import gate_product as gate_product_kernel  # noqa: E402
from trmsolve.model.kernels.triton_kernels import gated_update as gated_update_kernel  # noqa: E402
from trmsolve.model.kernels.triton_kernels import mix_positions as mix_positions_kernel  # noqa: E402
from trmsolve.model.kernels.triton_kernels import residual_norm as residual_norm_kernel  # noqa: E402
from trmsolve.model.kernels.triton_kernels import segment_sum as segment_sum_kernel  # noqa: E402
from trmsolve.model.layers import EPS, GATES, SwiGLU, gated_update, post_norm  # noqa: E402
from trmsolve.model.mixers.mlp import mix_positions  # noqa: E402
from trmsolve.model.mixers.sequence import DenseLayout  # noqa: E402
from trmsolve.model.packing import pack  # noqa: E402
from trmsolve.model.segment import index_add_sum  # noqa: E402
from trmsolve.model.sequence_model import official  # noqa: E402
from trmsolve.model.trm import TRM  # noqa: E402
from trmsolve.tasks import get  # noqa: E402
from trmsolve.tasks.sequence import SequenceFormat  # noqa: E402
from trmsolve.tasks.sudoku import TASK  # noqa: E402
from trmsolve.tasks.sudoku.generate import generate  # noqa: E402

if not ON_GPU:
    os.environ.pop("TRITON_INTERPRET") if before is None else os.environ.update(TRITON_INTERPRET=before)

DEVICE = "cuda" if ON_GPU else "cpu"
# The interpreter multiplies no bfloat16 matrices.
DTYPES = [torch.float32, torch.bfloat16, torch.float16] if ON_GPU else [torch.float32, torch.float16]
ELEMENTWISE = [torch.float32, torch.bfloat16, torch.float16]
CLOSE = {torch.float32: 2e-5, torch.float16: 5e-3, torch.bfloat16: 3e-2}


@pytest.fixture(autouse=True)
def poisoned(monkeypatch) -> Iterator[None]:
    """Memory that no kernel writes to holds NaN."""
    if not ON_GPU:
        monkeypatch.setenv("TRITON_INTERPRET", "1")
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert torch.empty(3).isnan().all()
    with torch.inference_mode():
        yield
    torch.use_deterministic_algorithms(False)


def drawn(*shape: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).to(DEVICE, dtype)


def agrees(found: Tensor, formula: Tensor) -> None:
    """formula: from the same numbers in float32. The norm of the difference, so that no entry near zero decides."""
    assert found.shape == formula.shape and not formula.isnan().any()
    error = (found.float() - formula).norm() / formula.norm()
    assert error < CLOSE[found.dtype], f"relative error {error:.2g}"
    assert formula.std() > 0.1


def as_module(weight: Tensor) -> nn.Linear:
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    made.weight = nn.Parameter(weight.float())
    return made


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("busy", [1, 256])
@pytest.mark.parametrize(("rows", "width", "hidden"), [(1, 64, 128), (70, 24, 40), (16, 256, 96)])
def test_the_gate_with_all_around_it(rows, width, hidden, busy, dtype, monkeypatch):
    monkeypatch.setattr(kernels, "MIN_PROGRAMS", busy)
    h, both = drawn(rows, width, dtype=dtype), drawn(rows, 2 * hidden, dtype=dtype, seed=1)
    down = drawn(width, hidden, dtype=dtype, seed=2) / hidden**0.5
    found = gated_update_kernel(h, both, down)
    monkeypatch.setattr(kernels, "DEVICES", set())
    agrees(found, gated_update(h.float(), both.float(), as_module(down)))
    with torch.inference_mode(False), torch.enable_grad():  # as it trains
        agrees(found, gated_update(h.clone().float(), both.clone().float(), as_module(down.clone())).detach())
    assert width <= MAX_HIDDEN_SIZE


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize(
    ("puzzles", "length", "width", "hidden", "busy"), [(1, 81, 32, 128, 256), (2, 97, 40, 72, 1), (3, 5, 70, 32, 2)]
)
def test_the_mixing_of_places(puzzles, length, width, hidden, busy, gate, dtype, monkeypatch):
    monkeypatch.setattr(kernels, "MIN_PROGRAMS", busy)
    mix = SwiGLU(length, hidden, gate).to(DEVICE)
    generator = torch.Generator().manual_seed(3)
    for p in mix.parameters():
        p.copy_(torch.randn(p.shape, generator=generator).to(DEVICE, dtype) * p.shape[1] ** -0.5)
    h = drawn(puzzles * length, width, dtype=dtype, seed=4)
    up, down = (w.weight.to(dtype) for w in (mix.gate_up, mix.down))
    found = mix_positions_kernel(h, up, down, mix.normalised, EPS)
    monkeypatch.setattr(kernels, "DEVICES", set())
    agrees(found, mix_positions(h.float(), mix, DenseLayout(length)))
    assert length <= MAX_SEQ_LEN


@pytest.mark.parametrize("dtype", ELEMENTWISE)
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("shape", [(7, 192), (2, 5, 40), (2, 2 * 1536)])
def test_the_product_of_a_gate(shape, gate, dtype):
    both = drawn(*shape, dtype=dtype, seed=5)
    agrees(gate_product_kernel(both, gate == "normalised"), GATES[gate](*both.float().chunk(2, -1)))


@pytest.mark.parametrize("dtype", ELEMENTWISE)
@pytest.mark.parametrize(("rows", "width"), [(1, 512), (33, 40), (3, 1000)])
def test_the_norm_after_a_residual(rows, width, dtype):
    h, change = drawn(rows, width, dtype=dtype, seed=6), drawn(rows, width, dtype=dtype, seed=7)
    agrees(residual_norm_kernel(h, change, EPS), post_norm(h.float() + change.float()))


@pytest.mark.parametrize("dtype", ELEMENTWISE)
@pytest.mark.parametrize(("number", "longest"), [(21, 4), (3, 60)])
def test_sums_over_groups_and_nothing_beyond_the_last_of_them(number, longest, dtype):
    generator = torch.Generator().manual_seed(8)
    sizes = torch.randint(0, longest, (number,), generator=generator)
    sizes[0] = 0
    starts = torch.cat([torch.zeros(1, dtype=torch.long), sizes.cumsum(0)]).int()
    total = int(starts[-1])
    rows = torch.randint(0, 13, (total + 9,), generator=generator).int()  # nine that are nobody's
    h = drawn(13, 40, dtype=dtype, seed=9)
    found = segment_sum_kernel(h, rows.to(DEVICE), starts.to(DEVICE))
    agrees(found, index_add_sum(h.float(), rows[:total].to(DEVICE), starts.to(DEVICE)))
    assert (found[(sizes == 0).to(DEVICE)] == 0).all()


# -- in the model -----------------------------------------------------------------------------------------------
CONFIGS = {
    "units": TRMConfig(**SUDOKU_MODEL | {"hidden_size": 16, "intermediate_size": 32, "n": 1}),
    "grid": TRMConfig.from_dict({**get("maze").model_defaults, "hidden_size": 16, "intermediate_size": 32, "n": 1}),
    "mlp": official("mlp", 11, 16, hidden_size=16, prefix_len=2, T=1, n=1),
    "mlp, normalised gate": official("mlp", 11, 16, hidden_size=16, prefix_len=2, T=1, n=1, gate="normalised"),
    "attention": official("attention", 11, 16, hidden_size=16, prefix_len=2, num_heads=2, T=1, n=1),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_step_by_kernels_is_a_step_by_formulas(name, monkeypatch):
    torch.manual_seed(0)
    model = TRM(CONFIGS[name]).to(DEVICE)
    model.q_head.weight.normal_()
    if name == "units":
        encoded = [TASK.encode(generate(5, i, 4)[0]) for i in range(3)]
    elif name == "grid":
        encoded = [get("maze").encode(get("maze").generate(0, i, (5, 6))[0]) for i in range(3)]
    else:
        cells = torch.randint(1, 11, (3, 16)).numpy()
        encoded = [SequenceFormat.of(model.config).encode(row, row[:0], 0, 11) for row in cells]
    tokens, layout = pack(encoded)
    tokens, layout = tokens.to(DEVICE), layout.to(DEVICE)
    y, z = model.init_state(len(tokens), torch.float32)

    def step(devices: set[str]) -> tuple[list[Tensor], set[str]]:
        """What a step gives, and the kernels it ran on the way."""
        called: set[str] = set()

        def noted(kernel: str, function):
            return lambda *args: called.add(kernel) or function(*args)

        monkeypatch.setattr(kernels, "DEVICES", devices)
        every = Kernels(
            gated_update_kernel, residual_norm_kernel, gate_product_kernel, mix_positions_kernel, segment_sum_kernel
        )
        watched = Kernels(*(noted(*item) for item in every._asdict().items()))
        monkeypatch.setattr(kernels, "_load", lambda device: watched)
        return list(model(tokens, y, z, layout)), called

    formulas, none = step(set())
    by_kernels, some = step({DEVICE})
    assert none == set()
    assert some == {
        "units": {"gated_update", "segment_sum"},
        "grid": {"gated_update", "segment_sum"},
        "attention": {"residual_norm", "gate_product"},
    }.get(name, {"mix_positions", "residual_norm", "gate_product"})
    for a, b in zip(formulas, by_kernels, strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)


def test_kernels_stay_away_where_a_gradient_or_another_dtype_is_asked_for(monkeypatch):
    monkeypatch.setattr(kernels, "DEVICES", {"cpu"})
    monkeypatch.setattr(kernels, "_load", lambda device: "kernels")
    h = torch.zeros(2, 2)
    assert kernels.kernels_for(h, h) == "kernels"
    assert kernels.kernels_for(h, h.double()) is None
    with reference_mode():
        assert kernels.kernels_for(h, h) is None and kernels.kernels_on(h.device) is None
    with torch.autocast("cpu", torch.bfloat16):
        assert kernels.kernels_for(h, h) is None
    with torch.inference_mode(False), torch.enable_grad():
        assert kernels.kernels_for(h, h) is None


def test_kernels_can_be_turned_off_and_are_load_before_they_are_used(monkeypatch):
    monkeypatch.setattr(kernels, "DEVICES", {DEVICE})
    kernels._load.cache_clear()
    try:
        assert isinstance(kernels.kernels_on(torch.device(DEVICE)), Kernels)
        kernels._load.cache_clear()
        monkeypatch.setenv("TRMSOLVE_KERNELS", "off")
        assert kernels.kernels_on(torch.device(DEVICE)) is None
    finally:
        kernels._load.cache_clear()
