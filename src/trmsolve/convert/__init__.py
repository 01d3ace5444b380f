"""Published checkpoints as ours: found (convert.py), read (read.py, settings.py) and understood (architecture.py)."""
