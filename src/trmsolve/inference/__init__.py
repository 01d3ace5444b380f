"""Inference: a stream of puzzles in, verified answers out, many puzzles in one continuous batch."""
