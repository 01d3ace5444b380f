"""The batch of runs: however it is stepped, packed, overlapped and cut in half, every run reads the same."""

from __future__ import annotations

import functools
import logging
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

import trmsolve
from trmsolve.errors import TrmsolveError
from trmsolve.model.config import TRMConfig
from trmsolve.model.layout import pack
from trmsolve.model.official import official
from trmsolve.model.refine import frame_of
from trmsolve.model.rooms import comfortable, needed, step_up
from trmsolve.model.trm import TRM
from trmsolve.solving import memory
from trmsolve.solving import solver as solver_module
from trmsolve.solving.graphs import CudaGraphs
from trmsolve.solving.options import SolveOptions
from trmsolve.solving.recursion import Heritage, Recursion, Run
from trmsolve.solving.solver import Solver
from trmsolve.solving.stage import Plain, Rooms, Stage, stage_for
from trmsolve.sources import open_lines
from trmsolve.tasks import get
from trmsolve.tasks.base import Encoded
from trmsolve.tasks.maze.encode import encode as encode_maze
from trmsolve.tasks.maze.generate import generate as generate_maze
from trmsolve.tasks.sudoku.encode import encode as encode_sudoku
from trmsolve.tasks.sudoku.generate import generate as generate_sudoku

EXAMPLES = Path(__file__).parents[1] / "examples"
CONFIGS = {
    "units": TRMConfig(width=16, hidden=32),
    "grid": TRMConfig.from_dict({**get("maze").model, "width": 16, "hidden": 32}),
    "mlp": official("mlp", 11, 16, width=16, prefix=2, T=1, n=2),
    "attention": official("attention", 11, 16, width=16, prefix=2, puzzles=3, heads=2, T=1, n=2),
}


def network(mixer: str) -> TRM:
    torch.manual_seed(0)
    made = TRM(CONFIGS[mixer])
    torch.nn.init.normal_(made.q_head.weight)
    return made.eval()


@functools.cache
def questions(mixer: str, number: int = 14) -> list[Encoded]:
    rng = np.random.default_rng(0)
    if mixer == "units":
        return [encode_sudoku(generate_sudoku(5, i, (9, 4, 6)[i % 3])[0]) for i in range(number)]
    if mixer == "grid":
        return [encode_maze(generate_maze(5, i, (4 + i % 5, 9 - i % 4))[0]) for i in range(number)]
    frame = frame_of(CONFIGS[mixer])
    made = []
    for i in range(number):
        cells = rng.integers(1, 11, 16)
        asked = np.flatnonzero(rng.random(16) < 0.6)
        made.append(frame.encode(cells, asked, 2, 9, i % max(1, frame.puzzles)))
    return made


