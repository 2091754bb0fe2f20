"""The table under torture: its DDL, its first rows as SQL makes them, and the same rows as values."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from tests.torture.case import Shape

HOT, HOT_ROWS = 0, 20
"""Rows that belong to nobody: every writer changes them, and logs by how much in the same transaction."""
SCALE = 1_000_000
TOKENS = 1_000_000_000
"""A token is a writer's number times this, and a number of its own."""

_TYPES = {"bigint": "bigint", "uuid": "uuid", "text": "text", "composite": "bigint", "none": "bigint"}


@dataclass
class Row:
    """What a row must hold. `b` None: it is still to be filled, or was so when the application looked last."""

    a: int
    b: int | None
    rank: int
    document: int
    token: int
    """Of the write that last left something to fill: each of them is filled once."""
    since: float = 0.0
    """When that write was committed, by the monotonic clock."""
    filled: int | None = None
    """Of what is to be undone, `b` as it was seen: the application has changed `a` since, and does not know `b`."""


def key_columns(shape: Shape) -> tuple[str, ...]:
    return ("owner", "n") if shape.key == "composite" else ("id",)


def id_of(shape: Shape, owner: int, n: int) -> Any:
    number = owner * SCALE + n
    if shape.key == "uuid":
        return uuid.UUID(hashlib.md5(str(number).encode()).hexdigest())
    return f"key {number}" if shape.key == "text" else number


def document_of(shape: Shape, number: int) -> str:
    """One in seven of a toasted table is stored out of line; the others are as wide as makes many pages."""
    return hashlib.md5(str(number).encode()).hexdigest() * (120 if shape.toasted and number % 7 == 0 else 12)


def ddl(shape: Shape, watched: str, hot: int | None) -> str:
    """:param watched: the name that sessions of the engine begin with: what they change is logged.
    :param hot: `b` of the rows that belong to nobody; None: to be filled.
    """
    made = {"uuid": "md5({0}::text)::uuid", "text": "'key ' || {0}"}.get(shape.key, "{0}")
    number = f"(o * {SCALE} + n)"
    unique = "" if shape.key == "none" else f"ALTER TABLE t ADD PRIMARY KEY ({', '.join(key_columns(shape))});"
    parts = "".join(
        f"CREATE TABLE t{i} PARTITION OF t FOR VALUES WITH (MODULUS {shape.partitions}, REMAINDER {i})"
        f" WITH (fillfactor = {shape.fillfactor});"
        for i in range(shape.partitions)
    )
    by = (
        f" PARTITION BY HASH ({', '.join(key_columns(shape))})" if parts else f" WITH (fillfactor = {shape.fillfactor})"
    )
    times = f"CASE WHEN {number} % 7 = 0 THEN 120 ELSE 12 END" if shape.toasted else "12"
    deferred = (
        """ALTER TABLE t ADD CONSTRAINT ranks UNIQUE (rank) DEFERRABLE INITIALLY DEFERRED;
        CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE ON t DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION public.late();"""
        if shape.deferred
        else ""
    )
    nested = (
        """CREATE TRIGGER nested AFTER UPDATE ON t FOR EACH ROW WHEN (pg_trigger_depth() = 0)
        EXECUTE FUNCTION public.nested();"""
        if shape.nested
        else ""
    )
    return f"""
CREATE TABLE t (id {_TYPES[shape.key]}, owner int, n int, a bigint, b bigint, rank bigint, token bigint, document text,
    seen int NOT NULL DEFAULT 0, touched int NOT NULL DEFAULT 0){by};
{parts}
ALTER TABLE t ALTER COLUMN document SET STORAGE EXTERNAL;
CREATE TABLE refs AS SELECT g AS id, g * 7 + 3 AS c FROM generate_series(0, 49) AS g;
CREATE TABLE hot_log (n int, d bigint);
CREATE TABLE filled (token bigint, verb text, old_a bigint, old_b bigint, new_a bigint, new_b bigint);
CREATE TABLE side AS SELECT g AS id FROM generate_series(1, 100) AS g;
CREATE TABLE late (token bigint);
INSERT INTO t SELECT {made.format(number)}, o, n, n % 1000, NULL, {number}, o::bigint * {TOKENS} + n,
    repeat(md5({number}::text), {times})
FROM generate_series(1, {shape.writers}) AS o, generate_series(1, {shape.rows}) AS n;
INSERT INTO t SELECT {made.format("n")}, {HOT}, n, n, {"NULL" if hot is None else hot}, n, n, repeat(md5(n::text), 12)
FROM generate_series(1, {HOT_ROWS}) AS n;
{unique}
CREATE FUNCTION public.filled() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO public.filled VALUES (OLD.token, TG_OP, OLD.a, OLD.b, NULL, NULL);
    ELSE
        INSERT INTO public.filled VALUES (OLD.token, TG_OP, OLD.a, OLD.b, NEW.a, NEW.b);
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION public.nested() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE public.t SET seen = seen + 1 WHERE token = NEW.token AND owner = NEW.owner AND n = NEW.n
        AND {" AND ".join(f"{column} = NEW.{column}" for column in key_columns(shape))};
    RETURN NULL;
END $$;
CREATE FUNCTION public.touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    NEW.touched := NEW.touched + 1;
    RETURN NEW;
END $$;
CREATE FUNCTION public.late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.late SELECT NEW.token WHERE NEW.token % 50 = 0;
    RETURN NULL;
END $$;
CREATE TRIGGER {"a" if shape.log_first else "z"}_filled AFTER UPDATE OR DELETE ON t FOR EACH ROW
    WHEN (pg_trigger_depth() = 0 AND current_setting('application_name') LIKE '{watched}%')
    EXECUTE FUNCTION public.filled();
CREATE TRIGGER touched BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION public.touched();
{deferred}
{nested}
ANALYZE t;
"""


def first_rows(shape: Shape, owner: int, hot: int | None) -> dict[int, Row]:
    """What `ddl` makes for a writer, or HOT."""
    if owner == HOT:
        return {n: Row(n, hot, n, n, n) for n in range(1, HOT_ROWS + 1)}
    number = owner * SCALE
    return {n: Row(n % 1000, None, number + n, number + n, owner * TOKENS + n) for n in range(1, shape.rows + 1)}


def where(shape: Shape) -> sql.Composable:
    """The row with this key, as a writer addresses it."""
    return sql.SQL(" AND ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in key_columns(shape)
    )
