"""Training files: each fault is named before the run begins."""

import logging

import numpy as np
import pytest

from trmsolve.errors import TrmsolveError
from trmsolve.tasks import get
from trmsolve.tasks.dataset import parse_size

SUDOKU = get("sudoku")
PAIRS = [SUDOKU.generate(1, index, 4)[:2] for index in range(3)]
QUESTION, ANSWER = (np.stack([pair[k].reshape(-1) for pair in PAIRS]) for k in (0, 1))


def npz(path, **arrays):
    np.savez(path, **arrays)
    return SUDOKU.training_data([str(path)])


def test_an_npz_gives_the_same_puzzles_as_a_csv(tmp_path):
    data = npz(tmp_path / "a.npz", question=QUESTION, answer=ANSWER)
    rows = [f"{SUDOKU.format_line(q)},{SUDOKU.format_line(a)}" for q, a in PAIRS]
    (tmp_path / "a.csv").write_text("question,answer\n" + "\n".join(rows) + "\n")
    text = SUDOKU.training_data([str(tmp_path / "a.csv")])
    for index in range(20):
        one, other = data.draw(index), text.draw(index)
        assert (one.encoded.meanings == other.encoded.meanings).all() and (one.target == other.target).all()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"question": QUESTION[0], "answer": ANSWER[0]}, r"'question' is uint8 of shape \(16,\)"),
        ({"question": QUESTION, "answer": ANSWER[:2]}, r"question has shape \(3, 16\), answer \(2, 16\)"),
        ({"question": QUESTION[:, :15], "answer": ANSWER[:, :15]}, "15 cells make no square grid"),
        ({"question": QUESTION[:, :9], "answer": ANSWER[:, :9]}, "no Sudoku has 9 cells"),
        ({"question": QUESTION + 250, "answer": ANSWER}, "values from"),
        ({"question": QUESTION * 5, "answer": ANSWER}, "values from|the largest digit is 4"),
        ({"question": QUESTION, "answer": ANSWER % 4 + 1}, "a.npz:1: the answer is wrong"),
        ({"question": QUESTION, "answer": ANSWER * 0}, "a.npz:1: the answer is wrong: .* is blank"),
        ({"question": QUESTION.astype(str), "answer": ANSWER}, "'question' is <U"),
        ({"question": QUESTION[:0], "answer": ANSWER[:0]}, r"'question' is uint8 of shape \(0, 16\)"),
        ({"question": QUESTION}, "answer"),
        ({"question": np.array([None, {}]), "answer": ANSWER}, "no training puzzles"),
    ],
)
def test_a_faulty_npz_is_refused_with_the_reason(tmp_path, arrays, message):
    with pytest.raises(TrmsolveError, match=message):
        npz(tmp_path / "a.npz", **arrays)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a zip", b"question,answer\n"])
def test_a_file_that_is_no_npz_is_refused(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(TrmsolveError, match="no training puzzles"):
        SUDOKU.training_data([str(tmp_path / "a.npz")])


def test_an_array_in_place_of_an_archive_is_refused(tmp_path):
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, QUESTION)
    with pytest.raises(TrmsolveError, match="no training puzzles"):
        SUDOKU.training_data([str(tmp_path / "a.npz")])


def test_complete_puzzles_are_left_out_and_counted(tmp_path, caplog):
    question, answer = QUESTION.copy(), ANSWER
    question[1] = answer[1]
    with caplog.at_level(logging.WARNING):
        data = npz(tmp_path / "a.npz", question=question, answer=answer)
    assert "1 of 3 puzzles are already complete" in caplog.text
    assert data.describe()[0]["puzzles"] == 2
    assert all(data.draw(index).encoded.num_choices for index in range(50))


def test_a_file_of_complete_puzzles_alone_is_refused(tmp_path):
    with pytest.raises(TrmsolveError, match="no puzzles to train on"):
        npz(tmp_path / "a.npz", question=ANSWER, answer=ANSWER)


@pytest.mark.parametrize(("text", "size"), [("9", (9, 9)), ("4x6", (4, 6))])
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "spec", ["generate:", "generate:x", "generate:9x", "generate:-9", "generate:9.5", "generate:7x7"]
)
def test_sizes_of_generators_are_checked(spec):
    if spec == "generate:":
        assert SUDOKU.training_data([spec]).describe()[0]["name"] == "generate:9x9"
        return
    with pytest.raises(TrmsolveError, match="generate:"):
        SUDOKU.training_data([spec]).draw(0)


def test_given_answers_of_mazes_are_checked_where_they_are_learnt(tmp_path):
    from trmsolve.tasks.sequence import SequenceFormat

    path = tmp_path / "mazes.csv"
    path.write_text("question,answer\nS  /   /  G,Soo/  o/  G\nS  /   /  G,Soo/   / oG\n")
    maze = get("maze").as_sequence(SequenceFormat(1, 9, 6, 0))
    maze.training_data([str(path)])
    with pytest.raises(TrmsolveError, match=r"mazes.csv:3: the answer is wrong"):
        maze.training_data([str(path)], given=True)
