"""A view whose text is the same and whose operator is not, through all stages."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.database.session import Endpoint
from migrator.errors import DriftDetected, DryRunFailed, RestoreNotProven
from migrator.evidence import Verdict
from tests.integration.stages import apply_all, query
from tests.integration.test_one_window import Case, write

OPERATOR = """
CREATE SCHEMA ops;
CREATE FUNCTION ops.same(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR ops.= (PROCEDURE = ops.same, LEFTARG = int, RIGHTARG = int);
CREATE TABLE public.orders (id int PRIMARY KEY, code int);
"""
VIEW = "CREATE OR REPLACE VIEW public.v AS SELECT id, code IS DISTINCT FROM id AS x FROM public.orders"
THEIRS = f"SET search_path = ops, pg_catalog; {VIEW}"
USES = "used by view public.v: operator ops.=\\(integer,integer\\)"


@pytest.fixture
def case(database: Endpoint, copies: Endpoint, tmp_path: Path) -> Case:
    root = tmp_path / "migrations"
    write(root, "001_made", "CREATE TABLE made AS SELECT * FROM v;\n", "DROP TABLE made;\n")
    case = Case(root, database, copies, tmp_path / "snapshots")
    query(database, OPERATOR)
    return case


def test_a_copy_without_the_operator_is_none(case: Case) -> None:
    query(case.database, THEIRS)
    case.adopts()
    with pytest.raises(RestoreNotProven, match=f"view public.v: a dump does not say which.*- {USES}"):
        case.rehearsed("001_made")


def test_an_exchange_after_the_rehearsal_is_drift(case: Case) -> None:
    query(case.database, VIEW)
    case.adopts()
    prepared = case.rehearsed("001_made")
    query(case.database, THEIRS)
    with pytest.raises(DriftDetected, match=f"\\+ {USES}"):
        apply_all(prepared[0], case.database, prepared[1])


@pytest.mark.thorough
def test_a_migration_that_exchanges_it_says_so(case: Case) -> None:
    query(case.database, VIEW)
    case.adopts()
    folder = case.migrations / "2025" / "001_made"
    (folder / "001_made.sql").write_text(f"{THEIRS};\nRESET search_path;\n")
    (folder / "001_made_rollback.sql").write_text(f"SET search_path = pg_catalog; {VIEW};\nRESET search_path;\n")
    (folder / "schema_changes.yaml").write_text("changed:\n  {}\n")
    with pytest.raises(DryRunFailed, match=r"not declared: ~ view public\.v \(add it under changed\.views\)"):
        case.rehearsed("001_made")
    (folder / "schema_changes.yaml").write_text("changed:\n  views: [public.v]\n")
    plan, bundle = case.rehearsed("001_made")
    assert bundle.dry_run.schema_diff == ("+ used by view public.v: operator ops.=(integer,integer)",)
    assert bundle.dry_run.verdict is Verdict.PASSED, bundle.dry_run.checks
    case.done(plan, bundle)
