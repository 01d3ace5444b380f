"""Published checkpoints as ours: finding (source.py), reading (formats.py), understanding (architecture.py)."""
