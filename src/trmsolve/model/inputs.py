"""The input of a model. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Encoded:
    """L tokens, the edges between them, and U choices that make up an answer.

    x: int64 (L,) token ids for the embedding of the question (embeddings/).
    edges: the edges along which tokens exchange messages, of the type that the model's mixer defines (mixers/).
    first, size: int64 (U,). The model computes one or more logits per token; token by token, they are the logits of O
        options. Choice u selects exactly one of the size[u] options from first[u] on.
    meanings: int64 (O,) what each option means to the task (Sudoku: cell * side + digit, 0-based).

    Example, a row of two open cells that may hold 1 or 2 (a) and 2 or 3 (b), one logit per token:
        x = [2 2 2 2]  first = [0 2]  size = [2 2]  meanings = [a1 a2 b2 b3]
    """

    x: np.ndarray
    edges: Any
    first: np.ndarray
    size: np.ndarray
    meanings: np.ndarray

    @property
    def num_choices(self) -> int:
        """U, the number of choices."""
        return len(self.first)
