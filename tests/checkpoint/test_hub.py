"""Pulling from a Hub on the loopback interface: files, failures, error messages."""

from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
import sys
import time

import pytest
from huggingface_hub import constants

from checkpoint.fake_hub import COMMIT, FakeHub
from trmsolve import checkpoint as checkpoints
from trmsolve.errors import TrmsolveError

DATA = hashlib.shake_256(b"weights").digest(300_000)
SHA = hashlib.sha256(DATA).hexdigest()
SPEC = "hf://owner/repo/models/sudoku.safetensors"


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # huggingface_hub waits before it tries again
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1 << 16)
    with FakeHub({"owner/repo": {"models/sudoku.safetensors": DATA}}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def leftovers():
    """Files of the cache that are no whole checkpoint: parts of downloads, and what is still in their folder."""
    cache = checkpoints.cache_dir()
    return [path.name for path in (*cache.rglob("*.incomplete"), *cache.glob("downloads/**/*.safetensors"))]


def test_pull_stores_the_file_in_the_cache(hub, alone):
    path = checkpoints.pull(SPEC)
    assert path.read_bytes() == DATA
    assert path == alone / "cache/checkpoints/hub/owner/repo/main/models/sudoku.safetensors"
    assert leftovers() == [] and len(hub.gets()) == 1


def test_a_second_pull_downloads_nothing(hub):
    checkpoints.pull(SPEC)
    hub.requests.clear()
    assert checkpoints.pull(SPEC, sha256=SHA).read_bytes() == DATA
    assert [request.split()[0] for request in hub.requests] == ["HEAD"]


def test_a_small_file_is_checked_by_its_git_blob_digest(hub):
    hub.lfs = False
    assert checkpoints.pull(SPEC).read_bytes() == DATA
    hub.requests.clear()
    checkpoints.pull(SPEC)
    assert hub.gets() == []


def test_a_new_version_on_the_hub_replaces_the_cached_one(hub):
    checkpoints.pull(SPEC)
    hub.repos["owner/repo"]["models/sudoku.safetensors"] = DATA[::-1]
    assert checkpoints.pull(SPEC).read_bytes() == DATA[::-1]


def test_a_damaged_cached_file_is_fetched_again(hub):
    path = checkpoints.pull(SPEC)
    path.write_bytes(b"bit rot")
    assert checkpoints.pull(SPEC).read_bytes() == DATA


def test_a_broken_download_is_resumed(hub):
    hub.break_after = [131_072, 65_536]
    assert checkpoints.pull(SPEC).read_bytes() == DATA
    assert [get.partition(" bytes=")[2] for get in hub.gets()] == ["", "131072-", "196608-"]


def test_an_overloaded_server_is_retried(hub):
    hub.status = [429, 0]
    assert checkpoints.pull(SPEC).read_bytes() == DATA
    assert len(hub.gets()) == 2


def test_a_download_without_range_requests(hub):
    hub.break_after, hub.ranges = [100_000], False
    assert checkpoints.pull(SPEC).read_bytes() == DATA


def test_a_connection_that_always_fails_is_an_error_and_keeps_the_old_file(hub):
    checkpoints.pull(SPEC)
    hub.repos["owner/repo"]["models/sudoku.safetensors"] = DATA[::-1]
    hub.break_after = [65_536] + [0] * 50
    with pytest.raises(TrmsolveError, match=r"cannot get hf://owner/repo/.*") as error:
        checkpoints.pull(SPEC)
    assert "trmsolve checkpoints pull" in error.value.hint
    assert checkpoints.Address.parse(SPEC).path.read_bytes() == DATA and leftovers() == []
    hub.break_after = []
    assert checkpoints.pull(SPEC).read_bytes() == DATA[::-1]


@pytest.mark.parametrize("length", [0, 1000])
def test_a_truncated_body_is_not_kept(hub, length):
    """A server that closes the connection in place of saying how long the body is."""
    hub.without_length, hub.break_after = True, [length] * 50
    with pytest.raises(TrmsolveError, match=r"damaged|cannot get"):
        checkpoints.pull(SPEC)
    assert not checkpoints.Address.parse(SPEC).path.exists() and leftovers() == []


def test_without_a_digest_of_the_server_the_user_must_give_one(hub):
    hub.etag = "weak-or-missing"
    with pytest.raises(TrmsolveError, match="has no digest") as error:
        checkpoints.pull(SPEC)
    assert "--sha256" in error.value.hint and hub.gets() == []
    assert checkpoints.pull(SPEC, sha256=SHA).read_bytes() == DATA


def test_a_file_that_does_not_match_the_hubs_digest_is_removed(hub):
    hub.etag = "a" * 64
    with pytest.raises(TrmsolveError, match="damaged"):
        checkpoints.pull(SPEC)
    assert not checkpoints.Address.parse(SPEC).path.exists() and leftovers() == []


def test_a_file_that_does_not_match_the_users_digest_is_removed(hub):
    with pytest.raises(TrmsolveError, match=f"has sha256 {SHA}, expected {'b' * 64}; removed"):
        checkpoints.pull(SPEC, sha256="b" * 64)
    assert not checkpoints.Address.parse(SPEC).path.exists()
    assert checkpoints.pull(SPEC, sha256=f"sha256:{SHA.upper()}").exists()


def test_offline_uses_the_cached_file_without_a_request(hub, monkeypatch):
    checkpoints.pull(SPEC)
    hub.requests.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert checkpoints.pull(SPEC).read_bytes() == DATA
    assert hub.requests == []


def test_offline_without_a_cached_file_is_an_error(hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(TrmsolveError, match="not in the cache, and HF_HUB_OFFLINE"):
        checkpoints.pull(SPEC)
    assert hub.requests == []


def test_without_a_network_the_cached_file_is_used(hub, monkeypatch):
    checkpoints.pull(SPEC)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert checkpoints.pull(SPEC).read_bytes() == DATA
    with pytest.raises(TrmsolveError, match=r"cannot get hf://owner/other/x from http://127.0.0.1:9"):
        checkpoints.pull("hf://owner/other/x")


def test_a_server_that_does_not_answer_times_out(monkeypatch):
    monkeypatch.setattr(checkpoints.hub, "TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(TrmsolveError, match="cannot get"):
            checkpoints.pull(SPEC)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("hf://owner/none/x.safetensors", "no repository owner/none"),
        ("hf://owner/repo/none.safetensors", "owner/repo has no file 'none.safetensors'"),
        (f"{SPEC}@v9", "owner/repo has no revision 'v9'"),
        ("hf://owner/repo", "not the address"),
        ("hf://owner/repo/../../../../x", "not the address"),
        ("hf://owner/repo/x@..", "not the address"),
        ("hf://owner/repo/a:b", "not the address"),
        ("hf://ow ner/repo/x", "not an address"),
        ("https://github.com/owner/repo/blob/main/x", "not the address"),
        ("sudoku", "not the address"),
    ],
)
def test_missing_repositories_files_and_revisions_are_named(hub, spec, message):
    with pytest.raises(TrmsolveError, match=message) as error:
        checkpoints.pull(spec)
    assert error.value.hint


def test_a_gated_repository_names_the_page_and_the_login(hub):
    hub.gated.add("owner/repo")
    with pytest.raises(TrmsolveError, match="owner/repo is gated") as error:
        checkpoints.pull(SPEC)
    assert "hf auth login" in error.value.hint


def test_the_token_is_sent_to_the_hub_only(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    checkpoints.pull(SPEC)
    assert hub.tokens[0] == "Bearer hf_secret"
    assert hub.requests[-1].startswith("GET /storage") and hub.tokens[-1] == ""


def test_an_invalid_sha256_is_refused_before_any_request(hub):
    with pytest.raises(TrmsolveError, match="not a sha256"):
        checkpoints.pull(SPEC, sha256="1234")
    assert hub.requests == []


def test_an_unwritable_cache_is_an_error(hub, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TRMSOLVE_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(TrmsolveError, match="cannot write to"):
        checkpoints.pull(SPEC)


def test_a_full_disk_is_an_error_before_the_download(hub, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10}))
    with pytest.raises(TrmsolveError, match="not enough disk space"):
        checkpoints.pull(SPEC)
    assert hub.gets() == []


def test_a_disk_that_fills_up_leaves_no_file(hub, monkeypatch):
    import huggingface_hub.file_download as file_download

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(file_download, "_chmod_and_move", full)
    with pytest.raises(TrmsolveError, match=r"cannot write to .*No space left"):
        checkpoints.pull(SPEC)
    assert not checkpoints.Address.parse(SPEC).path.exists() and leftovers() == []


@pytest.mark.parametrize(
    ("spec", "same"),
    [
        (SPEC, SPEC),
        (f"{SPEC}@main", SPEC),
        (f"{SPEC}@refs/pr/1", f"{SPEC}@refs/pr/1"),
        (f"hf://owner/repo@{COMMIT}/x", f"hf://owner/repo/x@{COMMIT}"),
        ("https://huggingface.co/owner/repo/blob/main/models/sudoku.safetensors?download=true", SPEC),
        ("https://huggingface.co/owner/repo/resolve/main/models/sudoku.safetensors", SPEC),
    ],
)
def test_addresses_round_trip_through_cache_paths(spec, same):
    address = checkpoints.Address.parse(spec)
    assert str(address) == same
    assert checkpoints.Address.of(address.path) == address


def test_lookup_imports_neither_torch_nor_huggingface_hub():
    code = "import sys, trmsolve.checkpoint; print({'torch', 'huggingface_hub', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
