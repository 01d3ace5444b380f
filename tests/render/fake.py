"""A synthetic refinement: frames as the solver would give them, without a model."""

from __future__ import annotations

import dataclasses

import numpy as np

from trmsolve.render.frame import Frame, Stat, StatusText
from trmsolve.tasks.base import Prediction
from trmsolve.tasks.sudoku import TASK
from trmsolve.tasks.sudoku.rules import BOX


def solution(side: int) -> np.ndarray:
    """A full valid grid of that side."""
    rows, columns = BOX[side]
    r, c = np.indices((side, side))
    return ((r % rows * columns + r // rows + c) % side + 1).astype(np.uint8)


def status(step: int, broken: int = 0, halt_prob: float = 0.0, restart: int = 0) -> StatusText:
    """The text of a step, of which each takes 21 ms."""
    stats = (
        Stat("rules", f"{broken} still broken" if broken else "none broken", not broken),
        Stat("restart", str(restart or "none")),
        Stat("guess", "assuming r3c5=7" if restart else "none", may_be_cut=True),
        Stat("time", f"{21 * step} ms, step 21 ms", may_be_cut=True),
    )
    return StatusText(f"step {step} of at most 64", ("halting", halt_prob), stats, broken, "broken rules")


def refinement(side: int = 9, steps: int = 6, solved: bool = True, seed: int = 0, source: str = "puzzle.txt:1"):
    """Frames 0..steps: the question, then guesses with fewer and fewer wrong cells; the last one is done."""
    random = np.random.default_rng(seed)
    answer = solution(side)
    question = np.where(random.random(answer.shape) < 0.35, answer, 0).astype(np.uint8)
    doubt = random.random(answer.shape)
    frames, previous = [Frame(TASK.picture(question, None), "sudoku", source, 0, status(0))], None
    for k in range(1, steps + 1):
        left = 1 - k / steps if solved else max(1 - k / steps, 0.1)
        wrong = (doubt < 0.6 * left) & (question == 0)
        if not solved and not wrong.any():
            wrong[np.argwhere(question == 0)[0][0], np.argwhere(question == 0)[0][1]] = True
        shown = np.where(wrong, answer % side + 1, answer).astype(np.uint8)
        confidence = np.where(question > 0, 1.0, 1 - left * doubt * 0.9).astype(np.float32)
        guess = Prediction(shown, confidence)
        done = k == steps
        halt_prob = 0.999 if done and solved else 0.9 * (1 - left) ** 2
        text = status(k, int(wrong.sum()), halt_prob, restart=int(k >= 3))
        if done:
            text = dataclasses.replace(text, state=f"solved at step {k}" if solved else "not solved")
        shown_picture = TASK.picture(question, guess, previous)
        frames.append(Frame(shown_picture, "sudoku", source, k, text, 0.021 * k, done and solved, done))
        previous = guess
    return frames
