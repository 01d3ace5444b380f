"""Training: it learns, it resumes exactly, it stops when it should."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.utils._pytree import tree_leaves
from typer.testing import CliRunner

import trmsolve
from networks import SUDOKU_MODEL
from training import workers
from trmsolve.checkpoint import load_tensors, read_header
from trmsolve.cli import app
from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.trm import TRM
from trmsolve.tasks import get
from trmsolve.tasks.base import Puzzle
from trmsolve.tasks.sudoku import TASK
from trmsolve.tasks.sudoku.generate import generate
from trmsolve.training import recipe as recipes
from trmsolve.training.batch import SamplePrefetcher
from trmsolve.training.carry import Carry, SlotSchedule
from trmsolve.training.config import TrainConfig
from trmsolve.training.losses import losses
from trmsolve.training.optim import EMA
from trmsolve.training.run_dir import RunDir, export_checkpoint
from trmsolve.training.train_step import supervision_step
from trmsolve.training.trainer import Trainer

TINY = TRMConfig(**SUDOKU_MODEL | {"hidden_size": 16, "intermediate_size": 32, "n": 2, "N_sup": 4})


class Silent:
    """A reporter that keeps everything."""

    def __init__(self) -> None:
        self.updates, self.evaluations, self.messages, self.saves = [], [], [], 0

    def update(self, metrics):
        self.updates.append(metrics)

    def evaluated(self, metrics):
        self.evaluations.append(metrics)

    def saved(self, path, step):
        self.saves += 1

    def message(self, text):
        self.messages.append(text)


def trainer(folder: RunDir, steps: int, data=None, autocast: bool = True, **changes) -> Trainer:
    config = TrainConfig(**{"batch_size": 8, "steps": steps, "seed": 3, "warmup": 5} | changes)
    data = data or TASK.training_data(["generate:4x4"], 3)
    return Trainer(config, TINY, data.draw, folder, autocast=autocast)


def weights(session: Trainer) -> dict[str, torch.Tensor]:
    state = {f"model.{k}": v for k, v in session.model.state_dict().items()}
    state |= {f"ema.{k}": v for k, v in session.ema.model.state_dict().items()}
    return state | {f"optimizer.{k}": v for k, v in session.optimizers.state().items()}


def test_it_learns_to_solve_small_puzzles_it_has_not_seen(tmp_path):
    with RunDir(tmp_path) as folder:
        session = trainer(folder, 250, batch_size=16)
        report = Silent()
        assert session.run(report) == "finished"
        path = export_checkpoint(session, "sudoku", tmp_path / "small.safetensors")
    assert report.updates[-1]["loss"] < report.updates[0]["loss"]
    fresh = [Puzzle(generate(77, i, 4)[0]) for i in range(20)]  # another seed than the training's
    solved = sum(r.solved for r in trmsolve.load(path).solve(fresh, restarts=0))
    assert solved >= 15, f"{solved} of 20 solved"
    header = read_header(path)
    assert header.task == "sudoku" and header.provenance["steps"] == 250
    assert header.provenance["supervised_puzzles"] == 250 * 16


@pytest.mark.parametrize("window", [1, 3])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, window):
    with RunDir(tmp_path / "whole") as folder:
        whole = trainer(folder, 24, bptt_steps=window)
        whole.run(Silent())
    with RunDir(tmp_path / "parts") as folder:
        trainer(folder, 24, bptt_steps=window).run(Silent(), stop=iter([False] * 10 + [True]).__next__)
    with RunDir(tmp_path / "parts") as folder:
        parts = trainer(folder, 24, bptt_steps=window)
        assert parts.step == 11
        parts.run(Silent())
    assert parts.step == whole.step == 24 and parts.supervised == whole.supervised == 24 * 8 * window
    expected = weights(whole)
    assert weights(parts).keys() == expected.keys()
    for name, value in weights(parts).items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize("before", [False, True])
def test_resume_in_another_dtype(tmp_path, before):
    """Begun under autocast and gone on without, or the other way round: from one machine to another."""
    for autocast, steps in ((before, 3), (not before, 6)):
        with RunDir(tmp_path / "run") as folder:
            run = trainer(folder, steps, autocast=autocast)
            expected = torch.bfloat16 if autocast else torch.float32
            assert {states.dtype for part in run.batch.micro_batches for states in (part.y, part.z)} == {expected}
            run.run(Silent())
            assert run.step == steps and {part.y.dtype for part in run.batch.micro_batches} == {expected}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_kill_minus_nine_loses_nothing_but_the_last_interval(tmp_path):
    command = [sys.executable, "-m", "trmsolve", "train", "--task", "sudoku", "--data", "generate:4x4", "--run", "run"]
    command += [
        "--batch-size",
        "4",
        "--width",
        "16",
        "--no-compile",
        "--steps",
        "60",
        "--save-minutes",
        "0.0005",
        "-q",
    ]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    state = tmp_path / "run" / "state.safetensors"
    end = time.monotonic() + 300
    while not state.exists() and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with RunDir(tmp_path / "run") as folder:
        tensors, values = folder.load()
    assert 0 < values["step"] < 60 and tensors
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert read_header(tmp_path / "run" / "sudoku.safetensors").provenance["steps"] == 60
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps))


def test_two_processes_cannot_train_in_one_folder(tmp_path):
    with RunDir(tmp_path), pytest.raises(TrmsolveError, match="another process"), RunDir(tmp_path):
        pass
    with RunDir(tmp_path):
        pass  # the lock goes with its holder


def test_divergence_stops_the_run_and_keeps_the_last_good_state(tmp_path):
    with RunDir(tmp_path) as folder:
        session = trainer(folder, 10)
        session.run(Silent())
        good = folder.load()
        again = trainer(folder, 20)
        with torch.no_grad():
            again.model.answer_head.weight.fill_(float("nan"))
        report = Silent()
        assert again.run(report) == "diverged"
        assert "diverged" in report.messages[0]
        kept = folder.load()
    assert kept[1]["step"] == good[1]["step"] == 10
    assert all(torch.equal(kept[0][name], value) for name, value in good[0].items())


def test_a_damaged_state_is_an_error_that_says_so(tmp_path):
    (tmp_path / "state.safetensors").write_bytes(b"not a state")
    with RunDir(tmp_path) as folder, pytest.raises(TrmsolveError, match="not a training state"):
        trainer(folder, 5)


def test_a_run_of_another_model_is_refused(tmp_path):
    with RunDir(tmp_path) as folder:
        trainer(folder, 2).run(Silent())
        with pytest.raises(TrmsolveError, match="another model"):
            Trainer(
                TrainConfig(steps=3, batch_size=8),
                TRMConfig(**SUDOKU_MODEL | {"hidden_size": 24}),
                TASK.training_data(["generate:4x4"]).draw,
                folder,
            )


def test_rewind_log_removes_later_steps(tmp_path):
    folder = RunDir(tmp_path)
    for step in (50, 100, 150):
        folder.log({"step": step})
    with folder.metrics_file.open("a") as file:
        file.write('{"step": 2')  # cut short by a crash
    folder.rewind_log(100)
    assert [json.loads(line)["step"] for line in folder.metrics_file.read_text().splitlines()] == [50, 100]


@pytest.mark.parametrize(
    ("steps", "minutes", "step", "seconds", "expected"),
    [
        (1000, None, 0, 0, 1 / 100),  # warm-up
        (1000, None, 200, 0, 1.0),  # held
        (1000, None, 650, 0, 0.5),  # falling linearly from 0.3
        (1000, None, 1000, 0, 0.01),  # the floor
        (None, 10, 5000, 390, 0.5),
    ],
)
def test_learning_rate_schedule(steps, minutes, step, seconds, expected):
    assert TrainConfig(steps=steps, minutes=minutes).rate(step, seconds) == pytest.approx(expected)


def test_ema_in_fp32_follows_small_updates():
    model = torch.nn.Linear(4, 4)
    ema = EMA(model, 0.999)
    before = ema.model.weight.clone()
    with torch.no_grad():
        model.weight += 1e-3
    for step in range(1, 200):
        ema.update(model, step)
    assert ema.model.weight.dtype == torch.float32
    assert (ema.model.weight > before).all() and (ema.model.weight <= model.weight + 1e-6).all()


# -- samples session ahead -----------------------------------------------------------------------------------------
def counted(draws: list[int]):
    def draw(index: int) -> int:
        draws.append(index)
        if index == 9:
            raise TrmsolveError("no sample 9")
        return 10 * index

    return draw


def test_prefetcher_draws_in_order_up_to_its_depth():
    draws: list[int] = []
    ahead = SamplePrefetcher(counted(draws), depth=3)
    assert ahead(4) == 40 and draws == [4]
    with ahead.running(2):
        assert [ahead(2), ahead(3)] == [20, 30]
        end = time.monotonic() + 10
        while len(draws) < 7 and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.05)
        assert draws == [4, 2, 3, 4, 5, 6, 7]  # three are ready, and one waits for a place
        assert ahead(100) == 1000  # out of turn, as after a resumption
        assert [ahead(index) for index in (4, 5, 6, 7, 8)] == [40, 50, 60, 70, 80]
        with pytest.raises(TrmsolveError, match="no sample 9"):
            ahead(9)
    assert ahead(5) == 50


def test_prefetching_does_not_change_a_run_and_raises_errors_of_draw(tmp_path, monkeypatch):
    def run(name: str, data=None) -> Trainer:
        with RunDir(tmp_path / name) as folder:
            session = trainer(folder, 20, data)
            session.run(Silent())
        return session

    class Broken:
        def draw(self, index):
            if index == 30:
                raise TrmsolveError("sample 30 is broken")
            return TASK.training_data(["generate:4x4"], 3).draw(index)

    ahead = weights(run("ahead"))
    with pytest.raises(TrmsolveError, match="sample 30 is broken"):
        run("broken", Broken())
    monkeypatch.setattr(SamplePrefetcher, "running", lambda self, index: nullcontext())
    for name, value in weights(run("plain")).items():
        assert torch.equal(value, ahead[name]), name


# -- the step -----------------------------------------------------------------------------------------------------
def test_a_refilled_carry_equals_a_new_one():
    recipe = recipes.build({**recipes.read("trm-mlp-sudoku"), "data": {"sources": ["generate:9x9"]}})
    model = TRM(replace(recipe.config, hidden_size=8, intermediate_size=16, seq_intermediate_size=16, n=1, T=1))
    draw = recipe.data().draw
    schedule = SlotSchedule(5, n_sup=4, seed=0, halt_exploration_prob=0.0)
    slots = Carry(draw, model, schedule, range(1, 4), torch.float32)
    tokens, y = slots.tokens.clone(), torch.randn_like(slots.y)
    slots.keep(y.clone(), y.clone())
    done = schedule.advance(np.array([True, False, True, True, False]))
    assert schedule.index.tolist() == [5, 1, 6, 7, 4] and done.tolist() == [True, False, True, True, False]
    slots.refill(done)
    anew = Carry(draw, model, schedule, range(1, 4), torch.float32)
    for mine, other in zip(*(tree_leaves((of.tokens, of.labels)) for of in (slots, anew)), strict=True):
        assert torch.equal(torch.as_tensor(mine), torch.as_tensor(other))
    assert slots.total_weight == anew.total_weight and not torch.equal(tokens, slots.tokens)
    (first, *fresh), rows = slots.states()[0], y.view(3, -1, 8)
    assert torch.equal(first, rows[0])
    assert all((states == model.y_init).all() for states in fresh)


@pytest.mark.parametrize("kind", ["sudoku", "table"])
def test_supervision_step_compiles_as_one_graph(kind, tmp_path):
    """The compiler's front end alone: it refuses what it would have to hand back to Python."""
    session = workers.train(tmp_path, kind, steps=3, continue_weight=0.5, solvable_weight=0.0)
    (slots,) = session.batch.micro_batches
    arguments = (
        session.model,
        session.config,
        False,
        slots.tokens,
        slots.y,
        slots.z,
        slots.labels,
        session.batch.normalizer,
    )
    plain = supervision_step(*arguments)
    compiled = torch.compile(supervision_step, backend="eager", fullgraph=True)(*arguments)
    torch.testing.assert_close(compiled, plain)


