"""The ledger, reached by what commits by itself or runs at COMMIT: own rows, and the reviews of other versions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from migrator.database.session import Endpoint
from migrator.errors import LedgerTampered, LockNotAvailable, MigratorError
from migrator.evidence import EvidenceBundle
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan
from migrator.run import RunContext
from tests.evidence import make_bundle, read_schema
from tests.factories import plan_from_sql
from tests.integration.ledger.history import history, problems_of
from tests.integration.ledger.test_guard import FORGES
from tests.integration.stages import apply_all, make_target, query, row_of, verify_it
from tests.integration.test_apply import REVIEWED

VERIFIED = (
    "UPDATE migrator.schema_migrations SET status = 'success', applied_at = now(), verified_at = now()"
    " WHERE version = '002_next'"
)


def hidden(text: str) -> str:
    """No reader of the text finds what it is about; on a copy, where there is no ledger, it does nothing."""
    return (
        "IF to_regnamespace('migra' || 'tor') IS NOT NULL THEN"
        f" EXECUTE replace(replace($x${text.replace('migrator.', '~.').replace('ledger_', '`')}$x$,"
        " '~', 'migra' || 'tor'), '`', 'led' || 'ger_'); END IF;"
    )


def by_procedure(text: str, **over: object) -> Plan:
    return plan_from_sql(
        f"""CREATE PROCEDURE pg_temp.p() LANGUAGE plpgsql AS $p$ BEGIN {hidden(text)} COMMIT; END $p$;
        CALL pg_temp.p();""",
        "SELECT 1;",
        version="002_next",
        transaction=False,
        **over,
    )


def by_deferral(text: str, **over: object) -> Plan:
    return plan_from_sql(
        f"""CREATE TABLE wanted (id int);
        CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $f$
        BEGIN
            IF new.id > 0 THEN SET CONSTRAINTS ALL DEFERRED; INSERT INTO public.wanted VALUES (0);
            ELSE {hidden(text)} END IF;
            RETURN NULL;
        END $f$;
        CREATE CONSTRAINT TRIGGER later AFTER INSERT ON wanted DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION later();
        INSERT INTO wanted VALUES (1);""",
        "DROP TABLE wanted; DROP FUNCTION later;",
        version="002_next",
        **over,
    )


def test_verified_by_itself_at_commit(database: Endpoint) -> None:
    """Its row says success, and an assertion is false: nothing goes on until a person has answered for it."""
    history(database)
    plan = by_deferral(VERIFIED, assertions=("SELECT false",))
    with pytest.raises(LedgerTampered, match="its COMMIT has written to schema_migrations"):
        apply_all(plan, database)
    with pytest.raises(LedgerTampered, match="nobody has answered for it"):
        verify_it(plan, database)
    next_one = plan_from_sql("CREATE TABLE later (id int);", version="003_later")
    with pytest.raises(LedgerTampered, match="migrator ledger repair 002_next"):
        apply_all(next_one, database)
    assert any("nobody has answered for it" in one for one in problems_of(database))
    run = RunContext(run_id="cli:1", version="002_next", target="test", actor="carol")
    with Ledger(database) as ledger:
        ledger.repair("002_next", status="rolled_back", run=run, reason="looked at it, and took it back by hand")
    assert problems_of(database) == ()


def test_a_procedure_cannot_verify_itself(database: Endpoint) -> None:
    """While it runs nobody writes there; it is not called again for that it waited."""
    history(database)
    plan = by_procedure(VERIFIED, assertions=("SELECT false",), lock_timeout_ms=300)
    with pytest.raises(LockNotAvailable):
        apply_all(plan, database)
    row = row_of(plan, database)
    assert row is not None
    assert row.status == "running"
    assert problems_of(database) == ()


@pytest.mark.parametrize("how", [by_procedure, by_deferral])
def test_approvals_of_the_next_migration(database: Endpoint, how: Callable[..., Plan]) -> None:
    """002 would leave approvals of ann and bob for 003, whose digests its author has read on the card of 003."""
    history(database)
    next_one = plan_from_sql(
        "CREATE TABLE nobody_reviewed_this (id int);", "DROP TABLE nobody_reviewed_this;", version="003_evil"
    )
    target = make_target(**REVIEWED)
    before = read_schema(database)
    bundle = make_bundle(next_one, before, before)
    text = "".join(forged(who, next_one, bundle) for who in ("ann", "bob"))
    plan = how(text, lock_timeout_ms=300)
    assert [one for one in plan.findings if one.severity == "error"] == [], "its text says nothing"
    with pytest.raises((LedgerTampered, LockNotAvailable)):
        apply_all(plan, database)
    with pytest.raises(MigratorError):
        apply_all(next_one, database, bundle, target=target)
    assert query(database, "SELECT to_regclass('nobody_reviewed_this')") == [(None,)]


def test_others_may_write_before_and_after(database: Endpoint) -> None:
    """Reviews of other versions come at any time; an honest COMMIT is found to be one."""
    history(database)
    plan = plan_from_sql("CREATE TABLE fine (id int);", "DROP TABLE fine;", version="002_next")
    with Ledger(database) as ledger:
        for number in range(3):
            run = RunContext(run_id="x", version="003_other", target="test", actor="ann")
            ledger.append_event("note", version="003_other", run=run, detail={"number": number})
    apply_all(plan, database)
    assert problems_of(database) == ()


@contextmanager
def others_writing(database: Endpoint) -> Iterator[None]:
    """Three people who answer about another version, without a pause."""
    done, written = threading.Event(), [0]

    def others() -> None:
        run = RunContext(run_id="x", version="003_other", target="test", actor="ann")
        with Ledger(database) as ledger:
            while not done.is_set():
                ledger.append_event("note", version="003_other", run=run, detail={"number": written[0]})
                written[0] += 1

    threads = [threading.Thread(target=others) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert written[0] > 30, "there was somebody to be taken for it"


def test_others_may_write_while_it_is_asked(database: Endpoint) -> None:
    """Answers about other versions come at any time: the head and the events are read as one."""
    history(database)
    with others_writing(database), Ledger(database) as ledger:
        for _ in range(60):
            ledger.watch("002_next")
            ledger.require_untouched()


@pytest.mark.thorough
def test_others_may_write_at_its_commit(database: Endpoint) -> None:
    """Who waited for the COMMIT is not taken for a part of it."""
    history(database)
    with others_writing(database):
        for number in range(12):
            plan = plan_from_sql(f"CREATE TABLE fine_{number} (id int);", version=f"{100 + number}_fine")
            apply_all(plan, database)
            verify_it(plan, database)
    assert problems_of(database) == ()


def forged(who: str, plan: Plan, bundle: EvidenceBundle) -> str:
    return (
        FORGES.replace("bob", who)
        .replace("002_next", plan.version)
        .replace("sha256:p", plan.digest)
        .replace("sha256:e", bundle.digest)
        .replace("$do$", "$e$")
        .replace("END $e$", "END $e$;")
    )


ENDS_THE_LEDGERS_SESSIONS = (
    "PERFORM pg_terminate_backend(pid, 3000) FROM pg_stat_activity"
    " WHERE application_name = 'migration ' || 'led' || 'ger' AND datname = current_database();"
)


def test_who_ends_the_ledgers_sessions_at_commit_is_found_all_the_same(database: Endpoint) -> None:
    """With them ends the turn, and whoever forges may lock what the engine would write to."""
    history(database)
    next_one = plan_from_sql("CREATE TABLE evil (id int);", "DROP TABLE evil;", version="003_evil")
    before = read_schema(database)
    bundle = make_bundle(next_one, before, before)
    locks = "LOCK TABLE migrator.ledger_identity IN EXCLUSIVE MODE; PERFORM pg_advisory_lock(1);"
    text = "".join(forged(who, next_one, bundle) for who in ("ann", "bob"))
    plan = by_deferral(f"DO $k$ BEGIN {ENDS_THE_LEDGERS_SESSIONS} {locks} END $k$; {text}", lock_timeout_ms=300)
    with pytest.raises(LedgerTampered, match="its COMMIT has written to"):
        apply_all(plan, database, deadline_seconds=1)
    with pytest.raises(LedgerTampered, match="nobody has answered for it"):
        apply_all(plan, database, deadline_seconds=1)
    with pytest.raises(MigratorError):
        apply_all(next_one, database, bundle, target=make_target(**REVIEWED))
    assert query(database, "SELECT to_regclass('evil')") == [(None,)]


def test_a_procedure_that_ends_what_keeps_others_from_the_ledger(database: Endpoint) -> None:
    history(database)
    next_one = plan_from_sql("CREATE TABLE evil (id int);", "DROP TABLE evil;", version="003_evil")
    bundle = make_bundle(next_one, before := read_schema(database), before)
    text = "".join(forged(who, next_one, bundle) for who in ("ann", "bob"))
    plan = by_procedure(f"DO $k$ BEGIN {ENDS_THE_LEDGERS_SESSIONS} END $k$; {text}", lock_timeout_ms=300)
    with pytest.raises(LedgerTampered, match="was ended while its procedure ran"):
        apply_all(plan, database, deadline_seconds=1)
    with pytest.raises(LedgerTampered, match="nobody has answered for it"):
        apply_all(plan, database, deadline_seconds=1)
    with pytest.raises(MigratorError):
        apply_all(next_one, database, bundle, target=make_target(**REVIEWED))
    assert query(database, "SELECT to_regclass('evil')") == [(None,)]
