"""python -m trmsolve.model.kernels: each kernel against the formula that it stands for, on this machine's GPU.

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

from trmsolve import device
from trmsolve.model import kernels
from trmsolve.model.gate import gated
from trmsolve.model.layout import Rows
from trmsolve.model.mlp import mixed
from trmsolve.model.official import inner_width
from trmsolve.model.pool import Groups, pool
from trmsolve.model.swiglu import SwiGLU, added

Race = tuple[str, Callable[[], Tensor]]


def races(on: torch.device, dtype: torch.dtype, puzzles: list[int]) -> Iterator[Race]:
    """What the bundled networks and the published one for Sudoku ask for, with so many puzzles."""

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, device=on, dtype=dtype)

    for number in puzzles:
        tokens, units = 230 * number, 110 * number  # of a hard Sudoku
        h, both, down = drawn(tokens, 64), drawn(tokens, 256), nn.Linear(128, 64, bias=False, device=on, dtype=dtype)
        yield f"gated, {tokens} tokens of 64", lambda h=h, both=both, down=down: gated(h, both, down)
        of_token = torch.randint(units, (4, tokens), device=on) + units * torch.arange(4, device=on)[:, None]
        order = of_token.flatten().argsort(stable=True)
        starts = torch.cat([order.new_zeros(1), of_token.flatten().bincount(minlength=4 * units).cumsum(0)])
        back = torch.arange(0, 4 * tokens + 1, 4, device=on)
        groups = Groups(*(t.int() for t in (order % tokens, starts, of_token.T.flatten(), back)))
        yield f"sums, {4 * units} units of 64", lambda h=h, groups=groups: pool(h, groups)
        heard = drawn(4 * units, 256)
        yield f"sums, {tokens} tokens of 256", lambda heard=heard, groups=groups: pool(heard, groups.transposed)
        rows, wide = Rows(97), drawn(97 * number, 512)
        mix = SwiGLU(97, inner_width(97)).to(on, dtype)
        yield f"mixed, {number} x 97 places of 512", lambda h=wide, mix=mix, rows=rows: mixed(h, mix, rows)
        mlp, change = SwiGLU(512, inner_width(512)).to(on, dtype), drawn(97 * number, 512)
        yield f"SwiGLU, {97 * number} tokens of 512", lambda h=wide, mlp=mlp: mlp(h)
        yield f"added, {97 * number} tokens of 512", lambda h=wide, change=change: added(h, change)


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
    found = []
    for _ in range(7):
        started = perf_counter()
        call()
        wait()
        found.append((perf_counter() - started) / times)
    return median(found)


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m trmsolve.model.kernels", description=__doc__.partition("\n")[0])
    parser.add_argument("--puzzles", type=int, nargs="+", default=[1, 32, 256, 1024], help="batch sizes to race at")
    parser.add_argument("--times", type=int, default=50, help="calls in a graph")
    asked = parser.parse_args()
    choice = device.choose()
    if kernels.kernels_on(choice.device) is None:
        print(f"no kernels here, they need a CUDA device and Triton; found: {choice}", file=sys.stderr)
        return 2
    print(f"{choice}\n{'':44} {'formula':>10} {'kernel':>10} {'ratio':>6} {'difference':>10}")
    torch.manual_seed(0)
    with torch.inference_mode():
        for name, function in races(choice.device, choice.dtype, asked.puzzles):
            kernel, by_kernel = function(), seconds(function, choice.device, asked.times)
            with patch.object(kernels, "DEVICES", set()):
                formula, by_formula = function(), seconds(function, choice.device, asked.times)
            off = float((kernel.float() - formula.float()).norm() / formula.float().norm())
            ratio = by_formula / by_kernel
            print(f"{name:44} {by_formula * 1e6:8.1f}us {by_kernel * 1e6:8.1f}us {ratio:6.2f} {off:10.1e}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
