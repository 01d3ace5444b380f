"""Importing published checkpoints from the Hub: what is fetched, and what is refused."""

import io

import pytest
import torch
import yaml

from checkpoint.fake_hub import FakeHub
from trmsolve import checkpoint as checkpoints
from trmsolve.convert.architecture import ImportOptions
from trmsolve.convert.convert import import_checkpoint
from trmsolve.errors import TrmsolveError

from .samples import CYCLES, TRM_SETTINGS, wrapped

SPEC = "hf://owner/repo/runs/step_100"


@pytest.fixture(scope="module")
def data(state) -> bytes:
    """The file as it lies on the Hub."""
    written = io.BytesIO()
    torch.save(wrapped(state), written)
    return written.getvalue()


@pytest.fixture
def hub(data, monkeypatch):
    settings = yaml.safe_dump({"arch": TRM_SETTINGS}).encode()
    files = {"runs/step_100": data, "runs/all_config.yaml": settings, "bare/step_100": data}
    with FakeHub({"owner/repo": files}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def test_an_address_fetches_the_weights_and_their_settings(hub, tmp_path):
    result = import_checkpoint(SPEC, tmp_path / "x.safetensors")
    assert (result.config.T, result.config.n) == (3, 6) and result.settings.endswith("all_config.yaml")
    assert {get.split("/repo/")[1] for get in hub.gets()} == {"runs/step_100", "runs/all_config.yaml"}
    assert checkpoints.read_header(result.path).provenance["imported_from"] == SPEC


def test_cached_files_are_not_requested_again(hub, tmp_path, monkeypatch):
    import_checkpoint(SPEC, tmp_path / "x.safetensors")
    hub.requests.clear()
    import_checkpoint(SPEC, tmp_path / "y.safetensors")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import_checkpoint(SPEC, tmp_path / "z.safetensors")
    assert hub.requests == []
    assert len({checkpoints.sha256_of(tmp_path / f"{name}.safetensors") for name in "xyz"}) == 1


def test_without_a_settings_file_options_are_needed(hub, tmp_path, monkeypatch):
    bare = SPEC.replace("runs", "bare")
    with pytest.raises(TrmsolveError, match="the number of recursions") as raised:
        import_checkpoint(bare, tmp_path / "x.safetensors")
    assert "--cycles" in raised.value.hint
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # the weights are here now, and that there is no yaml stops nobody
    result = import_checkpoint(bare, tmp_path / "x.safetensors", ImportOptions(cycles=(2, 5)))
    assert (result.config.T, result.config.n, result.settings) == (2, 5, "none found")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("hf://owner/repo/runs/step_999", "owner/repo has no file 'runs/step_999'"),
        ("hf://owner/none/step_100", "no repository owner/none"),
        ("hf://owner/repo", "not the address of a file"),
    ],
)
def test_files_missing_on_the_hub_are_named(hub, tmp_path, spec, message):
    with pytest.raises(TrmsolveError, match=message) as raised:
        import_checkpoint(spec, tmp_path / "x.safetensors", CYCLES)
    assert raised.value.hint and not list(tmp_path.iterdir())


def test_invalid_options_are_refused_before_the_download(hub, tmp_path):
    with pytest.raises(TrmsolveError, match="unknown task 'sudoko'") as raised:
        ImportOptions(task="sudoko")
    assert "did you mean 'sudoku'" in raised.value.hint
    with pytest.raises(TrmsolveError, match=r"cannot read .*none.yaml"):
        import_checkpoint(SPEC, tmp_path / "x.safetensors", settings_file=tmp_path / "none.yaml")
    assert hub.requests == []


def test_offline_without_a_cached_file_is_an_error(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(TrmsolveError, match="not in the cache, and HF_HUB_OFFLINE"):
        import_checkpoint(SPEC, tmp_path / "x.safetensors")
    assert hub.requests == []
