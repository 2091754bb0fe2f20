"""A rollback script that takes away what others have written since."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects import World
from migrator.analysis.effects.objects.indexes import dotted_names
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Whole
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import enum, find, name_of
from migrator.plan import Severity


def check(whole: Whole) -> Iterator[Hit]:
    """What the script itself makes, nobody else has written to."""
    subjects = whole.rollback.everything() if whole.rollback is not None else ()
    first = next((subject.world for script in whole.scripts for subject in script.subjects), None)
    own: set[str] = set()
    for subject in subjects:
        for table, what, severity in _taken(subject, first):
            if table not in own:
                yield Hit(f"{what} that others have written to {table} since", severity=severity, subject=subject)
        tree, world = subject.statement.tree, subject.world
        if subject.statement.name == "create_stmt":
            own.add(world.name(tree.relation))
        elif subject.statement.name == "create_table_as_stmt":
            own.add(world.name(tree.into.rel))


def _taken(subject: Subject, first: World | None) -> Iterator[tuple[str, str, Severity]]:
    tree, world, name = subject.statement.tree, subject.world, subject.statement.name
    if name == "drop_stmt" and enum(tree, "remove_type") == "OBJECT_TABLE":
        for table in dotted_names(tree, world):
            if first is None or first.relation(table) is not None:  # one that came with the migration goes with it
                yield table, "drops the rows", Severity.WARNING
    elif name == "truncate_stmt":
        for item in tree.relations:
            yield world.name(item.range_var), "empties the table with the rows", Severity.WARNING
    elif name == "alter_table_stmt":
        for item in tree.cmds:
            command = item.alter_table_cmd
            using = getattr(command, "def").column_def.raw_default
            if enum(command, "subtype") == "AT_AlterColumnType" and name_of(using) not in (
                "",
                "column_ref",
                "type_cast",
            ):
                yield world.name(tree.relation), f"may cut off {command.name} of rows", Severity.INFO
    elif name in ("delete_stmt", "update_stmt", "merge_stmt", "insert_stmt", "select_stmt", "create_table_as_stmt"):
        for one in find(subject.statement.node, "DeleteStmt"):  # also in WITH
            some = one.HasField("where_clause")
            what = "may delete rows" if some else "deletes the rows"
            yield world.name(one.relation), what, Severity.INFO if some else Severity.WARNING
        for one in find(subject.statement.node, "UpdateStmt", "MergeStmt"):
            yield world.name(one.relation), "may change rows", Severity.INFO
        for one in find(subject.statement.node, "InsertStmt"):
            if enum(one.on_conflict_clause, "action") == "ONCONFLICT_UPDATE":
                yield world.name(one.relation), "may change rows", Severity.INFO


RULE = Rule(
    id="rollback-newer-rows",
    severity=Severity.WARNING,
    condition="TRUNCATE, DELETE, UPDATE, MERGE or ON CONFLICT DO UPDATE in a rollback script, ALTER TYPE USING what"
    " is more than a cast, or DROP TABLE of a name that was there before",
    effect="it runs minutes or days after apply: what the application has written meanwhile is lost, or changed as if"
    " the migration had written it",
    alternative="take such rows along (INSERT ... SELECT) before the table goes, or have WHERE meet only what the"
    " migration has written; where others have written to a table that the rehearsal has seen it drop, or of which it"
    " has seen it delete, convert or overwrite rows, or values other than the default to a column that it drops, the"
    " automatic rollback is held for a person all the same",
    without_sql="always: which rows are the migration's own, only its author knows",
    source=DOCS + "sql-truncate.html",
    whole=check,
)
