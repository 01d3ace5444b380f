"""Fixtures of tests of the import."""

import pytest


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"
