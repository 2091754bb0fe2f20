"""Writes small catalogues of migrations for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

METADATA = """\
version: {version}
description: a test
author: author@example.com
risk_level: high
requires_downtime: true
estimated_duration: 1 minute
rollback_available: {rollback}
dependencies: [{dependencies}]
"""


def write(
    root: Path, sql: Mapping[str, str], *, after: Mapping[str, Sequence[str]] | None = None, rollback: str | None = None
) -> Path:
    """`sql` by version, `after`: dependencies by version, `rollback`: the script of the last one. Gives the root."""
    last = list(sql)[-1]
    for version, text in sql.items():
        folder = root / "2025" / version
        folder.mkdir(parents=True)
        undo = rollback if version == last else None
        metadata = METADATA.format(
            version=version,
            dependencies=", ".join((after or {}).get(version, ())),
            rollback="false" if undo is None else "true",
        )
        (folder / "migration-metadata.yaml").write_text(metadata)
        (folder / f"{version}.sql").write_text(text)
        if undo is not None:
            (folder / f"{version}_rollback.sql").write_text(undo)
    return root
