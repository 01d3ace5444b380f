"""The input of a model. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

RoundUp = Callable[[Any], Any]  # rounds an integer, or an array of them, up to a padded size


class Edges:
    """The edges of one puzzle."""

    __slots__ = ()
    dense: ClassVar[bool] = False  # whether all puzzles of a batch have the same number of tokens, and none is padding

    @staticmethod
    def pack(edges: Sequence[Any], starts: np.ndarray, num_tokens: int, round_up: RoundUp) -> Any:
        """The edges of B puzzles as tensors.

        starts: int64 (B + 1,) the first token of each puzzle, and their number. num_tokens: with padding. round_up: of
        the number of segments of a kind, so that few shapes occur.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Encoded:
    """L tokens, the edges between them, and U choices that make up an answer.

    x: int64 (L,) token ids for the embedding of the question (embeddings/).
    edges: along which tokens exchange messages, of the type that the model's mixer defines (mixers/).
    first, size: int64 (U,). The model computes one or more logits per token; token by token, they are the logits of O
        options. Choice u selects exactly one of the size[u] options from first[u] on.
    meanings: int64 (O,) what each option means to the task (Sudoku: cell * side + digit, 0-based).

    Example, a row of two open cells that may hold 1 or 2 (a) and 2 or 3 (b), one logit per token:
        x = [2 2 2 2]  first = [0 2]  size = [2 2]  meanings = [a1 a2 b2 b3]
    """

    x: np.ndarray
    edges: Edges
    first: np.ndarray
    size: np.ndarray
    meanings: np.ndarray

    @property
    def num_choices(self) -> int:
        """U, the number of choices."""
        return len(self.first)
