"""What earlier statements make, change or drop: the server does not know it yet.

The server's answer about a statement counts only when nothing before the statement can have to do with it. So what is
not understood here to the last name may have made anything, and every word of a statement counts as a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from migrator.analysis.walk.script import Script
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import Node, commands, content, enum, find, name_of, strings
from migrator.parsing.statements import ParsedStatement

_NAME = re.compile(r"[^\W\d][\w$]*")
_QUOTED = re.compile(r'"((?:[^"]|"")+)"')
_DERIVED = re.compile(r"_(?:seq|pkey|key|idx|excl|check|fkey|not_null)\d*$")
_BY_NAME = frozenset(["42P01", "42703", "42704", "3F000"])
"""The message says which name is missing. Of functions and operators it is the types that count as well."""
_MADE = {
    "create_stmt": "relation",
    "create_seq_stmt": "sequence",
    "view_stmt": "view",
    "composite_type_stmt": "typevar",
}
_CHANGED = {
    "index_stmt": "relation",
    "alter_seq_stmt": "sequence",
    "create_trig_stmt": "relation",
    "rule_stmt": "relation",
    "create_policy_stmt": "table",
    "alter_policy_stmt": "table",
    "refresh_mat_view_stmt": "relation",
}
"""Statements about one relation."""
_NAMED = {
    "create_function_stmt": "funcname",
    "create_enum_stmt": "type_name",
    "create_range_stmt": "type_name",
    "create_domain_stmt": "domainname",
    "alter_enum_stmt": "type_name",
}
_HARMLESS = frozenset(
    [
        "select_stmt",
        "insert_stmt",
        "update_stmt",
        "delete_stmt",
        "merge_stmt",
        "truncate_stmt",
        "copy_stmt",
        "lock_stmt",
        "comment_stmt",
        "grant_stmt",
        "explain_stmt",
        "transaction_stmt",
        "vacuum_stmt",
        "reindex_stmt",
        "cluster_stmt",
        "create_stats_stmt",
        "alter_stats_stmt",
        "constraints_set_stmt",
        "declare_cursor_stmt",
        "fetch_stmt",
        "close_portal_stmt",
        "notify_stmt",
        "listen_stmt",
        "do_stmt",
        "call_stmt",
    ]
)
"""They make nothing that a query could name; what runs inside of them is looked at by itself."""
_LONG, _KEPT = 60, 15
"""Bytes from which on a derived name may have been cut, and characters of a table's name that are left even then."""
_PATH = ("search_path", "role", "session_authorization")
_RENAMED = frozenset(
    [
        "OBJECT_TABLE",
        "OBJECT_VIEW",
        "OBJECT_MATVIEW",
        "OBJECT_SEQUENCE",
        "OBJECT_INDEX",
        "OBJECT_FOREIGN_TABLE",
        "OBJECT_COLUMN",
        "OBJECT_TABCONSTRAINT",
        "OBJECT_TRIGGER",
        "OBJECT_RULE",
        "OBJECT_POLICY",
    ]
)
"""Renames that stand for nothing but the name."""


