"""Names of objects that statements mention, so that the catalog is asked about those and no others."""

from __future__ import annotations

from migrator.facts.constants import Name, constant_text, large_object, path_set_by, sequences_of
from migrator.parsing.nodes import Node, content, enum, find, flag, name_of, option, strings

RELATIONS = (
    *("OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW"),
    *("OBJECT_INDEX", "OBJECT_SEQUENCE", "OBJECT_FOREIGN_TABLE"),
)
ON_RELATIONS = ("OBJECT_TRIGGER", "OBJECT_RULE", "OBJECT_POLICY", "OBJECT_COLUMN", "OBJECT_TABCONSTRAINT")
"""Named as a relation's name followed by their own."""
ROUTINES = ("OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE", "OBJECT_AGGREGATE")
SEQUENCE_FUNCTIONS = ("nextval", "setval", "currval", "pg_sequence_last_value")
SERIAL_SEQUENCE = "pg_get_serial_sequence"
DROP_CASCADE = "DROP_CASCADE"
_KINDS = (
    *("RangeVar", "FuncCall", "TypeName", "RoleSpec", "CollateClause", "IndexElem", "VariableSetStmt"),
    *("A_Expr", "ColumnRef", "A_Indirection"),
)


class Mentioned:
    """What the statements of some files mention."""

    def __init__(self) -> None:
        self.relations: set[Name] = set()
        self.types: set[str] = set()
        self.functions: set[str] = set()
        self.remade: set[str] = set()
        """Functions that get another body or other settings."""
        self.operators: set[str] = set()
        self.fields: set[str] = set()
        """Of rows: t.f may be f(t)."""
        self.schemas: set[str] = set()
        self.whole_schemas: set[str] = set()
        """All of whose relations a statement reaches."""
        self.extensions: set[str] = set()
        self.publications: set[str] = set()
        self.statistics: set[str] = set()
        self.emptied: set[Name] = set()
        """By TRUNCATE CASCADE."""
        self.dropped: set[Name] = set()
        """Relations of which something is dropped."""
        self.dropped_types: set[str] = set()
        self.dropped_functions: set[str] = set()
        self.dropped_servers: set[str] = set()
        self.dropped_wrappers: set[str] = set()
        self.servers: set[str] = set()
        self.named_roles: set[str] = set()
        self.collations: set[str] = set()
        self.constraints: set[str] = set()
        """Of SET CONSTRAINTS."""
        self.large_objects: set[str] = set()
        self.search_path: set[str] = set()
        """Schemas that SET search_path names."""
        self.roles: set[str] = set()
        """Whose objects are dropped or given away."""
        self.whole_database = False
        """All tables of the database are worked on."""
        self.tablespaces: set[str] = set()
        self.own_objects = False
        """Also those of the role that runs the migration."""

    def add(self, node: Node) -> None:
        for item in find(node, *_KINDS):
            kind = item.DESCRIPTOR.name
            if kind == "RangeVar":
                self.relations.add((item.schemaname or None, item.relname))
                if item.schemaname:
                    self.schemas.add(item.schemaname)
            elif kind == "TypeName" and item.pct_type:
                self.relation(strings(item.names)[:-1])
            elif kind == "TypeName":
                self.types.update(strings(item.names)[-1:])
            elif kind == "RoleSpec":
                self.named_roles.update([item.rolename] if item.rolename else [])
            elif kind == "CollateClause":
                self.collations.update(strings(item.collname)[-1:])
            elif kind == "IndexElem":
                self.collations.update(strings(item.collation)[-1:])
            elif kind == "A_Expr":
                self.operators.update(strings(item.name)[-1:])
            elif kind in ("ColumnRef", "A_Indirection"):
                self.fields.update(strings(item.fields)[1:] if kind == "ColumnRef" else strings(item.indirection))
            elif kind == "VariableSetStmt":  # a clause of a function, too
                path = item.args if item.name.lower() == "search_path" else ()
                self.schemas.update(text for text in map(constant_text, path) if text)
                self._setting(item)
            else:
                parts = strings(item.funcname)
                self.functions.update(parts[-1:])
                if parts[-1:] and parts[-1] in SEQUENCE_FUNCTIONS:
                    self.relations.update(sequences_of(item))
                elif (path := path_set_by(item)) is not None:
                    self.schemas.update(path)
                    self.search_path.update(path)
                elif parts[-1:] == (SERIAL_SEQUENCE,):
                    self.relations.update(sequences_of(item))  # its first argument is the table
        handler = _HANDLERS.get(name_of(node))
        if handler is not None:
            handler(self, content(node))

    def relation(self, parts: tuple[str, ...]) -> Name | None:
        if not parts or not parts[-1]:
            return None
        name = (parts[-2] if len(parts) > 1 else None, parts[-1])
        self.relations.add(name)
        return name

    def _drop(self, stmt: Node) -> None:
        kind = enum(stmt, "remove_type")
        for item in stmt.objects:
            what = content(item)
            if kind in RELATIONS or kind in ON_RELATIONS:
                parts = strings(what.items)
                name = self.relation(parts if kind in RELATIONS else parts[:-1])
                if name:
                    self.dropped.add(name)
            elif kind in ("OBJECT_TYPE", "OBJECT_DOMAIN"):
                self.dropped_types.update(strings(what.names)[-1:])
            elif kind in ROUTINES:
                self.functions.update(strings(what.objname)[-1:])
                self.dropped_functions.update(strings(what.objname)[-1:])
            elif kind == "OBJECT_COLLATION":
                self.collations.update(strings(what.items)[-1:])
            elif kind == "OBJECT_STATISTIC_EXT":
                self.statistics.update(strings(what.items)[-1:])
            elif name_of(item) == "string":
                into = {
                    "OBJECT_SCHEMA": self.whole_schemas,
                    "OBJECT_EXTENSION": self.extensions,
                    "OBJECT_PUBLICATION": self.publications,
                    "OBJECT_FOREIGN_SERVER": self.dropped_servers,
                    "OBJECT_FDW": self.dropped_wrappers,
                }.get(kind)
                if into is not None:
                    into.add(what.sval)

    def _alter_table(self, stmt: Node) -> None:
        name = (stmt.relation.schemaname or None, stmt.relation.relname)
        for item in stmt.cmds:
            command = item.alter_table_cmd
            if enum(command, "subtype") in ("AT_DropColumn", "AT_DropConstraint", "AT_AlterColumnType"):
                self.dropped.add(name)
            definition = getattr(command, "def")
            if name_of(definition) == "constraint":
                given = (definition.constraint.indexname, definition.constraint.conname)
                self.relations.update((name[0], part) for part in given if part)
        if enum(stmt, "objtype") == "OBJECT_TYPE":
            self.types.add(stmt.relation.relname)

    def _index(self, stmt: Node) -> None:
        if stmt.idxname:
            self.relations.add((stmt.relation.schemaname or None, stmt.idxname))

    def _cluster(self, stmt: Node) -> None:
        self.whole_database = self.whole_database or not stmt.HasField("relation")
        if stmt.indexname:
            self.relations.add((stmt.relation.schemaname or None, stmt.indexname))

    def _truncate(self, stmt: Node) -> None:
        if enum(stmt, "behavior") == DROP_CASCADE:
            for item in stmt.relations:
                self.emptied.add((item.range_var.schemaname or None, item.range_var.relname))

    def _described(self, stmt: Node) -> None:
        """COMMENT and SECURITY LABEL."""
        kind, parts = enum(stmt, "objtype"), strings(content(stmt.object).items) if stmt.object.HasField("list") else ()
        if kind in RELATIONS:
            self.relation(parts)
        elif kind in ON_RELATIONS:
            self.relation(parts[:-1])
        self._extension_object(stmt)
        self._object(stmt)

    def _object(self, stmt: Node) -> None:
        """ALTER and COMMENT ON of what is no relation."""
        field = next(f for f in ("objtype", "object_type", "rename_type") if f in stmt.DESCRIPTOR.fields_by_name)
        kind = enum(stmt, field)
        if kind == "OBJECT_COLLATION":
            self.collations.update(strings(content(stmt.object).items)[-1:])
        elif kind == "OBJECT_ROLE" and stmt.object.HasField("string"):
            self.named_roles.add(stmt.object.string.sval)
        elif kind == "OBJECT_LARGEOBJECT" and large_object(stmt.object):
            self.large_objects.add(large_object(stmt.object))
        elif kind in ROUTINES:
            self.functions.update(strings(stmt.object.object_with_args.objname)[-1:])
        elif kind in ("OBJECT_TYPE", "OBJECT_DOMAIN") and stmt.object.HasField("list"):
            parts = strings(stmt.object.list.items)
            self.types.update(parts[-1:])
            self.relation(parts)  # a composite type has one
        elif kind == "OBJECT_STATISTIC_EXT":
            self.statistics.update(strings(stmt.object.list.items)[-1:])

    def _constraints(self, stmt: Node) -> None:
        self.constraints.update(item.range_var.relname for item in stmt.constraints)

    def _server(self, stmt: Node) -> None:
        self.servers.add(getattr(stmt, "servername", "") or getattr(stmt, "server_name", ""))

    def _default_privileges(self, stmt: Node) -> None:
        given = option(stmt.options, "schemas")
        self.schemas.update(strings(given.arg.list.items) if given is not None else ())

    def _domain(self, stmt: Node) -> None:
        self.types.update(strings(stmt.type_name)[-1:])

    def _renamed(self, stmt: Node) -> None:
        self._object(stmt)
        if enum(stmt, "rename_type") == "OBJECT_ATTRIBUTE":
            self.types.add(stmt.relation.relname)
        if stmt.HasField("relation"):
            self.relations.add((stmt.relation.schemaname or None, stmt.newname))

    def _reindex(self, stmt: Node) -> None:
        if enum(stmt, "kind") == "REINDEX_OBJECT_SCHEMA":
            self.whole_schemas.add(stmt.name)
        self.whole_database = self.whole_database or enum(stmt, "kind") == "REINDEX_OBJECT_DATABASE"

    def _vacuum(self, stmt: Node) -> None:
        self.whole_database = self.whole_database or not len(stmt.rels)

    def _move_all(self, stmt: Node) -> None:
        self.whole_database = True
        self.tablespaces.update((stmt.orig_tablespacename, stmt.new_tablespacename))

    def _grant(self, stmt: Node) -> None:
        for item in stmt.objects:
            self.functions.update(strings(item.object_with_args.objname)[-1:])
        if enum(stmt, "targtype") == "ACL_TARGET_ALL_IN_SCHEMA" or enum(stmt, "objtype") == "OBJECT_SCHEMA":
            self.schemas.update(item.string.sval for item in stmt.objects if item.HasField("string"))

    def _alter_function(self, stmt: Node) -> None:
        self.functions.update(strings(stmt.func.objname)[-1:])
        self.remade.update(strings(stmt.func.objname)[-1:])

    def _create_function(self, stmt: Node) -> None:
        self.functions.update(self._made(strings(stmt.funcname)))
        self.remade.update(strings(stmt.funcname)[-1:] if stmt.replace else ())

    def _made(self, parts: tuple[str, ...]) -> tuple[str, ...]:
        """The bare name of what a statement makes; the schema that it is made in may be named nowhere else."""
        self.schemas.update(parts[-2:-1])
        return parts[-1:]

    def _owner(self, stmt: Node) -> None:
        self._object(stmt)

    def _extension(self, stmt: Node) -> None:
        self.extensions.add(stmt.extname)

    def _publication(self, stmt: Node) -> None:
        self.publications.add(stmt.pubname)

    def _owned(self, stmt: Node) -> None:
        self.roles.update(item.role_spec.rolename for item in stmt.roles if item.role_spec.rolename)
        self.own_objects = self.own_objects or not all(item.role_spec.rolename for item in stmt.roles)

    def _schema(self, stmt: Node) -> None:
        name = stmt.schemaname or stmt.authrole.rolename
        self.schemas.add(name)
        if len(stmt.schema_elts):
            self.search_path.add(name)

    def _set_schema(self, stmt: Node) -> None:
        self._object(stmt)
        self.schemas.add(stmt.newschema)
        if stmt.HasField("relation"):
            self.relations.add((stmt.newschema, stmt.relation.relname))

    def _owner_of_sequence(self, stmt: Node) -> None:
        owner = option(stmt.options, "owned_by")
        if owner is not None:
            self.relation(strings(owner.arg.list.items)[:-1])

    def _new_type(self, stmt: Node) -> None:
        self.types.update(self._made(strings(stmt.type_name)))

    def _new_domain(self, stmt: Node) -> None:
        self.types.update(self._made(strings(stmt.domainname)))

    def _foreign_table(self, stmt: Node) -> None:
        self.servers.add(stmt.servername)

    def _setting(self, stmt: Node) -> None:
        if stmt.name.lower() == "search_path":
            self.search_path.update(text for text in map(constant_text, stmt.args) if text)
        elif stmt.name in ("role", "session_authorization"):
            self.named_roles.update(text for text in map(constant_text, stmt.args) if text and text != "none")

    def _extension_object(self, stmt: Node) -> None:
        """COMMENT ON EXTENSION."""
        if enum(stmt, "objtype") == "OBJECT_EXTENSION" and stmt.object.HasField("string"):
            self.extensions.add(stmt.object.string.sval)

    def _trigger(self, stmt: Node) -> None:
        self.functions.update(strings(stmt.funcname)[-1:])

    def _alter_statistics(self, stmt: Node) -> None:
        self.statistics.update(strings(stmt.defnames)[-1:])

    def _create_statistics(self, stmt: Node) -> None:
        self.statistics.update(strings(stmt.defnames)[-1:])


