"""What a cell of a maze can be. A maze is a uint8 grid (height, width) of these; an answer has PATH where FLOOR was."""

from __future__ import annotations

WALL, FLOOR, START, GOAL, PATH = range(5)

SMALLEST, LARGEST = 3, 255  # rows or columns of a maze
