"""Estimate the memory that a run needs, before it is allocated."""

from __future__ import annotations

import dataclasses
import math
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from trmsolve.device import available_memory, free_memory
from trmsolve.distributed import get_dist_info
from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.trm import TRM
from trmsolve.tasks.base import Sample
from trmsolve.training.carry import Carry, LossNormalizer, SlotSchedule
from trmsolve.training.config import TrainConfig
from trmsolve.training.train_step import supervision_step

PARAMETER_COPIES = 6  # weights, gradients, average, two moments of the optimizer, and a copy while a run is saved
NUM_SAMPLES = 4  # puzzles that are measured
TEMPORARIES = 1.3  # memory of a step, relative to the tensors saved for its backward pass


def check_memory(
    config: TrainConfig,
    model_config: TRMConfig,
    draw: Callable[[int], Sample],
    device: torch.device,
    bf16: bool,
    world_size: int = 1,
) -> None:
    """Raise TrmsolveError where a run would not fit into the free memory, before it is taken."""
    info = get_dist_info()
    available = free_memory(device) if device.type == "cuda" else available_memory()
    if available is not None and info is not None and device.type == "cpu":
        available //= info.local_world_size
    check_batch_size(estimate_memory(config, model_config, draw, bf16, available), config, world_size, available)


class MemoryEstimate(NamedTuple):
    """Bytes that a process needs."""

    fixed: int  # weights and optimizer
    per_slot: int  # a puzzle with its states
    per_slot_in_step: int  # saved for the backward pass, for each puzzle of a micro-batch

    def total(self, batch_size: int, grad_accum_steps: int, world_size: int = 1) -> int:
        """Bytes that each of the processes needs."""
        slots = math.ceil(batch_size / world_size)
        return self.fixed + slots * self.per_slot + math.ceil(slots / grad_accum_steps) * self.per_slot_in_step


def estimate_memory(
    config: TrainConfig, model_config: TRMConfig, draw: Callable[[int], Sample], bf16: bool, available: int | None
) -> MemoryEstimate:
    """Measure a step of a few puzzles on the CPU. Raises TrmsolveError if the weights alone exceed `available` bytes.

    Counts the tensors that autograd saves in an eager step, each storage once; a compiled step needs less.
    """
    fixed = PARAMETER_COPIES * 4 * _min_parameters(model_config)
    if available is not None and fixed > available:
        raise TrmsolveError(
            f"training a model of this size needs about {gigabytes(fixed)} of memory, "
            f"{gigabytes(available)} are available",
            "choose a smaller model: lower --hidden-size, or --set model.num_layers=",
        )
    deepest = max([model_config.n, *(n for _, _, n in config.depth_curriculum)])
    T = max([model_config.T, *(T for _, T, _ in config.depth_curriculum)]) if config.full_gradient else 1
    model = TRM(dataclasses.replace(model_config, T=T, n=deepest))  # recursions without gradient save nothing
    fixed = PARAMETER_COPIES * sum(_num_bytes(t) for t in model.state_dict().values())
    number = min(NUM_SAMPLES, config.batch_size)
    schedule = SlotSchedule(number, model_config.N_sup, config.seed, 0.0)
    carry = Carry(draw, model, schedule, range(number), torch.bfloat16 if bf16 else torch.float32)
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    saved: dict[int, int] = {}  # address of a storage -> bytes

    def pack(t: Tensor) -> Tensor:
        storage = t.untyped_storage()
        if storage.data_ptr() not in parameters:
            saved[storage.data_ptr()] = storage.nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        normalizer = LossNormalizer(carry.labels.weight.sum(), number)
        output = supervision_step(model, config, bf16, carry.tokens, carry.y, carry.z, carry.labels, normalizer)
    in_step = config.bptt_steps * TEMPORARIES * sum(saved.values())
    del output
    puzzles = sum(len(pickle.dumps(sample)) for sample in carry.samples)
    puzzles += sum(_num_bytes(leaf) for leaf in tree_leaves((carry.tokens, carry.labels, carry.y, carry.z)))
    return MemoryEstimate(fixed, math.ceil(puzzles / number), math.ceil(in_step / number))


def check_batch_size(estimate: MemoryEstimate, config: TrainConfig, world_size: int, available: int | None) -> None:
    """Raise TrmsolveError if a batch needs more than the available bytes of a process."""
    needed = estimate.total(config.batch_size, config.grad_accum_steps, world_size)
    if available is None or needed <= available:
        return
    per_slot = estimate.per_slot + estimate.per_slot_in_step / config.grad_accum_steps
    fits = max(1, int((available - estimate.fixed) / per_slot * world_size))
    raise TrmsolveError(
        f"--batch-size {config.batch_size} needs about {gigabytes(needed)} of memory, "
        f"{gigabytes(available)} are available",
        f"use --batch-size {fits} or less, or more --grad-accum-steps",
    )


def gigabytes(num_bytes: int) -> str:
    """A number of bytes as text: 1.5 GB."""
    return f"{num_bytes / 1e9:,.1f} GB"


def _min_parameters(c: TRMConfig) -> int:
    """A lower bound of the number of parameters, from gated units and tables, known without building the model."""
    return (c.num_layers + c.num_y_layers) * 3 * c.hidden_size * c.intermediate_size + c.num_puzzles * c.hidden_size


def _num_bytes(value: Any) -> int:
    return value.nbytes if isinstance(value, Tensor) else 0