def test_gradient_of_a_window_passes_between_its_steps(tmp_path):
    """The gradient of a window is that of its mean loss, written down without the trainer."""
    session = workers.train(tmp_path, steps=3, bptt_steps=3)
    (slots,) = session.batch.micro_batches
    whole, y, z, expected = session.batch.normalizer, slots.y, slots.z, 0.0
    for _ in range(3):
        step = session.model(slots.tokens, y, z, slots.batch)
        expected = expected + losses(step, slots.labels, session.config, whole).total / 3
        y, z = step.y, step.z
    parameters = list(session.model.parameters())
    outcome = session.supervision(slots, whole)
    torch.testing.assert_close(outcome.total, expected)
    torch.testing.assert_close(outcome.y, y)
    ours, theirs = (torch.autograd.grad(total, parameters) for total in (outcome.total, expected))
    torch.testing.assert_close(ours, theirs)

    def detached(y, z):
        """The same three steps, each on its own."""
        total = 0.0
        for _ in range(3):
            step = session.model(slots.tokens, y.detach(), z.detach(), slots.batch)
            total = total + losses(step, slots.labels, session.config, whole).total / 3
            y, z = step.y, step.z
        return torch.autograd.grad(total, parameters)

    assert max((one - other).abs().max() for one, other in zip(ours, detached(slots.y, slots.z), strict=True)) > 1e-4


