"""The list of published checkpoints: it can be read, its names import, and docs/checkpoints.md agrees with it."""

import io
import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
import torch
import yaml
from typer.testing import CliRunner

from checkpoint.fake_hub import FakeHub
from networks import HRM
from trmsolve import checkpoint as checkpoints
from trmsolve.checkpoint.lookup import by_address, by_name, known
from trmsolve.cli.checkpoints import app
from trmsolve.convert.architecture import ImportOptions
from trmsolve.convert.convert import import_checkpoint
from trmsolve.convert.read import our_name, published_name
from trmsolve.errors import TrmsolveError
from trmsolve.model.sequence_model import official
from trmsolve.model.trm import TRM

DOCS = Path(__file__).parents[2] / "docs" / "checkpoints.md"
ENTRIES = pytest.mark.parametrize("entry", known(), ids=lambda entry: entry.name)


def run(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


# -- the list -----------------------------------------------------------------------------------------------------


@ENTRIES
def test_every_entry_can_be_used(entry):
    address = checkpoints.Address.parse(entry.address)
    assert (address.repo, address.file) == (entry.repository, entry.file)
    assert by_address(address) is entry and by_name(entry.name) is entry
    assert re.fullmatch("[a-z0-9-]+", entry.name)
    assert entry.task in ("sudoku", "maze", "arc") or entry.refused
    assert entry.network in ("TRM", "TRM-MLP", "TRM-Att", "HRM", "EqR", "unknown")
    assert entry.size == "" or re.fullmatch(r"[\d.-]+ [MG]B", entry.size)


def test_names_are_unique_and_other_publishers_of_the_same_are_known():
    assert len({entry.name for entry in known()}) == len(known()) > 20
    other = checkpoints.Address.parse("hf://gaoxin492/TinyRecursiveModel-Maze-Hard/step_9765@main")
    assert by_address(other) is by_name("sanjin-maze")
    assert by_address(checkpoints.Address.parse("hf://somebody/TinyRecursiveModel-Maze-Hard/step_9765")) is None


def test_the_list_ships_with_the_package_and_needs_no_torch():
    assert files("trmsolve.checkpoint").joinpath("known.yaml").is_file()
    code = "import sys; from trmsolve.checkpoint.lookup import known; print(len(known()), 'torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split()
    assert shown == [str(len(known())), "False"]


def test_the_table_fits_100_columns_and_says_that_nothing_is_verified():
    done = run("list", "--known")
    assert done.exit_code == 0 and "not verified" in done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 100 and done.stdout.isascii()
    assert "not verified" in done.stdout.splitlines()[0]
    for entry in known():
        row = next(line for line in done.stdout.splitlines() if line.startswith(f"{entry.name} "))
        assert entry.stated in row and entry.network in row and entry.size in row
        assert entry.address in done.stdout


def test_quiet_prints_only_the_table_and_json_is_complete():
    quiet = run("list", "--known", "-q")
    assert quiet.stderr == "" and quiet.stdout == run("list", "--known").stdout
    listed = json.loads(run("list", "--known", "--json").stdout)
    assert [entry["name"] for entry in listed] == [entry.name for entry in known()]
    for entry in listed:
        assert entry["verified"] is False and entry["pull"].endswith(entry["address"])
        assert bool(entry["import"]) != bool(entry["refused"])
    fields = {"repository", "file", "task", "network", "stated", "licence", "size", "cycles", "heads", "also", "note"}
    assert fields <= listed[0].keys()


# -- importing by name --------------------------------------------------------------------------------------------


def weights(*arguments, **settings) -> bytes:
    model = TRM(official(*arguments, **settings))
    written = io.BytesIO()
    torch.save({f"_orig_mod.model.inner.{published_name(name)}": t for name, t in model.state_dict().items()}, written)
    return written.getvalue()


@pytest.fixture
def hub(monkeypatch):
    """Three published repositories as they lie on the Hub, with small networks inside."""
    maze, sudoku = by_name("alphaxiv-maze"), by_name("alphaxiv-sudoku-mlp")
    hrm = by_name("hrm-sudoku")
    repositories = {
        maze.repository: {maze.file: weights("attention", 6, 900, hidden_size=16)},
        sudoku.repository: {sudoku.file: weights("mlp", 11, 81, hidden_size=8)},
        hrm.repository: {hrm.file: weights("attention", 11, 81, hidden_size=16, **HRM)},
    }
    with FakeHub(repositories) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


@pytest.mark.parametrize(
    ("name", "task", "cycles"),
    [("alphaxiv-maze", "maze", (3, 4)), ("alphaxiv-sudoku-mlp", "sudoku", (3, 6)), ("hrm-sudoku", "sudoku", (2, 2))],
)
def test_importing_a_name_fetches_it_and_fills_in_missing_settings(hub, tmp_path, name, task, cycles):
    done = run("import", name, "-o", tmp_path / "x.safetensors")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "x.safetensors") and f"defaults of {name}" in done.stderr
    header = checkpoints.read_header(tmp_path / "x.safetensors")
    assert header.task == task and (header.model["T"], header.model["n"], header.model["num_heads"]) == (*cycles, 8)
    assert header.provenance["imported_from"] == by_name(name).address


