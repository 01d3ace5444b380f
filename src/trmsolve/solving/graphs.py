"""CUDA graphs: a function of tensors that stay where they are, launched as a whole."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from trmsolve.solving.memory import is_out_of_memory

Said = TypeVar("Said")

WARM_UP = 2  # calls before it is recorded: libraries choose their kernels, Triton compiles its own

log = logging.getLogger("trmsolve")


class CudaGraphs:
    """Records functions on one device. All its graphs share their memory, as only one runs at a time.

    What a replay returns is overwritten by the next replay of any of them: copy it first, on the same stream.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.why_not = ""  # why functions are called as they are, after a recording has failed
        self._pool = None

    def __call__(self, function: Callable[[], Said]) -> Callable[[], Said]:
        """The function as a graph, or as it is where no graph can be had. Raises what warming it up raises."""
        if self.why_not:
            return function
        with torch.cuda.device(self.device):
            self._warm_up(function)
            graph = torch.cuda.CUDAGraph()
            if self._pool is None:
                self._pool = torch.cuda.graph_pool_handle()
            try:
                # thread_local: the threads that read the input may use the device's library meanwhile
                with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                    result = function()
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise
                self.why_not = str(error).splitlines()[0]
                log.info("steps are launched kernel by kernel: recording one failed (%s)", self.why_not)
                return function

        def replay() -> Said:
            graph.replay()
            return result

        return replay

    def _warm_up(self, function: Callable[[], Said]) -> None:
        side, current = torch.cuda.Stream(), torch.cuda.current_stream()
        side.wait_stream(current)
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                function()
        current.wait_stream(side)
