"""Checkpoints: the file format (format.py), its former version (version_1.py), folders.py, lookup.py, pulling (hub.py).

Nothing here imports torch or huggingface_hub until weights are read or a download begins, so that
`trmsolve checkpoints list` starts at once.
"""

from trmsolve.checkpoint.address import Address
from trmsolve.checkpoint.folders import bundled_dir, cache_dir
from trmsolve.checkpoint.format import FORMAT_VERSION, Header, load_tensors, read_header, save, sha256_of
from trmsolve.checkpoint.hub import cached, pull
from trmsolve.checkpoint.lookup import Found, Listing, available, find

__all__ = [
    "FORMAT_VERSION",
    "Address",
    "Found",
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