def cascades(stmt: Node) -> bool:
    return enum(stmt, "behavior") == DROP_CASCADE


def concurrently(stmt: Node) -> bool:
    """REINDEX (CONCURRENTLY)."""
    return flag(stmt.params, "concurrently", False)


_HANDLERS = {
    "drop_stmt": Mentioned._drop,
    "alter_table_stmt": Mentioned._alter_table,
    "index_stmt": Mentioned._index,
    "cluster_stmt": Mentioned._cluster,
    "truncate_stmt": Mentioned._truncate,
    "comment_stmt": Mentioned._described,
    "sec_label_stmt": Mentioned._described,
    "alter_domain_stmt": Mentioned._domain,
    "alter_enum_stmt": Mentioned._domain,
    "rename_stmt": Mentioned._renamed,
    "reindex_stmt": Mentioned._reindex,
    "vacuum_stmt": Mentioned._vacuum,
    "alter_table_move_all_stmt": Mentioned._move_all,
    "grant_stmt": Mentioned._grant,
    "alter_function_stmt": Mentioned._alter_function,
    "create_function_stmt": Mentioned._create_function,
    "alter_owner_stmt": Mentioned._owner,
    "create_extension_stmt": Mentioned._extension,
    "alter_extension_stmt": Mentioned._extension,
    "create_publication_stmt": Mentioned._publication,
    "alter_publication_stmt": Mentioned._publication,
    "reassign_owned_stmt": Mentioned._owned,
    "drop_owned_stmt": Mentioned._owned,
    "create_schema_stmt": Mentioned._schema,
    "alter_object_schema_stmt": Mentioned._set_schema,
    "create_seq_stmt": Mentioned._owner_of_sequence,
    "alter_seq_stmt": Mentioned._owner_of_sequence,
    "create_enum_stmt": Mentioned._new_type,
    "create_range_stmt": Mentioned._new_type,
    "create_domain_stmt": Mentioned._new_domain,
    "create_foreign_table_stmt": Mentioned._foreign_table,
    **dict.fromkeys(
        (
            "import_foreign_schema_stmt",
            "alter_foreign_server_stmt",
            "create_user_mapping_stmt",
            "alter_user_mapping_stmt",
            "drop_user_mapping_stmt",
        ),
        Mentioned._server,
    ),
    "constraints_set_stmt": Mentioned._constraints,
    "alter_default_privileges_stmt": Mentioned._default_privileges,
    "variable_set_stmt": Mentioned._setting,
    "alter_extension_contents_stmt": Mentioned._extension,
    "create_trig_stmt": Mentioned._trigger,
    "alter_stats_stmt": Mentioned._alter_statistics,
    "create_stats_stmt": Mentioned._create_statistics,
}
