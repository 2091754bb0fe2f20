"""What IF NOT EXISTS finds in its place: the very object, or another one of that name."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from migrator.database.schema_diff import SchemaDiff, diff
from migrator.database.session import Endpoint
from migrator.database.vocabulary import vocabulary
from migrator.errors import StatementFailed, VerifyFailed
from migrator.evidence import Verdict
from migrator.plan import Plan
from migrator.rehearsal.skipped import Skipped, judge
from migrator.steps.contract import Written
from migrator.steps.kinds import kind_named
from tests.evidence import read_schema
from tests.factories import plan_from_sql, to_steps
from tests.integration.copies import check_of, failed, make_copy, rehearse
from tests.integration.stages import apply_all, query, verify_it
from tests.integration.test_observer import observe
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
        "CREATE INDEX i ON users (email text_pattern_ops)",
        "INDEX CONCURRENTLY IF NOT EXISTS i ON users (email)",
        "operator classes",
    ),
    (
        'CREATE INDEX i ON users (email COLLATE "C")',
        "INDEX CONCURRENTLY IF NOT EXISTS i ON users (email)",
        "collations",
    ),
    (
        "CREATE INDEX i ON users (email)",
        "INDEX CONCURRENTLY IF NOT EXISTS i ON users (email DESC NULLS LAST)",
        "sort order",
    ),
    (
        "CREATE INDEX i ON users (email)",
        "INDEX CONCURRENTLY IF NOT EXISTS i ON users (email) INCLUDE (gone)",
        "the number of columns",
    ),
    (
        "CREATE INDEX i ON users (email)",
        "INDEX CONCURRENTLY IF NOT EXISTS i ON users (email) WITH (fillfactor = 70)",
        "options",
    ),
    (
        "CREATE INDEX i ON users (email)",
        "INDEX CONCURRENTLY IF NOT EXISTS i ON users (email) TABLESPACE other_place",
        "tablespace",
    ),
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


THINGS = """
CREATE TABLE audit (id int);
CREATE TABLE orders (id bigserial PRIMARY KEY, email text, status text, total numeric(10, 2) DEFAULT 1, ref int);
INSERT INTO orders (email, status) SELECT 'e', 's' FROM generate_series(1, 20);
CREATE INDEX i ON orders (status);
CREATE VIEW seen AS SELECT id FROM orders;
CREATE SEQUENCE numbers INCREMENT 5;
CREATE TYPE mood AS ENUM ('ok', 'bad');
CREATE STATISTICS st ON status, email FROM orders;
CREATE MATERIALIZED VIEW mv AS SELECT id FROM orders;
CREATE TABLE ev (id int, day date) PARTITION BY RANGE (day);
CREATE TABLE ev25 PARTITION OF ev FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
INSERT INTO ev VALUES (1, '2025-02-02');
CREATE COLLATION c (locale = 'C');
CREATE TABLE docs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL CHECK (body <> ''), n int
    DEFAULT 7, CONSTRAINT docs_unique UNIQUE (body));
