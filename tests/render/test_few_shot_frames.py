"""What is drawn while a task is adapted to and answered, from made-up events."""

from __future__ import annotations

import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tasks.arc.examples import grid, task
from trmsolve.cli.pictures import MAX_INITIAL_FRAMES, PictureFiles, show
from trmsolve.inference.few_shot import AdaptEvent, AdaptOptions, FewShotResult, RankedAnswer, RefineEvent
from trmsolve.render.few_shot_frames import frames
from trmsolve.tasks.base import Prediction

OPTIONS = AdaptOptions(max_steps=4)
RIGHT, WRONG = RankedAnswer(grid("09", "00"), 11, 0.8), RankedAnswer(grid("11", "11"), 4, 0.15)
SECOND = RankedAnswer(grid("876"), 16, 0.6)


def adapting(k: int, of: int = 10, **more) -> AdaptEvent:
    it = AdaptEvent((task(),), "embedding" if k < of // 2 else "everything", 7 * k, 0.5 * k, k / of, 1 / k, 0.25, None)
    return replace(it, **more)


def refining(k: int, test: int, *rows: str, sure: float = 0.9) -> RefineEvent:
    question_grid = grid(*rows)
    confidence = np.full(question_grid.shape, sure, np.float32)
    return RefineEvent(task(), test, k, 4, Prediction(question_grid, confidence), k / 4)


def result(ranked=((RIGHT, WRONG), (SECOND,)), it=None, **more) -> FewShotResult:
    return FewShotResult(it or task(), ranked, 16, 0.97, 0.5, 70, 43.2, **more)


EVENTS = [
    *map(adapting, range(1, 11)),
    refining(1, 0, "99", "00", sure=0.5),
    refining(2, 0, "09", "00"),
    refining(1, 1, "8"),
    refining(2, 1, "876"),
    result(),
]


def drawn(events=EVENTS, it=None, options=OPTIONS):
    *frames_shown, last = frames("arc", iter(events), it or task(), options)
    return frames_shown, last


def words(frame) -> str:
    return frame.sentence()


def rows(picture) -> list[str]:
    """Each row's grids, a blank between two."""
    return [" ".join("".join(cell.text for cell in row).split()) for row in picture.cells]


def labels(picture) -> list[str]:
    return [label.text for label in sorted(picture.labels, key=lambda label: (label.row, label.column))]


# -- the frames -----------------------------------------------------------------------------------------------------
def test_a_frame_for_the_task_one_for_every_event_and_the_result():
    frames_shown, last = drawn()
    assert len(frames_shown) == 1 + len(EVENTS) and last is EVENTS[-1]
    assert [frame.done for frame in frames_shown] == [False] * len(EVENTS) + [True]
    assert all(frame.heading == "arc flip.json" for frame in frames_shown)
    assert len({(len(frame.picture.cells), len(frame.picture.cells[0])) for frame in frames_shown}) == 1


def test_adapting_says_how_far_it_is():
    frames_shown, _ = drawn([adapting(3, holdout_accuracy=0.75), adapting(6), result()])
    assert words(frames_shown[0]).startswith("adapting to a new task · budget 0 %")
    for part in ("its embedding", "budget 30 %", "steps 21", "loss 0.333", "pairs 25 % right", "unseen 75 % right"):
        assert part in words(frames_shown[1]), part
    assert words(frames_shown[1]).endswith("time 1.5 s of 60.0 s")
    assert "adapting everything" in words(frames_shown[2]) and "unseen" not in words(frames_shown[2])


def test_a_budget_of_steps():
    frames_shown, _ = drawn([adapting(3), result()], options=AdaptOptions(budget=None, steps=70))
    assert "steps 21 of 70" in words(frames_shown[1]) and words(frames_shown[1]).endswith("time 1.5 s")


def test_before_the_last_frame_nothing_is_drawn_that_a_solver_does_not_know():
    frames_shown, _ = drawn()
    unknown, _ = drawn([*EVENTS[:-1], result(it=task(answers=False))], task(answers=False))

    def grids(frame):
        pictures = (frame.picture, *frame.zoom_levels)
        return [
            sorted(word for row in rows(picture) for word in row.split() if word.strip("-")) for picture in pictures
        ]

    assert [grids(frame) for frame in frames_shown[:-1]] == [grids(frame) for frame in unknown[:-1]]
    assert "solution" not in labels(unknown[-1].picture)
    assert all("solution" not in labels(frame.picture) for frame in frames_shown[:-1])


def test_every_grid_is_labelled_and_the_solution_stands_beside_the_attempts():
    frames_shown, _ = drawn()
    assert labels(frames_shown[0].picture) == ["demonstrations", "test", "test"]
    assert labels(frames_shown[11].picture) == ["demonstrations", "test", "draft", "changes", "test"]
    assert labels(frames_shown[-1].picture) == (
        ["demonstrations", "test", "attempt 1", "attempt 2", "solution", "test", "attempt 1", "solution"]
    )
    wrong, _ = drawn([result(((WRONG,), ()))])
    assert {"90 11 09", "678 > 876"} <= set(rows(wrong[-1].picture))
    unknown, _ = drawn([result(it=task(answers=False))], task(answers=False))
    assert {"90 09 11", "678 > 876"} <= set(rows(unknown[-1].picture))


def test_around_a_label_is_background_alone():
    for frame in drawn()[0]:
        for shown in (frame.picture, *frame.zoom_levels):
            for label in shown.labels:
                band = [row[label.column : label.column + len(label.text)] for row in shown.cells]
                around = [cell.role for row in band[label.row - 1 : label.row + 2] for cell in row]
                assert around == ["mat"] * 3 * len(label.text), label


def test_refining_draws_the_grid_and_what_changed_in_it():
    frames_shown, _ = drawn()
    first, second = frames_shown[11:13]
    assert "step 1 of at most 4 · halting 25 % · unsure 4 of 4 cells · changed 0 cells · test 1 of 2" in words(first)
    assert words(first).endswith("time 5.0 s")  # it goes on with the clock of adapting
    assert "unsure 0 of 4 cells · changed 1 cell ·" in words(second)
    assert {"90 99 ??", "00 > 00 ??"} <= set(rows(first.picture))
    assert {"90 09 *.", "00 > 00 .."} <= set(rows(second.picture))
    assert first.status.remaining == 4 and second.status.remaining == 0


def test_the_next_test_begins_anew_and_what_the_last_one_came_to_stays():
    frames_shown, _ = drawn()
    third = frames_shown[13]
    assert "test 2 of 2" in words(third) and "changed 0 cells" in words(third)
    shown = rows(third.picture)
    assert any("90 09" in row for row in shown) and not any("*" in row for row in shown)
    assert all("90" not in row for row in rows(third.zoom_levels[0]))  # nearer to what is refined now
    assert any("678 > 8" in row for row in rows(third.zoom_levels[0]))


def test_in_the_end_both_attempts_stand_beside_their_test():
    frames_shown, _ = drawn()
    assert {"90 09 11 09", "678 > 876 876"} <= set(rows(frames_shown[-1].picture))
    assert {cell.role for row in frames_shown[-1].picture.cells for cell in row}.isdisjoint(
        {"settled", "doubted", "redrawn"}
    )


# -- how it ended ---------------------------------------------------------------------------------------------------
def test_solved():
    last = drawn()[0][-1]
    assert last.outcome == "good" and last.state == "solved"
    for part in ("sure 60 %", "test 1: 11 and 4 of 16, first right", "test 2: 16 of 16, first right", "43.2 s"):
        assert part in words(last), part
    assert "pairs 97 % right · unseen 50 % right · steps 70" in words(last)


def test_the_second_attempt_counts_and_a_wrong_answer_is_said_to_be_wrong():
    last = drawn([result(((WRONG, RIGHT), (RankedAnswer(grid("1"), 16, 1.0),)))])[0][-1]
    assert last.outcome == "bad" and last.state == "not solved"
    assert "test 1: 4 and 11 of 16, second right · test 2: 16 of 16, none right" in words(last)


def test_a_third_grid_does_not_count():
    last = drawn([result(((WRONG, RankedAnswer(grid("2"), 3, 0.1), RIGHT), (SECOND,)))])[0][-1]
    assert "test 1: 4 and 3 of 16, none right" in words(last) and last.outcome == "bad"


def test_a_grid_that_no_view_answered_is_their_consensus():
    last = drawn([result(((replace(RIGHT, votes=0), WRONG), (SECOND,)))])[0][-1]
    assert "test 1: consensus and 4 of 16, first right" in words(last)


def test_where_the_answers_are_not_known_nobody_says_solved():
    it = task(answers=False)
    last = drawn([result(it=it)], it)[0][-1]
    assert last.state == "answered, not checked" and last.outcome == ""
    assert "right" not in words(last).split("pairs")[0]


def test_a_task_that_came_to_nothing():
    last = drawn([FewShotResult(task(), error="too large for this machine")])[0][-1]
    assert last.done and last.state == "not answered" and last.outcome == "bad"
    assert "too large for this machine" in words(last)
    nothing = drawn([result(((), ()))])[0][-1]
    assert "test 1: none of 16, none right" in words(nothing)


# -- shown and written ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("keep", [True, False])
def test_showing_ends_with_the_result(keep, capsys):
    seen, last = show(frames("arc", iter(EVENTS), task(), OPTIONS), "never", 0.0, True, keep)
    assert last is EVENTS[-1] and len(seen) == (1 + len(EVENTS)) * keep
    shown = capsys.readouterr().err
    assert shown.index("its embedding") < shown.index("step 2 of at most 4") < shown.index("solved")
    assert re.search("90 +09 +11 +09", shown)


def test_files_hold_all_of_the_refinement_and_little_of_adapting(tmp_path):
    events = [*(adapting(k, 200) for k in range(1, 201)), *EVENTS[10:]]
    seen, _ = show(frames("arc", iter(events), task(), OPTIONS), "never", 0.0, False, True)
    paths = [tmp_path / f"a.{kind}" for kind in ("svg", "gif", "html")]
    PictureFiles(*paths).write(seen)
    image = Image.open(paths[1])
    assert image.n_frames == MAX_INITIAL_FRAMES + 5
    assert paths[2].read_text(encoding="utf-8").count('"meter":"budget"') == MAX_INITIAL_FRAMES
    assert "solved" in paths[0].read_text(encoding="utf-8")


def test_nothing_here_needs_torch():
    import subprocess

    code = "import sys, trmsolve.render.few_shot_frames, trmsolve.cli.pictures; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
