"""Reliability under load, in a short form for CI (test_soak.py) and a long one: python -m tests.soak --minutes 60.

mixture.py   lines of puzzles, with bad ones among them
stream.py    a long stream of them, while the checkpoint's file is replaced again and again
killed.py    training that is killed again and again, against one that is not
room.py      the disk is full while something is saved
"""

import sys

COMMAND = [sys.executable, "-m", "trmsolve"]
PATIENCE = 600  # seconds: a limit for hanging, not a measure of speed
