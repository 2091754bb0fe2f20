"""What the metadata claims, held against what the statements do."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.catalogue.catalogue import load_one
from migrator.plan import Plan, Severity
from migrator.stages.analyze import analyze
from tests.unit.trees import metadata


def planned(root: Path, rollback: str) -> Plan:
    folder = root / "2026" / "001_one"
    folder.mkdir(parents=True)
    (folder / "001_one.sql").write_text("CREATE TABLE t (id bigint PRIMARY KEY);\n")
    (folder / "001_one_rollback.sql").write_text(rollback)
    (folder / "migration-metadata.yaml").write_text(metadata("001_one", rollback_available=True))
    return analyze(load_one(root, "001_one"))


@pytest.mark.parametrize("rollback", ["", "\n", "-- nothing to do\n", "/* later */ ;\n"])
def test_a_rollback_that_does_nothing_is_none(rollback: str, tmp_path: Path) -> None:
    (found,) = [one for one in planned(tmp_path, rollback).findings if one.severity is Severity.ERROR]
    assert (found.rule, found.file) == ("nothing-to-do", "001_one_rollback.sql")
    assert "rollback_available" in found.help


def test_one_that_does_something_is_enough(tmp_path: Path) -> None:
    plan = planned(tmp_path, "DROP TABLE IF EXISTS t;\n")
    assert [one for one in plan.findings if one.severity is Severity.ERROR] == []
