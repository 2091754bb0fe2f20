"""What a check of data does not run: functions that are not PostgreSQL's own, and those of its own that do something or
run a text.

Nobody has reviewed the statement yet, and the function would run as the migrator; the dry run, on a copy, will tell.
"""

from __future__ import annotations

from migrator.analysis import others_code
from migrator.analysis.data_checks.catalogue import rows
from migrator.database import session
from migrator.database.session import Connection
from migrator.errors import Refused
from migrator.parsing.nodes import find, strings
from migrator.parsing.statements import parse


def refuse_others_functions(conn: Connection, query: str, *, ours: bool = False) -> None:
    """:param ours: what compares in it is not the migration's.

    :raises Refused: the query calls one by name, as if it were a column, or by a cast, an operator or a domain."""
    nodes = [one.node for one in parse(query, file="").statements]
    names = {strings(call.funcname)[-1] for node in nodes for call in find(node, "FuncCall")}
    # Those of a qualified column, and of (t).f.
    fields = {text.sval for node in nodes for ref in find(node, "ColumnRef") for text in find(ref, "String")}
    fields |= {text.sval for node in nodes for part in find(node, "A_Indirection") for text in find(part, "String")}
    found = rows(conn, "others_functions", names=sorted(names), fields=sorted(fields)) if names or fields else []
    if not found:
        with session.translated():
            hung = None if ours else others_code.hung_on(conn, nodes)
        if hung is not None:
            raise Refused(f"{hung} is not one of PostgreSQL's own, and is not run before the dry run")
        return
    name = found[0]["name"]
    if found[0]["own"]:
        raise Refused(f"function {name} does more than compute, and is not run before the dry run")
    raise Refused(f"function {name} is not one of PostgreSQL's own, and is not run before the dry run")