ALTER TABLE docs ADD COLUMN more int, ENABLE ROW LEVEL SECURITY, ALTER body SET STATISTICS 500;
CREATE INDEX docs_more ON docs (more);
CREATE SEQUENCE owned OWNED BY docs.more;
"""

DIFFERENT = {
    "CREATE TABLE IF NOT EXISTS audit (id bigint PRIMARY KEY, what text NOT NULL)": (
        "~ column public.audit.id: integer -> bigint not null",
        "+ column public.audit.what: text not null",
        "+ constraint public.audit.audit_pkey: PRIMARY KEY (id)",
    ),
    "CREATE TABLE IF NOT EXISTS seen (id bigint)": ("+ table public.seen",),
    "CREATE TABLE IF NOT EXISTS orders AS SELECT 1::smallint AS id": ("~ column public.orders.id",),
    "CREATE TABLE IF NOT EXISTS docs (n int DEFAULT 8)": ("default 7 -> integer default 8",),
    "CREATE TABLE IF NOT EXISTS ev25 PARTITION OF ev FOR VALUES FROM ('2025-01-01') TO ('2025-07-01')": ("~ table",),
    "ALTER TABLE orders ADD COLUMN IF NOT EXISTS email varchar(10) NOT NULL": (
        "~ column public.orders.email: text -> character varying(10) not null",
    ),
    "ALTER TABLE orders ADD COLUMN IF NOT EXISTS ref int REFERENCES docs, ADD COLUMN IF NOT EXISTS z int": (
        "+ constraint public.orders.orders_ref_fkey",
    ),
    "ALTER TABLE orders ADD COLUMN IF NOT EXISTS total numeric(10, 2) DEFAULT 2": ("default 2",),
    "CREATE INDEX IF NOT EXISTS i ON orders (total)": ("another one is there: columns",),
    "CREATE INDEX IF NOT EXISTS audit ON orders (total)": (),
    "CREATE SEQUENCE IF NOT EXISTS numbers INCREMENT 1": ("~ sequence public.numbers",),
    "CREATE MATERIALIZED VIEW IF NOT EXISTS mv AS SELECT status FROM orders": ("~ materialized view public.mv",),
    "CREATE STATISTICS IF NOT EXISTS st ON status, total FROM orders": ("~ statistics public.st",),
    "CREATE COLLATION IF NOT EXISTS c (locale = 'POSIX')": ("~ collation",),
    "ALTER TYPE mood ADD VALUE IF NOT EXISTS 'bad' BEFORE 'ok'": ("~ type",),
    "CREATE EXTENSION IF NOT EXISTS plpgsql VERSION '0.9'": ("version 1.0 -> version 0.9",),
    "DO $$ BEGIN CREATE TABLE IF NOT EXISTS audit (id text); END $$": ("~ column public.audit.id: integer -> text",),
    "DO $$ BEGIN EXECUTE 'CREATE TABLE IF NOT EXISTS ' || 'audit (id text)'; END $$": ("~ column public.audit.id",),
}
SAME = (
    "CREATE TABLE IF NOT EXISTS audit (id int)",
    "CREATE TABLE IF NOT EXISTS docs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL"
    " CHECK (body <> '') UNIQUE, n int DEFAULT 7)",
    "CREATE TABLE IF NOT EXISTS ev25 PARTITION OF ev FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
    "CREATE TABLE IF NOT EXISTS ev (id int, day date) PARTITION BY RANGE (day)",
    "ALTER TABLE orders ADD COLUMN IF NOT EXISTS email text, ADD COLUMN IF NOT EXISTS y int",
    "ALTER TABLE orders ADD COLUMN IF NOT EXISTS total numeric(10, 2) DEFAULT 1",
    "CREATE INDEX IF NOT EXISTS i ON orders (status)",
    "CREATE UNIQUE INDEX IF NOT EXISTS orders_pkey ON orders (id)",
    "CREATE SEQUENCE IF NOT EXISTS numbers INCREMENT 5",
    "CREATE SEQUENCE IF NOT EXISTS owned",
    "CREATE MATERIALIZED VIEW IF NOT EXISTS mv AS SELECT id FROM orders",
    "CREATE STATISTICS IF NOT EXISTS st ON status, email FROM orders",
    "CREATE COLLATION IF NOT EXISTS c (locale = 'C')",
    "CREATE SCHEMA IF NOT EXISTS public",
    "CREATE EXTENSION IF NOT EXISTS plpgsql",
    "ALTER TYPE mood ADD VALUE IF NOT EXISTS 'bad' AFTER 'ok'",
)
NOTHING = (
    "DROP TABLE IF EXISTS nothing",
    "DROP INDEX IF EXISTS nothing",
    "DROP FUNCTION IF EXISTS nothing(int)",
    "DROP SCHEMA IF EXISTS nothing",
    "ALTER TABLE orders DROP COLUMN IF EXISTS nothing",
    "ALTER TABLE orders DROP CONSTRAINT IF EXISTS nothing",
    "ALTER TABLE IF EXISTS nothing ADD COLUMN a int",
    "ALTER TABLE IF EXISTS nothing RENAME TO something",
)
DONE = (
    "CREATE TABLE IF NOT EXISTS fresh (id serial PRIMARY KEY)",
    "DROP TABLE IF EXISTS orders CASCADE",
    "DO $$ BEGIN RAISE NOTICE 'orders already exists, skipping'; END $$",
)


def skips(statements: Iterable[str], endpoint: Endpoint) -> dict[str, Skipped]:
    """What was skipped of these, each of which stands in a line of its own."""
    texts = list(statements)
    observer, _ = observe(";\n".join(texts), endpoint)
    return {texts[one.line - 1]: one for one in observer.skipped}


def test_another_thing_is_told(database: Endpoint) -> None:
    query(database, THINGS)
    before, rows = (
        read_schema(database),
        query(database, "SELECT id, email, status, total, ref FROM orders ORDER BY id"),
    )
    found = skips(DIFFERENT, database)
    known = vocabulary(plan_from_sql("; ".join(DIFFERENT)), before)
    wrong = {}
    for sql, wanted in DIFFERENT.items():
        (check,) = judge([found[sql]] if sql in found else [], known) or (None,)
        verdict = Verdict.FAILED if wanted else Verdict.UNVERIFIED
        if check is None or check.verdict is not verdict or any(part not in check.detail for part in wanted):
            wrong[sql] = check and check.detail
    assert wrong == {}
    left = [change.name for change in diff(before, read_schema(database)).changes if "migrator" not in change.name]
    assert sorted(left) == ["public.orders", "public.orders.z"]
    assert query(database, "SELECT id, email, status, total, ref FROM orders ORDER BY id") == rows


def test_without_notices_it_is_told_all_the_same(database: Endpoint) -> None:
    query(database, THINGS)
    silent = "SET client_min_messages = warning"
    texts = (silent, "CREATE TABLE IF NOT EXISTS audit (id text)", "CREATE TABLE IF NOT EXISTS f (id serial)", SAME[0])
    assert list(skips(texts, database)) == ["CREATE TABLE IF NOT EXISTS audit (id text)"]


def test_the_same_thing_passes(database: Endpoint) -> None:
    query(database, THINGS)
    found = skips(SAME, database)
    assert {sql: sql in found and found[sql].differences in ((), SchemaDiff(())) for sql in SAME} == dict.fromkeys(
        SAME, True
    )


def test_nothing_to_drop_is_told(database: Endpoint) -> None:
    query(database, THINGS)
    found = skips((*NOTHING, *DONE), database)
    assert [sql for sql, one in found.items() if one.absent] == list(found) == list(NOTHING)


def test_the_dry_run_fails_of_it(copies: Endpoint) -> None:
    copy = make_copy(copies)
    again = "CREATE TABLE IF NOT EXISTS tenants (id bigint PRIMARY KEY, name text NOT NULL); "
    evidence = rehearse(plan_from_sql(again + "CREATE TABLE x ()", "DROP TABLE x"), copies, copy)
    assert check_of(evidence, "skipped").detail == "line 1: CREATE TABLE did nothing, for the same is there"
    assert evidence.stands
    plan = plan_from_sql("CREATE TABLE IF NOT EXISTS tenants (id int); CREATE TABLE x ()", "DROP TABLE x")
    assert "skipped: line 1: CREATE TABLE did nothing, for another one is there" in str(failed(plan, copies, copy))
