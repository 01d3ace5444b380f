"""Embeddings of the question x by name, one vector per token. To add one, write a file and register it here.

An embedding is a module from token ids, int64 (L,), to x (L, D). It also provides the head that reads the answer from
y: a linear layer (make_head), or its own method `answer`. `puzzle_table` holds the embeddings of puzzles, or is None.
"""

from __future__ import annotations

from typing import Any

from trmsolve.model.embeddings.color import ColorEmbedding
from trmsolve.model.embeddings.token import TokenEmbedding

EMBEDDINGS: dict[str, Any] = {"token": TokenEmbedding, "color": ColorEmbedding}
