"""python -m trmsolve.model.kernels: compare each kernel with its formula, on this machine's GPU.

For every shape: seconds by the formula and by the kernel (median of many), their ratio, and the relative difference of
the results in the device's dtype. A CUDA graph is what launches them in the solver, so a graph is what is timed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from statistics import median
from time import perf_counter
from unittest.mock import patch

import torch
from torch import Tensor, nn

from trmsolve.device import resolve_device
from trmsolve.model import kernels
from trmsolve.model.layers import SwiGLU, gated_update, residual_norm
from trmsolve.model.mixers.mlp import mix_positions
from trmsolve.model.mixers.sequence import DenseLayout
from trmsolve.model.segment import CSR, segment_sum
from trmsolve.model.sequence_model import swiglu_size

Case = tuple[str, Callable[[], Tensor]]


def cases(on: torch.device, dtype: torch.dtype, puzzles: list[int]) -> Iterator[Case]:
    """The shapes of the bundled networks and of the published one for Sudoku, for these numbers of puzzles."""

    def randn(*shape: int) -> Tensor:
        return torch.randn(shape, device=on, dtype=dtype)

    for number in puzzles:
        tokens, units = 230 * number, 110 * number  # of a hard Sudoku
        h, both, down = randn(tokens, 64), randn(tokens, 256), nn.Linear(128, 64, bias=False, device=on, dtype=dtype)
        yield f"gated_update, {tokens} tokens of 64", lambda h=h, both=both, down=down: gated_update(h, both, down)
        unit_of_token = torch.randint(units, (4, tokens), device=on) + units * torch.arange(4, device=on)[:, None]
        order = unit_of_token.flatten().argsort(stable=True)
        starts = torch.cat([order.new_zeros(1), unit_of_token.flatten().bincount(minlength=4 * units).cumsum(0)])
        back = torch.arange(0, 4 * tokens + 1, 4, device=on)
        csr = CSR(*(t.int() for t in (order % tokens, starts, unit_of_token.T.flatten(), back)))
        yield f"segment_sum, {4 * units} units of 64", lambda h=h, csr=csr: segment_sum(h, csr)
        messages = randn(4 * units, 256)
        yield (
            f"segment_sum, {tokens} tokens of 256",
            lambda messages=messages, csr=csr: segment_sum(messages, csr.transposed),
        )
        rows, wide = DenseLayout(97), randn(97 * number, 512)
        mix = SwiGLU(97, swiglu_size(97)).to(on, dtype)
        yield (
            f"mix_positions, {number} x 97 positions of 512",
            lambda h=wide, mix=mix, rows=rows: mix_positions(h, mix, rows),
        )
        mlp, update = SwiGLU(512, swiglu_size(512)).to(on, dtype), randn(97 * number, 512)
        yield f"SwiGLU, {97 * number} tokens of 512", lambda h=wide, mlp=mlp: mlp(h)
        yield f"residual_norm, {97 * number} tokens of 512", lambda h=wide, update=update: residual_norm(h, update)


def seconds(function: Callable[[], Tensor], on: torch.device, times: int) -> float:
    """Of one call, the median of several measurements."""
    if on.type == "cuda":
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            function()
        side.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(times):
                function()
        call, wait = graph.replay, torch.cuda.synchronize
    else:
        call, wait = function, lambda: None
        times = 1
    durations = []
    for _ in range(7):
        started = perf_counter()
        call()
        wait()
        durations.append((perf_counter() - started) / times)
    return median(durations)


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m trmsolve.model.kernels", description=__doc__.partition("\n")[0])
    parser.add_argument("--puzzles", type=int, nargs="+", default=[1, 32, 256, 1024], help="numbers of puzzles")
    parser.add_argument("--times", type=int, default=50, help="calls in a graph")
    arguments = parser.parse_args()
    spec = resolve_device()
    if kernels.kernels_on(spec.device) is None:
        print(f"no kernels here, they need a CUDA device and Triton; using {spec}", file=sys.stderr)
        return 2
    print(f"{spec}\n{'':44} {'formula':>10} {'kernel':>10} {'ratio':>6} {'difference':>10}")
    torch.manual_seed(0)
    with torch.inference_mode():
        for name, function in cases(spec.device, spec.dtype, arguments.puzzles):
            kernel, by_kernel = function(), seconds(function, spec.device, arguments.times)
            with patch.object(kernels, "DEVICES", set()):
                formula, by_formula = function(), seconds(function, spec.device, arguments.times)
            off = float((kernel.float() - formula.float()).norm() / formula.float().norm())
            ratio = by_formula / by_kernel
            print(f"{name:44} {by_formula * 1e6:8.1f}us {by_kernel * 1e6:8.1f}us {ratio:6.2f} {off:10.1e}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
