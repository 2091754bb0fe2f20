"""What others change between two batches of a backfill, and what a batch does when it commits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.errors import DriftDetected, LedgerTampered, MigratorError, ReviewMissing
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan
from migrator.steps import batch_size, batches
from migrator.steps.batch_progress import Progress
from migrator.steps.batches import Work
from tests.evidence import make_bundle, read_schema, rehearse
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.ledger.history import problems_of
from tests.integration.stages import apply_all, make_target, query
from tests.integration.test_apply import REVIEWED
from tests.integration.test_backfill import FILL, backfill
from tests.integration.test_ledger_at_commit import forged

COUNTED = "CREATE OR REPLACE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {} RETURN NEW; END'"
TABLE = f"""
CREATE TABLE t (id int, a int, b int); INSERT INTO t (id, a) SELECT g, g FROM generate_series(1, 2000) AS g;
CREATE TABLE told (id int);
{COUNTED.format("")};
CREATE TRIGGER counted BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION counted();
CREATE FUNCTION tells(v int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN
    IF v IS NOT NULL THEN INSERT INTO public.told VALUES (v); END IF; RETURN true; END $$;
CREATE DOMAIN small AS int CHECK (tells(VALUE));
"""


def filling(back: str = "UPDATE t SET b = NULL") -> Plan:
    return replace(plan_from_sql("SELECT 1", back, version="002_next"), steps=(backfill(FILL),))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that there are many, and only the first look between two of them finds anything."""
    monkeypatch.setattr(batch_size, "FIRST_PAGES", 1)
    monkeypatch.setattr(batch_size, "MOST_PAGES", 1)
    monkeypatch.setattr(batches, "LOOK_SECONDS", 600.0)


def before_batch(monkeypatch: pytest.MonkeyPatch, does: dict[int, Callable[[], object]]) -> None:
    real, count = Work._batch, [0]

    def batch(work: Work, table: Any, then: Progress, first: int) -> Progress:
        count[0] += 1
        does.get(count[0], bool)()
        return real(work, table, then, first)

    monkeypatch.setattr(Work, "_batch", batch)


CHANGED = "somebody else has changed what it may run|was changed since it was rehearsed"
EXCHANGES = {
    "a function": (COUNTED.format("INSERT INTO public.told VALUES (1);"), None),
    "a function, and put back": (COUNTED.format("INSERT INTO public.told VALUES (1);"), COUNTED.format("")),
    "a columns type": ("ALTER TABLE t ALTER b TYPE small", None),
    "a columns type, and put back": ("ALTER TABLE t ALTER b TYPE small", "ALTER TABLE t ALTER b TYPE int"),
    "a default": ("ALTER TABLE t ALTER b SET DEFAULT 1", "ALTER TABLE t ALTER b DROP DEFAULT"),
    "a trigger that is gone": ("DROP TRIGGER counted ON t", None),
}


@pytest.mark.parametrize("change, back", EXCHANGES.values(), ids=EXCHANGES)
def test_somebody_exchanges_what_the_next_batch_would_run(
    change: str, back: str | None, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of that batch is committed, nor of one after it when the change was taken back before it began."""
    plan, database, twin = filling(), make_database("source", script=TABLE), make_database("twin", script=TABLE)
    bundle = rehearse(plan, database, twin)

    def exchange() -> None:
        query(database, f"SET search_path = public; {change}")
        if back:
            query(database, f"SET search_path = public; {back}")

        told.extend(query(database, "SELECT count(*) FROM told"))  # whoever changes a type evaluates it himself

    told: list[Any] = []
    before_batch(monkeypatch, {4: exchange})
    with pytest.raises(DriftDetected, match=CHANGED):
        apply_all(plan, database, bundle)
    ((done,),) = query(database, "SELECT count(*) FROM t WHERE b IS NOT NULL")
    assert 0 < done < 2000
    assert query(database, "SELECT count(*) FROM told") == told


def test_what_a_batch_makes_itself_is_its_own(make_database: MakeDatabase) -> None:
    script = TABLE + COUNTED.format("EXECUTE ''CREATE TABLE IF NOT EXISTS public.made (id int PRIMARY KEY)'';")
    plan, database, twin = filling(), make_database("source", script=script), make_database("twin", script=script)
    apply_all(plan, database, rehearse(plan, database, twin))
    assert query(database, "SELECT count(*) FROM t WHERE b = a * 2") == [(2000,)]


DEFERRED = {
    "a trigger": "CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON t DEFERRABLE FOR EACH ROW EXECUTE FUNCTION counted()",
    "a key": "ALTER TABLE t ADD UNIQUE (id) DEFERRABLE",
    "a foreign key": "CREATE TABLE u (id int PRIMARY KEY); ALTER TABLE t ADD FOREIGN KEY (b) REFERENCES u DEFERRABLE",
    "an exclusion": "ALTER TABLE t ADD EXCLUDE USING btree (id WITH =) DEFERRABLE",
}


@pytest.mark.parametrize("made", DEFERRED.values(), ids=DEFERRED)
def test_only_where_nothing_can_wait_for_its_commit_a_transaction_is_light(made: str, database: Endpoint) -> None:
    query(database, TABLE)
    with Ledger(database) as ledger:
        ledger.install()

        def light(text: str) -> bool:
            with psycopg.connect(database.conninfo) as conn:
                conn.execute(text.encode())
                found = ledger.is_light(conn)
                conn.rollback()
            return found

        assert light("UPDATE t SET a = 1")
        assert not light("UPDATE t SET a = 1; CREATE TABLE more ()")
        query(database, f"SET search_path = public; {made}")
        assert not light("UPDATE t SET a = 1")
        assert light("SELECT FROM t"), "who has only read waits for nothing"


LATE = """
CREATE FUNCTION acts(v int) RETURNS int LANGUAGE plpgsql AS $f$
DECLARE
    x text;
BEGIN
    IF v = 1 AND current_setting('my.phase', true) = 'armed' THEN
        PERFORM set_config('my.phase', 'busy', true);
        SET CONSTRAINTS ALL DEFERRED;
        INSERT INTO wanted VALUES (2), (2);
        DELETE FROM wanted WHERE ctid = (SELECT min(ctid) FROM wanted WHERE id = 2);
        PERFORM set_config('my.phase', 'late', true);
    ELSIF v = 2 AND current_setting('my.phase', true) = 'late' THEN
        PERFORM set_config('my.phase', 'done', true);
        FOR x IN SELECT body FROM todo LOOP EXECUTE x; END LOOP;
    END IF;
    RETURN v;
END $f$;
CREATE FUNCTION keyed(v int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN acts(v); END';
CREATE TABLE todo (body text);
CREATE TABLE wanted (id int);
ALTER TABLE wanted ADD EXCLUDE USING btree (keyed(id) WITH =) DEFERRABLE INITIALLY DEFERRED;
CREATE FUNCTION arms() RETURNS trigger LANGUAGE plpgsql AS $f$
BEGIN
    IF EXISTS (SELECT FROM todo) AND NOT EXISTS (SELECT FROM wanted) THEN
        INSERT INTO wanted VALUES (1), (1);
        DELETE FROM wanted WHERE ctid = (SELECT min(ctid) FROM wanted WHERE id = 1);
        PERFORM set_config('my.phase', 'armed', true);
    END IF;
    RETURN NULL;
END $f$;
CREATE TRIGGER arms BEFORE UPDATE ON t FOR EACH STATEMENT EXECUTE FUNCTION arms();
"""
"""A constraint's check is PostgreSQL's own trigger, and evaluates an expression of its index: anybody's code. It defers
itself anew, so it runs at the COMMIT of a batch."""


def test_a_batch_that_forges_approvals_at_its_commit(make_database: MakeDatabase) -> None:
    script = TABLE + LATE
    plan, database, twin = filling(), make_database("source", script=script), make_database("twin", script=script)
    bundle = rehearse(plan, database, twin)
    with Ledger(database) as ledger:
        ledger.install()
    next_one = plan_from_sql("CREATE TABLE unseen (id int);", "DROP TABLE unseen;", version="003_unseen")
    schema, target = read_schema(database), make_target(**REVIEWED)
    evidence = make_bundle(next_one, schema, schema)
    with pytest.raises(ReviewMissing):
        apply_all(next_one, database, evidence, target=target)
    for who in ("ann", "bob"):
        query(database, "INSERT INTO todo VALUES (%s)", forged(who, next_one, evidence).strip().rstrip(";"))
    with pytest.raises(LedgerTampered, match="its COMMIT has written to schema_migration_reviews"):
        apply_all(plan, database, bundle)
    assert any("nobody has answered for it" in one for one in problems_of(database))
    with pytest.raises(MigratorError):
        apply_all(next_one, database, evidence, target=target)
    assert query(database, "SELECT to_regclass('public.unseen')") == [(None,)]
