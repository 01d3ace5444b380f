"""The Tiny Recursive Model (arXiv 2510.04871), its token mixers and embeddings. Knows no task."""
