"""Checkpoints: the file format (format.py), its previous version (version_1.py), lookup.py, and downloads (hub.py).

torch and huggingface_hub are imported only when weights are read or downloaded, so that `trmsolve checkpoints list`
starts quickly.
"""

from trmsolve.checkpoint.format import FORMAT_VERSION, Header, load_tensors, read_header, save, sha256_of
from trmsolve.checkpoint.hub import Address, cache_dir, cached, pull
from trmsolve.checkpoint.lookup import CheckpointFile, Listing, available, bundled_dir, find

__all__ = [
    "FORMAT_VERSION",
    "Address",
    "CheckpointFile",
    "Header",
    "Listing",
    "available",
    "bundled_dir",
    "cache_dir",
    "cached",
    "find",
    "load_tensors",
    "pull",
    "read_header",
    "save",
    "sha256_of",
]