@dataclass
class Made:
    """Everything by its bare name."""

    names: set[str] = field(default_factory=set)
    """What is there only now: relations, columns, functions, types, schemas."""
    whole: set[str] = field(default_factory=set)
    """Relations, functions and types that are made, replaced or dropped: their columns are others than before."""
    changed: set[str] = field(default_factory=set)
    """Relations that were there and are altered: types of their columns may be others than before."""
    own: set[str] = field(default_factory=set)
    """Columns that the statement in question adds itself."""
    anything: bool = False
    """True once a statement may have made whatever it likes."""

    def explains(self, sqlstate: str, message: str, statement: ParsedStatement) -> bool:
        """Whether a refusal may be due to what was done before."""
        told, said = set(_words(message)), set(_words(statement.sql))
        if self.anything or told & (self.names | self.own):
            return True
        if any(_may_derive(relation, word) for relation in self.whole | self.changed for word in told):
            return True
        if sqlstate in _BY_NAME:
            return sqlstate == "42703" and bool(said & self.whole)
        return bool(said & (self.names | self.whole | self.changed))

    def begin(self, subject: Subject) -> None:
        """The columns that a statement itself adds are there for its other subcommands."""
        tree = subject.statement.tree
        self.own = set(_columns(tree, "AT_AddColumn")) if subject.statement.name == "alter_table_stmt" else set()

    def add(self, subject: Subject, script: Script) -> None:
        """What a statement of the script makes, and what runs inside of it."""
        statement = subject.statement
        if any(statement.start <= gap.offset < statement.end for gap in script.gaps):
            self.anything = True
        for item in subject.with_inner():
            if not item.effects.known:
                self.anything = True
            self._add(item.statement.node)

    def _add(self, node: Node) -> None:
        name = name_of(node)
        stmt = getattr(node, name)
        if name in _MADE:
            self._make(getattr(stmt, _MADE[name]).relname)
            self.names.update(column.colname for column in find(stmt, "ColumnDef"))
        elif name in _CHANGED:
            self.changed.add(getattr(stmt, _CHANGED[name]).relname)
            self.names.update([stmt.idxname] if name == "index_stmt" else [])
        elif name in _NAMED:
            self._make(*strings(getattr(stmt, _NAMED[name]))[-1:])
        elif name == "create_table_as_stmt":
            self._make(stmt.into.rel.relname)
        elif name == "select_stmt" and stmt.HasField("into_clause"):
            self._make(stmt.into_clause.rel.relname)
        elif name == "create_schema_stmt":
            self._make(stmt.schemaname or stmt.authrole.rolename)
            for element in stmt.schema_elts:
                self._add(element)
        elif name == "alter_table_stmt" and enum(stmt, "objtype") != "OBJECT_TYPE":
            self.changed.add(stmt.relation.relname)
            self.names.update(_columns(stmt))
        elif name == "rename_stmt" and enum(stmt, "rename_type") in _RENAMED:
            self._make(stmt.newname)
            self.changed.add(stmt.relation.relname)
        elif name == "drop_stmt" and enum(stmt, "behavior") != "DROP_CASCADE":
            self.whole.update(_dropped(stmt))
        elif name == "variable_set_stmt":
            self.anything |= stmt.name.lower() in _PATH or enum(stmt, "kind") == "VAR_RESET_ALL"
        elif name not in _HARMLESS:
            self.anything = True

    def _make(self, *names: str) -> None:
        self.names.update(names)
        self.whole.update(names)


def _may_derive(relation: str, name: str) -> bool:
    """Whether the server may have made the name from a relation's: `t_id_seq`, `_t`; cut where it would be too long."""
    if name.startswith("_") and name.lstrip("_") == relation:
        return True
    cut = len(name.encode()) >= _LONG
    return name.startswith(relation[:_KEPT] if cut else f"{relation}_") and bool(cut or _DERIVED.search(name))


def _words(text: str) -> Iterator[str]:
    """Everything that may be a name, as it stands and folded: `"Mixed"`, `Plain`."""
    for word in _NAME.findall(text):
        yield from (word, word.lower())
    for quoted in _QUOTED.findall(text):
        yield quoted.replace('""', '"')


def _columns(tree: Node, *subtypes: str) -> Iterator[str]:
    """Those that the subcommands name."""
    for command in commands(tree):
        if not subtypes or enum(command, "subtype") in subtypes:
            definition = getattr(command, "def")
            name = definition.column_def.colname if name_of(definition) == "column_def" else ""
            yield from (one for one in (name, command.name) if one)


def _dropped(tree: Node) -> Iterator[str]:
    """The last part of each name."""
    fields = {"list": "items", "object_with_args": "objname", "type_name": "names"}
    for item in tree.objects:
        holds = name_of(item)
        if holds == "string":
            yield item.string.sval
        elif holds in fields:
            yield from strings(getattr(content(item), fields[holds]))[-1:]
