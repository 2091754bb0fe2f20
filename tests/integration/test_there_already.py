"""What IF NOT EXISTS finds in its place: the very object, or another one of that name."""

from __future__ import annotations

import pytest

from migrator.database.session import Endpoint
from migrator.errors import StatementFailed, VerifyFailed
from migrator.plan import Plan
from migrator.steps.contract import Written
from migrator.steps.kinds import kind_named
from tests.factories import plan_from_sql, to_steps
from tests.integration.stages import apply_all, query, verify_it
from tests.integration.test_step_kinds import with_steps

USERS = """
CREATE TABLE users (id bigint PRIMARY KEY, email text, gone boolean);
INSERT INTO users SELECT g, 'u' || g % 10 FROM generate_series(1, 30) AS g;
"""


def indexed(sql: str) -> Plan:
    kind = kind_named("create_index")
    parsed, statements = to_steps(sql, "i.sql", start=1)
    step = kind.plan(Written("i", parsed, statements, {"file": "i.sql", "transaction": None}))
    return with_steps(plan_from_sql("SELECT 1"), step)


ANOTHER = [
    ("CREATE INDEX i ON users (email)", "UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON users (email)", "being unique"),
    ("CREATE INDEX i ON users (gone)", "INDEX CONCURRENTLY IF NOT EXISTS i ON users (email)", "columns"),
    ("CREATE INDEX i ON users (email)", "INDEX CONCURRENTLY IF NOT EXISTS i ON users (email) WHERE gone", "predicate"),
    ("CREATE INDEX i ON users (email)", "INDEX CONCURRENTLY IF NOT EXISTS i ON users USING hash (email)", "method"),
    (
        "CREATE TABLE others (id int); CREATE INDEX i ON others (id)",
        "INDEX CONCURRENTLY IF NOT EXISTS i ON users (id)",
        "its table",
    ),
]


@pytest.mark.parametrize("there, wanted, told", ANOTHER, ids=[told for _, _, told in ANOTHER])
def test_another_index_of_the_name_is_no_success(database: Endpoint, there: str, wanted: str, told: str) -> None:
    query(database, USERS + there)
    for plan in (indexed(f"CREATE {wanted}"), plan_from_sql(f"CREATE {wanted}")):
        with pytest.raises(StatementFailed, match=f'index "public"."i" was there and is another one .* {told}'):
            apply_all(plan, database)
        query(database, "DROP SCHEMA IF EXISTS migrator CASCADE")


def test_the_very_index_is_one(database: Endpoint) -> None:
    query(database, USERS + "CREATE INDEX i ON users USING btree (lower(email) DESC) WITH (fillfactor = 70)")
    sql = "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON public.users (lower(email) DESC) WITH (fillfactor = 70)"
    for plan in (indexed(sql), plan_from_sql(sql), plan_from_sql(sql.replace("CONCURRENTLY", ""))):
        apply_all(plan, database)
        verify_it(plan, database)
        query(database, "DROP SCHEMA IF EXISTS migrator CASCADE")


def test_verify_looks_at_what_the_index_is(database: Endpoint) -> None:
    query(database, USERS)
    plan = indexed("CREATE INDEX CONCURRENTLY i ON users (email)")
    apply_all(plan, database)
    query(database, "DROP INDEX i; CREATE INDEX i ON users (gone)")
    with pytest.raises(VerifyFailed, match="is another one than the statement makes: it differs in columns"):
        verify_it(plan, database)


def test_an_index_within_a_transaction_that_was_there(database: Endpoint) -> None:
    query(database, USERS + "CREATE INDEX i ON users (gone)")
    plan = plan_from_sql("CREATE INDEX IF NOT EXISTS i ON users (email)")
    apply_all(plan, database)
    with pytest.raises(VerifyFailed, match="differs in columns"):
        verify_it(plan, database)
