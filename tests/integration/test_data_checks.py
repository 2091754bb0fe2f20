"""Rows that a statement fails on: each one is found before, and the statement then fails with that very SQLSTATE."""

from __future__ import annotations

import random
from dataclasses import replace

import psycopg
import pytest

from migrator.analysis.data_checks import Violation, findings_of, look_for, violations
from migrator.analysis.data_checks.queries import query_for
from migrator.analysis.data_checks.suspects import suspects_of
from migrator.database.session import Endpoint, connect
from migrator.parsing.statements import parse
from migrator.plan import Severity

pytestmark = pytest.mark.integration

SCHEMA = """
CREATE TABLE "Parents" ("Id" int PRIMARY KEY, code text UNIQUE);
INSERT INTO "Parents" VALUES (1, 'a'), (2, 'b');
CREATE TABLE t (id int PRIMARY KEY, a int, b text, parent int, "Odd Name" text);
INSERT INTO t VALUES (1, 1, 'x', 1, 'q'), (2, 1, 'y', 2, NULL), (3, -3, NULL, 7, 'toolong'), (4, 4, 'x', NULL, 'r'),
    (5, -5, '12', 8, 's');
ALTER TABLE t ADD CONSTRAINT later CHECK (a > 0) NOT VALID, ADD CONSTRAINT later_fk FOREIGN KEY (parent)
    REFERENCES "Parents" NOT VALID;
CREATE TABLE plain (v int);
INSERT INTO plain VALUES (1), (1), (2);
CREATE TABLE keyed (v int UNIQUE) PARTITION BY RANGE (v);
CREATE TYPE mood AS ENUM ('x', 'y');
CREATE DOMAIN amount AS int;
CREATE DOMAIN price AS amount;
CREATE DOMAIN filled AS int NOT NULL DEFAULT 1;
CREATE DOMAIN unfilled AS int NOT NULL;
CREATE TABLE sold (id int PRIMARY KEY, a amount, "Price" price);
INSERT INTO sold VALUES (1, 5, 1), (2, 2, -2), (3, 3, NULL), (4, 4, -4);
ALTER DOMAIN amount ADD CONSTRAINT not_yet CHECK (VALUE <> 5) NOT VALID;
CREATE TABLE booked (id int PRIMARY KEY, room int, during int4range, void bool NOT NULL DEFAULT false);
INSERT INTO booked VALUES (1, 1, '[1,5)'), (2, 1, '[4,6)'), (3, 1, '[6,8)'), (4, 2, '[1,5)');
INSERT INTO booked VALUES (5, 1, '[2,3)', true);
CREATE TABLE two (id int PRIMARY KEY, a int, b text);
INSERT INTO two VALUES (1, 5, 'k'), (2, 5, 'm'), (3, 0, 'k'), (4, 9, 'a'), (5, 10, 'a'), (6, NULL, 'a');
CREATE TABLE plain_two AS SELECT * FROM two WHERE b = 'a';
CREATE TABLE by_two (id int, a int, b text) PARTITION BY RANGE (a, b);
CREATE TABLE by_text (id int, a int, b text) PARTITION BY LIST (lower(b));
CREATE TABLE by_text_k PARTITION OF by_text FOR VALUES IN ('k');
CREATE TABLE by_hash (id int, a int, b text) PARTITION BY HASH (id);
CREATE TABLE parent (id int, v int);
CREATE TABLE child () INHERITS (parent);
INSERT INTO parent VALUES (1, 1), (2, NULL);
INSERT INTO child VALUES (1, 1), (3, NULL);
CREATE TABLE events (id int, day date) PARTITION BY RANGE (day);
CREATE TABLE events_25 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_rest PARTITION OF events DEFAULT;
INSERT INTO events VALUES (1, '2025-05-05'), (2, '2026-02-02'), (3, '2027-03-03'), (4, NULL), (5, '2026-12-31');
CREATE TABLE events_29 (day date, id int PRIMARY KEY);
INSERT INTO events_29 VALUES ('2029-01-01', 10), ('2028-12-31', 11), (NULL, 12), ('2030-01-01', 13);
CREATE TABLE pairs (id int PRIMARY KEY, a int, b text) PARTITION BY RANGE (id);
CREATE TABLE pairs_1 PARTITION OF pairs FOR VALUES FROM (0) TO (10);
CREATE TABLE pairs_2 PARTITION OF pairs FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
CREATE TABLE pairs_2a PARTITION OF pairs_2 DEFAULT;
INSERT INTO pairs VALUES (1, 1, 'one'), (2, NULL, 'two'), (11, 11, NULL), (12, NULL, '12');
CREATE TABLE wholes ("A" int, "B" int, UNIQUE ("A", "B"));
INSERT INTO wholes VALUES (1, 1), (2, 2);
CREATE TABLE referring (id int PRIMARY KEY, x int, y int);
INSERT INTO referring VALUES (1, 1, 1), (2, 1, 2), (3, NULL, 5), (4, NULL, NULL), (5, 2, 2);
CREATE TABLE orders (x int, id int, y int, FOREIGN KEY (x, y) REFERENCES wholes ("A", "B")) PARTITION BY RANGE (id);
CREATE TABLE tree (id int PRIMARY KEY, above int REFERENCES tree) PARTITION BY RANGE (id);
CREATE TABLE tree_1 PARTITION OF tree FOR VALUES FROM (0) TO (10);
INSERT INTO tree VALUES (1, NULL);
CREATE TABLE branch (above int, id int PRIMARY KEY);
INSERT INTO branch VALUES (1, 11), (11, 12), (77, 13), (NULL, 14);
"""

