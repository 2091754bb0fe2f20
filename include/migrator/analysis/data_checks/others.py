"""What a check of data does not run: functions that are not PostgreSQL's own, and those of its own that do something or
run a text.

Nobody has reviewed the statement yet, and the function would run as the migrator; the dry run, on a copy, will tell.
"""

from __future__ import annotations

from migrator.analysis import others_code
from migrator.database import held, session
from migrator.database.session import Connection
from migrator.errors import Refused
from migrator.parsing.statements import parse


def refuse_others_functions(conn: Connection, query: str, *, ours: bool = False) -> None:
    """Until the caller's transaction ends, what is not refused now is not to be refused later.

    :param ours: what compares in it is not the migration's.
    :raises Refused: the query calls one by name, as if it were a column, by an operator, a cast or a domain; or
        planning it does, for what hangs on its tables.
    """
    nodes = [one.node for one in parse(query, file="").statements]
    with session.translated():
        found = others_code.named(conn, nodes)
        hung = None if ours or found else others_code.hung_on(conn, nodes)
    if found and found[1]:
        raise Refused(f"function {found[0]} does more than compute, and is not run before the dry run")
    told = f"function {found[0]}" if found else hung
    if told is not None:
        raise Refused(f"{told} is not one of PostgreSQL's own, and is not run before the dry run")
    with session.translated():
        held.hold(conn, others_code.tables_of(nodes))