@torch.inference_mode()
def alone(model: TRM, encoded: Encoded, steps: int, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    """The formula: what the halting head says and the flat logits, after every step of one question by itself."""
    tokens, layout = pack([encoded])
    y, z = model.start(len(tokens), dtype)
    found = []
    for _ in range(steps):
        step = model(tokens, y, z, layout)
        y, z = step.y, step.z
        found.append((step.halt.sigmoid().item(), step.logits))
    return found


CLOSE = 1e-3  # of probabilities: where shapes differ sums run in another order, and steps of random weights amplify it

Seen = dict[int, list[tuple[np.ndarray, np.ndarray, np.ndarray, float, float]]]


def rolled(batch: Recursion, encoded: list[Encoded], width: int = 5) -> Seen:
    """Every reading of every question, by its number; each goes after 1 to 6 steps, then the next ones come."""
    waiting = [Run(e, 1 + 7 * i % 6) for i, e in enumerate(encoded)]
    number = {run: i for i, run in enumerate(waiting)}
    seen: Seen = {i: [] for i in number.values()}
    rounds = 0
    while waiting or batch.runs:
        while waiting and len(batch) < width:
            batch.admit([waiting.pop(0)])
        batch.advance()
        done = set()
        for run in batch.runs:
            if (reading := run.reading) is not None:
                seen[number[run]].append(
                    (reading.chosen, reading.confidence, reading.probabilities, reading.halt, reading.solvable)
                )
                assert run.step == len(seen[number[run]])
                if run.step == run.max_steps:
                    done.add(run)
        batch.release(done)
        rounds += 1
        assert rounds < 200
    assert batch.tokens == 0
    return seen


def same(one: Seen, other: Seen, exactly: bool) -> None:
    assert one.keys() == other.keys()
    for i in one:
        assert len(one[i]) == len(other[i]) == 1 + 7 * i % 6
        for a, b in zip(one[i], other[i], strict=True):
            for mine, its in zip(a, b, strict=True):
                if exactly:
                    assert np.array_equal(mine, its)
                elif np.asarray(mine).dtype.kind == "i":
                    assert np.mean(mine == its) > 0.9  # all but ties
                else:
                    np.testing.assert_allclose(mine, its, atol=CLOSE)


def at_once(call):
    """A recording that is none: the logic of rooms without a GPU."""
    return call


@pytest.mark.parametrize("mixer", CONFIGS)
def test_a_run_reads_in_the_batch_what_the_formula_says_of_it_alone(mixer):
    model, encoded = network(mixer), questions(mixer)
    seen = rolled(Recursion(model, torch.float32), encoded)
    for i, e in enumerate(encoded):
        for (chosen, confidence, probabilities, halt, _), (expected, logits) in zip(
            seen[i], alone(model, e, len(seen[i])), strict=True
        ):
            assert halt == pytest.approx(expected, abs=CLOSE)
            ends = np.cumsum(e.size)
            for u, (first, size) in enumerate(zip(e.first, e.size, strict=True)):
                p = logits[first : first + size].softmax(0).numpy()
                np.testing.assert_allclose(probabilities[ends[u] - size : ends[u]], p, atol=CLOSE)
                assert confidence[u] == pytest.approx(p.max(), abs=CLOSE)
                assert p[chosen[u] - first] == pytest.approx(p.max(), abs=CLOSE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("mixer", CONFIGS)
def test_overlapped_readings_are_the_same_bit_for_bit_and_one_step_late(mixer, dtype):
    model, encoded = network(mixer).cast(dtype), questions(mixer, 4)
    batches = [Recursion(model, dtype, overlap=overlap) for overlap in (False, True)]
    runs = [[Run(e, 9) for e in encoded] for _ in batches]
    told = []
    for batch, its, late in zip(batches, runs, (0, 1), strict=True):
        batch.admit(its)
        readings = []
        for k in range(4 + late):
            batch.advance()
            assert all((run.reading is None) == (k < late) and run.step == k + 1 - late for run in its)
            readings.append([run.reading for run in its])
        told.append(readings[late:])
    for one, other in zip(*told, strict=True):
        for a, b in zip(one, other, strict=True):
            assert np.array_equal(a.chosen, b.chosen) and np.array_equal(a.probabilities, b.probabilities)
            assert (a.halt, a.solvable) == (b.halt, b.solvable)


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("mixer", CONFIGS)
def test_rooms_give_the_same_as_plain_calls(mixer, overlap):
    model, encoded = network(mixer), questions(mixer)
    plain = rolled(Recursion(model, torch.float32), encoded)
    same(plain, rolled(Recursion(model, torch.float32, overlap=overlap), encoded), exactly=not overlap)
    rooms = Rooms(model, at_once)
    same(plain, rolled(Recursion(model, torch.float32, rooms, overlap), encoded), exactly=False)
    assert len(rooms) < sum(1 + 7 * i % 6 for i in range(len(encoded))) // 2  # rooms recur
    same(plain, rolled(Recursion(model, torch.float32, rooms, overlap), encoded), exactly=False)  # and are kept


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("rooms", [False, True])
@pytest.mark.parametrize("mixer", CONFIGS)
def test_an_heir_goes_on_where_the_run_before_it_ended(mixer, rooms, width):
    """Two steps and three more read as five steps do, whatever shares the batch."""
    model = network(mixer)
    batch = Recursion(model, torch.float32, Rooms(model, lambda call: call) if rooms else Plain(model))
    for encoded in (asked := questions(mixer))[:4]:
        expected = alone(model, encoded, 5)
        first, others = Run(encoded, 2, bequeaths=True), [Run(e, 9) for e in asked[4 : 3 + width]]
        batch.admit([*others[:1], first, *others[1:]])
        batch.advance()
        batch.advance()
        batch.release({first})
        heir = Run(encoded, 3, Heritage(first, np.arange(len(encoded.x))))
        batch.admit([heir])
        for halt, logits in expected[2:]:
            batch.advance()
            assert heir.reading.halt == pytest.approx(halt, abs=CLOSE)
            best = logits[encoded.first[0] : encoded.first[0] + encoded.size[0]].softmax(0).max().item()
            assert heir.reading.confidence[0] == pytest.approx(best, abs=CLOSE)
        assert heir.step == 3 and heir.inherits is None
        batch.release({heir, *others})
        assert not batch.runs and first.ended is not None and heir.ended is None


@pytest.mark.parametrize("share", [1.0, 0.25])
@torch.inference_mode()
def test_an_heir_takes_of_each_token_the_state_that_is_meant_for_it(share):
    model = network("units")
    parent, child = (encode_sudoku(q) for q in _a_question_and_a_branch())
    batch, before = Recursion(model, torch.float32), Run(parent, 1, bequeaths=True)
    batch.admit([before])
    batch.advance()
    batch.release({before})
    rows = np.array([parent.meanings.tolist().index(meaning) for meaning in child.meanings])
    heir = Run(child, 1, Heritage(before, rows, share))
    batch.admit([heir])
    batch.advance()
    tokens, layout = pack([parent])
    step = model(tokens, *model.start(len(tokens)), layout)
    tokens, layout = pack([child])
    mixed = (share * s[rows] + (1 - share) * f for s, f in zip((step.y, step.z), model.start(1), strict=True))
    expected = model(tokens, *mixed, layout)
    assert heir.reading.halt == pytest.approx(expected.halt.sigmoid().item(), abs=CLOSE)


def _a_question_and_a_branch() -> tuple[np.ndarray, np.ndarray]:
    question, answer, _ = generate_sudoku(5, 1, 9)
    branch = question.copy()
    cell = tuple(np.argwhere(question == 0)[3])
    branch[cell] = answer[cell]
    return question, branch


@pytest.mark.parametrize("mixer", CONFIGS)
def test_a_room_holds_its_batch_and_not_much_more(mixer):
    encoded = questions(mixer)
    for number in (1, 2, 5, 14):
        exact, room = needed(encoded[:number]), comfortable(encoded[:number])
        assert room.holds(exact)
        assert room.tokens <= 1.25 * exact.tokens + 1
        tokens, layout = pack(encoded[:number], room=room)
        small, _ = pack(encoded[:number])
        assert len(tokens) == room.tokens and torch.equal(tokens[: len(small)], small)
        assert layout.options.index.shape == (room.choices, room.options)
        assert len(layout.lengths) == len(layout.puzzles.starts) - 1 == room.puzzles
        if room.entries:
            assert len(layout.ties.rows) == len(layout.ties.groups) == room.entries
            assert layout.ties.starts[-1] <= room.entries and (layout.ties.rows < room.tokens).all()


def test_sizes_step_up_by_a_quarter_at_most():
    for number in range(1, 3000):
        assert number <= step_up(number) <= 1.25 * number
    assert len({step_up(number) for number in range(1, 4097)}) < 50


def test_the_rooms_used_last_are_kept_and_no_more(monkeypatch):
    monkeypatch.setattr(Rooms, "KEPT", 2)
    model, recorded = network("mlp"), Counter()

    def record(call):
        recorded["all"] += 1
        return call

    rooms, encoded = Rooms(model, record), questions("mlp")
    for number in (1, 4, 1, 12, 1):  # 12 takes the place of 4, not of 1, which was used since
        batch = Recursion(model, torch.float32, rooms)
        batch.admit(Run(e, 1) for e in encoded[:number])
        batch.advance()
    assert len(rooms) == 2 and recorded["all"] == 3


@pytest.mark.parametrize("leaving", ["at once", "one by one"])
def test_a_batch_that_dwindles_stays_in_its_room_for_a_while(leaving):
    model, encoded = network("units"), questions("units", 30)[1::3]  # 4x4
    rooms, expected = Rooms(model, at_once), alone(model, encoded[0], 30)
    batch = Recursion(model, torch.float32, rooms)
    batch.admit(runs := [Run(e, 30) for e in encoded])
    recorded = []
    for k in range(30):
        batch.advance()
        assert runs[0].reading.halt == pytest.approx(expected[k][0], abs=CLOSE)
        recorded.append(len(rooms))
        batch.release(set(batch.runs[1:] if leaving == "at once" else batch.runs[1:][-1:]))
    assert recorded[rooms.PATIENCE - 1] == 1 < recorded[-1] <= 4  # from ten puzzles to one


# -- memory -----------------------------------------------------------------------------------------------------
class Short:
    """A stage on a machine with memory for so many tokens, which also sometimes runs out while states are moved."""

    def __init__(self, stage: Stage, tokens: int, moody: bool = False) -> None:
        self.stage, self.tokens, self.moody, self.refused = stage, tokens, moody, 0

    def __getattr__(self, name):
        return getattr(self.stage, name)

    @property
    def limit(self):
        return self.stage.limit

    @limit.setter
    def limit(self, value):
        self.stage.limit = value

    def pack(self, batch):
        self.now = sum(len(e.x) for e in batch)
        number = self.stage.pack(batch)
        if self.moody and self.now > self.tokens and self.refused % 2:
            self.refuse()
        return number

    def step(self, y, z):
        if self.now > self.tokens:
            self.refuse()
        return self.stage.step(y, z)

    def refuse(self):
        self.refused += 1
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")


def test_with_too_little_memory_every_run_still_takes_every_step():
    model, encoded = network("grid"), questions("grid", 9)
    stage = Short(Plain(model), 60)
    expected, found = Recursion(model, torch.float32), Recursion(model, torch.float32, stage)
    for batch in (expected, found):
        batch.admit(Run(e, 9) for e in encoded)
    for _ in range(3):
        expected.advance()
        found.advance()
        for a, b in zip(expected.runs, found.runs, strict=True):
            np.testing.assert_allclose(a.reading.probabilities, b.reading.probabilities, atol=CLOSE)
    assert found.tokens > 2 * stage.limit and found.full


@pytest.mark.parametrize("moody", [False, True])
@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("rooms", [False, True])
def test_out_of_memory_halves_the_batch_loses_no_puzzle_and_says_so_once(rooms, overlap, moody, caplog, capsys):
    model, encoded = network("units"), questions("units")
    expected = rolled(Recursion(model, torch.float32), encoded)
    largest = max(len(e.x) for e in encoded)
    stage = Short(Rooms(model, at_once) if rooms else Plain(model), largest + 20, moody)
    with caplog.at_level(logging.WARNING, "trmsolve"):
        same(expected, rolled(Recursion(model, torch.float32, stage, overlap), encoded, width=8), exactly=False)
    assert stage.refused > 1 and stage.limit <= largest + 20
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("out of memory with 8 puzzles at once: going on with 4")


def test_a_puzzle_that_does_not_fit_alone_is_a_message():
    model, encoded = network("units"), questions("units", 3)
    batch = Recursion(model, torch.float32, Short(Plain(model), 10))
    batch.admit(Run(e, 3) for e in encoded)
    with pytest.raises(TrmsolveError, match="out of memory on cpu: it does not hold one puzzle of"):
        batch.advance()


def test_other_errors_are_not_taken_for_a_lack_of_memory(monkeypatch):
    model = network("units")
    batch = Recursion(model, torch.float32)
    batch.admit(Run(e, 3) for e in questions("units", 3))
    monkeypatch.setattr(batch.stage, "step", lambda y, z: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        batch.advance()


@pytest.mark.parametrize(("free", "tokens"), [(139 << 30, 1 << 17), (1 << 30, 10_000), (1 << 20, 10)])
def test_a_batch_on_cuda_is_as_large_as_the_free_memory_allows(monkeypatch, free, tokens):
    """Of the published network for Sudoku, 97 tokens a puzzle; its states and hidden layers fill the memory."""
    with torch.device("meta"):
        model = TRM(official("mlp", 11, 81))
    assert memory.tokens_at_once(TRM(CONFIGS["units"])) == 1 << 14  # nobody knows what a CPU has left
    monkeypatch.setattr(memory, "free_memory", lambda device: free)
    monkeypatch.setitem(memory.ENOUGH, "meta", 1 << 17)
    assert tokens / 3 <= memory.tokens_at_once(model.cast(torch.bfloat16)) <= 3 * tokens
    assert memory.tokens_at_once(model.cast(torch.bfloat16)) <= 1 << 17


def caused(error: Exception, by: Exception) -> Exception:
    error.__context__ = by
    return error


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("out of memory"), False),
        (caused(RuntimeError("operation failed during capture"), torch.OutOfMemoryError()), True),
        (caused(RuntimeError("operation failed during capture"), RuntimeError("not permitted")), False),
    ],
)
def test_what_counts_as_out_of_memory(error, is_one):
    assert memory.is_out_of_memory(error) is is_one


