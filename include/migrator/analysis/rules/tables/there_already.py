"""IF NOT EXISTS over an object that is another one than the statement says."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects import World
from migrator.analysis.effects.names import definitions
from migrator.analysis.effects.types import types
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.skips import skips_all, skips_column
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import Node, commands
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    tree, world = subject.statement.tree, subject.world
    table = world.name(tree.relation)
    if world.is_new(table):
        return
    if subject.statement.name == "alter_table_stmt":
        for position, command in enumerate(commands(tree)):
            if skips_column(command, table, world):
                column = getattr(command, "def").column_def
                differing = list(_of_column(column, table, world))
                if differing:
                    yield _hit(f"column {table}.{column.colname}", differing, position)
    elif skips_all(subject):
        index = subject.statement.name == "index_stmt"
        differing = list((_of_index if index else _of_table)(tree, table, world))
        if differing:
            yield _hit(f"index {tree.idxname}" if index else table, differing, None)


def _hit(what: str, differing: list[str], part: int | None) -> Hit:
    return Hit(
        f"{what} is there already and not as the statement says, which does nothing: {'; '.join(differing)}", part=part
    )


def _of_index(tree: Node, table: str, world: World) -> Iterator[str]:
    found = world.index_of(f"{table.partition('.')[0]}.{tree.idxname}")
    if found is None:
        yield "it is no index"
        return
    owner, index = found
    said = definitions.index(tree, table, world, partitioned=index.partitioned)
    if owner.name != table:
        yield f"it is one of {owner.name}"
    if said.unique != index.unique:
        yield "it is UNIQUE" if index.unique else "it is not UNIQUE"
    if said.columns != index.columns:
        yield "it has other columns"
    if said.method != index.method:
        yield f"it is a {index.method} index"
    if (said.predicate is None) != (index.predicate is None):
        yield "it has no WHERE" if index.predicate is None else "it has a WHERE"


def _of_table(tree: Node, table: str, world: World) -> Iterator[str]:
    facts = world.relation(table)
    if facts is None or facts.kind not in "rpf":
        yield "it is no table"
        return
    for item in tree.table_elts:
        if not item.HasField("column_def"):
            continue
        name = item.column_def.colname
        if facts.lacks(name):
            yield f"it has no column {name}"
        yield from (f"{name}: {text}" for text in _of_column(item.column_def, table, world))


def _of_column(definition: Node, table: str, world: World) -> Iterator[str]:
    found, said = world.column(table, definition.colname), definitions.column(definition, world, table)
    if found is None:
        return
    wanted, now = types.from_node(definition.type_name), types.from_text(found.type)
    if not found.domain and types.is_builtin(wanted.name) and wanted != now:
        yield f"it is {now}, not {wanted}"
    if said.not_null and not found.not_null:
        yield "it may be NULL"
    if said.default is not None and found.default is None and not (found.identity or found.sequences):
        yield "it has no default"


RULE = Rule(
    id="there-already",
    severity=Severity.WARNING,
    condition="CREATE TABLE, ADD COLUMN or CREATE INDEX with IF NOT EXISTS where the catalog has one of that name that"
    " is not what the statement says; for an index it is an error",
    effect="the statement succeeds and does nothing; the dry run fails of it",
    alternative="give the new one another name, change what is there with ALTER, or write it as it is",
    without_sql="always: which of the two is right, only its author knows",
    source=DOCS + "sql-createtable.html#SQL-CREATETABLE-PARMS-IF-NOT-EXISTS",
    statement=check,
    on=("create_stmt", "alter_table_stmt", "index_stmt"),
    subtypes=("AT_AddColumn",),
)
