"""Several processes train the weights of one, resume its runs, and all end when one fails."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from group_processes import process_context
from training.workers import KINDS, PART, STEPS, member, train
from trmsolve.checkpoint import read_header
from trmsolve.distributed import local_device
from trmsolve.errors import TrmsolveError
from trmsolve.training.run_dir import RunDir

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch is built without distributed")
CLOSE = {"atol": 2e-6, "rtol": 1e-5}  # fp32, after STEPS steps that differ by the order of sums
CLOSE_MUON = {"atol": 0.04, "rtol": 0.0}  # it orthogonalises in bf16 where the CPU has bf16: a rounding is 0.4 %


def together(name: str, folder: Path, size: int = 2, seconds: float = 600.0) -> list[tuple[int | None, str]]:
    """The exit code of every process of a scene, None if it had to be killed, and its standard error."""
    context = process_context()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [context.Process(target=member, args=(rank, size, port, folder, name)) for rank in range(size)]
    for process in processes:
        process.start()
    processes[0].join(seconds)
    if name == "halted":  # nothing but a kill reaches it
        processes[1].kill()
    for process in processes:
        process.join(60.0)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return [(code, (folder / f"{name} {rank}.txt").read_text()) for rank, code in enumerate(codes)]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> dict[str, tuple[Path, Path]]:
    """Runs of two processes, each with the same run of one: their folders, by kind."""
    folder = tmp_path_factory.mktemp("runs")
    train(folder / "begun alone", steps=PART)
    assert together("equal", folder) == [(0, ""), (0, "")]
    train(folder / "begun together")
    for kind in KINDS:
        train(folder / "alone" / kind, kind)
    whole = folder / "alone" / "sudoku"
    changed = {kind: (folder / kind, whole) for kind in ("begun alone", "begun together")}
    return (
        changed
        | {kind: (folder / kind, folder / "alone" / kind) for kind in KINDS}
        | {"parts of one": (folder / "alone" / "parts", whole)}
    )


@pytest.mark.parametrize("kind", [*KINDS, "begun alone", "begun together", "parts of one"])
def test_two_processes_train_the_weights_of_one(pairs, kind):
    ours, theirs = (load_file(folder / "state.safetensors") for folder in pairs[kind])
    assert ours.keys() == theirs.keys()
    assert torch.equal(ours["slots/slots"], theirs["slots/slots"])
    draws, ages = ours["slots/slots"][0], ours["slots/slots"][1]
    assert draws.min() > 7 and draws.max() > 1.2 * 7 * STEPS / 3 and len(ages.unique()) > 1, "slots were refilled"
    for name, value in ours.items():
        if name.startswith(("model/", "ema/", "optimizer/")) or kind != "muon":
            close = CLOSE_MUON if kind == "muon" else CLOSE
            torch.testing.assert_close(value.float(), theirs[name].float(), **close, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="fewer than two CUDA devices")
def test_two_gpus_train_what_one_cpu_does(tmp_path):
    assert together("gpus", tmp_path) == [(0, ""), (0, "")]
    train(tmp_path / "cpu")
    ours, theirs = (load_file(tmp_path / name / "state.safetensors") for name in ("gpus", "cpu"))
    for name, value in ours.items():
        torch.testing.assert_close(value.float(), theirs[name].float(), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("kind", ["sudoku", "table"])
def test_metrics_of_two_processes_equal_those_of_one(pairs, kind):
    ours, theirs = ((folder / "metrics.jsonl").read_text() for folder in pairs[kind])
    assert ours
    for line, other in zip(map(json.loads, ours.splitlines()), map(json.loads, theirs.splitlines()), strict=True):
        for name in line.keys() - {"seconds", "steps_per_second", "puzzles_per_second"}:
            assert line[name] == pytest.approx(other[name], abs=2e-4), name


def test_puzzle_table_is_trained(pairs):
    table = load_file(pairs["table"][0] / "state.safetensors")["model/embed.puzzle_table"]
    assert table.shape == (5, 8) and (table != 0).all()


@pytest.mark.parametrize(
    ("name", "code", "said", "also"),
    [
        ("failing", 2, "error: no sample 2", "error: process 1 has failed: no sample 2"),
        (
            "killed",
            -signal.SIGKILL if os.name != "nt" else 0,
            "",
            "error: process 0 has lost the connection to another one",
        ),
        (
            "halted",
            -signal.SIGKILL if os.name != "nt" else 0,
            "",
            "error: no heartbeat of process 1 for 2 seconds",
        ),
        ("busy", 2, "error: no sample 2", "error: process 1 has failed: no sample 2"),
        ("other settings", 2, "error: process 1 has another config than process 0", "error: process 1 has failed"),
        (
            "too small a batch",
            2,
            "error: a batch of 1 puzzles cannot be divided among 2 processes",
            "error: a batch of 1",
        ),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGKILL and no SIGSTOP")
def test_when_one_process_fails_all_end_with_a_message(tmp_path, name, code, said, also):
    (first, first_said), (second, second_said) = together(name, tmp_path)
    assert (first, second) == (2, code)  # not None: they ended by themselves
    assert said in second_said and also in first_said
    assert "Traceback" not in first_said + second_said


def test_a_process_has_a_gpu_of_its_own(monkeypatch):
    assert local_device("cuda") == "cuda"  # alone
    for name, value in {"RANK": 5, "WORLD_SIZE": 8, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 4, "MASTER_ADDR": "x"}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert local_device("cuda") == "cuda:1" and local_device("cpu") == "cpu"
    with pytest.raises(TrmsolveError, match="cannot share a GPU"):
        local_device("cuda:0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(TrmsolveError, match=r"4 processes, but 2 GPU\(s\)"):
        local_device("cuda")
    assert local_device("cuda", shared=True) == "cuda:1"  # streams may share a GPU
    assert local_device("cuda:0", shared=True) == "cuda:0"


@pytest.mark.skipif(os.name == "nt", reason="torchrun has no libuv store on Windows")
def test_torchrun_trains_and_stops_all_processes_together(tmp_path):
    # standalone: on a free port, as other tests may run beside it
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    torchrun += ["-m", "trmsolve", "--", "train", "--task", "sudoku", "--data", "generate:4x4", "--run", "run"]
    torchrun += ["--width", "16", "--no-compile"]
    torchrun += ["--batch-size", "4", "--save-minutes", "0.001"]
    process = subprocess.Popen(
        [*torchrun, "--minutes", "30"], cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    state, end = tmp_path / "run" / "state.safetensors", time.monotonic() + 120
    while not state.exists() and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode != 0 and stderr.count("resume with the same command") == 1, stderr
    with RunDir(tmp_path / "run") as folder:
        step = folder.load()[1]["step"]
    assert f"interrupted at step {step} " in stderr
    done = subprocess.run(
        [*torchrun, "--steps", str(step + 2)], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0 and done.stdout == "", done.stderr
    assert done.stderr.count(f"resuming from step {step}") == 1 and done.stderr.count("checkpoint: ") == 1
    provenance = read_header(tmp_path / "run" / "sudoku.safetensors").provenance
    assert provenance["steps"] == step + 2 and provenance["hardware"].startswith("2 processes, each on 1 thread, ")
