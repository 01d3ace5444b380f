"""A made-up refinement: frames as the solver would send them, without a model."""

from __future__ import annotations

import numpy as np

from trmsolve.render.frame import Frame
from trmsolve.tasks.base import Prediction
from trmsolve.tasks.sudoku.picture import box_shape, picture


def solution(side: int) -> np.ndarray:
    """A full valid grid of that side."""
    rows, columns = box_shape(side)
    r, c = np.indices((side, side))
    return ((r % rows * columns + r // rows + c) % side + 1).astype(np.uint8)


def refinement(side: int = 9, steps: int = 6, solved: bool = True, seed: int = 0, source: str = "puzzle.txt:1"):
    """Frames 0..steps: the question, then guesses with fewer and fewer wrong cells; the last one is done."""
    random = np.random.default_rng(seed)
    answer = solution(side)
    question = np.where(random.random(answer.shape) < 0.35, answer, 0).astype(np.uint8)
    doubt = random.random(answer.shape)
    frames, previous = [Frame(picture(question, None), "sudoku", source, 0, 64)], None
    for k in range(1, steps + 1):
        left = 1 - k / steps if solved else max(1 - k / steps, 0.1)
        wrong = (doubt < 0.6 * left) & (question == 0)
        if not solved and not wrong.any():
            wrong[np.argwhere(question == 0)[0][0], np.argwhere(question == 0)[0][1]] = True
        shown = np.where(wrong, answer % side + 1, answer).astype(np.uint8)
        confidence = np.where(question > 0, 1.0, 1 - left * doubt * 0.9).astype(np.float32)
        guess = Prediction(shown, confidence)
        done = k == steps
        frames.append(
            Frame(
                picture(question, guess, previous),
                "sudoku",
                source,
                k,
                64,
                run=0 if k < 3 else 1,
                halt_probability=0.999 if done and solved else 0.9 * (1 - left) ** 2,
                violations=int(wrong.sum()),
                assumption="" if k < 3 else "assuming r3c5=7",
                seconds=0.021 * k,
                solved=done and solved,
                done=done,
            )
        )
        previous = guess
    return frames
