"""What a statement with IF NOT EXISTS found in its place: the very thing that it would have made, or another one.

For the server it is a success either way, with a NOTICE that it did nothing. On the clone it can be tried what the
statement makes: within a savepoint what is there is dropped, the statement is sent again and the schemas are compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from migrator.database import naming, queries, schema, session
from migrator.database.door import send
from migrator.database.schema import OF_ROLES, Schema
from migrator.database.schema_diff import Change, SchemaDiff, diff
from migrator.database.vocabulary import Vocabulary
from migrator.evidence import SKIPPED, Check, Verdict
from migrator.parsing import statements
from migrator.parsing.nodes import Node, commands, content, copy_of, enum, option_text, strings
from migrator.parsing.statements import ParsedStatement
from migrator.plan import Statement
from migrator.steps import concurrent_index
from migrator.steps.real_state import qualified

QUERIES = queries.load(__package__, "skipped")

Connection = psycopg.Connection[Any]

THERE_ALREADY = frozenset({"42P06", "42P07", "42701", "42710"})
"""duplicate_schema, duplicate_table, duplicate_column, duplicate_object: of a NOTICE."""
NO_CODE = "00000"
"""What the notices of IF EXISTS have, those of CASCADE and those of RAISE."""
_OTHER_NOTICES = ("dependency.c", "pl_exec.c", "event_trigger.c")
_CREATES = re.compile(r"\bif\s+not\s+exists\b", re.IGNORECASE)
_DROPS = re.compile(r"\bif\s+exists\b", re.IGNORECASE)
_INNER = re.compile(r'"(\s*(?:create|alter)\b.*?)"\n', re.IGNORECASE | re.DOTALL)
"""The text of a statement in a CONTEXT, before the frame of the function that has it."""
MOST = 20
"""Statements of one block, or of a loop, that are tried."""
_KINDS = {"r": "TABLE", "p": "TABLE", "v": "VIEW", "m": "MATERIALIZED VIEW", "S": "SEQUENCE", "f": "FOREIGN TABLE"}
_KINDS |= {"i": "INDEX", "I": "INDEX", "c": "TYPE"}
_NOT_SAID = frozenset({*OF_ROLES, "default_privileges", "comment", "security_label", "column_order", "used_by"})
"""Kinds of the schema that no CREATE states."""
_GIVEN_LATER = re.compile(
    r" (?:row security (?:enabled|forced)|replica identity (?:full|nothing|using \S+)|statistics -?\d+|storage [a-z]+"
    r"|compression [a-z0-9]+|constraint \S+|owned by \S+|\[clustered\]|\[not populated\]|(?:toast )?with \([^)]*\))"
)
"""What others may have given it since by ALTER."""
_UNFILLED = " [not populated]"


Differences = SchemaDiff | tuple[str, ...] | None


@dataclass(frozen=True)
class Notice:
    """What the server noticed while a statement ran."""

    sqlstate: str
    source: str
    context: str

    @classmethod
    def of(cls, diagnostic: psycopg.errors.Diagnostic) -> Notice:
        return cls(diagnostic.sqlstate or "", diagnostic.source_file or "", diagnostic.context or "")


@dataclass(frozen=True)
class Skipped:
    """A statement, or one that a block runs, that did nothing."""

    line: int
    kind: str
    differences: Differences = ()
    """From what is there to what the statement says, or words for it; None: nobody could compare."""
    absent: bool = False
    """Of IF EXISTS: there was nothing."""

    def told(self, known: Vocabulary) -> str:
        did = f"line {self.line}: {self.kind} did nothing"
        if self.absent:
            return f"{did}, for what it names is not there"
        if self.differences is None:
            return f"{did}, for the name is taken; whether by the same could not be compared"
        lines = self.differences
        if isinstance(lines, SchemaDiff):
            lines = known.lines_and_rest(lines, f"what {self.kind} of line {self.line} would change")
        return f"{did}, for another one is there: {', '.join(lines)}" if lines else f"{did}, for the same is there"


def judge(found: Sequence[Skipped], known: Vocabulary) -> tuple[Check, ...]:
    """One check where something was skipped. Pure."""
    if not found:
        return ()
    detail = "; ".join(dict.fromkeys(one.told(known) for one in found))
    if any(one.differences for one in found):
        advice = "give what is made another name, change what is there with ALTER, or write it as it is"
        return (Check(SKIPPED, Verdict.FAILED, f"{detail}. {advice}"),)
    unsure = any(one.differences is None for one in found)
    return (Check(SKIPPED, Verdict.UNVERIFIED if unsure else Verdict.PASSED, detail),)


def look(statement: Statement, notices: Sequence[Notice], conn: Connection) -> Iterator[Skipped]:
    """After the statement, on its connection, which is as it was then."""
    made = _CREATES.search(statement.sql) is not None
    if not made and not notices:
        return
    if _DROPS.search(statement.sql) and any(
        notice.sqlstate == NO_CODE and notice.source not in _OTHER_NOTICES for notice in notices
    ):
        yield Skipped(statement.line, statement.kind, absent=True)
    said = [notice for notice in notices if notice.sqlstate in THERE_ALREADY]
    nested = [inner for notice in said if (inner := _INNER.search(notice.context))]
    for text in list(dict.fromkeys(inner[1] for inner in nested))[:MOST]:
        yield _compared(statement, text, conn)
    if len(nested) < len(said) or (made and not said and statement.kind != "DO" and not _notices_are_sent(conn)):
        found = _compared(statement, statement.sql, conn)
        if said or found.differences:
            yield found


def _notices_are_sent(conn: Connection) -> bool:
    with session.translated():
        row = conn.execute(QUERIES["told"]).fetchone()
    return row is not None and bool(row[0])


def _compared(statement: Statement, sql: str, conn: Connection) -> Skipped:
    parsed = statements.parse(sql, file=statement.file).statements
    found = parsed[0] if len(parsed) == 1 else None
    compare = _COMPARED.get(found.name) if found is not None else None
    kind = statement.kind if found is None else found.kind
    if found is None or compare is None:
        return Skipped(statement.line, kind, None)
    try:
        with naming.passing(conn):
            return Skipped(statement.line, kind, compare(found, replace(statement, sql=sql, kind=kind), conn))
    except psycopg.Error:
        if conn.closed:
            with session.translated(statement=statement):
                raise
        return Skipped(statement.line, kind, None)


def _difference(there: Schema, without: Schema, made: Schema) -> SchemaDiff:
    """From what is there to what the statement made where nothing was. What it does not say may be there besides."""
    changes = []
    for change in diff(without, made).changes:
        if change.after is None or change.kind in _NOT_SAID:
            continue
        now = there.objects.get(change.kind, {}).get(change.name)
        if not _is_as_said(now, change.after) and not _has_another_name(change, there):
            changes.append(Change(change.kind, change.name, now, change.after, change.part_of))
    return SchemaDiff(tuple(changes))


def _is_as_said(now: str | None, said: str) -> bool:
    said = said.removesuffix(_UNFILLED)
    return now is not None and _GIVEN_LATER.sub(lambda found: found[0] if found[0] in said else "", now) == said


def _has_another_name(change: Change, there: Schema) -> bool:
    """A constraint of the same table that says the same."""
    return change.kind == "constraint" and any(
        definition == change.after and there.part_of.get(f"constraint {name}") == change.part_of
        for name, definition in there.objects.get("constraint", {}).items()
    )


def _again(found: ParsedStatement, conn: Connection, drops: Sequence[str]) -> SchemaDiff:
    there = schema.read(conn)
    with naming.names_of_target(conn):
        for drop in drops:
            send(conn, drop)
    without = schema.read(conn)
    node = copy_of(found.node)
    if found.name == "create_table_as_stmt":
        content(node).into.skip_data = True
    with naming.names_of_target(conn):
        send(conn, statements.deparse(node))
    return _difference(there, without, schema.read(conn))


def _relation(relation: Callable[[Node], Node]) -> Callable[[ParsedStatement, Statement, Connection], Differences]:
    def compare(found: ParsedStatement, statement: Statement, conn: Connection) -> SchemaDiff:
        name = relation(found.tree)
        named = {"schema": name.schemaname or None, "name": name.relname}
        rows = naming.ask(conn, QUERIES["relation"], named).rows
        drops = [
            f"DROP {_KINDS[kind]} {qualified(schema_name, relname)} CASCADE" for kind, schema_name, relname in rows
        ]
        return _again(found, conn, drops)

    return compare


def _columns(found: ParsedStatement, statement: Statement, conn: Connection) -> Differences:
    """Those of the table that the statement adds if they are not there. An empty table takes every one of them."""
    table = qualified(found.tree.relation.schemaname, found.tree.relation.relname)
    node = copy_of(found.node)
    kept = [
        item
        for item in node.alter_table_stmt.cmds
        if enum(item.alter_table_cmd, "subtype") == "AT_AddColumn" and item.alter_table_cmd.missing_ok
    ]
    if not kept or conn.execute(QUERIES["has_foreign_tables"]).fetchone() != (False,):
        return None
    names = [getattr(command, "def").column_def.colname for command in commands(found.tree) if command.missing_ok]
    only = copy_of(node)
    del only.alter_table_stmt.cmds[:]
    only.alter_table_stmt.cmds.extend(kept)
    there = schema.read(conn)
    with naming.names_of_target(conn):
        send(conn, f"TRUNCATE {table} CASCADE")
        for name in names:
            send(conn, f"ALTER TABLE {table} DROP COLUMN IF EXISTS {qualified(name)} CASCADE")
    without = schema.read(conn)
    with naming.names_of_target(conn):
        send(conn, statements.deparse(only))
    return _difference(there, without, schema.read(conn))


def _index(found: ParsedStatement, statement: Statement, conn: Connection) -> Differences:
    return concurrent_index.differences(statement, conn)


def _named(keyword: str, field: str) -> Callable[[ParsedStatement, Statement, Connection], Differences]:
    def compare(found: ParsedStatement, statement: Statement, conn: Connection) -> Differences:
        value = getattr(found.tree, field)
        name = qualified(value) if isinstance(value, str) else qualified(*strings(value))
        if len(getattr(found.tree, "options", ())):  # what a server's options are, no schema has
            return None
        return _again(found, conn, [f"DROP {keyword} {name} CASCADE"])

    return compare


def _extension(found: ParsedStatement, statement: Statement, conn: Connection) -> SchemaDiff:
    rows = conn.execute(QUERIES["extension"], {"name": found.tree.extname}).fetchall()
    changes = []
    for now, option in zip(rows[0] if rows else (), ("new_version", "schema"), strict=False):
        said = option_text(found.tree.options, option)
        if said is not None and said != now:
            words = "version" if option == "new_version" else "schema"
            changes.append(Change("extension", found.tree.extname, f"{words} {now}", f"{words} {said}", None))
    return SchemaDiff(tuple(changes))


def _schema(found: ParsedStatement, statement: Statement, conn: Connection) -> Differences:
    """It says nothing more than the name, and of the owner the clone knows nothing."""
    return None if found.tree.HasField("authrole") else SchemaDiff(())


def _label(found: ParsedStatement, statement: Statement, conn: Connection) -> SchemaDiff:
    tree = found.tree
    name = qualified(*strings(tree.type_name))
    labels = [str(row[0]) for row in naming.ask(conn, QUERIES["labels"], {"name": name}).rows]
    beside = tree.new_val_neighbor
    if not beside or beside not in labels or tree.new_val not in labels:
        return SchemaDiff(())
    is_after = labels.index(tree.new_val) > labels.index(beside)
    if is_after == bool(tree.new_val_is_after):
        return SchemaDiff(())
    said = f"{tree.new_val} {'after' if tree.new_val_is_after else 'before'} {beside}"
    return SchemaDiff((Change("type", name, ", ".join(labels), said, None),))


_COMPARED: dict[str, Callable[[ParsedStatement, Statement, Connection], Differences]] = {
    "create_stmt": _relation(lambda tree: tree.relation),
    "create_foreign_table_stmt": _relation(lambda tree: tree.base_stmt.relation),
    "create_table_as_stmt": _relation(lambda tree: tree.into.rel),
    "create_seq_stmt": _relation(lambda tree: tree.sequence),
    "alter_table_stmt": _columns,
    "index_stmt": _index,
    "create_stats_stmt": _named("STATISTICS", "defnames"),
    "define_stmt": _named("COLLATION", "defnames"),
    "create_foreign_server_stmt": _named("SERVER", "servername"),
    "create_extension_stmt": _extension,
    "create_schema_stmt": _schema,
    "alter_enum_stmt": _label,
}
