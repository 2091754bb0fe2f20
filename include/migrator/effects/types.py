"""Whether ALTER COLUMN TYPE rewrites the table: only when the stored bytes or their check would change.

Follows ATColumnChangeRequiresRewrite and the length coercions of PostgreSQL (`varchar_support`, `numeric_support`,
`timestamp_support`...), measured on 12 to 18.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from migrator.nodes import Node, content, name_of, strings

_INTERNAL = {
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    "varchar": "character varying",
    "bpchar": "character",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "time": "time without time zone",
    "timetz": "time with time zone",
    "varbit": "bit varying",
    "decimal": "numeric",
}
_SERIAL = {
    "serial": "integer",
    "serial4": "integer",
    "bigserial": "bigint",
    "serial8": "bigint",
    "smallserial": "smallint",
    "serial2": "smallint",
}
_FORMATTED = re.compile(
    r"^(?P<head>[^(\[]+?)(?: ?\((?P<mods>[0-9, -]+)\))?(?P<tail> with(?:out)? time zone)?(?P<array>(?:\[\])*)$"
)
_TIMES = ("timestamp without time zone", "timestamp with time zone", "time without time zone", "time with time zone")


@dataclass(frozen=True)
class SqlType:
    """`name` as format_type() writes it without modifiers; `mods` the numbers in parentheses."""

    name: str
    mods: tuple[int, ...] = ()
    array: bool = False

    def __str__(self) -> str:
        mods = f"({','.join(map(str, self.mods))})" if self.mods else ""
        if self.name in _TIMES:
            head, _, tail = self.name.partition(" ")
            return f"{head}{mods} {tail}" + ("[]" if self.array else "")
        return f"{self.name}{mods}" + ("[]" if self.array else "")


def is_serial(type_name: Node) -> bool:
    parts = strings(type_name.names)
    return len(parts) == 1 and parts[0] in _SERIAL


def from_node(type_name: Node) -> SqlType:
    """A TypeName of the parse tree."""
    parts = strings(type_name.names)
    plain = parts[-1] if parts else ""
    known = _INTERNAL.get(plain) or _SERIAL.get(plain) if len(parts) == 1 or parts[0] == "pg_catalog" else None
    name = known or (plain if len(parts) == 1 or parts[0] == "pg_catalog" else ".".join(parts))
    mods = tuple(mod for mod in (_number(item) for item in type_name.typmods) if mod is not None)
    if name == "character" and not mods and parts[0] == "pg_catalog":
        mods = (1,)
    if name == "interval":
        mods = mods[1:] if mods and mods[0] == 0x7FFF else mods  # fields, then precision
    return SqlType(name, mods, bool(len(type_name.array_bounds)))


def from_text(text: str) -> SqlType:
    """What format_type() printed."""
    match = _FORMATTED.match(text)
    if match is None:
        return SqlType(text)
    name = match["head"].strip() + (match["tail"] or "")
    mods = tuple(int(item) for item in match["mods"].split(",")) if match["mods"] else ()
    return SqlType(name, mods, bool(match["array"]))


def needs_rewrite(old: SqlType, new: SqlType, *, timezone: str) -> bool:
    """Whether the table is rewritten. Unknown pairs are: only what is known to be harmless is not."""
    if old == new:
        return False
    if old.array or new.array:
        return True
    if old.name == new.name:
        return _narrows(old, new)
    pair = (old.name, new.name)
    if pair in (("character varying", "text"), ("text", "character varying")):
        return bool(new.mods)
    if pair == ("cidr", "inet"):
        return False
    if set(pair) == {"timestamp without time zone", "timestamp with time zone"}:
        return timezone not in ("UTC", "Etc/UTC", "GMT", "Etc/GMT") or _less_precise(old, new)
    return not set(pair) <= {"integer", "oid", "regclass", "regtype", "regproc", "regrole", "regnamespace"}


def _narrows(old: SqlType, new: SqlType) -> bool:
    name = old.name
    if name in ("character varying", "bit varying"):
        return bool(new.mods) and (not old.mods or new.mods[0] < old.mods[0])
    if name == "numeric":
        if not new.mods:
            return False
        if not old.mods:
            return True
        scale, new_scale = (*old.mods, 0)[1], (*new.mods, 0)[1]
        return new_scale != scale or new.mods[0] < old.mods[0]
    if name in _TIMES or name == "interval":
        return _less_precise(old, new)
    return True


def _less_precise(old: SqlType, new: SqlType) -> bool:
    before = old.mods[-1] if old.mods else 6
    after = new.mods[-1] if new.mods else 6
    return after < before


def _number(item: Node) -> int | None:
    if name_of(item) != "a_const":
        return None
    value = content(item)
    return int(value.ival.ival) if value.HasField("ival") else None
