"""Steps that change no row, `index` and `constraint` under torture: what they are made to do, and what must stand."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg

from migrator.plan import Plan, Step
from migrator.steps.contract import Written
from migrator.steps.kinds import kind_named, parameters_of
from tests.factories import plan_from_sql, to_steps
from tests.torture.case import Case, Stop

INDEXES = {
    "build": "CREATE INDEX CONCURRENTLY made ON t (a, owner)",
    "expression": "CREATE INDEX CONCURRENTLY made ON t ((a % 10)) WHERE owner > 0",
    "unique": "CREATE UNIQUE INDEX CONCURRENTLY made ON t (token)",
    "rebuild": None,
}
CONSTRAINTS = {
    "check": "CHECK (public.fine(a, n))",
    "not_null": "NOT NULL rank",
    "foreign": "FOREIGN KEY (owner) REFERENCES owners (id)",
    "unique_key": "UNIQUE (token)",
}
KINDS = ("index", "constraint")
OF_TOKEN = ("unique", "unique_key")
"""The key of a partition is no part of it, so the table has none."""
READS = {
    "build": "a IS NOT NULL",
    "expression": "a % 10 >= 0 AND owner > 0",
    "unique": "token IS NOT NULL",
    "unique_key": "token IS NOT NULL",
    "rebuild": "a IS NOT NULL",
}
"""A condition that is true of all rows in the index, by which it is read."""
HARMLESS = ("vacuum", "analyze", "truncate_other", "idle_rows")
"""A lock of the whole table would wait for the index, and the application for it: not the engine's doing."""
LEFT = """
SELECT relname FROM pg_class LEFT JOIN pg_index ON indexrelid = pg_class.oid
WHERE relnamespace = 'public'::regnamespace AND (relname ~ '_cc(new|old)' OR NOT indisvalid OR NOT indisready)
"""
TABLES = """
CREATE INDEX before ON t (a);
CREATE TABLE owners (id int PRIMARY KEY);
INSERT INTO owners SELECT generate_series(0, 9);
CREATE FUNCTION public.fine(a bigint, n int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
    IF n % 8 = 0 AND current_setting('application_name') LIKE '{watched}%' THEN PERFORM pg_sleep(0.001); END IF;
    RETURN a >= 0;
END $$;
"""
"""To check all rows takes the engine a while, in which the application writes."""


def adapted(case: Case) -> Case:
    """Few pieces instead of many batches; whatever has no more than one is ended from outside, within it."""
    chance = random.Random(f"pieces {case.seed}")
    pieces, outside = (1, 0.7) if case.kind == "index" else (4, 0.4)
    stops = tuple(
        Stop(
            one.how,
            chance.randint(1, pieces),
            chance.choice(("begin", "committed")),
            chance.uniform(0.02, 0.9) if chance.random() < outside else None,
        )
        for one in case.stops
    )
    actions = tuple((chance.randint(1, 3), what, seconds) for _, what, seconds in case.actions if what in HARMLESS)
    shape = replace(case.shape, partitions=0) if case.form in OF_TOKEN else case.shape
    if case.form == "rebuild":
        shape = replace(shape, deferred=False)  # which is refused
    return replace(case, stops=stops, actions=tuple(sorted(actions)), shape=shape)


def plan(case: Case) -> Plan:
    undo = None
    if case.form in INDEXES and case.form != "rebuild":
        undo = f"DROP INDEX {'' if case.shape.partitions else 'CONCURRENTLY '}IF EXISTS made"
    made = plan_from_sql("SELECT 1", undo, lock_timeout_ms=case.lock_timeout_ms)
    return replace(made, steps=(_step(case),))


def _step(case: Case) -> Step:
    if case.kind == "constraint":
        given = {"table": "t", "constraint": "made", "definition": CONSTRAINTS[case.form]}
        return planned("constraint", None, **given)
    text = INDEXES[case.form]
    if text is None:
        return planned("reindex", None, index=None, table="t", deadline=None)
    return planned("create_index", text, file=None, transaction=None, deadline=None)


def planned(of: str, text: str | None, *, name: str = "made", **given: Any) -> Step:
    """:param text: None: the kind writes it itself."""
    kind = kind_named(of)
    parsed, statements = to_steps(text or kind.sql(parameters_of(kind, given)), f"{name}.sql")
    return kind.plan(Written(name, parsed, statements, given))


def judge(conn: psycopg.Connection, case: Case) -> Iterator[str]:
    """What is not as it must be once the step is done, or undone."""
    yield from (f"index {name} is left" for (name,) in conn.execute(LEFT.encode()).fetchall())
    if case.undo and case.form != "rebuild":
        return
    if case.form in READS:
        yield from _index(conn, case.form)
    if case.kind == "constraint":
        rows = conn.execute("SELECT convalidated FROM pg_constraint WHERE conname = 'made'").fetchall()
        if set(rows) != {(True,)} and case.form != "not_null":
            yield f"the constraint is {rows}"
        found = conn.execute("SELECT attnotnull FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'rank'")
        if case.form == "not_null" and found.fetchall() != [(True,)]:
            yield "the column may be NULL"


def _index(conn: psycopg.Connection, form: str) -> Iterator[str]:
    """It finds the very rows that the table has."""
    query = f"SELECT owner, n, a FROM t WHERE {READS[form]} ORDER BY owner, n, a"
    read = []
    for others in ("seqscan", "indexscan"):
        with conn.transaction():
            conn.execute(f"SET LOCAL enable_{others} = off".encode())
            conn.execute("SET LOCAL enable_bitmapscan = off; SET LOCAL enable_indexonlyscan = off")
            told = str(conn.execute(f"EXPLAIN {query}".encode()).fetchall())
            if ("Index Scan" in told) != (others == "seqscan"):
                yield f"it was to be read without {others}: {told}"
            read.append(conn.execute(query.encode()).fetchall())
    if read[0] != read[1]:
        yield f"the index has {len(read[0])} rows, and the table {len(read[1])}: {set(read[0]) ^ set(read[1])}"[:400]
