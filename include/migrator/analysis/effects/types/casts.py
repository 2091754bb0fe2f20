"""Which types PostgreSQL casts by itself when a column changes its type, and which it can compare.

Assignment and implicit casts between built-in types: pg_cast; I/O conversion to string types counts as assignment.
https://www.postgresql.org/docs/current/typeconv-query.html
"""

from __future__ import annotations

from migrator.analysis.effects.types.types import SqlType, is_builtin

NUMBERS = frozenset({"smallint", "integer", "bigint", "real", "double precision", "numeric"})
STRINGS = frozenset({"text", "character varying", "character", "name", "citext"})
OIDS = frozenset({"oid", "regclass", "regtype", "regproc", "regrole", "regnamespace", "regprocedure", "regconfig"})
_GROUPS: tuple[frozenset[str], ...] = (
    NUMBERS,
    OIDS | {"integer", "bigint", "smallint"},
    frozenset({"json", "jsonb"}),
    frozenset({"inet", "cidr"}),
    frozenset({"bit", "bit varying"}),
    frozenset({"macaddr", "macaddr8"}),
)
_STAMPS = frozenset({"date", "timestamp without time zone", "timestamp with time zone"})
_ONE_WAY: frozenset[tuple[str, str]] = frozenset(
    {
        ("timestamp without time zone", "time without time zone"),
        ("timestamp with time zone", "time without time zone"),
        ("timestamp with time zone", "time with time zone"),
        ("time without time zone", "interval"),
        ("time without time zone", "time with time zone"),
        ("time with time zone", "time without time zone"),
        ("interval", "time without time zone"),
        ("text", "regclass"),
        ("character varying", "regclass"),
        ("money", "numeric"),
        ("numeric", "money"),
        ("integer", "money"),
        ("bigint", "money"),
    }
)
_COMPARED: tuple[frozenset[str], ...] = (
    NUMBERS,
    frozenset({"text", "character varying", "character", "name"}),
    _STAMPS,
    OIDS | {"integer"},
    frozenset({"inet", "cidr"}),
    frozenset({"bit", "bit varying"}),
)


def assignable(old: SqlType, new: SqlType) -> bool | None:
    """Whether ALTER COLUMN TYPE needs no USING; None where only the catalog knows (own types and casts)."""
    if old.name == new.name:
        return old.array == new.array or None
    if not (is_builtin(old.name) and is_builtin(new.name)):
        return True if new.name in STRINGS and not new.array else None
    if old.array or new.array:
        if old.array and new.array:
            return assignable(SqlType(old.name), SqlType(new.name))
        return new.name in STRINGS and not new.array
    if new.name in STRINGS:
        return True
    if any({old.name, new.name} <= group for group in (*_GROUPS, _STAMPS)):
        return True
    return (old.name, new.name) in _ONE_WAY


def comparable(first: SqlType, second: SqlType) -> bool:
    """Whether a foreign key can compare the two; what is not built in counts as yes."""
    if first.name == second.name and first.array == second.array:
        return True
    if not (is_builtin(first.name) and is_builtin(second.name)) or first.array or second.array:
        return True
    return any({first.name, second.name} <= group for group in _COMPARED)