# SQL, SQLSTATE of the failure, rows, keys
FAILING = (
    ("ALTER TABLE t ALTER b SET NOT NULL", "23502", 1, ("id=3",)),
    ('ALTER TABLE t ALTER "Odd Name" SET NOT NULL', "23502", 1, ("id=2",)),
    ("ALTER TABLE t ADD COLUMN c int NOT NULL", "23502", 5, ("id=1", "id=2", "id=3", "id=4", "id=5")),
    ("ALTER TABLE t ADD CHECK (a > 0 AND a < 100)", "23514", 2, ("id=3", "id=5")),
    ("ALTER TABLE t VALIDATE CONSTRAINT later", "23514", 2, ("id=3", "id=5")),
    ("ALTER TABLE t VALIDATE CONSTRAINT later_fk", "23503", 2, ("id=3", "id=5")),
    ('ALTER TABLE t ADD FOREIGN KEY (parent) REFERENCES "Parents"', "23503", 2, ("id=3", "id=5")),
    ('ALTER TABLE t ADD FOREIGN KEY (b) REFERENCES "Parents" (code)', "23503", 4, ("id=1", "id=2", "id=4", "id=5")),
    ("ALTER TABLE t ADD UNIQUE (a)", "23505", 2, ("id=1", "id=2")),
    ("CREATE UNIQUE INDEX ON t (lower(b)) WHERE id < 5", "23505", 2, ("id=1", "id=4")),
    ("ALTER TABLE plain ADD PRIMARY KEY (v)", "23505", 2, ("ctid=(0,1)", "ctid=(0,2)")),
    ("ALTER TABLE t ALTER b TYPE int USING b::int", "22P02", 3, ("id=1", "id=2", "id=4")),
    ("ALTER TABLE t ALTER b TYPE mood USING b::mood", "22P02", 1, ("id=5",)),
    ("ALTER TABLE t ALTER b TYPE int USING (b || '0')::int / (id - 5)", "22P02", 4, ("id=1", "id=2", "id=4", "id=5")),
    ('ALTER TABLE t ALTER "Odd Name" TYPE varchar(3)', "22001", 1, ("id=3",)),
    ("ALTER TABLE t ALTER a TYPE smallint USING a * 10000", "22003", 2, ("id=4", "id=5")),
    ("ALTER TABLE t ALTER a TYPE numeric(2, 2) USING 1.0 / (a - 1)", "22012", 2, ("id=1", "id=2")),
    ("ALTER DOMAIN amount ADD CHECK (VALUE > 0)", "23514", 2, ("id=2", "id=4")),
    ("ALTER DOMAIN amount SET NOT NULL", "23502", 1, ("id=3",)),
    ("ALTER DOMAIN price ADD CONSTRAINT enough CHECK (VALUE BETWEEN -3 AND 3)", "23514", 1, ("id=4",)),
    ("ALTER DOMAIN amount VALIDATE CONSTRAINT not_yet", "23514", 1, ("id=1",)),
    ("ALTER TABLE t ADD COLUMN c unfilled", "23502", 5, ("id=1", "id=2", "id=3", "id=4", "id=5")),
    ("ALTER TABLE booked ADD EXCLUDE USING gist (during WITH &&)", "23P01", 4, ("id=1", "id=2", "id=4", "id=5")),
    (
        "ALTER TABLE booked ADD EXCLUDE USING gist (int4range(room, room, '[]') WITH =,"
        " during WITH OPERATOR(pg_catalog.&&)) WHERE (NOT void)",
        "23P01",
        2,
        ("id=1", "id=2"),
    ),
    (
        "ALTER TABLE events ATTACH PARTITION events_29 FOR VALUES FROM ('2029-01-01') TO ('2030-01-01')",
        "23514",
        3,
        ("id=11", "id=12", "id=13"),
    ),
    (
        "CREATE TABLE fresh PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
        "23514",
        2,
        ("ctid=(0,1)", "ctid=(0,4)"),
    ),
    ("ALTER TABLE by_two ATTACH PARTITION two FOR VALUES FROM (5, 'm') TO (10, MINVALUE)", "23514", 4, None),
    ("ALTER TABLE by_two ATTACH PARTITION two FOR VALUES FROM (MINVALUE, MINVALUE) TO (5, MAXVALUE)", "23514", 3, None),
    ("ALTER TABLE by_two ATTACH PARTITION two FOR VALUES FROM (5, MAXVALUE) TO (MAXVALUE, MAXVALUE)", "23514", 4, None),
    ("ALTER TABLE by_text ATTACH PARTITION two FOR VALUES IN ('a', NULL)", "23514", 3, ("id=1", "id=2", "id=3")),
    ("ALTER TABLE by_text ATTACH PARTITION two DEFAULT", "23514", 2, ("id=1", "id=3")),
    ("ALTER TABLE by_hash ATTACH PARTITION two FOR VALUES WITH (MODULUS 2, REMAINDER 0)", "23514", None, None),
    ("ALTER TABLE pairs_2 ATTACH PARTITION two FOR VALUES FROM (1) TO (7)", "23514", 6, None),
    ("ALTER TABLE keyed ATTACH PARTITION plain FOR VALUES FROM (0) TO (9)", "23505", 2, ("ctid=(0,1)", "ctid=(0,2)")),
    ("ALTER TABLE orders ATTACH PARTITION referring FOR VALUES FROM (0) TO (9)", "23503", 1, ("id=2",)),
    ("ALTER TABLE tree ATTACH PARTITION branch FOR VALUES FROM (10) TO (20)", "23503", 1, ("id=13",)),
    (
        'ALTER TABLE referring ADD FOREIGN KEY (x, y) REFERENCES wholes ("A", "B") MATCH FULL',
        "23503",
        2,
        ("id=2", "id=3"),
    ),
    ("ALTER TABLE pairs ALTER a SET NOT NULL", "23502", 2, ("id=2", "id=12")),
    ("ALTER TABLE pairs ALTER b TYPE int USING b::int", "22P02", 2, ("id=1", "id=2")),
    ("ALTER TABLE events ALTER day SET NOT NULL", "23502", 1, ("tableoid=events_rest, ctid=(0,3)",)),
    ("ALTER TABLE parent ALTER v SET NOT NULL", "23502", 2, None),
)

