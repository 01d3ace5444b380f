"""Voting: how the answers of augmentations are ranked, and what their consensus is."""

import numpy as np
import pytest

from tasks.arc.examples import grid
from trmsolve.inference.voting import WeightedAnswer, consensus, rank_answers


def answer(predicted, weight, confidence=0.9):
    """An answer that gives each of its colours this probability, and an equal part of the rest to all others."""
    probabilities = np.full((*predicted.shape, 10), (1 - confidence) / 9, np.float32)
    np.put_along_axis(probabilities, predicted[:, :, None].astype(np.int64), confidence, 2)
    return WeightedAnswer(predicted, probabilities, weight)


def test_the_weights_of_votes_add_up_to_one():
    a, b = grid("12"), grid("21")
    votes = {vote.grid.tobytes(): vote for vote in rank_answers([answer(b, 0.1), answer(a, 0.9), answer(b, 0.2)])}
    assert {key: vote.votes for key, vote in votes.items()} == {a.tobytes(): 1, b.tobytes(): 2}
    assert votes[a.tobytes()].confidence == pytest.approx(0.75)
    assert votes[b.tobytes()].confidence == pytest.approx(0.25)


def test_the_consensus_of_answers_that_are_wrong_in_different_cells_is_right():
    right = grid("123", "456")
    wrong = [grid("023", "456"), grid("103", "456"), grid("123", "450")]
    first, *others = rank_answers([answer(predicted, 0.5) for predicted in wrong])
    assert first.grid.tolist() == right.tolist() and (first.votes, first.confidence) == (0, 0)
    assert sorted(vote.grid.tolist() for vote in others) == sorted(predicted.tolist() for predicted in wrong)


def test_one_confident_answer_outweighs_two_doubtful_ones_in_a_cell():
    answers = [answer(grid("1"), 0.5, 0.99), answer(grid("2"), 0.5, 0.3), answer(grid("2"), 0.5, 0.3)]
    assert consensus(answers).tolist() == [[1]]


def test_agreed_grids_come_first_then_the_consensus_then_single_votes():
    a, b, c, d = grid("11"), grid("12"), grid("21"), grid("33")
    answers = [answer(a, 0.9, 0.99), answer(b, 0.2, 0.3), answer(b, 0.3, 0.3), answer(c, 0.6, 0.3), answer(d, 0.7, 0.2)]
    assert [vote.grid.tolist() for vote in rank_answers(answers)] == [
        g.tolist() for g in (b, a, d, c)
    ]  # a is the consensus
    agreed = rank_answers([*answers, answer(c, 0.1, 0.3)])
    assert [vote.grid.tolist() for vote in agreed] == [g.tolist() for g in (c, b, a, d)]


def test_only_answers_of_the_commonest_size_count_in_the_consensus():
    answers = [answer(grid("1", "1"), 0.5), answer(grid("22"), 0.3), answer(grid("12"), 0.3, 0.4)]
    assert consensus(answers).tolist() == [[2, 2]]
    assert len(rank_answers([answer(grid("12"), 0.5), answer(grid("1", "2"), 0.5)])) == 2


def test_among_small_weights_the_number_of_votes_decides():
    answers = [answer(grid("1", "1"), 0.0), answer(grid("22"), 0.001), answer(grid("22"), 0.0)]
    assert rank_answers(answers)[0].votes == 2
