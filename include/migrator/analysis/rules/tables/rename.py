"""RENAME and SET SCHEMA of something that the running application names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from migrator.analysis.effects import World
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.subject import Subject
from migrator.parsing.build import beside, build
from migrator.parsing.build import script as written
from migrator.parsing.kinds import object_name
from migrator.parsing.nodes import Node, copy_of, enum, strings
from migrator.plan import Severity

HARMLESS = (
    "OBJECT_INDEX",
    "OBJECT_TABCONSTRAINT",
    "OBJECT_DOMCONSTRAINT",
    "OBJECT_TRIGGER",
    "OBJECT_RULE",
    "OBJECT_POLICY",
)
"""No query names them."""
INDEXES = ("i", "I")
STATEMENTS = ("rename_stmt", "alter_object_schema_stmt", "alter_enum_stmt")


def check(script: Script) -> Iterator[Hit]:
    subjects = tuple(script.everything())
    for index, subject in enumerate(subjects):
        if subject.statement.name in STATEMENTS and not _stands_in(subject, subjects[index + 1 :]):
            for hit in _judge(subject):
                yield replace(hit, subject=subject)


def _stands_in(subject: Subject, following: Sequence[Subject]) -> bool:
    """A view with the old name comes before the transaction ends: whoever uses the old name goes on."""
    tree = subject.statement.tree
    if subject.statement.name != "rename_stmt" or not tree.HasField("relation") or tree.subname:
        return False
    old = subject.world.name(tree.relation)
    return any(
        other.statement.name == "view_stmt"
        and other.transaction == subject.transaction
        and other.world.name(other.statement.tree.view) == old
        for other in following
    )


def _judge(subject: Subject) -> Iterator[Hit]:
    tree, world = subject.statement.tree, subject.world
    if subject.statement.name == "alter_enum_stmt":
        if tree.old_val:
            yield Hit(
                f"the value '{tree.old_val}' of {'.'.join(strings(tree.type_name))} is called '{tree.new_val}' from"
                " this moment on: whoever writes the old one fails"
            )
        return
    moves = subject.statement.name == "alter_object_schema_stmt"
    field = "object_type" if moves else "rename_type"
    kind = enum(tree, field)
    table = world.name(tree.relation) if tree.HasField("relation") else ""
    facts = world.relation(table) if table else None
    if kind in HARMLESS or (table and world.is_certainly_new(table)) or (facts is not None and facts.kind in INDEXES):
        return
    old = _named(tree, kind, table, world)
    what = object_name(kind).lower()
    if moves:
        yield Hit(
            f"{what} {old} is in schema {tree.newschema} from this moment on: whoever names the old one, or has another"
            " search_path, fails"
        )
        return
    alternative = _with_view(subject) if kind == "OBJECT_TABLE" and tree.HasField("relation") else None
    yield Hit(
        f"{what} {old} is called {tree.newname} from this moment on: whoever uses the old name fails",
        alternative_sql=alternative,
    )


def _named(tree: Node, kind: str, table: str, world: World) -> str:
    if kind in ("OBJECT_COLUMN", "OBJECT_ATTRIBUTE"):
        return f"{table}.{tree.subname}"
    if table:
        return table
    if kind == "OBJECT_SCHEMA":
        return str(tree.subname)
    item = tree.object
    if item.HasField("object_with_args"):
        return ".".join(strings(item.object_with_args.objname))
    if item.HasField("list"):
        return world.dotted(strings(item.list.items))
    return str(item.string.sval) or str(tree.subname)


def _with_view(subject: Subject) -> str:
    """The new name, and a view with the old one: simple views can be written to as well."""
    tree = subject.statement.tree
    renamed = beside(tree.relation, tree.newname)
    view = build("CREATE VIEW old AS SELECT * FROM new", old=copy_of(tree.relation), new=renamed)
    return written((subject.statement.node, view))


RULE = Rule(
    id="rename",
    severity=Severity.WARNING,
    condition="RENAME or SET SCHEMA of a table, column, view, schema, type, function or sequence; of an enum value",
    effect="the application that runs now fails until its next version is deployed, and the old one after a rollback",
    alternative="add the new name beside the old one (a column kept in step, or a view), and drop the old one later",
    without_sql="for a column, type, function, sequence, schema or enum value, and SET SCHEMA: no second name of it"
    " can be made that programs may both read and write unseen. A column: add one, kept in step by a"
    " trigger, as alter-column-type does, and drop the old one a release later",
    source=DOCS + "sql-altertable.html",
    aliases=(
        "squawk:renaming-column",
        "squawk:renaming-table",
        "squawk:ban-set-schema",
        "strong_migrations:rename_column",
        "strong_migrations:rename_table",
        "strong_migrations:rename_schema",
        "strong_migrations:rename_enum_value",
    ),
    script=check,
)