PASSING = (
    "ALTER TABLE t ALTER a SET NOT NULL",
    "ALTER TABLE t ADD COLUMN c int NOT NULL DEFAULT 1",
    "ALTER TABLE t ADD COLUMN c bigserial NOT NULL",
    "ALTER TABLE t ADD CHECK (a > 0) NOT VALID",
    "ALTER TABLE t ADD CHECK (b <> 'z')",  # NULL satisfies it
    'ALTER TABLE t ADD UNIQUE ("Odd Name")',
    "CREATE UNIQUE INDEX ON t (a) WHERE id > 1",
    "ALTER TABLE t ALTER a TYPE bigint",
    "ALTER TABLE t ALTER b TYPE varchar(5)",
    "CREATE TABLE fresh (id int NOT NULL); ALTER TABLE fresh ADD UNIQUE (id)",
    "ALTER TABLE t ADD COLUMN c filled",
    "ALTER TABLE t ADD COLUMN c filled NOT NULL",
    "ALTER TABLE t ADD COLUMN c amount",
    "ALTER TABLE t ALTER b TYPE varchar(1) USING b::varchar(1)",  # cut, not refused
    "ALTER TABLE t ALTER a TYPE smallint USING nullif(a, 0)",
    "ALTER TABLE parent ADD UNIQUE (id)",  # of the parent's own rows
    "ALTER DOMAIN amount ADD CHECK (VALUE < 100)",
    "ALTER DOMAIN amount ADD CHECK (VALUE > 3) NOT VALID",
    "ALTER TABLE booked ADD EXCLUDE USING gist (during WITH &&) WHERE (id > 2 AND room = 1)",
    "CREATE TABLE fresh PARTITION OF events FOR VALUES FROM ('2028-01-01') TO ('2029-01-01')",
    "CREATE TABLE fresh PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
    "ALTER TABLE by_text ATTACH PARTITION plain_two FOR VALUES IN ('a')",
    "ALTER TABLE pairs ADD UNIQUE (id, a)",
)


