"""A place for clusters: pytest's own directories are closed to the account that a server of root's runs as."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every account can pass through; gone after the test."""
    directory = Path(tempfile.mkdtemp(prefix="migrator-test-", dir="/tmp"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)
