"""How much goes into a batch: as much as makes it no faster, or as the memory holds."""

from __future__ import annotations

import torch

from trmsolve.device import free_memory
from trmsolve.model.config import TRMConfig
from trmsolve.model.trm import TRM

# Beyond so many tokens, and so many runs, a larger batch is no faster, and answers come later.
ENOUGH = {"cpu": 1 << 14, "mps": 1 << 14, "cuda": 1 << 17}
RUNS = {"cpu": 32, "mps": 32, "cuda": 1024}
SHARE = 0.5  # of the free memory: the rest is for libraries, for what is cached, and for others


def runs_at_once(model: TRM) -> int:
    """Runs in the batch, unless somebody says otherwise. Their tokens may allow fewer."""
    return RUNS.get(next(model.parameters()).device.type, 32)


def tokens_at_once(model: TRM) -> int:
    """Tokens of a batch at most, on the device where the model is."""
    device = next(model.parameters()).device
    enough, free = ENOUGH.get(device.type, 1 << 14), free_memory(device)
    if free is None:
        return enough
    size = next(model.layers.parameters()).element_size()
    return max(1, min(enough, int(SHARE * free / (size * numbers_per_token(model.config)))))


def numbers_per_token(config: TRMConfig) -> int:
    """A generous estimate of how many numbers a token needs at the same time, in a layer of f.

    The states, and what they are summed and normalised to; the two halves of the hidden layer, their product and the
    sums that units hear; where places are mixed, the hidden layer of the places, shared by their tokens.
    """
    places = 4 * config.place_hidden * config.width // max(1, config.length)
    return 16 * config.width + 10 * config.hidden + 4 * config.options + places


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this says that memory has run out, in any of the ways in which torch and numpy say so."""
    said = (
        "CUBLAS_STATUS_ALLOC_FAILED",
        "CUDA error: out of memory",
        "DefaultCPUAllocator",
        "MPS backend out of memory",
    )
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if isinstance(error, RuntimeError) and any(words in str(error) for words in said):
        return True
    before = error.__cause__ or error.__context__  # a recording that memory ends complains of having been ended
    return before is not None and is_out_of_memory(before)
