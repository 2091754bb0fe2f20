"""Catalogues made for a test: small files on disk, right unless the test says otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

TABLE_SQL = "CREATE TABLE {name} (\n    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n    note text\n);\n"


def metadata(version: str, **over: Any) -> str:
    """A metadata file; a value of None leaves the key out."""
    values: dict[str, Any] = {
        "version": version,
        "description": f"Test migration {version}",
        "author": "author@example.com",
        "risk_level": "low",
        "rollback_available": True,
        "dependencies": [],
        **over,
    }
    # JSON is YAML, so whatever a test puts in comes out again.
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items() if value is not None)


def write(
    root: Path,
    version: str,
    *,
    year: str = "2025",
    dependencies: Iterable[str] = (),
    sql: str | None = None,
    **over: Any,
) -> Path:
    """One whole migration: metadata, SQL, rollback and expected changes. Gives its folder."""
    folder = root / year / version
    folder.mkdir(parents=True)
    table = f"t_{version}".lower()
    (folder / "migration-metadata.yaml").write_text(metadata(version, dependencies=list(dependencies), **over))
    (folder / f"{version}.sql").write_text(sql if sql is not None else TABLE_SQL.format(name=table))
    (folder / f"{version}_rollback.sql").write_text(f"DROP TABLE IF EXISTS {table};\n")
    (folder / "schema_changes.yaml").write_text(f"added:\n  tables: [public.{table}]\n")
    return folder


def write_many(root: Path, count: int) -> list[str]:
    """`count` migrations, each depending on the one before."""
    versions = [f"{number:04}_add_table_{number}" for number in range(count)]
    for number, version in enumerate(versions):
        write(root, version, year=str(2020 + number // 200), dependencies=versions[max(0, number - 1) : number])
    return versions
