"""What a check of data does not run: functions that are not PostgreSQL's own.

Nobody has reviewed the statement yet, and the function would run as the migrator; the dry run, on a copy, will tell.
"""

from __future__ import annotations

from migrator.analysis.data_checks.catalogue import rows
from migrator.database.session import Connection
from migrator.errors import Refused
from migrator.parsing.nodes import find, strings
from migrator.parsing.statements import parse


def refuse_others_functions(conn: Connection, query: str) -> None:
    """:raises Refused: the query calls one by name."""
    calls = (strings(call.funcname) for one in parse(query, file="").statements for call in find(one.node, "FuncCall"))
    names = sorted({name[-1] for name in calls if name[:-1] != ("pg_catalog",)})
    found = rows(conn, "others_functions", names=names) if names else []
    if found:
        raise Refused(f"function {found[0]['name']} is not one of PostgreSQL's own, and is not run before the dry run")
