"""What `migrator new` writes runs: applied, verified, rolled back and applied again on a server of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.catalogue.catalogue import load_catalogue
from migrator.cli.local_trial import try_migration
from migrator.database.session import Endpoint
from migrator.embedded.programs import find_programs
from tests.catalogue_files import write
from tests.integration.stages import query
from tests.unit.cli.test_new import KINDS, TABLES, UNDO, new

ROWS = """
INSERT INTO public.tenants SELECT generate_series(1, 9);
INSERT INTO public.messages SELECT g, g % 9 + 1, 'body ' || g FROM generate_series(1, 900) AS g;
"""
DEFINITIONS = {
    "not_null": "NOT NULL body",
    "unique": "UNIQUE (id, body)",
    "foreign_key": "FOREIGN KEY (tenant_id) REFERENCES public.tenants (id)",
}


def passes(root: Path, version: str) -> None:
    trial = try_migration(load_catalogue(root), version, programs=find_programs(None))
    assert trial.evidence.verdict == "passed", trial.evidence.checks
    verdicts = {check.name: check.verdict for check in trial.evidence.checks}
    assert verdicts["assertions"] == verdicts["reapply_schema_equal"] == "passed"
    assert trial.plan.findings == () or all(one.severity != "error" for one in trial.plan.findings)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "migrations", {"001_tables": TABLES + ROWS}, rollback="DROP TABLE messages, tenants;")


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_of_each_kind_runs(kind: str, root: Path) -> None:
    assert new(root, "made", "--kind", kind, *KINDS[kind], *(UNDO if kind == "backfill" else [])) == 0
    passes(root, "002_made")


@pytest.mark.thorough
@pytest.mark.parametrize("definition", DEFINITIONS)
def test_a_constraint_of_each_sort_runs(definition: str, root: Path) -> None:
    given = ["--table", "public.messages", "--constraint", "c", "--definition", DEFINITIONS[definition]]
    assert new(root, "made", "--kind", "constraint", *given) == 0
    passes(root, "002_made")


@pytest.mark.thorough
def test_what_a_statement_did_runs_as_steps(tmp_path: Path) -> None:
    """The author takes the statement out of where it stood, as told."""
    sql = (
        "COMMENT ON TABLE public.messages IS 'mail';\n"
        "ALTER TABLE public.messages\n  ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,\n"
        "  ADD FOREIGN KEY (tenant_id) REFERENCES public.tenants (id);\n"
    )
    written = {"001_tables": TABLES + ROWS, "002_more": sql}
    root = write(tmp_path / "migrations", written, after={"002_more": ["001_tables"]})
    file = root / "2025" / "002_more" / "002_more.sql"
    assert new(root, "made", "--from", f"{file}:3") == 0
    file.write_text(sql.partition("\n")[0])
    passes(root, "003_made")


@pytest.mark.parametrize(
    "last, said",
    [
        ("(SELECT last / 100 FROM public.ends)", "it reads public.m beside the row that it writes, by view ends"),
        ("(SELECT public.last() / 100)", "by function last"),
        ("(SELECT n FROM public.apart)", ""),
    ],
    ids=["view", "function", "another table"],
)
def test_no_batches_for_what_reads_the_table_that_it_empties(
    database: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str], last: str, said: str
) -> None:
    """Each batch would delete by what those before it have left: all rows in the end. A file does not tell; the catalog
    does."""
    tables = (
        "CREATE TABLE public.m (id int PRIMARY KEY); CREATE VIEW public.ends AS SELECT max(id) AS last FROM public.m;"
        "CREATE FUNCTION public.last() RETURNS int LANGUAGE sql STABLE AS 'SELECT max(id) FROM public.m';"
        "CREATE TABLE public.apart (n int);"
    )
    query(database, f"{tables} INSERT INTO public.m SELECT generate_series(1, 1100000)")
    query(database, "ANALYZE public.m")
    written = {"001_tables": tables, "002_more": f"DELETE FROM public.m WHERE id > {last};\n"}
    root = write(tmp_path / "migrations", written, after={"002_more": ["001_tables"]})
    file = root / "2025" / "002_more" / "002_more.sql"
    code = new(root, "made", "--from", f"{file}:1", "--dsn", database.conninfo)
    assert (code == 0) == (not said), capsys.readouterr().err
    assert said in capsys.readouterr().err.replace('"', "")
    assert (len(list((root / "2025").glob("003*"))) + len(list((root / "2026").glob("003*"))) == 1) == (not said)
