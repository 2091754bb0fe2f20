"""A project of its own for each test: two targets, and the migrations that the test writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml

from airflow_migrator.settings import Settings

TARGETS = """
targets:
  development:
    environment: development
    connection: migrator_development
    copies_connection: migrator_copies
  production:
    environment: production
    connection: migrator_production
    copies_connection: migrator_copies
    reviews: {low: 1, medium: 2, high: 2}
    reviewers: {alice: senior-dba@wakala.com, bob: architect@wakala.com}
"""


class Write(Protocol):
    def __call__(self, version: str, **changes: Any) -> Path: ...


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A project of its own, with two targets and no migration yet."""
    (tmp_path / "migrations").mkdir()
    targets = tmp_path / "targets.yaml"
    targets.write_text(TARGETS)
    return Settings(home=tmp_path, migrations=tmp_path / "migrations", targets=targets, cache=None)


@pytest.fixture
def write(settings: Settings) -> Write:
    """Put a migration into the project; `changes` go into its metadata, None takes a key away."""

    def migration(version: str, **changes: Any) -> Path:
        folder = settings.migrations / "2025" / version
        folder.mkdir(parents=True)
        metadata = {
            "version": version,
            "description": f"Description of {version}",
            "author": "dave@wakala.com",
            "risk_level": "low",
            "estimated_duration": "1 minute",
            "requires_downtime": False,
            "rollback_available": True,
            **changes,
        }
        metadata = {key: value for key, value in metadata.items() if value is not None}
        (folder / "migration-metadata.yaml").write_text(yaml.safe_dump(metadata))
        steps = metadata.get("steps") or [{"file": f"{version}.sql"}]
        for step in steps:
            (folder / step["file"]).write_text(f"CREATE TABLE t_{version} (id bigint);\n")
        if metadata["rollback_available"]:
            (folder / f"{version}_rollback.sql").write_text(f"DROP TABLE t_{version};\n")
        return folder

    return migration
