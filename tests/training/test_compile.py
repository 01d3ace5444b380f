"""What torch.compile makes is kept for the next run."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch

from trmsolve.training import compile
from trmsolve.training.compile import compile_pays, compile_step

# A step with what ours has: a region of another dtype, a gradient, a float that is a constant.
STEP = """
import json, sys
import torch
from trmsolve.training.compile import compile_step

def step(w, x, weight, bf16):
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        h = x @ w
        with torch.autocast("cpu", enabled=False):
            return (h.float() * weight).square().sum()

torch.manual_seed(0)
w, x = torch.randn(8, 8, requires_grad=True), torch.randn(4, 8)
optimizer = torch.optim.AdamW([w])
step, losses = compile_step(step, dynamic=True), {}
for dtype in sys.argv[1:]:
    loss = step(w, x, 0.1, dtype == "bf16")
    loss.backward()
    losses[dtype] = [loss.item(), w.grad.sum().item()]
    optimizer.zero_grad()
from torch._dynamo.utils import counters
found = counters["aot_autograd"]
print(json.dumps([losses, [found[f"autograd_cache_{name}"] for name in ("hit", "miss", "bypass")]]))
"""


@pytest.mark.slow  # compiles three times, in new processes
@pytest.mark.skipif(not compile_pays(None, torch.device("cpu")), reason="no C++ compiler")
def test_a_second_run_finds_what_the_first_has_compiled_and_no_other_dtypes(tmp_path):
    environment = {**os.environ, "TRMSOLVE_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1"}
    environment.pop("TORCHINDUCTOR_CACHE_DIR", None)

    def run(*dtypes: str) -> tuple[dict[str, list[float]], list[int]]:
        command = [sys.executable, "-c", STEP, *dtypes]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    first, counts = run("bf16")
    assert counts == [0, 1, 0] and any((tmp_path / "compiled").iterdir())
    again, counts = run("bf16", "fp32")
    assert counts == [1, 1, 0] and again["bf16"] == first["bf16"]
    assert again["fp32"] != first["bf16"] and again["fp32"] == pytest.approx(first["bf16"], rel=0.05)


def test_short_runs_are_not_compiled_nor_those_on_devices_that_cannot(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/c++")
    cpu = torch.device("cpu")
    assert compile_pays(None, cpu) and compile_pays(5, cpu) and not compile_pays(4.9, cpu)
    assert not compile_pays(None, cpu, 1) and not compile_pays(60, cpu, 499) and compile_pays(None, cpu, 500)
    assert not compile_pays(None, torch.device("mps"))
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert not compile_pays(60, cpu)


def test_where_no_cache_folder_can_be_made_torch_keeps_its_own(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("a file, and no folder")
    monkeypatch.setenv("TRMSOLVE_CACHE", str(tmp_path / "file"))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "own"))
    monkeypatch.setattr(compile, "_SET_BY_USER", False)
    compile_step(lambda x: x)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "own")
