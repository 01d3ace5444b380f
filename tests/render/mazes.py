"""Synthetic refinements of mazes: a path that grows from the goal, with stray cells."""

from __future__ import annotations

import dataclasses

import numpy as np

from trmsolve.render.frame import Frame
from trmsolve.tasks.base import Prediction
from trmsolve.tasks.maze.cells import FLOOR, GOAL, PATH, START, WALL
from trmsolve.tasks.maze.rules import backtrace, canonical, distances, find_cell, parents
from trmsolve.tasks.maze.write import picture

from .fake import status


def maze(height: int, width: int, seed: int = 0, density: float = 0.3) -> np.ndarray:
    """Walls at random; the goal is as far from the start as any cell."""
    random = np.random.default_rng(seed)
    while True:
        grid = np.where(random.random((height, width)) < density, WALL, FLOOR).astype(np.uint8)
        start = tuple(map(int, random.integers((height, width))))
        grid[start] = START
        steps = distances(grid != WALL, start)
        if steps.max() >= min(height, width) - 1:
            grid[np.unravel_index(steps.argmax(), steps.shape)] = GOAL
            return grid


def growth(question: np.ndarray, steps: int = 6, source: str = "maze.txt:1") -> list[Frame]:
    """Frames 0..steps: the question, then ever more of its path; the last one is done and right."""
    random = np.random.default_rng(1)
    path = backtrace(parents(distances(question != WALL, find_cell(question, START))), find_cell(question, GOAL))[1:-1]
    frames, previous = [Frame(picture(question, None), "maze", source, 0, status(0))], None
    for k in range(1, steps + 1):
        answer, confidence, done = question.copy(), np.ones(question.shape, np.float32), k == steps
        for i, cell in enumerate(path[: len(path) * k // steps]):
            answer[cell] = PATH
            confidence[cell] = 0.99 if done or i % 5 else 0.5
        if not done:
            answer[(question == FLOOR) & (random.random(question.shape) < 0.02)] = PATH
        guess = Prediction(answer, confidence)
        text = status(k, 0 if done else 2, 0.99 if done else 0.5 * k / steps)
        text = dataclasses.replace(text, state=f"solved at step {k}") if done else text
        frames.append(Frame(picture(question, guess, previous), "maze", source, k, text, 0.021 * k, done, done))
        previous = guess
    assert (previous.answer == canonical(question)).all()
    return frames
