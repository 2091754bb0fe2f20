"""What a text would run as whoever asks about it, without a call of it being written there.

A text is planned and its data are looked at before anybody has reviewed it, as the migration's role: only PostgreSQL's
own functions, and those of extensions, may run then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from migrator.database import owners_code
from migrator.database.session import Connection
from migrator.parsing.nodes import Node, enum, find, strings

BETWEEN = frozenset({"<", "<=", ">", ">="})


def hung_on(conn: Connection, nodes: Iterable[Node]) -> str | None:
    """Somebody's own operator, cast or domain that these statements may call, in words."""
    every = tuple(nodes)
    operators = {name for node in every for name in _operators(node)}
    types = {strings(one.names) for node in every for one in find(node, "TypeName")}
    return owners_code.hung_on_types(conn, tables_of(every), {_quoted(parts) for parts in types}, operators)


def named(conn: Connection, nodes: Iterable[Node]) -> tuple[str, bool] | None:
    """A function that these statements call by name, or as if it were a column, and that is not PostgreSQL's own, or
    does more than compute; whether it is PostgreSQL's own."""
    every = tuple(nodes)
    names = {strings(call.funcname)[-1] for node in every for call in find(node, "FuncCall")}
    fields = {text.sval for node in every for ref in find(node, "ColumnRef") for text in find(ref, "String")}
    fields |= {text.sval for node in every for part in find(node, "A_Indirection") for text in find(part, "String")}
    return owners_code.named(conn, names, fields)


def _operators(node: Node) -> Iterator[str]:
    """Names, without those that can only be PostgreSQL's own; also of what compares without one."""
    for one in find(node, "A_Expr"):
        parts = strings(one.name)
        if enum(one, "kind").startswith(("AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN")):
            yield from BETWEEN
        elif parts[:-1] != ("pg_catalog",):
            yield parts[-1]
    if any(one.HasField("arg") for one in find(node, "CaseExpr")):
        yield "="


def tables_of(nodes: Iterable[Node]) -> set[str]:
    """The names of tables that stand there, as to_regclass() takes them."""
    return {_quoted((one.schemaname, one.relname)) for node in nodes for one in find(node, "RangeVar")}


def _quoted(parts: Sequence[str]) -> str:
    return ".".join(f'"{part.replace(chr(34), chr(34) * 2)}"' for part in parts if part)
