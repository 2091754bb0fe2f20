"""What earlier statements of a migration make or change: the server does not know it yet."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import Node, commands, enum, find, name_of, strings

_NAME = re.compile(r"[\w$]+")
_QUOTED = re.compile(r'"([^"]+)"')
_RELATIONS = {
    "create_stmt": "relation",
    "create_seq_stmt": "sequence",
    "view_stmt": "view",
    "composite_type_stmt": "typevar",
}
_NAMED = {
    "create_function_stmt": "funcname",
    "create_enum_stmt": "type_name",
    "create_range_stmt": "type_name",
    "create_domain_stmt": "domainname",
    "define_stmt": "defnames",
}
_OPAQUE = frozenset(["create_extension_stmt", "import_foreign_schema_stmt", "call_stmt", "alter_extension_stmt"])
"""They make things whose names do not stand in the file."""


@dataclass
class Made:
    names: set[str] = field(default_factory=set)
    """Bare names of relations, columns, types, functions, schemas, roles."""
    changed: set[str] = field(default_factory=set)
    """Bare names of relations that exist and are changed."""
    anything: bool = False
    """True once a statement may have made whatever it likes."""

    def explains(self, message: str, sql_names: set[str], *, undefined: bool) -> bool:
        """Whether a refusal may be due to what was made or changed before."""
        if self.anything:
            return True
        if undefined:
            return bool(self.names & {*_NAME.findall(message), *_QUOTED.findall(message)})
        return bool((self.names | self.changed) & sql_names)

    def begin(self, subject: Subject) -> None:
        """The columns that a statement itself adds are there for its other subcommands."""
        if subject.statement.name == "alter_table_stmt":
            for command in commands(subject.statement.tree):
                if enum(command, "subtype") == "AT_AddColumn":
                    self.names.add(getattr(command, "def").column_def.colname)

    def add(self, subject: Subject) -> None:
        """What a statement makes, and what runs inside of it."""
        for item in subject.with_inner():
            self._add(item.statement.node)
            if not item.effects.known or item.statement.name in _OPAQUE:
                self.anything = True

    def _add(self, node: Node) -> None:
        name = name_of(node)
        stmt = getattr(node, name)
        if name in _RELATIONS:
            self.names.add(getattr(stmt, _RELATIONS[name]).relname)
        elif name in _NAMED:
            self.names.update(strings(getattr(stmt, _NAMED[name]))[-1:])
        elif name == "create_table_as_stmt":
            self.names.add(stmt.into.rel.relname)
        elif name == "select_stmt" and stmt.HasField("into_clause"):
            self.names.add(stmt.into_clause.rel.relname)
        elif name == "create_foreign_table_stmt":
            self.names.add(stmt.base_stmt.relation.relname)
        elif name == "create_schema_stmt":
            self.names.add(stmt.schemaname or stmt.authrole.rolename)
            for element in stmt.schema_elts:
                self._add(element)
        elif name == "create_role_stmt":
            self.names.add(stmt.role)
        elif name == "index_stmt":
            self.names.add(stmt.idxname)
        elif name in ("rename_stmt", "alter_object_schema_stmt"):
            self.names.add(getattr(stmt, "newname", "") or stmt.newschema)
            if name == "alter_object_schema_stmt":
                self.anything = True  # a name without a schema may mean another object now
        elif name == "alter_table_stmt":
            self.changed.add(stmt.relation.relname)
            for command in commands(stmt):
                if enum(command, "subtype") == "AT_AddColumn":
                    self.names.add(getattr(command, "def").column_def.colname)
        elif name == "variable_set_stmt" and stmt.name.lower() in ("search_path", "role", "session_authorization"):
            self.anything = True
        for column in find(stmt, "ColumnDef") if name in ("create_stmt", "composite_type_stmt") else ():
            self.names.add(column.colname)
