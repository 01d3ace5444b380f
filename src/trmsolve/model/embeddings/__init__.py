"""Embeddings of the question x, one vector per token. A module here is an embedding; its file name is its name.

To add one, write a file with a module `Embedding(config)` from token ids, int64 (L,), to x (L, D). It also provides the
head that reads the answer from y: a linear layer (make_head), or its own method `answer`. `puzzle_table` holds the
embeddings of puzzles, or is None.
"""
