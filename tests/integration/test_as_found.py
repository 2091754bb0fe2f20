"""The janitor drops what it has found and the registry means: what others have mended or made anew meanwhile stays."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from migrator.custody.janitor import Report
from migrator.database import session
from migrator.database.session import Endpoint
from migrator.errors import MigratorError
from migrator.ledger.rows import MigrationStatus, ObjectClass
from migrator.steps import as_found, helpers
from tests.factories import plan_from_sql
from tests.integration import test_constraint, test_janitor
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, query, roll_back, verify_it
from tests.integration.test_apply import in_background, wait_for
from tests.integration.test_janitor import (
    CAPTURE,
    CAPTURED,
    HELPERS,
    OUTBOX,
    TABLE,
    leave_one,
    left_behind,
    look,
    mark,
    told,
)
from tests.integration.test_reindex import rebuilding

WAITS = "EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"


@contextmanager
def waiting_for(lock: str, database: Endpoint) -> Iterator[psycopg.Connection]:
    """The janitor, as soon as it waits; what is changed by then is committed after."""
    reports: list[Report] = []
    with psycopg.connect(database.conninfo) as holder:
        holder.execute(lock.encode())
        thread = threading.Thread(target=lambda: reports.append(look(database, drop=True)))
        thread.start()
        wait_for(database, WAITS)
        yield holder
        assert thread.is_alive(), "it has waited"
        holder.commit()
        thread.join()
    print(told(reports[0]))


@pytest.mark.parametrize("mended", [True, False], ids=["mended", "left as it was"])
def test_an_index_that_somebody_makes_whole(each_database: MakeDatabase, tmp_path: Path, mended: bool) -> None:
    """He holds what REINDEX TABLE holds, while it is at another index."""
    database = each_database(script=TABLE)
    leave_one(database, "t_pkey")
    plan = plan_from_sql("CREATE INDEX CONCURRENTLY t_new ON t (v, id)")
    test_janitor.killed(plan, database, tmp_path)
    mark(plan, database, MigrationStatus.FAILED)
    with waiting_for("LOCK TABLE public.t IN SHARE MODE", database) as holder:
        if mended:
            holder.execute("REINDEX INDEX public.t_new")
    left = query(database, "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('t_new')")
    assert left == ([(True,)] if mended else [])
    assert "index public.t_new" not in told(look(database, drop=True))


def test_a_constraint_that_a_later_migration_has_added(
    each_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry has one of its name, which somebody has dropped by hand."""
    database = each_database(script=test_constraint.TABLES)
    plan = test_constraint.planned(database, tmp_path, test_constraint.DEFINITIONS["not null"], name="messages_tenant")
    (step,) = plan.steps
    validating = next(one.index for one in step.statements if "VALIDATE CONSTR" in one.sql)
    with pytest.raises(MigratorError), test_constraint.killed(monkeypatch, database, validating, before=True):
        apply_all(plan, database)
    query(database, "ALTER TABLE messages DROP CONSTRAINT messages_tenant")
    mark(plan, database, MigrationStatus.ROLLED_BACK)
    added = "ALTER TABLE messages ADD CONSTRAINT messages_tenant CHECK (tenant_id > 0);"
    later = plan_from_sql(added, version="002_later")
    apply_all(later, database)
    verify_it(later, database)
    look(database, drop=True)
    found = query(database, "SELECT convalidated FROM pg_constraint WHERE conname = 'messages_tenant'")
    assert found == [(True,)]


@pytest.mark.parametrize("kind", ["trigger", "table"])
def test_another_of_its_name_that_is_made_while_it_waits(each_database: MakeDatabase, kind: str) -> None:
    """Whoever has replaced it has committed when the janitor gets its lock."""
    database = each_database()
    plan = left_behind(database)
    verify_it(plan, database)
    if kind == "trigger":
        table = "t"
        again = (
            f"CREATE TRIGGER {CAPTURE} BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.id > 5) EXECUTE FUNCTION {CAPTURE}()"
        )
        again = f"DROP TRIGGER {CAPTURE} ON t; {again}"
        asked = f"SELECT tgenabled::text FROM pg_trigger WHERE tgname = '{CAPTURE}' AND tgqual IS NOT NULL"
    else:
        table = OUTBOX
        query(database, f"DROP TRIGGER {CAPTURE} ON t; DROP FUNCTION {CAPTURE}()")
        again = f"DROP TABLE {OUTBOX}; CREATE TABLE {OUTBOX} (mine int)"
        asked = "SELECT 'O' FROM pg_attribute WHERE attname = 'mine' AND NOT attisdropped"
    with waiting_for(f"LOCK TABLE {table}", database) as holder:
        holder.execute(again.encode())
    assert query(database, asked) == [("O",)]


def test_a_function_of_another_body(database: Endpoint) -> None:
    """It is locked by being dropped; what others see is compared before that is committed."""
    query(database, CAPTURED.partition("CREATE TRIGGER")[0])
    helper = next(one for one in HELPERS if one.kind is ObjectClass.FUNCTION)
    with session.connect(database, purpose="janitor") as conn, session.connect(database, purpose="observe") as looking:
        (there,) = helpers.look(helper, looking)
        body = "RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
        query(database, f"CREATE OR REPLACE FUNCTION {CAPTURE}() {body}")
        drop = f"DROP FUNCTION public.{CAPTURE}()"
        with pytest.raises(as_found.Exchanged):
            as_found.in_transaction(drop, helper, there, conn, looking, mode="")
        (there,) = helpers.look(helper, looking)
        as_found.in_transaction(drop, helper, there, conn, looking, mode="")
        assert helpers.look(helper, looking) == ()


def test_a_rollback_leaves_what_somebody_has_made_whole(database: Endpoint, tmp_path: Path) -> None:
    """It clears what an interrupted REINDEX has left, and has waited for whoever mends it."""
    query(database, TABLE)
    leave_one(database, "t_pkey")
    plan = rebuilding(index="t_v")
    test_janitor.killed(plan, database, tmp_path)
    mark(plan, database, MigrationStatus.FAILED)
    with psycopg.connect(database.conninfo) as holder:
        holder.execute("LOCK TABLE public.t IN SHARE MODE")
        with in_background(lambda: roll_back(plan, database, force=True)) as errors:
            wait_for(database, WAITS)
            holder.execute("REINDEX INDEX public.t_v_ccnew")
            holder.commit()
    assert errors == []
    assert query(database, "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('t_v_ccnew')") == [(True,)]
