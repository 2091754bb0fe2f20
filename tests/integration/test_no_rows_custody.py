"""No row is told, in names that SQL has made, where what others have left is looked for and taken away."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from migrator import documents
from migrator.custody import janitor
from migrator.custody.janitor import Report
from migrator.database.session import Endpoint
from migrator.database.withheld import Keeper, kept_by
from migrator.ledger.ledger import Ledger
from migrator.ledger.rows import MigrationStatus
from migrator.steps.contract import Written
from migrator.steps.kinds import kind_named, parameters_of
from tests.evidence import make_bundle, read_schema, rehearse
from tests.factories import plan_from_sql, to_steps
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, query, roll_back
from tests.integration.test_apply import wait_for
from tests.integration.test_between_steps import step
from tests.integration.test_calendar import sql_step
from tests.integration.test_crash import GONE
from tests.integration.test_janitor import RUN, mark
from tests.integration.test_no_rows_defined import do
from tests.integration.test_no_rows_named import logged
from tests.integration.test_no_rows_told import CANARY, ROWS, require_no_row_in
from tests.integration.test_reindex import LEFT, TABLE, WAITING
from tests.integration.worker import working


def look(database: Endpoint) -> Report:
    """As the hourly run does, whose log and XCom each viewer reads."""
    with Ledger(database) as ledger:
        return janitor.run(endpoint=database, ledger=ledger, run=RUN, drop=True)


def test_what_the_janitor_does_not_know(database: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    """It is named like a helper; its kind and oid find it, and its name is where the run keeps what may hold rows."""
    caplog.set_level(logging.DEBUG)
    query(database, ROWS)
    plan = plan_from_sql(
        do(
            'CREATE TABLE "migrator_%1$s_0123abcd" ()',
            """CREATE FUNCTION "migrator_%1$s_0123abcd"() RETURNS int LANGUAGE sql AS 'SELECT 1'""",
        )
    )
    apply_all(plan, database, make_bundle(plan, read_schema(database)))
    caplog.clear()
    kept: list[str] = []
    place = SimpleNamespace(append=kept.append, name="withheld", readers="nobody")
    with kept_by(Keeper(lambda: place, lambda text: None)):
        report = look(database)
    require_no_row_in(f"{json.dumps(documents.to_dict(report))} {logged(caplog)}")
    oids = "SELECT 'table with oid ' || oid FROM pg_class WHERE relkind = 'r' AND relname ~ '^migrator_.*_0123abcd'"
    assert query(database, oids)[0][0] in [one.what for one in report.orphans]
    assert len([text for text in kept if CANARY in text]) == len(report.orphans) == 2


def killed_beside_a_row(database: Endpoint, make_database: MakeDatabase, tmp_path: Path) -> tuple:
    """The first step names an index after a row; the second rebuilds the table's indexes and is killed."""
    script = f"{ROWS} {TABLE}"
    query(database, script)
    kind = kind_named("reindex")
    given = {"index": None, "table": "public.t", "deadline": None}
    parsed, statements = to_steps(kind.sql(parameters_of(kind, given)), "migration-metadata.yaml#again", start=1)
    again = kind.plan(Written("again", parsed, statements, given))
    steps = (sql_step(do('CREATE INDEX "%1$s" ON public.t (v)'), "first", 0), again)
    plan = replace(plan_from_sql("SELECT 1", "SELECT 1"), steps=steps)
    bundle = rehearse(plan, database, make_database("twin", script=script))
    step("first", plan, bundle, database)
    with psycopg.connect(database.conninfo) as writer:
        writer.execute("UPDATE public.t SET v = 'x' WHERE id = 1")
        with working(plan, database, tmp_path) as worker:
            wait_for(database, WAITING)
            worker.kill()
            wait_for(database, GONE, seconds=5)
    assert any(CANARY in name for (name,) in query(database, LEFT)), query(database, LEFT)
    return plan, bundle


def test_what_a_rollback_clears(
    database: Endpoint, make_database: MakeDatabase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    plan, bundle = killed_beside_a_row(database, make_database, tmp_path)
    caplog.clear()
    report = roll_back(plan, database, bundle)
    require_no_row_in(f"{report} {logged(caplog)}")
    assert "dropping index public.…, which an interrupted statement has left" in logged(caplog).replace('"', "")
    assert not any(name.endswith(("_ccnew", "_ccold")) for (name,) in query(database, LEFT))


def test_what_the_janitor_drops(
    database: Endpoint, make_database: MakeDatabase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The registry has the names of copies out of the catalog, and not out of a file."""
    caplog.set_level(logging.DEBUG)
    plan, _ = killed_beside_a_row(database, make_database, tmp_path)
    mark(plan, database, MigrationStatus.FAILED)
    caplog.clear()
    report = look(database)
    require_no_row_in(f"{json.dumps(documents.to_dict(report))} {logged(caplog)}")
    left = {(one.done, one.what.replace('"', "")) for one in report.orphans if one.version is not None}
    assert (True, "index public.…") in left
