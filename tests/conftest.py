"""Every test lives alone: no home folder, no cache of the user's, no proxy, no network beyond the loopback."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import hypothesis
import pytest

# A busy machine is slow, which is no fault.
hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("busy")

if "PYTEST_XDIST_WORKER" in os.environ:  # a process for each core: one thread each
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# huggingface_hub fixes its folders when it is first imported, which may be before any fixture runs.
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="trmsolve-hf-")


@pytest.fixture(autouse=True)
def alone(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HF_HOME", str(home / "hf"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "xdg"))
    monkeypatch.setenv("TRMSOLVE_CACHE", str(home / "cache"))
    for name in ("HF_ENDPOINT", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN", "NO_COLOR", "TRMSOLVE_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(socket.socket, "connect", _loopback_only)
    return home


_connect = socket.socket.connect


def _loopback_only(self, address):
    if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise OSError(f"a test tried to reach {address}")
    return _connect(self, address)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real puzzles: TRMSOLVE_SHARED, or `shared` beside the checkout. Tests that ask for it skip without it."""
    folder = Path(os.environ.get("TRMSOLVE_SHARED") or Path(__file__).parents[2] / "shared")
    if not folder.is_dir():
        pytest.skip(f"no folder of shared data: {folder} (set TRMSOLVE_SHARED)")
    return folder
