"""Start the processes of a group in tests, with a store in the parent as torchrun has it."""

from __future__ import annotations

import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import torch.distributed as dist

from trmsolve import distributed
from trmsolve.distributed import ProcessGroup

BOUND = 600.0  # seconds after which a process that hangs is killed: far more than any of them needs


def process_context() -> Any:
    """A context whose fork server imports torch and the functions of the tests once."""
    if os.name == "nt":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["test_stream", "training.workers"])
    path = os.environ.get("PYTHONPATH")
    try:  # the server does not get this process's sys.path
        os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *([path] if path else [])])
        forkserver.ensure_running()
    finally:
        os.environ.pop("PYTHONPATH") if path is None else os.environ.update(PYTHONPATH=path)
    return context


class Group:
    """Running processes. Each calls function(group, *args) within ProcessGroup.joined()."""

    def __init__(self, size: int, folder: Path, function: Callable[..., Any], *args: Any) -> None:
        context = process_context()
        self.store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        self.files = [folder / f"process {rank}.txt" for rank in range(size)]
        self.processes = [
            context.Process(target=_run, args=(rank, size, self.store.port, self.files[rank], function, args))
            for rank in range(size)
        ]
        for process in self.processes:
            process.start()

    def join(self) -> list[int | None]:
        """Wait for all; their exit codes, None for those that had to be killed."""
        for process in self.processes:
            process.join(BOUND)
        codes = [process.exitcode for process in self.processes]
        for process in self.processes:
            process.kill()
        return codes

    def outputs(self) -> list[str]:
        """What each process printed."""
        return [path.read_text() if path.exists() else "" for path in self.files]


def _run(rank: int, size: int, port: int, file: Path, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    sys.stdout = sys.stderr = file.open("w", buffering=1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"
    distributed.HEARTBEAT, distributed.GRACE = 0.2, 2.0
    try:
        with ProcessGroup.joined() as group:
            function(group, *args)
    except SystemExit:
        raise
    except BaseException as error:
        print(f"{type(error).__name__}: {error}")
        if os.environ.get("TRMSOLVE_DEBUG"):
            traceback.print_exc()
        sys.exit(2)
