"""trmsolve doctor: what is installed, which device would be used, and whether solving works."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trmsolve import __version__, checkpoint, device
from trmsolve.cli import options as o
from trmsolve.cli.output import aligned
from trmsolve.cli.run import ERROR, SOLVED, command, echo_err
from trmsolve.errors import TrmsolveError
from trmsolve.threads import num_cores, tuner

PACKAGES = ("torch", "numpy", "safetensors", "huggingface-hub", "typer", "rich", "pillow")
SELF_TEST = "4.....8.5.3..........7......2.....6.....8.4......1.......6.3.7.5..2.....1.4......"

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    name: str
    value: str
    status: Status = "ok"
    hint: str = ""  # what to do about it; "" when all is well


@dataclass(frozen=True)
class DoctorArgs:
    """The option of trmsolve doctor."""

    as_json: bool = o.AS_JSON()


@command(DoctorArgs)
def doctor(args: DoctorArgs) -> int:
    """Check versions, devices, the cache and checkpoints, and run a self-test.

    Exit code: 0 everything works, 2 something does not.
    """
    checks = diagnose(_solve)
    if args.as_json:
        keys = ("name", "value", "status", "hint")
        print(json.dumps([{key: getattr(check, key) for key in keys} for check in checks], indent=2))
    else:
        for line, check in zip(aligned([(c.status, c.name, c.value) for c in checks]), checks, strict=True):
            print(line)
            if check.hint:
                echo_err(f"      {check.hint}")
    return ERROR if any(check.status == "fail" for check in checks) else SOLVED


def diagnose(solve: Callable[[], tuple[bool, str]] | None = None) -> list[Check]:
    """All checks, in the order of the report. solve: a self-test that returns (whether it worked, a description).

    Never raises: a check that raises an exception is reported as failed.
    """
    checks: list[Check] = []
    for part in (_versions, _processor, _devices, _compiler, _folders, _checkpoints, _terminal):
        try:
            checks.extend(part())
        except Exception as error:  # one broken check must not end the report
            name = part.__name__.strip("_")
            checks.append(Check(name, f"{type(error).__name__}: {error}", "fail", "please report this"))
    if solve is not None:
        checks.append(_self_test(solve))
        checks.append(Check("threads", f"{tuner().describe()}; training uses {tuner().most} that wait passively"))
    return checks


def _versions() -> Iterator[Check]:
    yield Check("trmsolve", f"{__version__} in {Path(__file__).parents[1]}")
    yield Check("python", f"{platform.python_version()} ({platform.python_implementation()}) {sys.executable}")
    yield Check("platform", platform.platform())
    for name in PACKAGES:
        try:
            yield Check(name, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Check(name, "missing", "fail", f"pip install {name}")


def _processor() -> Iterator[Check]:
    import torch

    yield Check("cpu", f"{_cpu_name()}, {torch.backends.cpu.get_cpu_capability()}")
    usable, threads = usable_cores(), torch.get_num_threads()
    value = f"{usable:g} usable of {os.cpu_count()}, torch uses {threads} thread{'s' * (threads > 1)}"
    if threads > max(1, usable):
        hint = f"too many threads slow each other down: set OMP_NUM_THREADS={int(usable) or 1}"
        yield Check("cores", value, "warn", hint)
    else:
        yield Check("cores", value)


def usable_cores() -> float:
    """Cores this process may use: its affinity, cut by the container's CPU quota (cgroup v2)."""
    cores = float(num_cores())
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return min(cores, int(quota) / int(period))
    except (OSError, ValueError):  # no cgroup, or "max"
        return cores


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _devices() -> Iterator[Check]:
    import torch

    for index in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(index)
        yield Check(f"cuda:{index}", f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB")
    if torch.backends.mps.is_available():
        yield Check("mps", "Apple GPU")
    yield Check("would use", str(device.resolve_device()))


def _compiler() -> Iterator[Check]:
    """torch.compile on the CPU needs a C++ compiler and Python's headers; without them, training is slower."""
    names = (os.environ.get("CXX", ""), "c++", "g++", "clang++", "cl")
    compiler = next((path for name in names if name and (path := shutil.which(name))), None)
    headers = Path(sysconfig.get_path("include"), "Python.h").is_file()
    if compiler and headers:
        yield Check("compiler", compiler)
    else:
        missing = " and ".join(["no C++ compiler"] * (not compiler) + ["no Python.h"] * (not headers))
        hint = "solving works without; for faster training: apt install g++ python3-dev"
        yield Check("compiler", missing, "warn", hint)


def _folders() -> Iterator[Check]:
    try:
        cache = checkpoint.cache_dir()
    except TrmsolveError as error:
        yield Check("cache", error.message, "fail", error.hint)
        return
    size = f", {_size(cache) / 1e6:,.1f} MB" if cache.is_dir() else ", not created yet"
    if _writable(cache):
        yield Check("cache", f"{cache}{size}")
    else:
        hint = "set TRMSOLVE_CACHE to a writable folder, which trmsolve checkpoints pull needs"
        yield Check("cache", f"{cache}, not writable", "warn", hint)


def _writable(folder: Path) -> bool:
    """Whether files can be created in the folder, or in its nearest existing parent."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _checkpoints() -> Iterator[Check]:
    entries = checkpoint.available()
    for entry in entries:
        if entry.header is None:
            status: Status = "fail" if entry.where == "bundled" else "warn"
            yield Check(f"checkpoint {entry.name}", entry.problem, status, _REINSTALL)
            continue
        digest = checkpoint.sha256_of(entry.path)
        value = f"{entry.where}, {entry.task}, {entry.parameters:,} parameters, sha256 {digest[:16]}"
        yield Check(f"checkpoint {entry.name}", value)
    if not any(entry.where == "bundled" for entry in entries):
        yield Check("checkpoints", f"none bundled in {checkpoint.bundled_dir()}", "fail", _REINSTALL)


_REINSTALL = "reinstall: pip install --force-reinstall trmsolve; or fetch another: trmsolve checkpoints pull"


def _terminal() -> Iterator[Check]:
    encoding = (getattr(sys.stdout, "encoding", None) or "unknown").lower()
    width, height = shutil.get_terminal_size()
    shown = "a terminal" if sys.stderr is not None and sys.stderr.isatty() else "no terminal"
    colour = "NO_COLOR is set" if os.environ.get("NO_COLOR") else f"TERM={os.environ.get('TERM', '')}"
    value = f"{encoding}, stderr is {shown}, {width}x{height}, {colour}"
    if encoding.replace("-", "") in ("utf8", "utf16", "cp65001"):
        yield Check("terminal", value)
    else:
        hint = "grids are drawn in ASCII; to draw box characters, set PYTHONIOENCODING=utf-8"
        yield Check("terminal", value, "warn", hint)


def _self_test(solve: Callable[[], tuple[bool, str]]) -> Check:
    try:
        worked, description = solve()
    except TrmsolveError as error:
        return Check("self-test", error.message, "fail", error.hint)
    except Exception as error:
        hint = "please report it, with the output of TRMSOLVE_DEBUG=1"
        return Check("self-test", f"{type(error).__name__}: {error}", "fail", hint)
    return Check("self-test", description) if worked else Check("self-test", description, "fail", "please report this")


def _solve() -> tuple[bool, str]:
    """Solve one puzzle with the bundled checkpoint."""
    from trmsolve.api import load

    result = next(load().solve([SELF_TEST]))
    how = f"{result.steps} steps, {result.restarts} restarts, {1000 * result.seconds:.0f} ms"
    return result.solved, f"solved and verified in {how}" if result.solved else f"not solved in {how}"
