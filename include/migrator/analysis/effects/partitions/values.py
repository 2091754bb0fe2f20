"""What a constant is as a value of a partition key, so that it can be compared with the bounds of partitions.

Only where the answer is certain: the planner compares when it is sure as well, or folds more than is read here.
https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITION-PRUNING
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum
from zoneinfo import ZoneInfo

from migrator.analysis.effects.types import types
from migrator.analysis.effects.types.volatility import unsteady_functions
from migrator.analysis.effects.world import World
from migrator.facts.facts import ColumnFacts
from migrator.parsing.nodes import Node, find, name_of

Value = Decimal | datetime | str | bool
_INTEGER = re.compile(r"\s*[+-]?\d+\s*")
_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)\s*")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TIME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)"
    r"([ T](?P<time>\d\d:\d\d(:\d\d)?)(\.(?P<fraction>\d{1,6}))?(?P<zone>Z|[+-]\d\d(:?\d\d)?)?)?"
)
_BOOLEANS = {"t": True, "true": True, "f": False, "false": False}
_PLAIN_COLLATIONS = ("", "default", "C", "POSIX", "ucs_basic")
"""Those of which it is known that equal means equal bytes."""
BYTEWISE = ("C", "POSIX", "ucs_basic")
_BIGGEST = Decimal(2**63)


class Reading(Enum):
    """What is no value."""

    NULL = "null"
    LATER = "later"
    """Known, or comparable with the key, when the statement runs only: nothing is pruned before."""
    UNKNOWN = "unknown"
    """The planner may see a constant in it that is not computed here."""


KINDS = {
    "smallint": "integer",
    "integer": "integer",
    "bigint": "integer",
    "numeric": "numeric",
    "date": "date",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "text": "text",
    "character varying": "text",
    "boolean": "boolean",
    "uuid": "uuid",
}
_CASTS: Mapping[tuple[str, str], Reading | None] = {
    ("integer", "numeric"): Reading.LATER,
    ("numeric", "integer"): None,
    ("date", "timestamp"): None,
    ("date", "timestamptz"): Reading.LATER,
    ("timestamp", "date"): None,
    ("timestamp", "timestamptz"): Reading.LATER,
    ("timestamptz", "date"): Reading.LATER,
    ("timestamptz", "timestamp"): Reading.LATER,
}
"""Key and cast of the constant: None: compared by an operator that is immutable, and of the key's own family."""


def kind_of(column: ColumnFacts, world: World) -> str | None:
    """How values of the column are compared; None: that is not known here."""
    found = types.of_column(column)
    if found.array or column.domain:
        return None
    kind = KINDS.get(found.name)
    if kind == "text" and column.collation not in _PLAIN_COLLATIONS:
        return None
    if kind is None:
        own = world.type(tuple(found.name.replace('"', "").split(".")))
        return "label" if own is not None and own.kind == "e" else None
    return kind


def read(node: Node, kind: str, world: World) -> Value | Reading:
    """The value that a key of this kind is compared with."""
    name = name_of(node)
    if name == "a_const":
        return _constant(node.a_const, kind, world)
    if name == "type_cast" and name_of(node.type_cast.arg) == "a_const":
        wanted = types.from_node(node.type_cast.type_name)
        target = KINDS.get(wanted.name, kind if kind == "label" else "")
        if not target or wanted.array or wanted.mods:
            return Reading.UNKNOWN
        how = None if target == kind else _CASTS.get((kind, target), Reading.UNKNOWN)
        return how or _constant(node.type_cast.arg.a_const, target, world)
    return Reading.LATER if _waits(node, world) else Reading.UNKNOWN


def _waits(node: Node, world: World) -> bool:
    """Whether it is no constant for the planner: columns, sub-queries, parameters, functions that are not immutable."""
    if any(True for _ in find(node, "ColumnRef", "SubLink", "ParamRef")):
        return True
    return bool(unsteady_functions(node, world))


def _constant(constant: Node, kind: str, world: World) -> Value | Reading:
    if constant.isnull:
        return Reading.NULL
    if constant.HasField("sval"):
        reader = _TEXTS.get(kind)
        return reader(constant.sval.sval, world) if reader is not None else Reading.UNKNOWN
    if constant.HasField("boolval"):
        return bool(constant.boolval.boolval) if kind == "boolean" else Reading.UNKNOWN
    if kind not in ("integer", "numeric"):
        return Reading.UNKNOWN
    if constant.HasField("ival"):
        return Decimal(constant.ival.ival)
    text = constant.fval.fval
    if not _NUMBER.fullmatch(text):
        return Reading.UNKNOWN
    fits = "." not in text and abs(Decimal(text)) < _BIGGEST
    return Decimal(text) if fits or kind == "numeric" else Reading.LATER  # else the key is cast to numeric


def _number(pattern: re.Pattern[str]) -> Callable[[str, World], Value | Reading]:
    def convert(text: str, world: World) -> Value | Reading:
        return Decimal(text.strip()) if pattern.fullmatch(text) else Reading.UNKNOWN

    return convert


def _day(text: str, world: World) -> Value | Reading:
    return _moment(text, world) if _DATE.fullmatch(text) else Reading.UNKNOWN


def _moment(text: str, world: World) -> Value | Reading:
    found = _TIME.fullmatch(text)
    return Reading.UNKNOWN if found is None or found["zone"] else _parsed(found)


def _instant(text: str, world: World) -> Value | Reading:
    """In UTC; without a zone the session's counts."""
    found = _TIME.fullmatch(text)
    moment = _parsed(found) if found is not None else Reading.UNKNOWN
    if isinstance(moment, Reading):
        return moment
    if moment.tzinfo is None:
        try:
            moment = moment.replace(tzinfo=ZoneInfo(world.timezone))
        except (LookupError, ValueError, OSError):
            return Reading.UNKNOWN
        if moment.utcoffset() != moment.replace(fold=1).utcoffset():
            return Reading.UNKNOWN  # the hour that a change of the clock repeats or skips
    return moment.astimezone(timezone.utc).replace(tzinfo=None)


def _parsed(found: re.Match[str]) -> datetime | Reading:
    zone = (found["zone"] or "").replace("Z", "+00").replace(":", "")
    offset = f"{zone[:3]}:{zone[3:] or '00'}" if zone else ""
    try:
        moment = datetime.fromisoformat(f"{found['day']} {found['time'] or '00:00'}{offset}")
    except ValueError:
        return Reading.UNKNOWN
    return moment.replace(microsecond=int((found["fraction"] or "").ljust(6, "0")))


def _boolean(text: str, world: World) -> Value | Reading:
    return _BOOLEANS.get(text.lower(), Reading.UNKNOWN)


def _uuid(text: str, world: World) -> Value | Reading:
    return text.lower() if _UUID.fullmatch(text) else Reading.UNKNOWN


def _text(text: str, world: World) -> Value | Reading:
    return text


_TEXTS: Mapping[str, Callable[[str, World], Value | Reading]] = {
    "integer": _number(_INTEGER),
    "numeric": _number(_NUMBER),
    "date": _day,
    "timestamp": _moment,
    "timestamptz": _instant,
    "boolean": _boolean,
    "uuid": _uuid,
    "text": _text,
    "label": _text,
}
