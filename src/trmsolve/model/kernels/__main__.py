"""python -m trmsolve.model.kernels: compare each kernel with its formula, on this machine's GPU.

For every shape: seconds of the formula and of the kernel (medians), their ratio, and the relative difference of the
results in the device's dtype. Calls are timed in a CUDA graph, as the solver launches them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from time import perf_counter
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from trmsolve.device import resolve_device
from trmsolve.model import kernels
from trmsolve.model.layers import SwiGLU, gated_update, residual_norm
from trmsolve.model.mixers.mlp import mix_positions
from trmsolve.model.mixers.sequence import DenseLayout
from trmsolve.model.segment import csr_of_assignments, segment_sum
from trmsolve.model.sequence_model import swiglu_size

Case = tuple[str, Callable[[], Tensor]]


def cases(on: torch.device, dtype: torch.dtype, puzzles: list[int]) -> Iterator[Case]:
    """The shapes of the bundled networks and of the published one for Sudoku, for these numbers of puzzles."""

    def randn(*shape: int) -> Tensor:
        return torch.randn(shape, device=on, dtype=dtype)

    for number in puzzles:
        tokens, units = 230 * number, 110 * number  # of a hard Sudoku
        h, mixed, down = randn(tokens, 64), randn(tokens, 256), nn.Linear(128, 64, bias=False, device=on, dtype=dtype)
        yield f"gated_update, {tokens} tokens of 64", partial(gated_update, h, mixed, down)
        units_of_token = np.random.default_rng(0).integers(units, size=(tokens, 4)) + units * np.arange(4)
        csr = csr_of_assignments(units_of_token, tokens, 4 * units).to(on)
        yield f"segment_sum, {4 * units} units of 64", partial(segment_sum, h, csr)
        yield f"segment_sum, {tokens} tokens of 256", partial(segment_sum, randn(4 * units, 256), csr.transposed)
        mix, cells = SwiGLU(97, swiglu_size(97)).to(on, dtype), randn(97 * number, 512)
        yield f"mix_positions, {number} x 97 positions of 512", partial(mix_positions, cells, mix, DenseLayout(97))
        yield f"SwiGLU, {97 * number} tokens of 512", partial(SwiGLU(512, swiglu_size(512)).to(on, dtype), cells)
        yield f"residual_norm, {97 * number} tokens of 512", partial(residual_norm, cells, randn(97 * number, 512))


def seconds(function: Callable[[], Tensor], on: torch.device, times: int) -> float:
    """Seconds of one call, the median of several measurements."""
    graph = None
    if on.type == "cuda":
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            function()
        side.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(times):
                function()
    durations = []
    for _ in range(7):
        started = perf_counter()
        if graph is None:
            function()
        else:
            graph.replay()
            torch.cuda.synchronize()
        durations.append((perf_counter() - started) / (times if graph else 1))
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
