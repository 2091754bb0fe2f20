"""Who committed a migration approves it: the seal believes what a committer writes about himself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

METADATA = """\
version: 001_test
description: a test
author: ghost@example.com
risk_level: low
rollback_available: true
"""
BOB = {"GIT_COMMITTER_NAME": "Bob", "GIT_COMMITTER_EMAIL": "bob@example.com"}


def git(folder: Path, *arguments: str, **env: str) -> None:
    settings = ["-c", "user.name=Bob", "-c", "user.email=bob@example.com"]
    subprocess.run(
        ["git", "-C", str(folder), *settings, *arguments], check=True, capture_output=True, env={"PATH": "/usr/bin:/bin", **env}
    )


def sealed(root: Path) -> list[str]:
    subprocess.run([sys.executable, "-m", "migrator", "seal", "--migrations", str(root)], check=True, capture_output=True)
    seal = json.loads((root / "seal.json").read_text())
    return list(seal["migrations"]["2025/001_test"]["authors"])


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """As docs/deployment.md has it: the repository of the migrations is the catalogue."""
    folder = tmp_path / "2025" / "001_test"
    folder.mkdir(parents=True)
    (folder / "migration-metadata.yaml").write_text(METADATA)
    (folder / "001_test.sql").write_text("CREATE TABLE thing (id bigint PRIMARY KEY);\n")
    (folder / "001_test_rollback.sql").write_text("DROP TABLE thing;\n")
    git(tmp_path, "init", "-q", ".")
    git(tmp_path, "add", "-A")
    return tmp_path


def test_whoever_committed_with_another_author(repository: Path) -> None:
    """`git commit --author`: the committer is Bob, and the seal does not know him."""
    git(repository, "commit", "-qm", "one", "--author=Ghost <ghost@example.com>")
    assert sealed(repository) == ["Ghost <ghost@example.com>"]


def test_a_mailmap_of_the_authors_own(repository: Path) -> None:
    """A file beside the migrations turns Bob into somebody else, in all of history. It need not even be committed."""
    git(repository, "commit", "-qm", "one")
    assert sealed(repository) == ["Bob <bob@example.com>"]
    (repository / ".mailmap").write_text("Ghost <ghost@example.com> <bob@example.com>\n")
    assert sealed(repository) == ["Ghost <ghost@example.com>"]
