"""A tiny checkpoint for the tests of this folder."""

from __future__ import annotations

import pytest

from .samples import write


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "sudoku.safetensors")