def test_age_advances_by_bptt_steps():
    schedule = SlotSchedule(3, n_sup=6, seed=0, halt_exploration_prob=0.0, bptt_steps=4)
    assert schedule.advance(np.array([False, True, False])).tolist() == [False, True, False]
    assert schedule.age.tolist() == [4, 0, 4] and schedule.is_last.tolist() == [True, False, True]
    assert schedule.advance(np.zeros(3, bool)).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bptt_steps": 0}, "bptt_steps: found 0, expected an integer from 1 to"),
        ({"bptt_steps": 2, "continue_weight": 0.5}, "continue_weight needs windows of a single step"),
    ],
)
def test_invalid_bptt_steps_are_refused(settings, message):
    with pytest.raises(TrmsolveError, match=message):
        TrainConfig(**settings)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("kind", ["sudoku", "table"])
@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("window", [1, 3])
def test_a_gpu_trains_what_the_cpu_does(kind, compile, window, tmp_path):
    cpu = workers.train(tmp_path / "cpu", kind, bptt_steps=window)
    gpu = workers.train(tmp_path / "gpu", kind, bptt_steps=window, device="cuda", compile=compile)
    for (name, p), q in zip(cpu.model.named_parameters(), gpu.model.parameters(), strict=True):
        torch.testing.assert_close(q.cpu(), p, atol=1e-3, rtol=1e-3, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("accumulate", [2, 5])
def test_micro_batches_add_up_to_the_batch(tmp_path, accumulate):
    whole = workers.train(tmp_path / "whole", steps=8, batch_size=11)
    parts = workers.train(tmp_path / "parts", steps=8, batch_size=11, grad_accum_steps=accumulate)
    assert (
        len(parts.batch.micro_batches) == accumulate
        and (parts.batch.schedule.index == whole.batch.schedule.index).all()
    )
    for p, q in zip(parts.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-6, rtol=1e-5)


def test_a_run_of_version_0_1_is_refused_with_the_release_that_continues_it(tmp_path):
    with RunDir(tmp_path) as folder:
        trainer(folder, 1).run(Silent())
        tensors, values = folder.load()
        save_file(tensors, folder.state_file, {"state": json.dumps({**values, "format_version": 1})})
        with pytest.raises(TrmsolveError, match=r"0\.1\.0"):
            folder.load()


# -- a profile ------------------------------------------------------------------------------------------------------
SMALL = (
    *("train", "--task", "sudoku", "--data", "generate:4x4", "--batch-size", "2", "--width", "8", "--n", "1"),
    *("--set", "train.bptt_steps=1", "--no-compile"),
)


def test_a_profile_is_a_trace_and_the_costliest_operators(tmp_path):
    path = tmp_path / "trace.json"
    result = CliRunner().invoke(app, [*SMALL, "--run", str(tmp_path), "--steps", "22", "--profile", str(path)])
    assert result.exit_code == 0, result.output
    steps = {event["name"] for event in json.loads(path.read_text())["traceEvents"] if "ProfilerStep" in event["name"]}
    assert len(steps) == 10
    lines = result.output.splitlines()
    head = next(number for number, line in enumerate(lines) if "operator, on the CPU" in line)
    costs = [float(line.split()[0]) for line in lines[head + 1 : head + 11]]
    assert costs == sorted(costs, reverse=True) and costs[0] > 0
    assert any("aten::mm" in line for line in lines[head + 1 : head + 11])
    assert f"trace of 10 steps: {path}" in lines[head + 11]


def test_a_run_too_short_for_a_profile_says_so(tmp_path):
    path = tmp_path / "trace.json.gz"
    result = CliRunner().invoke(app, [*SMALL, "--run", str(tmp_path), "--steps", "12", "--profile", str(path)])
    assert result.exit_code == 0 and "no trace: a profile needs 20 steps" in result.output and not path.exists()


@pytest.mark.parametrize(("name", "message"), [("here.json", "already exists"), ("no/where.json", "does not exist")])
def test_a_profile_that_cannot_be_written_is_refused_before_anything_runs(tmp_path, name, message):
    (tmp_path / "here.json").write_text("")
    run = tmp_path / "run"
    assert message in refused(*SMALL, "--run", run, "--steps", "3", "--profile", tmp_path / name)
    assert not run.exists()


# -- data -------------------------------------------------------------------------------------------------------
def test_a_draw_depends_on_seed_and_index_alone():
    first, second = (TASK.training_data(["generate:9x9"], 5, unsolvable_prob=0.3) for _ in range(2))
    for index in (0, 7, 300):
        a, b = first.draw(index), second.draw(index)
        assert (a.encoded.meanings == b.encoded.meanings).all() and (a.target == b.target).all()
        assert a.solvable == b.solvable
    other = TASK.training_data(["generate:9x9"], 6).draw(7)
    assert (
        len(other.encoded.x) != len(first.draw(7).encoded.x)
        or (other.encoded.meanings != first.draw(7).encoded.meanings).any()
    )


def test_corrupted_samples_have_no_solution():
    from trmsolve.tasks.dataset import add_hints, corrupt
    from trmsolve.tasks.sudoku.backtracking import solutions

    rng = np.random.default_rng(0)
    for index in range(5):
        question, answer, _ = generate(11, index, 9)
        misled = corrupt(TASK, question, answer, rng)
        assert misled is not None and solutions(misled, 1)[0] == []
        easier = add_hints(question, answer, 0.5, rng)
        assert ((easier == answer) | (easier == 0)).all() and (easier > 0).sum() > (question > 0).sum()
        assert len(TASK.target(easier, answer)) == TASK.encode(easier).num_choices


def test_hint_share_falls_by_draw_number():
    """By draw number, so that a resumed run draws what one without a break would have drawn."""
    falling = TASK.training_data(["generate:4x4"], 5, hint_prob=1.0, hint_max=0.8, hint_min=0.2, hint_draws=100)
    assert [falling.hint_share(index) for index in (0, 50, 100, 10_000)] == pytest.approx([0.8, 0.5, 0.2, 0.2])
    plain = TASK.training_data(["generate:4x4"], 5, hint_prob=0.0)

    def filled(start: int) -> float:
        """Of the blanks of 200 puzzles, the share that is filled in."""
        pairs = [(falling.pair(index)[0][0], plain.pair(index)[0][0]) for index in range(start, start + 200)]
        return 1 - sum((easier == 0).sum() for easier, _ in pairs) / sum((whole == 0).sum() for _, whole in pairs)

    assert filled(10_000) == pytest.approx(0.1, abs=0.03)  # half of the most, on average
    steady = TASK.training_data(["generate:4x4"], 5, hint_max=0.1, hint_min=0.2)
    assert steady.hint_share(0) == steady.hint_share(10**6) == 0.1  # it never rises


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("question,answer\n1234,1234\n", "characters"),
        ("1...\n.2..\n....\n....\n", "the answer is missing"),
        ("question,answer\n1...............,1234341243212144\n", "the answer is wrong"),
    ],
)
def test_invalid_training_data_is_refused_with_file_and_line(tmp_path, text, message):
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(TrmsolveError, match=message) as caught:
        TASK.training_data([str(path)])
    assert Path(caught.value.message.split(":")[0]).name == "data.csv"


