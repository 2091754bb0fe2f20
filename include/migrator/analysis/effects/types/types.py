"""Whether ALTER COLUMN TYPE rewrites the table: only when the stored bytes or their check would change.

Follows ATColumnChangeRequiresRewrite and the length coercions of PostgreSQL (`varchar_support`, `numeric_support`,
`timestamp_support`...), measured on 12 to 18.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from migrator.facts.facts import ColumnFacts
from migrator.frozen import frozen
from migrator.parsing.nodes import Node, content, name_of, strings

if TYPE_CHECKING:
    from migrator.analysis.effects.world import World

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
_WORD = re.compile(r'"([^"]+)"|([a-z_][a-z0-9_$]*)')
_FIXED = frozenset(
    """smallint,integer,bigint,real,double precision,boolean,oid,date,uuid,money,interval,"char",name,point,line,lseg,
    box,circle,macaddr,macaddr8,timestamp without time zone,timestamp with time zone,time without time zone,
    time with time zone,tid,xid,xid8,cid,pg_lsn,regclass,regtype,regproc,regprocedure,regoper,regoperator,regrole,
    regnamespace,regconfig,regdictionary,regcollation""".replace("\n    ", "").split(",")
)
"""Of a fixed length, so never stored outside the row, and never compressed."""
_VARYING = frozenset(
    """numeric,character,character varying,text,bytea,json,jsonb,jsonpath,inet,cidr,bit,bit varying,path,polygon,
    tsvector,tsquery,xml,int4range,int8range,numrange,tsrange,tstzrange,daterange,int4multirange,int8multirange,nummultirange,
    tsmultirange,tstzmultirange,datemultirange,pg_snapshot,txid_snapshot,refcursor,int2vector,oidvector,aclitem,
    gtsvector,record,unknown,cstring,void,trigger""".replace("\n    ", "").split(",")
)
BUILTIN = _FIXED | _VARYING
_STRINGS = ("text", "character varying")
_TIMES = ("timestamp without time zone", "timestamp with time zone", "time without time zone", "time with time zone")


@frozen
class SqlType:
    """`name` as format_type() writes it without modifiers; `mods` the numbers in parentheses."""

    name: str
    mods: tuple[int, ...] = ()
    array: bool = False
    constrained: bool = False
    """A domain with checks: each value is looked at."""

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
    """A TypeName of the parse tree; without names (a column of a partition or of a typed table) the type is unknown."""
    parts = strings(type_name.names)
    if not parts:
        return SqlType("unknown")
    plain = parts[-1]
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


def of_column(column: ColumnFacts) -> SqlType:
    """The type of a column; of a domain the one below, whose length nobody can rely on."""
    if column.domain:
        below = from_text(column.base) if column.base else from_text(column.type)
        return replace(below, mods=())
    return from_text(column.type)


def resolved(wanted: SqlType, parts: tuple[str, ...], world: World) -> SqlType:
    """The same, or what lies below it when it is a domain."""
    domain = None if wanted.array else world.domain(parts)
    return (
        wanted if domain is None else replace(from_text(domain.bottom or domain.type), constrained=domain.constrained)
    )


def is_builtin(name: str) -> bool:
    """Whether it is the name that format_type() gives a type of pg_catalog."""
    return name in _FIXED or name in _VARYING


def is_known(parts: tuple[str, ...], world: World) -> bool:
    """Whether there is such a type, as far as anybody can tell."""
    if world.facts is None or not world.facts.complete or not parts:
        return True
    plain = parts[-1]
    if plain in _INTERNAL or plain in _SERIAL or is_builtin(plain) or parts[0] == "pg_catalog":
        return True
    if plain == "char" or world.domain(parts) is not None or world.type(parts) is not None:
        return True
    return world.is_new_type(parts) or bool(world.exists(world.dotted(parts)))


def is_fixed(sql_type: SqlType) -> bool:
    return sql_type.name in _FIXED and not sql_type.array


def has_collation(sql_type: SqlType) -> bool:
    return sql_type.name in ("text", "character varying", "character", "name")


def base_operators(sql_type: SqlType) -> str:
    """What an index of such a column compares with: the same for two types when an index can stay as it is."""
    name = "text" if sql_type.name in _STRINGS else "inet" if sql_type.name == "cidr" else sql_type.name
    return name + ("[]" if sql_type.array else "")


def words(text: str) -> frozenset[str]:
    """The identifiers in a piece of SQL that PostgreSQL has printed."""
    return frozenset(quoted or plain for quoted, plain in _WORD.findall(text))


def needs_rewrite(old: SqlType, new: SqlType, *, timezone: str) -> bool:
    """Whether the table is rewritten. Unknown pairs are: only what is known to be harmless is not."""
    if old == new:
        return False
    if old.constrained or new.constrained:
        return True
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
