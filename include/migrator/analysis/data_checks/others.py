"""What a check of data does not run: functions that are not PostgreSQL's own, and those of its own that do something or
run a text.

Nobody has reviewed the statement yet, and the function would run as the migrator; the dry run, on a copy, will tell.
"""

from __future__ import annotations

from migrator.analysis.data_checks.catalogue import rows
from migrator.database import owners_code
from migrator.database.session import Connection
from migrator.errors import Refused
from migrator.parsing.nodes import find, strings
from migrator.parsing.statements import parse


def refuse_others_functions(conn: Connection, query: str) -> None:
    """:raises Refused: the query calls one by name, or as if it were a column."""
    nodes = [one.node for one in parse(query, file="").statements]
    names = {strings(call.funcname)[-1] for node in nodes for call in find(node, "FuncCall")}
    # Those of a qualified column, and of (t).f.
    fields = {text.sval for node in nodes for ref in find(node, "ColumnRef") for text in find(ref, "String")}
    fields |= {text.sval for node in nodes for part in find(node, "A_Indirection") for text in find(part, "String")}
    operator = owners_code.operator_of_others(conn, {strings(x.name)[-1] for n in nodes for x in find(n, "A_Expr")})
    if operator:
        raise Refused(f"operator {operator} is not one of PostgreSQL's own, and is not run before the dry run")
    found = rows(conn, "others_functions", names=sorted(names), fields=sorted(fields)) if names or fields else []
    if not found:
        return
    name = found[0]["name"]
    if found[0]["own"]:
        raise Refused(f"function {name} does more than compute, and is not run before the dry run")
    raise Refused(f"function {name} is not one of PostgreSQL's own, and is not run before the dry run")
