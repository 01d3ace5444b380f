"""Training data: faults of files are named before the run begins; a sample depends on the seed and its index."""

import logging
import zipfile
from pathlib import Path

import numpy as np
import pytest

from trmsolve.errors import TrmsolveError
from trmsolve.tasks import get
from trmsolve.tasks.dataset import add_hints, corrupt, parse_size
from trmsolve.tasks.sudoku.backtracking import solutions
from trmsolve.tasks.sudoku.generate import generate
from trmsolve.text_io import open_lines

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


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("question,answer\n")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)  # root may read everything
    with pytest.raises(TrmsolveError, match=r"a\.csv: no permission to read it"):
        SUDOKU.training_data([str(tmp_path / "a.csv")])


def test_what_else_an_npz_holds_is_not_read(tmp_path):
    data = npz(tmp_path / "a.npz", question=QUESTION, answer=ANSWER, notes=np.array([{}]))
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("README.txt", "a text")
    assert SUDOKU.training_data([str(tmp_path / "a.npz")]).draw(3).target.tolist() == data.draw(3).target.tolist()
    (record, *_) = SUDOKU.read(open_lines(tmp_path / "a.npz"), "a.npz")
    assert record.question.reshape(-1).tolist() == QUESTION[0].tolist()


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
        ({"question": np.array([None, {}]), "answer": ANSWER}, "the array 'question' cannot be read"),
    ],
)
def test_a_faulty_npz_is_refused_with_the_reason(tmp_path, arrays, message):
    with pytest.raises(TrmsolveError, match=message):
        npz(tmp_path / "a.npz", **arrays)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a zip", b"question,answer\n"])
def test_a_file_that_is_no_npz_is_refused(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(TrmsolveError, match="its arrays cannot be read"):
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
    assert parse_size(text, "--size ") == size


@pytest.mark.parametrize("text", ["999999999", "9x1025"])
def test_a_size_beyond_every_grid_is_refused(text):
    with pytest.raises(TrmsolveError, match=f"generate:{text}: too large") as error:
        parse_size(text, "generate:")
    assert "at most 1024" in error.value.hint


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


# -- samples ----------------------------------------------------------------------------------------------------------
def test_a_draw_depends_on_seed_and_index_alone():
    first, second = (SUDOKU.training_data(["generate:9x9"], 5, unsolvable_prob=0.3) for _ in range(2))
    for index in (0, 7, 300):
        a, b = first.draw(index), second.draw(index)
        assert (a.encoded.meanings == b.encoded.meanings).all() and (a.target == b.target).all()
        assert a.solvable == b.solvable
    other = SUDOKU.training_data(["generate:9x9"], 6).draw(7)
    assert (
        len(other.encoded.x) != len(first.draw(7).encoded.x)
        or (other.encoded.meanings != first.draw(7).encoded.meanings).any()
    )


def test_corrupted_samples_have_no_solution():
    rng = np.random.default_rng(0)
    for index in range(5):
        question, answer, _ = generate(11, index, 9)
        corrupted = corrupt(SUDOKU, question, answer, rng)
        assert corrupted is not None and solutions(corrupted, 1)[0] == []
        easier = add_hints(question, answer, 0.5, rng)
        assert ((easier == answer) | (easier == 0)).all() and (easier > 0).sum() > (question > 0).sum()
        assert len(SUDOKU.target(easier, answer)) == SUDOKU.encode(easier).num_choices


def test_hint_share_falls_by_draw_number():
    """By draw number, so that a resumed run draws the samples of an uninterrupted one."""
    falling = SUDOKU.training_data(["generate:4x4"], 5, hint_prob=1.0, hint_max=0.8, hint_min=0.2, hint_draws=100)
    assert [falling.hint_share(index) for index in (0, 50, 100, 10_000)] == pytest.approx([0.8, 0.5, 0.2, 0.2])
    plain = SUDOKU.training_data(["generate:4x4"], 5, hint_prob=0.0)

    def filled(start: int) -> float:
        """The share of the blanks of 200 puzzles that is filled in."""
        pairs = [(falling.pair(index)[0][0], plain.pair(index)[0][0]) for index in range(start, start + 200)]
        return 1 - sum((easier == 0).sum() for easier, _ in pairs) / sum((whole == 0).sum() for _, whole in pairs)

    assert filled(10_000) == pytest.approx(0.1, abs=0.03)  # on average half of hint_min
    steady = SUDOKU.training_data(["generate:4x4"], 5, hint_max=0.1, hint_min=0.2)
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
        SUDOKU.training_data([str(path)])
    assert Path(caught.value.message.split(":")[0]).name == "data.csv"