def test_a_finished_run_is_measured_on_its_held_out_puzzles(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = ["question,answer"]
    for index in range(4):
        question, solution, _ = generate(21, index, 4)
        rows.append(f"{TASK.format_line(question)},{TASK.format_line(solution)}")
    Path("held.csv").write_text("\n".join(rows))
    command = ["train", "--task", "sudoku", "--data", "generate:4x4", "--eval", "held.csv", "--steps", "4"]
    command += ["--batch-size", "4", "--width", "16", "--no-compile", "-q"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    header = read_header("runs/sudoku/sudoku.safetensors")
    assert header.metrics["held"]["n"] == 4 and 0 <= header.metrics["held"]["solved"] <= 1
    assert header.provenance["sessions"][0]["data"][0]["name"] == "generate:4x4"


# -- tasks with rows of their own -------------------------------------------------------------------------------
ARC = ("train", "--task", "arc", "--batch-size", "2", "--width", "8", "--n", "1", "--n-sup", "2", "--no-compile", "-q")


def arc_file(path: Path, number: int = 3) -> Path:
    """So many tasks, each with two demonstrations and a test: cells that stay as they are."""
    pairs = [{"input": [[k, 0]], "output": [[k, 0]]} for k in (1, 2, 3)]
    path.write_text(json.dumps({f"{path.stem}{i}": {"train": pairs[:2], "test": pairs[2:]} for i in range(number)}))
    return path


def run(*args: object) -> str:
    """What it says. The command must end well."""
    result = CliRunner().invoke(app, [str(arg) for arg in (*ARC, *args)])
    assert result.exit_code == 0, result.output
    return result.output


def refused(*args: object) -> str:
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit), result.exception
    assert result.output.startswith("error: ") and "internal" not in result.output
    return result.output


def test_state_stores_the_puzzle_table_once_and_the_checkpoint_its_mean_row(tmp_path):
    path = tmp_path / "mine.safetensors"
    run("--data", arc_file(tmp_path / "a.json"), "--run", tmp_path / "run", "--steps", "3", "-o", path)
    with RunDir(tmp_path / "run") as folder:
        tensors, values = folder.load()
    table = tensors["model/embed.puzzle_table"]
    assert len(table) == values["model"]["num_puzzles"] > 1
    assert [name for name, tensor in tensors.items() if tensor.shape == table.shape] == ["model/embed.puzzle_table"]

    header, weights = read_header(path), load_tensors(path)
    assert header.task == "arc" and header.puzzle_table == (1, table.shape[1])
    config = TRMConfig.from_dict(header.model)
    assert (config.hidden_size, config.intermediate_size, config.feature_sizes) == (
        8,
        16,
        get("arc").model_defaults["feature_sizes"],
    )
    shipped = TRM(config)
    shipped.load_state_dict(weights)
    trained = TRM(replace(config, num_puzzles=len(table)))
    trained.embed.puzzle_table.copy_(table)
    torch.testing.assert_close(shipped.embed.mean_row(), trained.embed.mean_row())
    for name, parameter in shipped.named_parameters():  # the averaged ones
        assert torch.equal(parameter, tensors[f"ema/{name}"]), name
    info = CliRunner().invoke(app, ["checkpoints", "info", str(path), "--json"])
    assert json.loads(info.output)["puzzle_table"] == [1, table.shape[1]]


def test_resumed_run_has_the_same_puzzle_table(tmp_path):
    data = get("arc").training_data([str(arc_file(tmp_path / "a.json"))])
    config = TRMConfig.from_dict(
        {
            **get("arc").model_defaults,
            "hidden_size": 8,
            "intermediate_size": 16,
            "n": 1,
            "N_sup": 2,
            "num_puzzles": data.num_rows,
        }
    )

    def trained(name: str, stops: int) -> torch.Tensor:
        """The table after six steps, the run stopped after so many and resumed."""
        for stop in ([False] * (stops - 1) + [True], [False] * 9):
            with RunDir(tmp_path / name) as folder:
                session = Trainer(TrainConfig(batch_size=2, steps=6, warmup=1), config, data.draw, folder)
                session.run(Silent(), stop=iter(stop).__next__)
        assert session.step == 6 and session.ema.model.embed.puzzle_table is session.model.embed.puzzle_table
        return session.model.embed.puzzle_table

    whole, parts = trained("whole", 6), trained("parts", 3)
    assert len(whole) == 3 and torch.equal(whole, parts)


def test_state_with_the_table_stored_twice_is_loaded(tmp_path):
    """As states were until a run kept it once."""
    run("--data", arc_file(tmp_path / "a.json"), "--run", tmp_path, "--steps", "2")
    with RunDir(tmp_path) as folder:
        tensors, values = folder.load()
        buffers = ("embed.puzzle_table", "y_init", "z_init")
        folder.save(tensors | {f"ema/{name}": tensors[f"model/{name}"] for name in buffers}, values)
    assert "finished at step 3" not in run("--data", tmp_path / "a.json", "--run", tmp_path, "--steps", "2")
    run("--data", tmp_path / "a.json", "--run", tmp_path, "--steps", "3")
    with RunDir(tmp_path) as folder:
        tensors, values = folder.load()
    assert values["step"] == 3 and "ema/embed.puzzle_table" not in tensors


def test_a_new_run_from_a_checkpoint_has_rows_for_its_own_tasks(tmp_path):
    start = tmp_path / "start.safetensors"
    run("--data", arc_file(tmp_path / "a.json"), "--run", tmp_path / "a", "--steps", "2", "-o", start)
    # Rows and weights as they start: learning rates of 0.
    still = ("--lr", "0", "--adam-lr", "0", "--set", "train.puzzle_lr=0", "--set", "train.puzzle_weight_decay=0")
    b = arc_file(tmp_path / "b.json", 4)
    words = [word for word in ARC if word not in ("--width", "8")]
    result = CliRunner().invoke(
        app, [*words, "--data", str(b), "--run", str(tmp_path / "b"), "--from", str(start), "--steps", "1", *still]
    )
    assert result.exit_code == 0, result.output
    with RunDir(tmp_path / "b") as folder:
        tensors, values = folder.load()
    before, after = (TRM(TRMConfig.from_dict({**values["model"], "num_puzzles": number})) for number in (1, 4))
    before.load_state_dict(load_tensors(start))
    after.load_state_dict({name.removeprefix("model/"): t for name, t in tensors.items() if name.startswith("model/")})
    assert values["note"]["sessions"][0]["from"] == str(start)
    torch.testing.assert_close(after.embed.mean_row(), before.embed.mean_row())
    assert len(after.embed.puzzle_table.unique(dim=0)) == 4
    for name, parameter in before.named_parameters():
        assert torch.equal(dict(after.named_parameters())[name], parameter), name


def test_resume_with_other_tasks_or_another_model_is_refused(tmp_path):
    a, b = arc_file(tmp_path / "a.json"), arc_file(tmp_path / "b.json", 4)
    run("--data", a, "--run", tmp_path / "run", "--steps", "1")
    message = refused(*ARC, "--data", b, "--run", tmp_path / "run", "--steps", "2")
    assert "a table of 3 rows, but these data need 4" in message and "--from" in message
    message = refused(*ARC, "--data", a, "--run", tmp_path / "run", "--steps", "2", "--width", "12")
    assert re.search(r"a run of another model: hidden_size \d+, not 12(; intermediate_size \d+, not 24)?\n", message)


def test_provenance_marks_sources_used_for_demonstrations_only(tmp_path):
    a, b = arc_file(tmp_path / "a.json"), arc_file(tmp_path / "b_evaluation.json")
    path = tmp_path / "m.safetensors"
    run("--data", a, "--data", f"demonstrations:{b}=1", "--run", tmp_path / "run", "--steps", "1", "-o", path)
    (session,) = read_header(path).provenance["sessions"]
    assert [(source["name"], source["pairs"]) for source in session["data"]] == [
        ("a.json", "all"),
        ("b_evaluation.json", "demonstrations"),
    ]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--eval", "a.json"], "trmsolve eval arc FILE"),
        (["--easier", "0.5"], "--hint-prob: not for --task arc"),
        (["--set", "data.rows_per_task=0"], "data.rows_per_task: found 0, expected a number from 1 to inf"),
        (["--set", "data.most=1"], "raise data.most"),
        (["--set", "data.held_out=1"], "lower --set data.held_out"),
        (["--data", "generate:9x9"], "generate:9x9: no such file"),
        (["--data", "b_evaluation.json"], "--data demonstrations:b_evaluation.json"),
        (["--recipe", "hrm-sudoku"], "is for sudoku, not for arc"),
        (["--from", "sudoku"], "expected arc"),
    ],
)
def test_options_that_arc_does_not_support_are_refused(tmp_path, monkeypatch, more, message):
    monkeypatch.chdir(tmp_path)
    for name in ("a.json", "b_evaluation.json"):
        arc_file(Path(name))
    assert message in refused(*ARC, "--data", "a.json", "--steps", "1", *more)
    assert not Path("runs").exists()


def test_arc_needs_data():
    assert "ARC has no generator" in refused(*ARC, "--steps", "1")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("generate", "arc"), "the task has no generator\n  tasks with one: sudoku, maze"),
        (("generate", "acr"), "did you mean 'arc'"),
    ],
)
def test_other_commands_refuse_arc(command, message):
    assert message in refused(*command)


def test_training_a_published_arc_network_is_refused(tmp_path):
    from trmsolve.checkpoint import save
    from trmsolve.model.sequence_model import official

    path = tmp_path / "att.safetensors"
    config = official(cells=4, mixer="attention", vocab_size=12, hidden_size=8, num_heads=2)
    save(path, TRM(config).state_dict(), "arc", config.to_dict(), {}, {})
    message = refused("train", "--task", "arc", "--from", path, "--data", arc_file(tmp_path / "a.json"), "--steps", "1")
    assert "refine" in message
