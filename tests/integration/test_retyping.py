"""Which change of a type keeps every value: what is said of it is what the server does."""

from __future__ import annotations

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.parsing.statements import parse
from migrator.rehearsal import retyping
from migrator.rehearsal.overwriting import Column
from tests.integration.stages import query

KEPT = [
    ("bigint", "9007199254740993", "integer"),
    ("integer", "70000", "smallint"),
    ("bigint", "9007199254740993", "numeric"),
    ("bigint", "12345678", "numeric(10, 2)"),
    ("smallint", "32767", "real"),
    ("integer", "2147483647", "double precision"),
    ("real", "0.1", "double precision"),
    ("numeric(8, 2)", "1.25", "numeric(12, 4)"),
    ("numeric(8, 2)", "1.25", "numeric"),
    ("text", "longer than that", "varchar(4)"),
    ("varchar(4)", "abcd", "text"),
    ("jsonb", '{"a": 1}', "text USING v::text"),
    ("jsonb", '{"a": 1}', "json"),
    ("date", "2026-01-02", "timestamp"),
    ("timestamp(3)", "2026-01-02 03:04:05.678", "timestamp"),
    ("double precision", "0.30000000000000004", "text"),
    ("timestamptz", "2026-01-02 03:04:05.123456+00", "text"),
    ("cidr", "10.0.0.0/8", "inet"),
]
CUT = [
    ("text", "abcdefgh", "text USING left(v, 4)"),
    ("text", "abcdefgh", "varchar(4) USING v::varchar(4)"),
    ("text", "abcdefgh", "text USING v::varchar(4)"),
    ("text", "abcdefgh", "text USING 'x'"),
    ("text", "x" * 70, "name"),
    ("numeric", "9.4321", "integer"),
    ("numeric", "9.4321", "numeric(8, 2)"),
    ("numeric(12, 4)", "9.4321", "numeric(12, 2)"),
    ("numeric", "9.4321", "integer USING v::integer"),
    ("bigint", "9007199254740993", "double precision"),
    ("double precision", "0.1", "real"),
    ("double precision", "0.5", "integer"),
    ("timestamp", "2026-01-02 03:04:05.678", "timestamp(0)"),
    ("timestamp", "2026-01-02 03:04:05", "date"),
    ("json", '{"a": 1, "a": 2}', "jsonb"),
    ("inet", "10.1.2.3/8", "cidr"),
]


@pytest.mark.parametrize("old, value, new, kept", [(*one, True) for one in KEPT] + [(*one, False) for one in CUT])
def test_what_is_said_to_keep_values_keeps_them_or_fails(
    database: Endpoint, old: str, value: str, new: str, kept: bool
) -> None:
    """Compared is the value as the old type has it again."""
    query(database, f"CREATE TABLE t (v {old}, was {old})")
    change = f"ALTER TABLE t ALTER v TYPE {new}"
    query(database, f"INSERT INTO t VALUES ('{value}', '{value}')")
    before = _column(database)
    command = parse(change, file="t.sql").statements[0].tree.cmds[0].alter_table_cmd
    try:
        query(database, change)
    except psycopg.DataError:
        assert kept
        query(database, "UPDATE t SET v = NULL, was = NULL")
        query(database, change)
    same = query(database, f"SELECT v::{old}::text IS NOT DISTINCT FROM was::text FROM t")
    assert same == [(kept,)] or (not kept and old == "json")
    assert retyping.keeps(before, _column(database), command) is kept


def _column(database: Endpoint) -> Column:
    asked = (
        "SELECT attrelid::bigint, attname::text, attnum::int, format_type(atttypid, NULL), atttypmod"
        " FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'v'"
    )
    return Column(*query(database, asked)[0])