# -- the stream -------------------------------------------------------------------------------------------------
def outcomes(model: trmsolve.Model, stage_of, monkeypatch, overlap: bool, **settings) -> list[tuple]:
    def made(network: TRM) -> Stage:
        stage = stage_of(network)
        stage.asynchronous = overlap
        return stage

    monkeypatch.setattr(solver_module, "stage_for", made)
    lines = open_lines(str(EXAMPLES / "sudoku" / "stream.csv"))
    puzzles = list(model.task.read(lines, "stream"))[:10]
    solver = Solver(model.task, model.network, model.choice.dtype)
    results = list(solver.solve(puzzles, SolveOptions(**settings), steps=True))
    return [
        (r.solved, r.steps, r.restarts, r.guess.answer.tobytes())
        if isinstance(r, trmsolve.Result)
        else (r.run, r.step, r.how, r.guess.answer.tobytes())
        for r in sorted(results, key=lambda r: (r.puzzle.source, isinstance(r, trmsolve.Result)))
    ]


def test_a_stream_ends_the_same_on_every_stage(monkeypatch):
    """Steps that nobody reads are in no count, and no puzzle's way depends on the others'."""
    model = trmsolve.load("sudoku", device="cpu", dtype="float32")
    alone, branching = {"batch_size": 4, "restarts": 0}, {"batch_size": 4, "restarts": 4, "give_up": 1.0}
    plain = outcomes(model, Plain, monkeypatch, False, **alone)
    assert len(plain) > 30
    assert outcomes(model, Plain, monkeypatch, True, **alone) == plain
    for overlap in (False, True):  # with overlap branches begin a step later in the life of their parents
        expected = outcomes(model, Plain, monkeypatch, overlap, **branching)
        assert any(of[2] for of in expected if len(of) == 4 and isinstance(of[0], bool))
        assert outcomes(model, lambda m: Rooms(m, at_once), monkeypatch, overlap, **branching) == expected
        assert outcomes(model, lambda m: Short(Plain(m), 600), monkeypatch, overlap, **branching) == expected


