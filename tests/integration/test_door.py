"""What a migration's files bring to a server: one statement at a time, read as the parser has read it, and the engine's
own work done as the engine, whatever the statements have left behind."""

from __future__ import annotations

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.embedded.server import Server
from migrator.errors import StatementFailed, TransientError, VerifyFailed
from tests.factories import plan_from_sql
from tests.integration.stages import apply_all, query, row_of, verify_it

USERS = "CREATE TABLE users (id int, name text); INSERT INTO users VALUES (1, 'before');"
SMUGGLED = "SELECT true; COMMIT; UPDATE public.users SET name = 'after'; SELECT true"


def test_an_assertion_of_several_statements_changes_nothing(database: Endpoint) -> None:
    query(database, USERS)
    plan = plan_from_sql("CREATE TABLE t (id int)", assertions=(SMUGGLED,))
    apply_all(plan, database)
    with pytest.raises(VerifyFailed, match="cannot insert multiple commands"):
        verify_it(plan, database)
    assert query(database, "SELECT name FROM users") == [("before",)]


def test_an_assertion_that_locks_through_a_function_is_found_by_running_it(database: Endpoint) -> None:
    query(database, USERS)
    query(
        database,
        "CREATE FUNCTION quietly() RETURNS boolean LANGUAGE plpgsql AS"
        " $$ BEGIN EXECUTE 'LOCK TABLE public.users IN SHARE MODE'; RETURN true; END $$",
    )
    schema = query(database, "SELECT pronamespace::regnamespace::text FROM pg_proc WHERE proname = 'quietly'")[0][0]
    plan = plan_from_sql("CREATE TABLE t (id int)", assertions=(f"SELECT {schema}.quietly()",))
    apply_all(plan, database)
    with pytest.raises(VerifyFailed, match=r"must only read, took SHARE on public\."):
        verify_it(plan, database)


HIDDEN = "DO $$ BEGIN EXECUTE 'SET {} standard_conforming_' || 'strings = off'; END $$;"


@pytest.mark.parametrize("scope, transaction", [("LOCAL", None), ("SESSION", False)])
def test_nothing_is_sent_that_the_server_would_read_otherwise(
    scope: str, transaction: bool | None, database: Endpoint
) -> None:
    """For the parser the second statement is one; for a server that takes backslashes as escapes it is two."""
    query(database, "CREATE TABLE public.users (id int, name text); INSERT INTO public.users VALUES (1, 'before')")
    two = "SELECT 'a\\', ' ; UPDATE public.users SET name = $t$after$t$ --';"
    plan = plan_from_sql(HIDDEN.format(scope) + "\n" + two, transaction=transaction)
    with pytest.raises(StatementFailed, match=r"has set standard_conforming_strings to 'off'.*take that setting out"):
        apply_all(plan, database)
    assert query(database, "SELECT name FROM public.users") == [("before",)]


def test_another_encoding_is_noticed(database: Endpoint) -> None:
    plan = plan_from_sql("SELECT set_config('client_' || 'encoding', 'LATIN1', false);\nCREATE TABLE é (id int);")
    with pytest.raises(StatementFailed, match="client_encoding"):
        apply_all(plan, database)


def test_a_parameter_is_no_lost_connection(database: Endpoint) -> None:
    plan = plan_from_sql("SELECT $1")
    with pytest.raises(StatementFailed) as caught:
        apply_all(plan, database)
    assert not isinstance(caught.value, TransientError)
    assert caught.value.fields["sqlstate"] == "08P01"


@pytest.mark.parametrize("transaction", [None, False])
def test_what_the_file_leaves_behind_does_not_reach_the_ledger(
    transaction: bool | None, database: Endpoint, server: Server
) -> None:
    """A role without rights on the ledger, a path that leads elsewhere, another calendar: the row is ours."""
    with psycopg.connect(server.conninfo(database.name or "postgres"), autocommit=True) as conn:
        conn.execute("DROP ROLE IF EXISTS left_behind")
        conn.execute("CREATE ROLE left_behind")
        conn.execute("GRANT left_behind TO migrator")
    plan = plan_from_sql(
        "CREATE TABLE public.t (id int);\nSET ROLE left_behind;\nSET search_path = '';\nSET DateStyle = 'German';\n"
        "SET TimeZone = 'Asia/Tokyo';",
        transaction=transaction,
    )
    apply_all(plan, database)
    verify_it(plan, database)
    row = row_of(plan, database)
    assert row is not None
    assert row.status == "success"


@pytest.mark.parametrize("transaction", [None, False])
def test_deferred_triggers_find_their_names_at_commit(transaction: bool | None, database: Endpoint) -> None:
    plan = plan_from_sql(
        "CREATE TABLE told (id int);\nCREATE TABLE source (id int);\n"
        "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO told VALUES (NEW.id); RETURN NULL; END $$;\n"
        "CREATE CONSTRAINT TRIGGER later AFTER INSERT ON source DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION tell();\nINSERT INTO source VALUES (1);",
        transaction=transaction,
    )
    apply_all(plan, database)
    assert query(database, "SELECT id FROM public.told") == [(1,)]
