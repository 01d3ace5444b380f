"""Checkpoints: the file format (file.py), where they lie (folders.py), finding (finding.py), pulling (hub.py).

Nothing here imports torch or huggingface_hub until weights are read or a download begins, so that
`trmsolve checkpoints list` starts at once.
"""

from trmsolve.store.address import Address
from trmsolve.store.file import FORMAT_VERSION, Header, load_tensors, read_header, save, sha256_of
from trmsolve.store.finding import Found, Listing, available, find
from trmsolve.store.folders import bundled_dir, cache_dir
from trmsolve.store.hub import cached, pull

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