def test_two_streams_of_one_solver_do_not_share_a_batch(monkeypatch):
    monkeypatch.setattr(solver_module, "stage_for", lambda network: Rooms(network, at_once))
    model = trmsolve.load("sudoku", device="cpu", dtype="float32")
    solver = Solver(model.task, model.network, torch.float32)
    puzzles = list(model.task.read(open_lines(str(EXAMPLES / "sudoku" / "stream.csv")), "stream"))[:6]
    expected = [r.guess.answer.tobytes() for r in solver.solve(puzzles)]
    both = list(zip(solver.solve(puzzles), solver.solve(puzzles[::-1]), strict=True))
    assert [a.guess.answer.tobytes() for a, _ in both] == expected
    assert [b.guess.answer.tobytes() for _, b in both] == expected[::-1]


# -- on a GPU ---------------------------------------------------------------------------------------------------
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


@cuda
@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("mixer", CONFIGS)
def test_cuda_graphs_give_what_the_cpu_gives(mixer, overlap):
    model, encoded = network(mixer), questions(mixer)
    expected = rolled(Recursion(model, torch.float32), encoded)
    stage = stage_for(model.to("cuda"))
    assert isinstance(stage, Rooms) and isinstance(stage.record, CudaGraphs)
    found = rolled(Recursion(model, torch.float32, stage, overlap), encoded)
    assert stage.record.why_not == ""
    for i in expected:
        for a, b in zip(expected[i], found[i], strict=True):
            np.testing.assert_allclose(a[2], b[2], atol=2e-3)
            np.testing.assert_allclose(a[3:], b[3:], atol=2e-3)


@cuda
def test_a_step_waits_for_the_host_nowhere():
    """In steady state, with the reading left where it is, nothing in a step synchronises."""
    model, encoded = network("mlp").to("cuda"), questions("mlp", 6)
    batch = Recursion(model, torch.float32, stage_for(model), overlap=True)
    batch.admit(Run(e, 9) for e in encoded)
    batch.advance()
    batch.advance()
    torch.cuda.set_sync_debug_mode("error")
    try:
        with torch.inference_mode():
            batch._started()
            batch.release({batch.runs[0]})
            batch._started()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.cuda.synchronize()


@cuda
def test_a_stream_on_cuda_is_solved_and_verified():
    model = trmsolve.load("sudoku", device="cuda")
    puzzles = list(model.task.read(open_lines(str(EXAMPLES / "sudoku" / "stream.csv")), "stream"))[:40]
    assert all(r.solved and (r.guess.answer == r.puzzle.solution).all() for r in model.solve(puzzles))
