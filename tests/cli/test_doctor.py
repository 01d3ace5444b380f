"""The checks of `trmsolve doctor`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import trmsolve
from networks import SUDOKU_MODEL
from trmsolve import __version__, checkpoint
from trmsolve.checkpoint import lookup
from trmsolve.cli import doctor
from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.trm import TRM
from trmsolve.threads import ThreadTuner


@pytest.fixture
def bundled(tmp_path, monkeypatch):
    folder = tmp_path / "bundled"
    config = TRMConfig(**SUDOKU_MODEL | {"hidden_size": 8, "intermediate_size": 8})
    checkpoint.save(folder / "sudoku.safetensors", TRM(config).state_dict(), "sudoku", config.to_dict(), {}, {})
    monkeypatch.setattr(lookup, "bundled_dir", lambda: folder)
    return folder


def checks(**keywords):
    return {check.name: check for check in doctor.diagnose(**keywords)}


def test_a_healthy_installation(bundled):
    by_name = checks(solve=lambda: (True, "solved an easy puzzle in 5 ms"))
    assert [check for check in by_name.values() if check.status == "fail"] == []
    assert by_name["trmsolve"].value == f"{__version__} in {Path(trmsolve.__file__).parent}"
    assert by_name["torch"].value == torch.__version__
    assert by_name["would use"].value.startswith(("cpu", "cuda", "mps"))
    digest = checkpoint.sha256_of(bundled / "sudoku.safetensors")[:16]
    assert by_name["checkpoint sudoku"].value == f"bundled, sudoku, 1,259 parameters, sha256 {digest}"
    assert by_name["self-test"].value == "solved an easy puzzle in 5 ms"
    assert {"python", "platform", "cpu", "cores", "cache", "compiler", "terminal", "numpy", "pillow"} <= set(by_name)


def test_the_number_of_threads_and_its_reason_are_shown(bundled, monkeypatch):
    tuner = ThreadTuner(2, lambda threads: None)
    monkeypatch.setattr(doctor, "tuner", lambda: tuner)
    assert checks(solve=lambda: (True, ""))["threads"].value.startswith("2 of 2 threads: no other number measured yet")
    tuner.threads, tuner.rates = 1, {1: 2000.0, 2: 900.0}
    threads = checks(solve=lambda: (True, ""))["threads"].value
    assert threads.startswith(
        "1 of 2 threads, chosen by measurement: 2,000 tokens/s with 1, 900 tokens/s with 2; training"
    )


def test_one_thread_has_its_reason(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert ThreadTuner(1, lambda threads: None).describe() == "1 thread: set by OMP_NUM_THREADS"
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert ThreadTuner(1, lambda threads: None).describe() == "1 thread: torch uses one core"


def test_without_a_self_test_there_is_none(bundled):
    assert "self-test" not in checks()


def test_every_failed_check_has_a_hint(bundled, monkeypatch):
    (bundled / "sudoku.safetensors").write_bytes(b"broken")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    monkeypatch.setattr(doctor, "usable_cores", lambda: 0.5)
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    by_name = checks(solve=lambda: (False, "the answer broke a rule"))
    ill = {name: check.status for name, check in by_name.items() if check.status != "ok"}
    assert ill["checkpoint sudoku"] == "fail" and ill["self-test"] == "fail"
    assert ill["compiler"] == "warn" and ill["cores"] == "warn"
    assert all(by_name[name].hint for name in ill)
    assert "OMP_NUM_THREADS=1" in by_name["cores"].hint


def test_no_checkpoint_at_all_is_a_failure(monkeypatch, tmp_path):
    monkeypatch.setattr(lookup, "bundled_dir", lambda: tmp_path / "none")
    assert checks()["checkpoints"].status == "fail"


def test_a_missing_package_is_named(bundled, monkeypatch):
    monkeypatch.setattr(doctor, "PACKAGES", ("torch", "no-such-package"))
    missing = checks()["no-such-package"]
    assert (missing.value, missing.status, missing.hint) == ("missing", "fail", "pip install no-such-package")


@pytest.mark.parametrize("error", [TrmsolveError("no checkpoint", "pull one"), ValueError("boom")])
def test_a_self_test_that_raises_is_a_failure_and_no_traceback(bundled, error):
    def solve():
        raise error

    check = checks(solve=solve)["self-test"]
    assert check.status == "fail" and str(error.args[0]) in check.value and check.hint


def test_an_exception_in_a_check_does_not_end_the_report(bundled, monkeypatch):
    def broken():
        raise RuntimeError("driver mismatch")

    monkeypatch.setattr(torch.cuda, "device_count", broken)
    by_name = checks()
    assert by_name["devices"].status == "fail" and "driver mismatch" in by_name["devices"].value
    assert "terminal" in by_name


def test_an_unwritable_cache_is_a_warning(bundled, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TRMSOLVE_CACHE", str(tmp_path / "file" / "below"))
    cache = checks()["cache"]
    assert cache.status == "warn" and "TRMSOLVE_CACHE" in cache.hint


def test_an_ascii_terminal_is_a_warning(bundled, monkeypatch):
    monkeypatch.setattr(doctor.sys, "stdout", type("Out", (), {"encoding": "ascii"}))
    assert checks()["terminal"].status == "warn"


def test_the_doctor_is_imported_without_torch():
    code = "import sys, trmsolve.cli.doctor; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
