"""Where a statement, or a text that may become one, names something in the ledger's schema.

Only what the parser takes for a schema counts: a role, a column or an alias of the same name is nothing of the ledger.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.ledger.version import SCHEMA
from migrator.parsing import lexer
from migrator.parsing.nodes import Node, enum, find, name_of, strings, walk
from migrator.parsing.routines import Body, body_of, contents_of
from migrator.parsing.statements import ParsedStatement, parse

_MENTION = re.compile(rf'(?<![\w$."])("{SCHEMA}"|(?i:{SCHEMA}))\s*\.\s*["\w%]')
_BEGUN = re.compile(rf"(?i)\b(from|into|update|table|join|only|on|function|truncate)\s+\"?{SCHEMA}\"?\.'*$")
"""A text that ends with the schema, to be continued with a name: "DELETE FROM migrator." || quote_ident(...)."""
_NAMED_SCHEMAS = ("CommentStmt", "SecLabelStmt", "AlterOwnerStmt")
_OURSELVES = frozenset(["ROLESPEC_CURRENT_USER", "ROLESPEC_SESSION_USER", "ROLESPEC_CURRENT_ROLE"])


def mentions(text: str) -> bool:
    """Whether a text has a name qualified with the schema in it."""
    return _MENTION.search(text) is not None or _BEGUN.search(text) is not None


def named(statement: ParsedStatement) -> str | None:
    """What of the ledger a statement names, in words; None for nothing."""
    return next(_named(statement.node), None) if _may_name(statement.sql) else None


def _may_name(sql: str) -> bool:
    """Cheap, for the thousands of statements that have nothing to do with it. An escape may hide a letter."""
    text = sql.lower()
    return SCHEMA in text or "owned" in text or "\\" in text or "u&" in text


def named_in_body(body: Body) -> str | None:
    """The same of what a body would run: its statements, and the texts of which it puts others together. A body that
    cannot be read is a text."""
    contents = contents_of(body)
    for piece in contents.pieces:
        for statement in parse(piece.sql, file="").statements:
            inner = body_of(statement)
            found = named(statement) or (named_in_body(inner) if inner is not None else None)
            if found is not None:
                return found
    if contents.gaps and any(mentions(text) for text in _texts(body, whole=not contents.pieces)):
        return f"{SCHEMA}, in a text that it puts together"
    return None


def _texts(body: Body, *, whole: bool) -> Iterator[str]:
    for token in lexer.tokens(body.text):
        if token.kind == "string":
            yield token.text[1:]
    if whole:
        yield "".join(token.text for token in lexer.tokens(body.text) if token.kind != "comment")


def _named(tree: Node) -> Iterator[str]:
    for message in walk(tree):
        kind = type(message).__name__
        if kind == "RangeVar":
            if message.schemaname == SCHEMA:
                yield f"{SCHEMA}.{message.relname}"
        elif kind == "VariableSetStmt":
            yield from _path(message)
        elif kind == "FuncCall":
            yield from _qualified(message.funcname)
            yield from _argument(message)
        elif kind == "TypeCast":
            yield from _cast(message)
        elif kind in ("ReassignOwnedStmt", "DropOwnedStmt"):
            if any(enum(item.role_spec, "roletype") in _OURSELVES for item in message.roles):
                yield "all that the engine's role owns"
        elif kind != "ColumnRef":
            yield from _schema(message, kind)
            yield from _lists(message)


def _schema(message: Node, kind: str) -> Iterator[str]:
    """Fields that hold the name of a schema."""
    found: list[str] = []
    if kind == "CreateSchemaStmt":
        found = [message.schemaname or message.authrole.rolename]
    elif kind == "AlterObjectSchemaStmt":
        found = [message.newschema]
    elif kind == "ImportForeignSchemaStmt":
        found = [message.local_schema]
    elif kind == "ReindexStmt" and enum(message, "kind") == "REINDEX_OBJECT_SCHEMA":
        found = [message.name]
    elif kind == "RenameStmt" and enum(message, "rename_type") == "OBJECT_SCHEMA":
        found = [message.subname, message.newname]
    elif kind in _NAMED_SCHEMAS and _of_schemas(message, "objtype" if kind != "AlterOwnerStmt" else "object_type"):
        found = [message.object.string.sval]
    elif (kind == "DropStmt" and _of_schemas(message, "remove_type")) or (
        kind == "GrantStmt"
        and (_of_schemas(message, "objtype") or enum(message, "targtype") == "ACL_TARGET_ALL_IN_SCHEMA")
    ):
        found = [item.string.sval for item in message.objects]
    elif kind == "DefElem" and message.defname in ("schema", "schemas", "new_schema"):
        found = [message.arg.string.sval, *strings(message.arg.list.items)]
    elif kind == "PublicationObjSpec":
        found = [message.name]
    if SCHEMA in found:
        yield f"schema {SCHEMA}"


def _of_schemas(message: Node, field: str) -> bool:
    return enum(message, field) == "OBJECT_SCHEMA"


def _lists(message: Node) -> Iterator[str]:
    """Dotted names: of functions, types, operators, of what is dropped, commented, moved."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.name == "Node" and hasattr(value, "add"):
            yield from _qualified(value)


def _qualified(names: Node) -> Iterator[str]:
    parts = strings(names)
    if len(parts) == len(names) and SCHEMA in parts[:-1]:
        yield ".".join(parts)


def _path(message: Node) -> Iterator[str]:
    """SET search_path, of a session or of a function."""
    if str(message.name).lower() == "search_path":
        for item in message.args:
            if SCHEMA in _list(item.a_const.sval.sval):
                yield f"schema {SCHEMA}, by the search_path"


def _list(text: str) -> list[str]:
    return [part.strip().strip('"') for part in text.split(",")]


def _argument(call: Node) -> Iterator[str]:
    """A text that a function gets may be run or looked up by it: query_to_xml(), dblink_exec(), to_regclass()."""
    texts = [item.sval.sval for argument in call.args for item in find(argument, "A_Const")]
    if any(mentions(text) for text in texts):
        yield f"{SCHEMA}, in a text for {strings(call.funcname)[-1]}()"
    sets = strings(call.funcname)[-1:] == ("set_config",) and texts[:1] and texts[0].lower() == "search_path"
    if sets and any(SCHEMA in _list(text) for text in texts[1:]):
        yield f"schema {SCHEMA}, by the search_path"


def _cast(message: Node) -> Iterator[str]:
    """'...'::regclass and its kin."""
    target = strings(message.type_name.names)[-1:]
    if target and target[0].startswith("reg") and name_of(message.arg) == "a_const":
        text = message.arg.a_const.sval.sval
        if mentions(text) or (target[0] == "regnamespace" and text.strip('"') == SCHEMA):
            yield text
