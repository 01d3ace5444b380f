"""Several processes that train one model together, started by torchrun on one machine or on many:

    torchrun --nproc-per-node 2 -m trmsolve -- train --task sudoku ...

(-- because torchrun would take --run for one of its own options that begin so.)

Each computes its share of every batch (batch.py); gradients are summed, so that all take the same step with the same
weights. This is one flat sum and no DistributedDataParallel, because losses are normalised by the whole batch before
(DDP takes the mean over processes, which is wrong where they hold unequally many tokens), and because networks this
small fit into one message. Whoever trains alone is a team of one, for whom all of this does nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

from trmsolve.errors import TrmsolveError
from trmsolve.place import place
from trmsolve.training.pulse import Pulse

if TYPE_CHECKING:
    from typing_extensions import Self

PATIENCE = timedelta(days=1)  # the first process may measure for long; that nobody has died is the pulse's to watch


class Everyones(TrmsolveError):
    """An error that all processes of a team meet alike, so that one of them may say it for all."""


class Lost(Everyones):
    """Another process of the team is gone, so that this one cannot go on."""


@dataclass(frozen=True)
class Team:
    """The processes of a run, by number from 0. The first decides, shows and writes."""

    rank: int = 0
    size: int = 1
    pulse: Pulse | None = None

    @property
    def first(self) -> bool:
        """Whether this process is the one that decides."""
        return self.rank == 0

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes: one message. All of one dtype, on one device."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([t.reshape(-1) for t in tensors])
        with self._together():
            dist.all_reduce(flat)
        parts = flat.split([t.numel() for t in tensors])
        torch._foreach_copy_(list(tensors), [part.view_as(t) for part, t in zip(parts, tensors, strict=True)])

    def adding(self, values: Tensor) -> Callable[[], Tensor]:
        """Begin to sum a tensor on the CPU, in place; what is returned waits for it and gives it back."""
        if self.size == 1:
            return lambda: values
        with self._together():
            work = dist.all_reduce(values, async_op=True)

        def added() -> Tensor:
            with self._together():
                work.wait()
            return values

        return added

    def told(self, value: Any) -> Any:
        """The first process's value, for everyone. Tensors in it must be on the CPU."""
        if self.size == 1:
            return value
        box = [value if self.first else None]
        with self._together():
            dist.broadcast_object_list(box)
        return box[0]

    def collected(self, value: Any) -> list[Any] | None:
        """Everyone's value, by rank, for the first process; None for the others. Tensors in it must be on the CPU."""
        if self.size == 1:
            return [value]
        boxes = [None] * self.size if self.first else None
        with self._together():
            dist.gather_object(value, boxes)
        return boxes

    def agree(self, **values: Any) -> None:
        """Raise TrmsolveError where a value is not what it is in the first process: `data`, `config`, ..."""
        for name, theirs in self.told(values).items():
            if theirs != values[name]:
                raise TrmsolveError(
                    f"process {self.rank} has another {name} than process 0",
                    "give all of them the same command, the same files and the same version",
                )

    @contextmanager
    def _together(self) -> Iterator[None]:
        """An exchange with the others, who may be gone."""
        try:
            yield
        except RuntimeError as error:  # gloo says what its socket said; NCCL's errors are RuntimeErrors too
            assert self.pulse is not None
            reason = self.pulse.failure(wait=2.0) or f"process {self.rank} has lost another one"
            raise Lost(reason, "the same command goes on from the last save") from error

    @classmethod
    @contextmanager
    def joined(cls, device: torch.device) -> Iterator[Self]:
        """The team that torchrun has put this process into; alone where nobody did.

        It ends when all have come to the end of the block. Where one fails, the others end within seconds with a
        Lost, or by Pulse when they are waiting for something else.
        """
        if (where := place()) is None:
            yield cls()
            return
        if not dist.is_available():
            raise TrmsolveError("this torch cannot train with several processes", "start trmsolve without torchrun")
        if device.type not in ("cpu", "cuda"):
            raise TrmsolveError(f"several processes cannot train on {device.type}", "use --device cpu or cuda")
        if device.type == "cuda":
            torch.cuda.set_device(device)
        # The host's own messages go through gloo in any case: they must not wait for what the GPU has to do.
        try:
            dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
            team = cls(where.rank, where.size, Pulse(where.rank, where.size))
        except (RuntimeError, ValueError, OSError) as error:
            raise TrmsolveError(f"process {where.rank} cannot join the others: {_said(error)}") from error
        team.pulse.start()
        try:
            yield team
            team.told(None)  # the first measures what came of it; nobody leaves before
            team.collected(None)
        except BaseException as error:
            team.pulse.fail("" if isinstance(error, Lost) else _said(error))
            raise  # without destroying the group, which would wait for the others
        team.pulse.stop()
        dist.destroy_process_group()


def device_of(request: str) -> str:
    """`--device` as this process takes it: each has a GPU of its own. Raises TrmsolveError where there are too few."""
    where = place()
    if where is None:
        return request
    if re.fullmatch(r"cuda:\d+", request) and where.local_size > 1:
        raise TrmsolveError(f"--device {request}: several processes cannot share a GPU", "--device cuda: each its own")
    if request == "cuda" or (request == "auto" and torch.cuda.is_available()):
        if 0 < (there := torch.cuda.device_count()) < where.local_size:
            raise TrmsolveError(f"{where.local_size} processes, but {there} GPU(s)", f"--nproc-per-node {there}")
        return f"cuda:{where.local_rank}"
    return request


def everyones(error: TrmsolveError) -> bool:
    """Whether all processes meet this error, as they do what is wrong with the command before they are a team."""
    return isinstance(error, Everyones) or not dist.is_initialized()


def _said(error: BaseException) -> str:
    """An error on one line."""
    kind = "" if isinstance(error, TrmsolveError) else type(error).__name__
    text = getattr(error, "message", "") or " ".join(str(error).split())[:200]
    return ": ".join(part for part in (kind, text) if part)
