"""The solver with the bundled checkpoint: its answers, their order, and their independence of the batch."""

import queue
import threading
import time
from itertools import pairwise
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import trmsolve
from trmsolve.inference.batch import Rollout
from trmsolve.inference.branch_search import MAX_KEPT_STATES, Branch, BranchSearch, select_branch_variable
from trmsolve.inference.options import Result, SolveOptions, StepEvent
from trmsolve.inference.solver import DeadlineExceeded
from trmsolve.model.inputs import Encoded
from trmsolve.model.mixers.units import UnitEdges
from trmsolve.model.packing import Readout
from trmsolve.tasks.base import InvalidPuzzle, Puzzle
from trmsolve.tasks.sudoku import TASK
from trmsolve.tasks.sudoku.generate import generate
from trmsolve.tasks.sudoku.rules import conflicts
from trmsolve.text_io import open_lines

EXAMPLES = Path(__file__).parents[2] / "examples" / "sudoku"


@pytest.fixture(scope="module")
def model() -> trmsolve.Model:
    return trmsolve.load("sudoku", device="cpu")


def puzzles(name: str, limit: int | None = None) -> list[Puzzle]:
    return list(TASK.read(open_lines(str(EXAMPLES / name)), name))[:limit]


@pytest.mark.parametrize("name", ["easy.txt", "hard.txt", "4x4.txt", "6x6.txt", "16x16.txt"])
def test_every_example_is_solved(model, name):
    (result,) = model.solve(puzzles(name))
    assert result.solved and result.verified
    assert TASK.check(result.puzzle.question, result.prediction.answer) == []


def test_a_stream_is_solved_in_order(model):
    given = puzzles("stream.csv", 40)
    results = list(model.solve(given))
    assert [r.puzzle for r in results] == given
    assert all(r.solved and (r.prediction.answer == r.puzzle.solution).all() for r in results)
    assert all(r.steps >= 1 for r in results)


def test_a_single_string_is_one_puzzle(model):
    puzzle = puzzles("easy.txt")[0]
    for one in (puzzle, "".join(map(str, puzzle.question.reshape(-1)))):
        (result,) = model.solve(one)
        assert result.solved


def test_answers_do_not_depend_on_the_batch(model):
    given = puzzles("hard.txt") + puzzles("stream.csv", 11) + puzzles("6x6.txt")
    options = {"restarts": 6}
    outcomes = []
    for size in (1, 4, 32):
        results = list(model.solve(given, batch_size=size, **options))
        outcomes.append([(r.solved, r.steps, r.restarts, r.prediction.answer.tobytes()) for r in results])
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_without_restarts_a_result_equals_the_plain_recursion(model):
    (event, *_, result) = model.watch(puzzles("easy.txt")[0], restarts=0, max_steps=5)
    assert isinstance(event, StepEvent) and event.step == 1 and event.run == 0
    assert result.restarts == 0 and result.steps <= 5


def test_watching_yields_every_step_and_then_the_result(model):
    puzzle = puzzles("hard.txt")[0]
    *events, result = model.watch(puzzle)
    assert isinstance(result, Result) and result.solved
    assert all(isinstance(event, StepEvent) for event in events)
    plain = [event.step for event in events if event.run == 0]
    assert plain == list(range(1, len(plain) + 1))
    assert events[-1].solved and (events[-1].prediction.answer == result.prediction.answer).all()
    for event in events:
        assert ((event.prediction.confidence > 0) & (event.prediction.confidence <= 1)).all()
        assert (event.prediction.answer[puzzle.question > 0] == puzzle.question[puzzle.question > 0]).all()
        assert bool(event.description) == (event.run > 0)


def test_a_puzzle_without_a_solution_does_not_affect_others_in_the_batch(model):
    good = puzzles("easy.txt")[0]
    impossible = Puzzle(good.question.copy())
    row, column = np.argwhere(good.question == 0)[0]
    solution = next(iter(model.solve([good]))).prediction.answer
    others = [d for d in range(1, 10) if d != solution[row, column]]
    for digit in others:
        impossible.question[row, column] = digit
        if not conflicts(impossible.question):
            break
    bad = InvalidPuzzle("file:3", "79 characters")
    results = list(model.solve([good, impossible, bad, good], restarts=8))
    assert [r.solved for r in results] == [True, False, False, True]
    assert results[1].prediction is None or TASK.check(impossible.question, results[1].prediction.answer)
    assert results[2].error == "79 characters"