@pytest.fixture
def conn(database: Endpoint):
    with connect(database, purpose="apply") as connection:
        connection.execute("SET search_path = public")  # for the statements that the tests send themselves
        connection.execute(SCHEMA)
        yield connection


def look(conn: psycopg.Connection, sql: str) -> tuple[Violation, ...]:
    return look_for(conn, parse(sql, file="f.sql").statements)


@pytest.mark.parametrize("sql, sqlstate, rows, keys", FAILING, ids=[item[0] for item in FAILING])
def test_rows_are_found_and_the_statement_fails_on_them(
    conn: psycopg.Connection, sql: str, sqlstate: str, rows: int | None, keys: tuple[str, ...] | None
) -> None:
    (found,) = violations(look(conn, sql))
    assert found.sqlstate == sqlstate
    assert found.rows == rows or rows is None
    assert found.samples == keys or keys is None
    with pytest.raises(psycopg.Error) as failure:
        conn.execute(sql.encode())
    assert failure.value.sqlstate == sqlstate
    _assert_these_are_all(conn, sql, found)


def _assert_these_are_all(conn: psycopg.Connection, sql: str, found: Violation) -> None:
    """Without the rows that were named the statement passes: none was missed. Five are named at most."""
    keys = [dict(part.split("=") for part in item.split(", ")) for item in found.samples]
    if len(keys) != found.rows:
        return
    for key in keys:
        where = " AND ".join(
            f"{name}::{'regclass::' * (name == 'tableoid')}text = '{value}'" for name, value in key.items()
        )
        conn.execute(f"DELETE FROM {found.table} WHERE {where}".encode())
    conn.execute(sql.encode())


@pytest.mark.parametrize("sql", PASSING)
def test_nothing_is_found_where_the_statement_passes(conn: psycopg.Connection, sql: str) -> None:
    assert violations(look(conn, sql)) == ()
    conn.execute(sql.encode())


def test_both_tables_of_an_attached_partition_are_read(conn: psycopg.Connection) -> None:
    sql = "ALTER TABLE events ATTACH PARTITION events_29 FOR VALUES FROM ('2026-01-01') TO ('2028-12-31')"
    attached, default = violations(look(conn, sql))
    assert (attached.table, attached.rows) == ('"events_29"', 4)
    assert (default.table, default.rows) == ("public.events_rest", 3)
    conn.execute("TRUNCATE events_29")
    with pytest.raises(psycopg.errors.CheckViolation, match="events_rest"):
        conn.execute(sql.encode())