def test_a_name_can_be_pulled_without_import(hub):
    done = run("pull", "alphaxiv-maze")
    assert done.exit_code == 0 and Path(done.stdout.strip()).name == "maze_hard_step_32550"


def test_options_override_the_settings_file_which_overrides_known_values(hub, tmp_path):
    entry = by_name("alphaxiv-maze")
    settings = yaml.safe_dump({"arch": {"H_cycles": 2, "L_cycles": 1, "num_heads": 4, "puzzle_emb_ndim": 16}})
    hub.repos[entry.repository]["all_config.yaml"] = settings.encode()
    by_yaml = import_checkpoint(entry.name, tmp_path / "a.safetensors").config
    assert (by_yaml.T, by_yaml.n, by_yaml.num_heads) == (2, 1, 4)
    by_flags = import_checkpoint(entry.name, tmp_path / "b.safetensors", ImportOptions(cycles=(1, 1), heads=2)).config
    assert (by_flags.T, by_flags.n, by_flags.num_heads) == (1, 1, 2)


def test_an_address_gets_the_known_values_of_its_name(hub, tmp_path):
    imported = import_checkpoint(by_name("alphaxiv-maze").address, tmp_path / "x.safetensors")
    assert (imported.config.T, imported.config.n) == (3, 4)


def test_a_local_file_takes_precedence_over_a_published_name(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("alphaxiv-maze").write_bytes(weights("mlp", 11, 81, hidden_size=8))
    imported = import_checkpoint("alphaxiv-maze", tmp_path / "x.safetensors", ImportOptions(cycles=(1, 1)))
    assert imported.task == "sudoku" and hub.requests == []


@pytest.mark.parametrize("entry", [entry for entry in known() if entry.refused], ids=lambda entry: entry.name)
def test_an_unsupported_checkpoint_is_refused_before_it_is_fetched(hub, tmp_path, entry):
    done = run("import", entry.name, "-o", tmp_path / "x.safetensors")
    assert done.exit_code == 2 and f"{entry.name} cannot be imported: {entry.refused}" in done.stderr
    assert hub.requests == [] and list(tmp_path.iterdir()) == []


def test_an_unknown_name_suggests_the_nearest_one(tmp_path):
    done = run("import", "alphaxiv-mase", "-o", tmp_path / "x.safetensors")
    assert done.exit_code == 2 and "did you mean 'alphaxiv-maze'?" in done.stderr


def test_solving_with_a_published_name_says_how_to_import_it():
    with pytest.raises(TrmsolveError, match="published checkpoint that must be imported first") as raised:
        checkpoints.find("alphaxiv-maze", "maze")
    assert raised.value.hint == by_name("alphaxiv-maze").import_
    with pytest.raises(TrmsolveError, match="omegaconf"):
        checkpoints.find("eqr-sudoku", "sudoku")


# -- the page -----------------------------------------------------------------------------------------------------


@ENTRIES
def test_the_page_agrees_with_the_list(entry):
    page = DOCS.read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith(f"| `{entry.name}`")]
    assert len(rows) == 1, f"one row for {entry.name} in {DOCS.name}"
    for value in (entry.repository, entry.file, entry.task, entry.network, entry.stated, entry.licence, entry.size):
        assert value in rows[0]
    assert (entry.import_ or entry.to_dict()["pull"]) in page


def test_every_checkpoint_of_the_page_is_in_the_list():
    named = re.findall(r"^\| `([a-z0-9-]+)` \|", DOCS.read_text("utf-8"), re.MULTILINE)
    assert named == [entry.name for entry in known()]


@pytest.mark.parametrize(
    "config", [official("mlp", 11, 81, hidden_size=8), official("attention", 6, 9, hidden_size=16, **HRM)]
)
def test_the_page_names_every_tensor(config):
    """Theirs -> ours, with {i} for a layer's number."""
    pairs = dict(re.findall(r"^\| `(\S+)` \| `(\S+)` \|", DOCS.read_text("utf-8"), re.MULTILINE))
    for name in TRM(config).state_dict():
        assert pairs[re.sub(r"\.\d\.", ".{i}.", published_name(name))] == re.sub(r"\.\d\.", ".{i}.", name)
        assert our_name(published_name(name)) == name


def test_every_command_on_the_page_exists():
    """Every option exists: what runs long or needs the network is at least understood."""
    page = DOCS.read_text("utf-8")
    lines = [line for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    commands = [line.partition("  #")[0].split() for line in lines if line.startswith("trmsolve checkpoints")]
    assert len(commands) > 5
    for _, _, command, *rest in commands:
        options = [word for word in rest if word.startswith("-")]
        text = run(command, "--help").stdout
        assert all(option in text for option in options), (command, options)
