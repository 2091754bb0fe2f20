"""The targets.yaml of the local stack: one production database, two reviewers, any time of day."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from sandbox.workspace import Workspace

TARGET = "production"
CONNECTION = "migrator_production"
COPIES_CONNECTION = "migrator_copies"
REVIEWERS = {"alice": "senior-dba@wakala.com", "bob": "architect@wakala.com"}
"""Airflow user to the address under which the ledger keeps the review."""


def targets(workspace: Workspace) -> dict[str, Any]:
    return {
        "targets": {
            TARGET: {
                "environment": "production",
                "connection": CONNECTION,
                "copies_connection": COPIES_CONNECTION,
                "provider": "pg_dump",
                "storage": workspace.snapshots.as_uri(),
                "evidence": workspace.evidence.as_uri(),
                "reviews": {"low": 1, "medium": 2, "high": 2},
                "reviewers": dict(REVIEWERS),
                "snapshot": {"max_age": "24 hours", "retention": "7 days", "keep": 2, "jobs": 2, "compression": "auto"},
                "notifications": [{"kind": "log"}],
            }
        }
    }


def write(workspace: Workspace) -> Path:
    path = workspace.root / "targets.yaml"
    path.write_text(yaml.safe_dump(targets(workspace), sort_keys=False))
    return path
