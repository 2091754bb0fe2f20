"""Times and dates that mean another moment to a plain session of the login role than to the engine's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set

from migrator.analysis.effects import World
from migrator.analysis.effects.types.types import from_node, from_text
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import Node, find, name_of, relations, strings
from migrator.plan import Severity

ZONED = frozenset(["timestamp with time zone"])
DATED = ZONED | {"timestamp without time zone", "date"}
OURS = "YMD"
"""The order of the DateStyle that our sessions have."""
SAME = frozenset(
    ["utc", "etc/utc", "gmt", "etc/gmt", "zulu", "uct", "universal", "etc/universal", "etc/zulu", "etc/uct"]
)
_LOCAL = re.compile(r"\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[ T]+\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?\s*")
"""A date, perhaps with a time, and no zone."""
_ORDERED = re.compile(r"\s*\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})(?:[ T].*)?")
"""A date in which the DateStyle says what is the month."""


def check(subject: Subject) -> Iterator[Hit]:
    world = subject.world
    login = world.facts.login if world.facts is not None else None
    if login is None or world.facts is None or world.state.get(("setting", "timezone"), None):
        return
    zone = login.timezone.lower().removeprefix("etc/") not in SAME and login.timezone.lower() != world.timezone.lower()
    order = login.datestyle.rpartition(" ")[2].upper()
    zoned = _texts(subject.statement.tree, world, ZONED) if zone else ()
    moments = [text for text in zoned if _LOCAL.fullmatch(text)]
    if moments:
        yield Hit(
            f"'{moments[0]}' says no time zone: here it is in {world.timezone}, in a session of the login {login.role}"
            f" it would be in {login.timezone}"
        )
    ordered = _texts(subject.statement.tree, world, DATED) if order != OURS else ()
    dates = [text for text in ordered if _ORDERED.fullmatch(text)]
    if dates:
        yield Hit(f"'{dates[0]}' is read as {OURS} here, in a session of the login {login.role} it would be as {order}")


def _texts(tree: Node, world: World, kinds: Set[str]) -> Iterator[str]:
    """Constants that become values of these types."""
    for cast in find(tree, "TypeCast"):
        if from_node(cast.type_name).name in kinds:
            yield from _constant(cast.arg)
    for item in find(tree, "ColumnDef"):
        if item.HasField("type_name") and from_node(item.type_name).name in kinds:
            for constraint in item.constraints:
                yield from _constant(constraint.constraint.raw_expr)
    for item in find(tree, "InsertStmt"):
        yield from _inserted(item, world, kinds)
    for item in find(tree, "UpdateStmt"):
        table = world.name(item.relation)
        for target in item.target_list:
            if _is_of(table, target.res_target.name, world, kinds):
                yield from _constant(target.res_target.val)
    yield from _compared(tree, world, kinds)
    yield from _bounds(tree, world, kinds)


def _inserted(stmt: Node, world: World, kinds: Set[str]) -> Iterator[str]:
    table = world.name(stmt.relation)
    facts = world.relation(table)
    columns = [item.res_target.name for item in stmt.cols] or list(facts.columns if facts is not None else ())
    for row in stmt.select_stmt.select_stmt.values_lists:
        for column, value in zip(columns, row.list.items, strict=False):
            if _is_of(table, column, world, kinds):
                yield from _constant(value)


def _compared(tree: Node, world: World, kinds: Set[str]) -> Iterator[str]:
    """With a column of a table that the statement names."""
    tables = [world.name(item) for item in relations(tree)]
    for item in find(tree, "A_Expr"):
        sides = (item.lexpr, item.rexpr)
        named = [strings(side.column_ref.fields)[-1:] for side in sides if name_of(side) == "column_ref"]
        if any(_is_of(table, name[0], world, kinds) for name in named if name for table in tables):
            for side in sides:
                yield from _all(side.list.items if name_of(side) == "list" else (side,))


def _bounds(tree: Node, world: World, kinds: Set[str]) -> Iterator[str]:
    parents = []
    if type(tree).__name__ == "CreateStmt" and tree.HasField("partbound"):
        parents = [(world.name(tree.inh_relations[0].range_var), tree.partbound)]
    elif type(tree).__name__ == "AlterTableStmt":
        parents = [(world.name(tree.relation), command.bound) for command in find(tree, "PartitionCmd")]
    for parent, bound in parents:
        facts = world.relation(parent)
        if facts is not None and any(from_text(column.type).name in kinds for column in facts.columns.values()):
            for values in (bound.listdatums, bound.lowerdatums, bound.upperdatums):
                yield from _all(values)


def _all(values: Iterable[Node]) -> Iterator[str]:
    for value in values:
        yield from _constant(value)


def _constant(value: Node) -> Iterator[str]:
    if name_of(value) == "a_const" and value.a_const.HasField("sval"):
        yield value.a_const.sval.sval


def _is_of(table: str, column: str, world: World, kinds: Set[str]) -> bool:
    known = world.column(table, column)
    return known is not None and from_text(known.type).name in kinds


RULE = Rule(
    id="time-zone-differs",
    severity=Severity.WARNING,
    condition="a timestamptz written without its zone, or a date like 01/02/2025, where the role, the database or the"
    " server has another TimeZone or DateStyle than the migration's session, which has UTC and ISO dates",
    effect="the moment is another one than psql would make of the same file, by hours, also in the bounds of a"
    " partition; or day and month change places",
    alternative="write the zone behind the time ('2025-07-01 00:00+02', '2025-07-01 00:00 Europe/Berlin') and the date"
    " as '2025-02-01', or SET LOCAL timezone in the file",
    without_sql="always: which moment is meant, nobody knows but the author",
    source=DOCS + "datatype-datetime.html#DATATYPE-TIMEZONES",
    statement=check,
)
