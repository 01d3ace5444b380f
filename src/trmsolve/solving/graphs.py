"""CUDA graphs: a function of tensors that stay where they are, launched as a whole."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from typing import TypeVar

import torch

from trmsolve.solving.memory import is_out_of_memory

Said = TypeVar("Said")

WARM_UP = 2  # calls before it is recorded: libraries choose their kernels, Triton compiles its own

log = logging.getLogger("trmsolve")


class CudaGraphs:
    """Records functions on one device. All its graphs share their memory, as only one runs at a time.

    It has streams of its own: what a library keeps for the stream that is recorded lies in the graphs' memory, and must
    not be dropped with those of somebody else.

    What a replay returns is overwritten by the next replay of any of them: copy it first, on the same stream.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.why_not = ""  # why functions are called as they are, after a recording has failed
        self._pool = None
        self._recorded = weakref.WeakSet[torch.cuda.CUDAGraph]()
        self._warming, self._recording = (torch.cuda.Stream(device) for _ in range(2))

    def __call__(self, function: Callable[[], Said]) -> Callable[[], Said]:
        """The function as a graph, or as it is where no graph can be had. Raises what warming it up raises."""
        if self.why_not:
            return function
        with torch.cuda.device(self.device):
            self._warm_up(function)
            graph, current = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
            if not self._recorded:  # memory that no graph uses any more may be gone
                self._pool = torch.cuda.graph_pool_handle()
            try:
                # thread_local: the threads that read the input may use the device's library meanwhile
                with torch.cuda.graph(graph, self._pool, self._recording, capture_error_mode="thread_local"):
                    result = function()
            except RuntimeError as error:
                torch.cuda.set_stream(current)  # which a recording that fails does not come back to
                if is_out_of_memory(error):
                    raise
                self.why_not = str(error).splitlines()[0]
                log.info("steps are launched kernel by kernel: recording one failed (%s)", self.why_not)
                return function
            self._recorded.add(graph)

        def replay() -> Said:
            graph.replay()
            return result

        return replay

    def _warm_up(self, function: Callable[[], Said]) -> None:
        current = torch.cuda.current_stream()
        self._warming.wait_stream(current)
        with torch.cuda.stream(self._warming):
            for _ in range(WARM_UP):
                function()
        current.wait_stream(self._warming)