def test_complete_and_contradictory_grids_need_no_step(model):
    _, solution, _ = generate(3, 0, 9)
    wrong = solution.copy()
    wrong[0, 0] = wrong[0, 1]
    nothing_left = np.zeros((4, 4), np.uint8)
    nothing_left[0], nothing_left[1, 3] = [1, 2, 3, 0], 4
    results = list(model.solve([Puzzle(solution), Puzzle(wrong), Puzzle(nothing_left)]))
    assert [r.solved for r in results] == [True, False, False]
    assert [r.steps for r in results] == [0, 0, 0]


@pytest.mark.parametrize("blanks", [1, 2, 3])
def test_grids_with_few_blanks_are_solved(model, blanks):
    rng = np.random.default_rng(blanks)
    given = []
    for index in range(5):
        _, solution, _ = generate(4, index, 9)
        question = solution.copy()
        question.reshape(-1)[rng.choice(81, blanks, replace=False)] = 0
        given.append(Puzzle(question, solution=solution))
    assert all(r.solved and (r.prediction.answer == r.puzzle.solution).all() for r in model.solve(given, restarts=0))


def test_without_verification_the_halting_head_decides(model):
    (result,) = model.solve(puzzles("easy.txt"), verify=False)
    assert result.halted and result.halt_prob > 0.5
    assert result.solved == (not TASK.check(result.puzzle.question, result.prediction.answer))


def test_slow_input_does_not_delay_answers(model):
    gate: queue.Queue[str] = queue.Queue()

    def slowly():
        yield puzzles("easy.txt")[0]
        gate.get(timeout=300)  # the rest of the input comes only after the first answer
        yield puzzles("4x4.txt")[0]

    results = model.solve(slowly())
    assert next(results).solved
    gate.put("go on")
    assert next(results).solved and next(results, None) is None


def test_an_error_of_the_input_reaches_the_caller(model):
    def broken():
        yield puzzles("easy.txt")[0]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        list(model.solve(broken()))


def test_a_deadline_ends_the_stream(model):
    with pytest.raises(DeadlineExceeded):
        list(model.solve(puzzles("stream.csv"), deadline=time.monotonic() - 1))


def test_closing_a_stream_stops_its_reader(model):
    before = threading.active_count()
    results = model.solve(puzzle for _ in range(10_000) for puzzle in puzzles("4x4.txt"))
    next(results)
    results.close()
    end = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.05)
    assert threading.active_count() <= before


def test_text_is_read_as_the_command_line_reads_it(model):
    text = "".join(str(d) if d else "." for d in puzzles("easy.txt")[0].question.reshape(-1))
    good, bad = model.solve([text, text[:79]])
    assert good.solved and "79 characters" in bad.error


# -- the search tree ----------------------------------------------------------------------------------------------
def leaf(p: float, solvable_prob: float = 1.0, depth: int = 0) -> Branch:
    encoded = Encoded(np.zeros(1), UnitEdges(np.zeros((4, 1)), 1), np.zeros(1, int), np.ones(1, int), np.zeros(1))
    decisions = tuple(range(depth))
    return Branch(question=np.zeros((4, 4)), encoded=encoded, p=p, solvable_prob=solvable_prob, decisions=decisions)


def test_the_probability_of_a_refuted_branch_goes_to_its_sibling():
    root = leaf(1.0)
    root.ran, root.children = True, [leaf(0.7), leaf(0.3)]
    assert [round(prob, 6) for prob, _ in root.leaves()] == [0.7, 0.3]
    root.children[0].ran, root.children[0].solvable_prob = True, 0.0
    assert [(round(prob, 6), node) for prob, node in root.leaves()] == [(1.0, root.children[1])]


def test_a_branch_whose_children_are_refuted_is_refuted():
    root, branch = leaf(1.0), leaf(0.9)
    root.ran, root.children = True, [branch, leaf(0.1)]
    branch.ran, branch.children = True, [leaf(0.5, 0.0), leaf(0.5, 0.0)]
    assert branch.subtree_value() == 0
    assert [node.p for _, node in root.leaves()] == [0.1]


