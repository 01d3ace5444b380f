"""Convert published checkpoints: convert.py finds them, read.py and settings.py read them, architecture.py infers."""