@pytest.mark.parametrize("container", ["amount[]", "whole"])
def test_the_server_refuses_to_alter_a_domain_within_another_type(conn: psycopg.Connection, container: str) -> None:
    """Whatever the rows hold: that is why arrays and composite types are not looked into."""
    conn.execute("CREATE TYPE whole AS (a amount)")
    conn.execute(f"CREATE TABLE of_many (id int, v {container})".encode())
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="of_many"):
        conn.execute("ALTER DOMAIN amount ADD CHECK (VALUE < 100)")


TEMPORAL = """
ALTER TABLE booked ADD COLUMN rooms int4range;
UPDATE booked SET rooms = int4range(room, room, '[]');
CREATE TABLE rented (room int4range, during int4range, UNIQUE (room, during WITHOUT OVERLAPS));
INSERT INTO rented VALUES ('[1,2)', '[0,3)'), ('[1,2)', '[3,6)'), ('[1,2)', '[7,8)'), ('[2,3)', '[2,9)');
"""
# SQL, SQLSTATE of the failure, rows that it fails on
OF_18 = (
    ("ALTER TABLE booked ADD UNIQUE (rooms, during WITHOUT OVERLAPS)", "23P01", ("id=1", "id=2", "id=5")),
    ("ALTER TABLE still ADD UNIQUE (room, during WITHOUT OVERLAPS)", "23514", ("id=1",)),
    (
        "ALTER TABLE booked ADD FOREIGN KEY (rooms, PERIOD during) REFERENCES rented (room, PERIOD during)",
        "23503",
        ("id=3", "id=4"),
    ),
    (
        "ALTER TABLE booked ADD FOREIGN KEY (rooms, PERIOD during) REFERENCES held",
        "23503",
        ("id=1", "id=3", "id=4", "id=5"),
    ),
)


@pytest.mark.parametrize("sql, sqlstate, keys", OF_18, ids=[item[0] for item in OF_18])
def test_ranges_that_may_not_overlap_or_are_to_be_covered(
    conn: psycopg.Connection, sql: str, sqlstate: str, keys: tuple[str, ...]
) -> None:
    """With WITHOUT OVERLAPS "=" needs an operator class of GiST: the range of one number has one."""
    if conn.info.server_version < 180000:
        pytest.skip("PostgreSQL 18 is the first to have WITHOUT OVERLAPS and PERIOD")
    conn.execute(TEMPORAL.encode())
    conn.execute("CREATE TABLE still (id int PRIMARY KEY, room int4range, during int4range)")
    conn.execute("INSERT INTO still VALUES (1, '[1,2)', 'empty'), (2, '[2,3)', '[1,2)')")
    conn.execute("CREATE TABLE held (room int4range, during int4range, PRIMARY KEY (room, during WITHOUT OVERLAPS))")
    conn.execute("INSERT INTO held SELECT * FROM rented WHERE NOT during @> 1")
    conn.execute("INSERT INTO held VALUES ('[1,2)', '[0,2)')")
    (found,) = violations(look(conn, sql))
    assert found.sqlstate == sqlstate
    assert found.samples == keys
    with pytest.raises(psycopg.Error) as failure:
        conn.execute(sql.encode())
    assert failure.value.sqlstate == sqlstate
    _assert_these_are_all(conn, sql, found)


