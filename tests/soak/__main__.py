"""The soak in its long form: python -m tests.soak --minutes 60 --kills 20. It prints what docs/records.md may say."""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from . import COMMAND, killed
from .stream import GROWTH, Stream


def main() -> int:
    """Run the parts that are asked for; the exit code says whether all went well."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="of the stream; 0: none")
    parser.add_argument("--bad", type=float, default=0.25, help="share of its lines that are no puzzle")
    parser.add_argument("--kills", type=int, default=20, help="of the training; 0: none")
    parser.add_argument("--steps", type=int, default=600, help="of the training that is killed")
    parser.add_argument("--processes", type=int, default=1, help="that work on the stream, by torchrun")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        well = [part(Path(folder), asked) for part in (stream, terminated, training)]
    return 0 if all(well) else 1


def stream(folder: Path, asked: argparse.Namespace) -> bool:
    """The long stream."""
    if not asked.minutes:
        return True
    shared = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(asked.processes), "-m", "trmsolve"]
    command, code = (COMMAND, 2) if asked.processes == 1 else (shared, 1)  # torchrun makes 1 of every failure
    outcome = Stream(folder, 60 * asked.minutes, asked.bad, asked.seed, command).run()
    print(f"stream: {outcome}\n  {outcome.said}", flush=True)
    return outcome.code == code and outcome.growth < GROWTH


def terminated(folder: Path, asked: argparse.Namespace) -> bool:
    """A stream that SIGTERM ends."""
    if not asked.minutes:
        return True
    outcome = Stream(folder, 10, asked.bad, asked.seed, end=signal.SIGTERM).run()
    print(
        f"terminated stream: {outcome.records:,} lines answered, exit code {outcome.code}, {outcome.said}", flush=True
    )
    return outcome.code == 143 and outcome.said == "terminated"


def training(folder: Path, asked: argparse.Namespace) -> bool:
    """Training that is killed."""
    if not asked.kills:
        return True
    one, other, started = folder / "left_alone", folder / "killed", time.monotonic()
    killed.finished(one, asked.steps)
    reached = killed.killed(other, asked.steps, asked.kills, asked.seed)
    killed.finished(other, asked.steps)
    differences = killed.differences(one, other)
    print(
        f"training: {asked.steps} steps, killed {asked.kills} times, at steps {reached}, "
        f"in {time.monotonic() - started:,.0f} s; "
        + (
            f"DIFFERENT: {differences}"
            if differences
            else "every tensor of state and checkpoint is bit for bit that of a run left alone"
        ),
        flush=True,
    )
    return not differences


if __name__ == "__main__":
    sys.exit(main())