def failed_readout(encoded: Encoded, solvable_prob: float = 0.9) -> Readout:
    """Of a run that ended without an answer: every option of a choice equally likely."""
    p = np.concatenate([np.full(n, 1 / n, np.float32) for n in encoded.size])
    return Readout(np.zeros(len(encoded.size), int), np.ones(len(encoded.size), np.float32), p, 0.1, solvable_prob)


def fail(search: BranchSearch, node: Branch, options: SolveOptions) -> Rollout:
    node.rollout = rollout = Rollout(node.encoded)
    search.record_failure(node, failed_readout(node.encoded))
    return rollout


def test_a_branch_resumes_from_its_parents_states_while_they_are_kept():
    (puzzle,) = puzzles("hard.txt", 1)
    search, options = BranchSearch(TASK, puzzle.question), SolveOptions()
    rollouts = {search.root: fail(search, search.root, options)}
    for _ in range(MAX_KEPT_STATES + 8):
        together = search.next_candidates(2)
        for node in together:
            start = search.warm_start(node)
            assert (start is None) == (node.parent.last is None)
            if start is not None:
                assert start.source is rollouts[node.parent]
                assert node.parent.encoded.meanings[start.rows].tolist() == node.encoded.meanings.tolist()
        for node in together:
            rollouts[node] = fail(search, node, options)
            assert rollouts[node].keep_state
    assert sum(rollout is not None for rollout in _kept(search.root)) == MAX_KEPT_STATES
    assert search.root.last is None and search.warm_start(search.root.children[0]) is None


def _kept(node: Branch) -> list[Rollout | None]:
    return [node.last, *(rollout for child in node.children for rollout in _kept(child))]


def test_with_many_solutions_the_search_is_depth_first():
    """Best-first search would try each branch of a level before the next level."""
    search = BranchSearch(TASK, np.zeros((9, 9), np.uint8))
    depths = []
    fail(search, search.root, SolveOptions())
    while (node := search.next_candidates(1)[0]).encoded.num_choices:
        depths.append(len(node.decisions))
        fail(search, node, SolveOptions())
    assert search.depth_first and len(depths) > 4
    assert all(deeper > depth for depth, deeper in pairwise(depths))


def test_a_grid_with_many_solutions_is_solved(model):
    (result,) = model.solve([Puzzle(np.zeros((9, 9), np.uint8))], restarts=200)
    assert result.solved and TASK.check(result.puzzle.question, result.prediction.answer) == []


def test_a_question_without_a_solution_is_refuted_within_few_restarts(model):
    """The result contains the proof, which differs from a search that found nothing."""
    question = puzzles("4x4.txt")[0].question.copy()
    (solved,) = model.solve([Puzzle(question)])
    row, column = np.argwhere(question == 0)[0]
    solution = solved.prediction.answer
    for digit in range(1, 5):
        question[row, column] = digit
        if digit != solution[row, column] and not conflicts(question):
            (result,) = model.solve([Puzzle(question.copy())])
            assert not result.solved and result.reason.startswith("no solution exists"), result


def test_the_branch_variable_has_few_and_evenly_probable_options():
    p = np.array([0.95, 0.05, 0.5, 0.5, 0.34, 0.33, 0.33, 1.0], np.float32)
    assert select_branch_variable(p, np.array([0, 2, 4, 7, 8])) == 1


@hypothesis.given(st.lists(st.lists(st.floats(2.0**-10, 1, width=32), min_size=1, max_size=9), min_size=1, max_size=20))
def test_the_branch_variable_has_the_best_score(options):
    """Its score: the second best option, times the two best together, over the number of options squared."""

    def score(p: list[float]) -> float:
        *_, second, best = sorted(p)
        return second * (best + second) / len(p) ** 2

    which = select_branch_variable(np.concatenate([np.float32(p) for p in options]), np.cumsum([0, *map(len, options)]))
    open_ones = [p for p in options if len(p) > 1]
    if open_ones:
        assert len(options[which]) > 1
        assert score(options[which]) == pytest.approx(max(map(score, open_ones)), rel=1e-5)