def test_validating_a_period_tells_more_than_the_server_notices(conn: psycopg.Connection) -> None:
    """18.4 validates it with the operator of its last column alone, &&: what is covered in part passes."""
    if conn.info.server_version < 180000:
        pytest.skip("PostgreSQL 18 is the first to have PERIOD")
    conn.execute(TEMPORAL.encode())
    conn.execute("INSERT INTO booked VALUES (6, 3, '[1,2)', false, '[3,4)')")
    conn.execute(
        "ALTER TABLE booked ADD CONSTRAINT some_time FOREIGN KEY (rooms, PERIOD during)"
        " REFERENCES rented (room, PERIOD during) NOT VALID"
    )
    sql = "ALTER TABLE booked VALIDATE CONSTRAINT some_time"
    (found,) = violations(look(conn, sql))
    assert found.samples == ("id=3", "id=4", "id=6")
    assert "18.4 notices only what nothing overlaps" in found.what
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        conn.execute(sql.encode())
    _assert_these_are_all(conn, sql, found)


def test_rows_that_an_earlier_statement_changes_are_not_judged(conn: psycopg.Connection) -> None:
    found = look(conn, "UPDATE t SET b = '' WHERE b IS NULL; ALTER TABLE t ALTER b SET NOT NULL")
    assert [(item.rows, item.reason) for item in found] == [(None, "statements before it may change the rows")]
    found = look(conn, "DO $$ BEGIN DELETE FROM t; END $$; ALTER TABLE t ALTER b SET NOT NULL")
    assert [item.rows for item in found] == [None]
    found = look(conn, "UPDATE plain SET v = 0; ALTER TABLE t ALTER b SET NOT NULL")
    assert [item.rows for item in found] == [1]
    found = look(conn, "DELETE FROM public.t; ALTER TABLE t ALTER b SET NOT NULL")
    assert [item.rows for item in found] == [None]
    found = look(conn, "UPDATE events_rest SET day = now(); ALTER TABLE events ALTER day SET NOT NULL")
    assert [item.rows for item in found] == [None]
    for key in ('ADD FOREIGN KEY (parent) REFERENCES "Parents"', "VALIDATE CONSTRAINT later_fk"):
        found = look(conn, f"INSERT INTO \"Parents\" VALUES (7, 'c'), (8, 'd'); ALTER TABLE t {key}")
        assert [item.rows for item in found] == [None]
    found = look(conn, "UPDATE sold SET a = 1; ALTER DOMAIN amount SET NOT NULL")
    assert {item.rows for item in found} == {None}


def test_what_cannot_be_looked_for_says_why(conn: psycopg.Connection) -> None:
    (found,) = look(conn, "ALTER TABLE t ADD CHECK (nowhere > 0)")
    assert found.rows is None
    assert "nowhere" in found.reason
    (found,) = look_for(
        conn, parse("ALTER TABLE t ADD CHECK (factorial(32000) IS NULL)", file="f").statements, timeout_ms=50
    )
    assert "timeout" in found.reason
    assert conn.execute("SELECT 1").fetchone() == (1,)


def test_a_catalog_that_does_not_answer_is_told(conn: psycopg.Connection) -> None:
    """The columns of a domain, and the bounds of partitions, in a schema that the role may not look into."""
    conn.execute("CREATE SCHEMA closed")
    conn.execute("CREATE DOMAIN closed.size AS int")
    conn.execute("CREATE TABLE closed.events (id int, day date) PARTITION BY RANGE (day)")
    conn.execute("REVOKE ALL ON SCHEMA closed FROM CURRENT_USER")
    (domain,) = look(conn, "ALTER DOMAIN closed.size ADD CHECK (VALUE > 0)")
    attached, made = look(
        conn,
        "ALTER TABLE closed.events ATTACH PARTITION events_29 FOR VALUES FROM ('2029-01-01') TO ('2030-01-01');"
        "CREATE TABLE fresh PARTITION OF closed.events FOR VALUES FROM ('2031-01-01') TO ('2032-01-01')",
    )
    for found, table in ((domain, "closed.size"), (attached, "closed.events"), (made, "closed.events")):
        assert found.rows is None
        denied = "permission denied for schema closed (SQLSTATE 42501, insufficient_privilege)"
        assert found.reason == f"the catalog cannot be asked: {denied}"
        assert str(found).startswith(f"{table}: whether ")
    (finding,) = findings_of(conn, parse("ALTER DOMAIN closed.size ADD CHECK (VALUE > 0)", file="f.sql"))
    assert finding.severity is Severity.INFO
    assert "is not known" in finding.message
    (later,) = look(conn, "UPDATE t SET b = ''; ALTER TABLE closed.events ALTER day SET NOT NULL")
    assert later.rows is None


