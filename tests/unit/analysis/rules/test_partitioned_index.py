"""An index on a partitioned table: what PostgreSQL refuses, and a step does."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.catalogue.catalogue import load_one
from migrator.facts.facts import CatalogFacts, ColumnFacts, RelationFacts
from migrator.parsing.statements import parse
from migrator.plan import Finding
from migrator.stages.analyze import analyze
from tests.unit.steps.test_kinds import folder

COLUMNS = {"a": ColumnFacts("bigint", not_null=False)}
RELATIONS = (
    RelationFacts("public.p", "p", rows=0, columns=COLUMNS, partitions=("public.p1",)),
    RelationFacts("public.p1", "r", rows=5_000_000, columns=COLUMNS, parent="public.p"),
)
KNOWN = Known(CatalogFacts(160000, relations={one.name: one for one in RELATIONS}))
NAMED, UNNAMED = "CREATE INDEX CONCURRENTLY i ON p (a);", "CREATE INDEX CONCURRENTLY ON p (a);"


def told(sql: str, tmp_path: Path, kind: str | None, rollback: str | None = None) -> list[Finding]:
    steps = [{"name": "one", "kind": kind, "file": "one.sql"}] if kind else []
    files = {"one.sql" if kind else "001_one.sql": sql}
    if rollback is not None:
        files["001_one_rollback.sql"] = rollback
    root = folder(tmp_path, steps, files, risk_level="high", rollback_available=rollback is not None)
    found = analyze(load_one(root, "001_one"), known=KNOWN).findings
    return [one for one in found if one.rule in ("concurrently-refused", "may-fail")]


@pytest.mark.parametrize("kind", ["create_index", "sql", None])
def test_a_step_does_what_postgresql_refuses(kind: str | None, tmp_path: Path) -> None:
    assert told(NAMED, tmp_path, kind) == []


def test_it_needs_a_name(tmp_path: Path) -> None:
    (finding,) = told(UNNAMED, tmp_path, "create_index")
    assert "without a name" in finding.message
    assert finding.alternative_sql == "CREATE INDEX CONCURRENTLY p_a_idx ON p USING btree (a);"


def test_a_rollback_script_is_sent_as_it_stands(tmp_path: Path) -> None:
    (finding,) = told("DROP INDEX i;", tmp_path, "sql", rollback=NAMED)
    assert "may fail with 0A000" in finding.message


def test_so_is_a_bare_file_which_is_told_of_the_step() -> None:
    found = inspect(Sources((parse(NAMED, file="x.sql"),)), KNOWN).findings
    (finding,) = [one for one in found if one.rule == "concurrently-refused"]
    (step,) = finding.steps
    assert step.kind == "create_index"
    assert step.undo == "DROP INDEX IF EXISTS i;\n"
