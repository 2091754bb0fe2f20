"""The ledger, reached by what commits by itself or runs at COMMIT: own rows, and the reviews of other versions."""

from __future__ import annotations

import pytest

from migrator.database.session import Endpoint
from migrator.errors import MigratorError
from migrator.evidence import EvidenceBundle
from migrator.plan import Plan
from tests.evidence import make_bundle, read_schema
from tests.factories import plan_from_sql
from tests.integration.ledger.history import history, problems_of
from tests.integration.ledger.test_guard import FORGES
from tests.integration.stages import apply_all, make_target, outcome_of, query, row_of, verify_it
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
    """`verify` asks nothing: green, although an assertion is false."""
    history(database)
    plan = by_deferral(VERIFIED, assertions=("SELECT false",))
    apply_all(plan, database)
    assert verify_it(plan, database).already_verified
    assert outcome_of(plan, database, version="002_next").ok  # the run is green


def test_verified_by_itself_in_a_procedure(database: Endpoint) -> None:
    """The first try fails as if another run had come in between, and the next one finds it done."""
    history(database)
    plan = by_procedure(VERIFIED, assertions=("SELECT false",))
    with pytest.raises(MigratorError):
        apply_all(plan, database)
    assert verify_it(plan, database).already_verified
    apply_all(plan, database)


@pytest.mark.parametrize("how", [by_procedure, by_deferral])
def test_approvals_of_the_next_migration(database: Endpoint, how: object) -> None:
    """002 leaves approvals of ann and bob for 003, whose digests its author has read on the card of 003. Nobody has
    been asked about 003, and it is applied."""
    history(database)
    next_one = plan_from_sql(
        "CREATE TABLE nobody_reviewed_this (id int);", "DROP TABLE nobody_reviewed_this;", version="003_evil"
    )
    target = make_target(**REVIEWED)
    before = read_schema(database)
    bundle = make_bundle(next_one, before, before)
    text = "".join(forged(who, next_one, bundle) for who in ("ann", "bob"))
    plan = how(text)  # type: ignore[operator]
    assert [one for one in plan.findings if one.severity == "error"] == [], "analyze lets it pass"
    apply_all(plan, database)
    verify_it(plan, database)
    assert problems_of(database) == (), "nothing is found afterwards either"
    if how is by_deferral:  # what 002 itself has added to the schema
        query(database, "DROP TABLE wanted")
        query(database, "DROP FUNCTION later")
    apply_all(next_one, database, bundle, target=target)
    assert query(database, "SELECT to_regclass('nobody_reviewed_this')") == [("nobody_reviewed_this",)]


def forged(who: str, plan: Plan, bundle: EvidenceBundle) -> str:
    return (
        FORGES.replace("bob", who)
        .replace("002_next", plan.version)
        .replace("sha256:p", plan.digest)
        .replace("sha256:e", bundle.digest)
        .replace("$do$", "$e$")
        .replace("END $e$", "END $e$;")
    )