@pytest.mark.parametrize("keys", ["during WITH &&", "room WITH =, during WITH &&", "room WITH =, span WITH &&"])
def test_one_sort_finds_the_rows_that_a_look_at_all_pairs_finds(conn: psycopg.Connection, keys: str) -> None:
    """Bounds of all sorts, NULLs and empty ranges; the rows are compared without an index, which "=" would need."""
    chance = random.Random(7)
    conn.execute("CREATE TABLE spans (id int, room text, during int4range, span numrange)")
    for number in range(900):
        low, length = chance.randrange(3000), chance.choice((0, 0, 1, 1, 2, 5, 40))
        ends = (low if chance.random() > 0.01 else None, low + length if chance.random() > 0.01 else None)
        bounds = chance.choice("[(") + chance.choice("])")
        room = chance.choice("abcdefgh") if chance.random() > 0.1 else None
        conn.execute(
            "INSERT INTO spans VALUES (%s, %s, int4range(%s, %s, %s), numrange(%s, %s, %s))",
            (number, room, *ends, bounds, *ends, bounds),
        )
    conn.execute("INSERT INTO spans VALUES (-1, NULL, NULL, NULL), (-2, 'a', 'empty', 'empty')")
    (statement,) = parse(f"ALTER TABLE spans ADD EXCLUDE USING gist ({keys}) WHERE (id < 850)", file="f").statements
    (suspect,) = suspects_of(statement)
    for part in ("true", "id % 3 = 0", "id % 17 = 0", "NOT (lower_inf(during) OR upper_inf(during))", "id % 90 < 2"):
        some = replace(suspect, where=f"{suspect.where} AND {part}")
        one, other = (
            {row for (row,) in conn.execute(query_for(some, "spans", ["id"], sort=sort).encode()).fetchall()}
            for sort in (False, True)
        )
        assert one == other
        assert one


def test_many_ranges_are_sorted_not_compared_in_pairs(conn: psycopg.Connection) -> None:
    """A hundred thousand: all pairs would be ten thousand million comparisons."""
    conn.execute("CREATE TABLE long (id int PRIMARY KEY, during tstzrange)")
    conn.execute(
        "INSERT INTO long SELECT i, tstzrange(now() + i * interval '1 hour', now() + (i + 1) * interval '1 hour')"
        " FROM generate_series(1, 100000) AS i"
    )
    conn.execute("INSERT INTO long SELECT 0, tstzrange(now() + interval '70.5 hours', now() + interval '70.6 hours')")
    sql = "ALTER TABLE long ADD EXCLUDE USING gist (during WITH &&)"
    (found,) = look_for(conn, parse(sql, file="f").statements, timeout_ms=10_000)
    assert found.samples == ("id=0", "id=70")


def test_what_is_no_range_is_compared_in_pairs(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE boxes (id int PRIMARY KEY, place box)")
    conn.execute("INSERT INTO boxes VALUES (1, '(0,0),(2,2)'), (2, '(1,1),(3,3)'), (3, '(8,8),(9,9)')")
    sql = "ALTER TABLE boxes ADD EXCLUDE USING gist (place WITH &&)"
    (found,) = violations(look(conn, sql))
    assert found.samples == ("id=1", "id=2")
    with pytest.raises(psycopg.errors.ExclusionViolation):
        conn.execute(sql.encode())


def test_findings_point_at_the_statement(conn: psycopg.Connection) -> None:
    parsed = parse("SET lock_timeout = '1s';\nALTER TABLE t\n  ALTER b SET NOT NULL;", file="f.sql")
    (finding,) = findings_of(conn, parsed)
    assert (finding.rule, finding.severity, finding.line) == ("rows-in-the-way", Severity.ERROR, 2)
    assert finding.message == "fails with 23502: 1 row of t where b is NULL"
